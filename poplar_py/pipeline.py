"""The pipeline: a model description or a hand-made graph in, an executable out. A stage a line.

`compile` goes through the front half (description -> op graph -> graph and program) and on; `compile_graph` enters at
the waist. Every stage takes one structure and returns another; `stop_after` names a stage to stop at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import GraphMemoryAllocationError, GraphProgramCompilationError, InvalidOption, PoplarError, did_you_mean
from .exchange.layout import lay_out
from .graph import Graph
from .options import read_options
from .program import Program
from .program.supersteps import plan_supersteps
from .session import Executable
from .target import Device, Target

STAGES = ("supersteps", "layout", "races", "exchange", "liveness", "memory", "executable")
MODEL_STAGES = ("opgraph", "recompute", "lower", *STAGES)
OPTIONS = {"allow_out_of_memory": False, "check_races": True, "check_memory": False}
MODEL_OPTIONS = {"fold_norms": False, "recompute": "auto", "optimise": "speed", "remedies": True}
Progress = Callable[[str, float], None]  # (stage, seconds it took)


class Stages:
    """Runs stages one after another, times them, and stops after the one asked for."""

    def __init__(self, names: Sequence[str], stop_after: str | None = None, progress: Progress | None = None):
        if stop_after is not None and stop_after not in names:
            raise InvalidOption(f"no stage '{stop_after}'.{did_you_mean(stop_after, names)} Stages: {', '.join(names)}")
        self.stop_after = stop_after
        self.progress = progress
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, stage: Callable[..., Any], *inputs: Any) -> Any:
        begin = time.perf_counter()
        result = stage(*inputs)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin
        if self.progress:
            self.progress(name, self.seconds[name])
        if name == self.stop_after:
            raise _Stopped(result)
        return result


class _Stopped(Exception):
    """Carries the result of the stage one stops after."""

    def __init__(self, result: Any):
        self.result = result


def compile_graph(
    graph: Graph,
    programs: Sequence[Program] | Program,
    options: Mapping[str, Any] | None = None,
    *,
    stop_after: str | None = None,
    progress: Progress | None = None,
    name: str | None = None,
) -> Any:
    """Compile a graph with its programs to an Executable (or to what `stop_after` names).

    Raises GraphProgramCompilationError, InvalidTileMapping, GraphMemoryAllocationError and the other errors of
    `poplar_py.errors`, each naming tensor, tile and shape.
    """
    stages = Stages(STAGES, stop_after, progress)
    try:
        return _back_half(stages, graph, programs, read_options(options, OPTIONS, "compile_graph"), name)
    except _Stopped as stopped:
        return stopped.result


def compile(
    model: Any,
    target: Target | Device | None = None,
    *,
    batch: int | None = None,
    training: bool = False,
    dtype: Any = None,
    settings: Mapping[str, Any] | None = None,
    weights: Any = None,
    options: Mapping[str, Any] | None = None,
    stop_after: str | None = None,
    progress: Progress | None = None,
) -> Any:
    """Compile a model description to an Executable (or to what `stop_after` names).

    model: path or name of a YAML description, a parsed description, or an OpGraph; target: gc200 unless given; batch,
    dtype ("float" or "half"): in place of the description's; training: with gradients and updates; settings: in place
    of those the description has under `settings:` ({"depth": 18}); weights: a file (.npz, .safetensors) or arrays by
    path to start from; options: those of `compile_graph` and of lowering (`steps` batches a run, `grain`, `outline`,
    `available_memory_proportion`, `partials_type`), `fold_norms` (batch norms of inference become part of the weights
    before them), `recompute` ("none", "standard", "sqrt", "optimal", "budget:BYTES"; "auto": nothing where the model fits,
    else what repeats least, see automatic.py) and `optimise` ("speed", "memory"), `off_chip` (what streaming memory keeps), `in_place`, `remedies` (False: an error of memory comes at once, without trying what
    would help).
    Raises ParseError, ModelError, FileLoadError, InvalidOption and the errors of `compile_graph`.
    """
    from .lower.walk import OPTIONS as LOWER_OPTIONS
    from .lower.walk import lower

    target = target.target if isinstance(target, Device) else target or Target.gc200()
    given = dict(options or {})
    known = {**OPTIONS, **MODEL_OPTIONS, **LOWER_OPTIONS}
    read = read_options(given, known, "compile")
    if read["fold_norms"] and training:
        raise InvalidOption("fold_norms is for inference; with training=True the statistics of norms change")
    lowering = {k: v for k, v in given.items() if k in LOWER_OPTIONS}
    stages = Stages(MODEL_STAGES, stop_after, progress)
    described = (training, dtype, settings, weights, read["fold_norms"])
    try:
        plain = stages("opgraph", _read, model, batch, *described)
        opgraph = stages("recompute", save_memory, plain, read["recompute"], read["optimise"])
        lowered = stages("lower", lower, opgraph, target, lowering)
        rest = read_options({k: v for k, v in given.items() if k in OPTIONS}, OPTIONS, "compile")
        executable = _back_half(stages, lowered.graph, list(lowered.programs.values()), rest, opgraph.name)
    except _Stopped as stopped:
        return stopped.result
    except GraphMemoryAllocationError as error:
        if error.plan is not None and read["remedies"]:
            from .remedies import Remedies

            if read["recompute"] == "auto":
                how = {"batch": batch, "training": training, "dtype": dtype, "settings": settings, "weights": weights}
                found = _with_less_memory(error, plain, model, target, given, stop_after, progress, how)
                if found is not None:
                    return found
                read = {**read, "recompute": "none"}  # it does not help

            if progress:
                progress("looking for what would make it fit", 0.0)

            def attempt(changes: Mapping[str, Any]) -> Any:
                other = _read(model, changes["batch"], *described) if "batch" in changes else plain
                options = {**given, **changes}
                return _memory_of(other, changes.get("target", target), {**read, **options}, options)

            told = {**given, "recompute": given.get("recompute", "auto")}  # what was tried is not tried again
            error.remedies = Remedies(error, attempt, plain, target, told, lowered.graph.num_edges).find()
            error.tell()
        raise
    executable.op_graph = opgraph
    executable.info["recompute"] = _repeated(opgraph)
    executable.info["programs"] = list(lowered.programs)
    executable.info["outlined"] = lowered.outlined
    executable.info["in_place"] = {"taken": lowered.in_place.taken, "refused": lowered.in_place.refused}
    executable.info["plans"] = {path: plan.report() for path, plan in lowered.plans.items()}
    return executable


def _with_less_memory(
    error: GraphMemoryAllocationError,
    plain: Any,
    model: Any,
    target: Target,
    given: dict[str, Any],
    stop_after: str | None,
    progress: Progress | None,
    how: dict[str, Any],
) -> Any:
    """What `compile` gives with the first setting that makes the model fit; None where none does, with what they come to
    among the remedies of the error."""
    from .automatic import settings_to_try
    from .errors import Remedy

    for setting in settings_to_try(error, plain):
        options = {**given, **setting, "remedies": False}
        try:
            found = compile(model, target, options=options, stop_after=stop_after, progress=progress, **how)
        except GraphMemoryAllocationError as again:
            kind = "recompute" if setting["recompute"] != "none" else "optimise"
            text = f"{kind}={setting[kind]} (--{kind} {setting[kind]})"
            error.remedies.append(Remedy(kind, setting[kind], again.bytes_needed or 0, False, text))
            continue
        if isinstance(found, Executable):
            found.info["recompute"]["automatic"] = setting
        return found
    return None


def _repeated(opgraph: Any) -> dict[str, Any]:
    """What recomputation did to an op graph, as an executable tells it: setting, names of the ops that repeat one of the
    forward phase, and their work over that of the forward phase."""
    done = opgraph.info.get("recompute") or {}
    share = done.get("extra_work", 0.0) / max(done.get("forward_work", 1.0), 1.0)
    return {"setting": done.get("setting", "none"), "ops": list(done.get("ops", ())), "extra_forward": share}


def _read(model: Any, batch: Any, training: bool, dtype: Any, settings: Any, weights: Any, fold: bool) -> Any:
    """The op graph of a model, with the weights given, its norms folded where asked for."""
    from .frontends.models import read_model

    opgraph = read_model(model, batch, training, dtype, settings=settings)
    if weights is not None:
        from .weights import weights_for

        opgraph = opgraph.with_values(weights_for(opgraph, weights))
    if fold:
        from .opgraph.fold import fold_norms

        opgraph = fold_norms(opgraph)
    return opgraph


def _memory_of(opgraph: Any, target: Target, read: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """The memory plan of an op graph, whether it fits or not; nothing is priced or checked."""
    from .exchange.plan import plan_exchange
    from .lower.walk import OPTIONS as LOWER_OPTIONS
    from .lower.walk import lower
    from .memory.liveness import find_liveness
    from .memory.plan import plan_memory

    opgraph = save_memory(opgraph, read["recompute"], read["optimise"])
    lowered = lower(opgraph, target, {k: v for k, v in given.items() if k in LOWER_OPTIONS})
    graph = lowered.graph
    graph.freeze("compile")
    schedule = plan_supersteps(graph, list(lowered.programs.values()))
    layout = lay_out(graph)
    exchange = plan_exchange(graph, schedule, layout)
    return plan_memory(graph, schedule, layout, find_liveness(graph, schedule), exchange, True)


def save_memory(g: Any, recompute: str = "none", optimise: str = "speed") -> Any:
    """An op graph that means the same and needs less memory: parts of the forward phase repeated (`recompute`), the ops
    in an order of least peak (`optimise` "memory"). Raises InvalidOption."""
    from .opgraph.order import optimised
    from .opgraph.recompute import recompute as repeat

    if optimise not in ("speed", "memory"):
        raise InvalidOption(f"optimise is '{optimise}'; it takes speed or memory")
    g = repeat(g, "none" if recompute == "auto" else recompute)
    return optimised(g) if optimise == "memory" else g


def _back_half(stages: Stages, graph: Graph, programs: Any, options: Mapping[str, Any], name: str | None) -> Executable:
    if not isinstance(graph, Graph):
        raise GraphProgramCompilationError(f"compile_graph takes a graph, not {type(graph).__name__}")
    if not isinstance(programs, (Program, Sequence)):
        raise GraphProgramCompilationError(f"compile_graph takes programs, not {type(programs).__name__}")
    programs = [programs] if isinstance(programs, Program) else list(programs)
    if not programs:
        raise GraphProgramCompilationError("there is no program to compile")
    graph = getattr(graph, "top", graph)
    frozen = graph.frozen
    graph.freeze("compile")
    try:
        return _plan(stages, graph, programs, options, name)
    except PoplarError:
        if not frozen:
            graph.thaw()  # the error says what to change, so it can be changed
        raise


def _check_streaming_memory(graph: Graph) -> None:
    """Raise GraphMemoryAllocationError where remote buffers need more than the target's streaming memory."""
    target = graph.target
    needed, has = (
        sum(b.size_bytes for b in graph.remote_buffers.values()),
        target.streaming_memory_bytes * target.num_ipus,
    )
    if needed > has:
        largest = max(graph.remote_buffers.values(), key=lambda b: b.size_bytes)
        raise GraphMemoryAllocationError(
            f"remote buffers need {needed} bytes, the streaming memory of {target.name} has {has}; the largest is"
            f" {largest.handle} with {largest.repeats} rows, {largest.size_bytes} bytes"
        )


def _plan(stages: Stages, graph: Graph, programs: list, options: Mapping[str, Any], name: str | None) -> Executable:
    from .engine.assemble import assemble
    from .exchange.plan import plan_exchange
    from .exchange.races import check_all_races
    from .memory.check import check_memory
    from .memory.liveness import find_liveness
    from .memory.plan import plan_memory

    _check_streaming_memory(graph)
    schedule = stages("supersteps", plan_supersteps, graph, programs)
    layout = stages("layout", lay_out, graph)
    if options["check_races"]:
        stages("races", check_all_races, graph, schedule)
    exchange = stages("exchange", plan_exchange, graph, schedule, layout)
    liveness = stages("liveness", find_liveness, graph, schedule)
    memory = stages("memory", plan_memory, graph, schedule, layout, liveness, exchange, options["allow_out_of_memory"])
    executable = Executable.of(stages("executable", assemble, graph, schedule, layout, exchange, liveness, memory))
    if options["check_memory"]:
        stages("check", check_memory, executable)
    executable.name = name or graph.name
    executable.info["stage_seconds"] = stages.seconds
    return executable
