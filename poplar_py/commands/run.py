"""poplar-py run: an executable on the simulated device, on files of numbers or on a data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .model import add_model, open_executable
from .report import write_files
from .terminal import Progress, emit, progress

SUMMARY = "run an executable on the simulated device"
DESCRIPTION = """\
Load an executable onto a simulated device and run it. With --data a model trains on that data set (if it was compiled
for training) and is tested on samples it has not seen. With --input its tensors are read from .npy files, and with
--output what it computed is written as .npy files. The figures a chip would show come with it."""
EXAMPLES = (
    "poplar-py run mnist.pop --data mnist --epochs 2",
    "poplar-py run mnist_small --training --data mnist --steps 100 --html report.html",
    "poplar-py run adding.pop --input a=a.npy --input b=b.npy --output results",
    "poplar-py run adding.pop --input a=a.npy --input b=b.npy --check",
)


_CHECK = "prove the memory plan; stop at reads of undefined data, with dead memory poisoned"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser, "what to run")
    data = parser.add_argument_group("what it runs on")
    data.add_argument("--data", metavar="NAME", help="mnist, digits, or idx:DIR with the four IDX files of a data set")
    data.add_argument("--input", action="append", default=[], metavar="NAME=FILE.npy", help="contents of a tensor")
    data.add_argument("--output", metavar="DIR", help="folder for what was computed, an .npy file a tensor")
    how = parser.add_argument_group("how it runs")
    how.add_argument("--steps", type=int, metavar="N", help="train for N batches")
    how.add_argument(
        "--epochs", type=float, metavar="N", help="train for N passes over the data (default: as the model says)"
    )
    how.add_argument("--seed", type=int, metavar="N", help="order of the samples (default: as the model says)")
    how.add_argument("--program", type=int, default=0, metavar="N", help="program to run on --input (default 0)")
    how.add_argument("--engine", choices=("fast", "reference"), default="fast", help="compiled, or plain Python (slow)")
    how.add_argument("--check", action="store_true", help=_CHECK)
    weights = parser.add_argument_group("weights")
    weights.add_argument("--weights", metavar="FILE", help="parameters to start from: .npz or .safetensors")
    weights.add_argument("--save-weights", metavar="FILE", help="where to write the parameters afterwards")
    parser.add_argument("--html", metavar="FILE", help="write the report of the run as one page")
    parser.add_argument("--trace", metavar="FILE", help="write a Chrome trace of the run")


def run(args: argparse.Namespace) -> int:
    from ..errors import InvalidOption

    if args.data and args.input:
        raise InvalidOption("--data and --input cannot both say what the model runs on")
    if args.steps is not None and args.epochs is not None:
        raise InvalidOption("--steps and --epochs cannot both say how long to train")
    for name in ("steps", "epochs"):
        if getattr(args, name) is not None and getattr(args, name) <= 0:
            raise InvalidOption(f"--{name} {getattr(args, name)}: it must be more than 0")
    with progress(args) as line:
        data = None
        if args.data:
            from ..frontends.data import load_data

            data = load_data(args.data)
        executable = open_executable(args, line)
        if args.check:
            from ..memory.check import check_memory

            line.begin("check")
            check_memory(executable)
        facts, text = _on_data(args, executable, data, line) if data else _on_files(args, executable, line)
    emit(args, facts, text)
    return 0


def make_engine(args: argparse.Namespace, executable: Any, line: Progress) -> Any:
    """A loaded engine of the kind that was asked for."""
    from ..errors import InvalidOption
    from ..session import Engine, ReferenceEngine
    from ..target import Device

    line.begin("load")
    if args.engine == "reference" and args.check:
        raise InvalidOption("--check belongs to the fast engine: the reference engine has no addresses to get wrong")
    engine = Engine(executable, check=args.check) if args.engine == "fast" else ReferenceEngine(executable)
    engine.load(Device(executable.target))
    if args.weights:
        from ..weights import load_weights

        load_weights(engine, args.weights)
    return engine


def keep_weights(args: argparse.Namespace, engine: Any) -> list[str]:
    """Write the weights where asked for; returns a line that says so."""
    if not args.save_weights:
        return []
    from ..weights import save_weights

    return [f"  {len(save_weights(engine, args.save_weights))} parameters written to {args.save_weights}"]


# tensors from files --------------------------------------------------------------------------------------------


def _on_files(args: argparse.Namespace, executable: Any, line: Progress) -> tuple[dict[str, Any], str]:
    from ..errors import InvalidOption, did_you_mean

    graph = executable.graph
    count = len(executable.schedule.programs)
    if not 0 <= args.program < count:
        raise InvalidOption(f"--program {args.program}: the executable has {count}, numbered from 0")
    arrays = {}
    for given in args.input:
        name, equals, file = given.partition("=")
        if not equals or not name or not file:
            raise InvalidOption(f"--input {given}: write NAME=FILE.npy")
        if name not in graph.host_writes:
            known = ", ".join(graph.host_writes) or "none"
            raise InvalidOption(
                f"--input {name}: no such input.{did_you_mean(name, graph.host_writes)} Inputs: {known}"
            )
        arrays[name] = read_array(file)
    if args.output:
        _make_folder(args.output)
    engine = make_engine(args, executable, line)
    for name, array in arrays.items():
        engine.write_tensor(name, array)
    line.begin("run")
    engine.run(args.program)
    results = {name: engine.read_tensor(name) for name in graph.host_reads}
    kept = keep_weights(args, engine)
    report = engine.profile()
    facts: dict[str, Any] = {
        "name": executable.name,
        "cycles": report.cycles,
        "seconds": report.seconds,
        "wall_seconds": report.host_wall_seconds,
        "outputs": {n: {"shape": list(a.shape), "dtype": str(a.dtype)} for n, a in results.items()},
    }
    lines = []
    for name, array in results.items():
        place = ""
        if args.output:
            place = str(write_array(Path(args.output), name, array))
            facts["outputs"][name]["file"] = place
        lines.append(f"{name} {array.dtype}{list(array.shape)}  {place or _glance(array)}")
    if written := write_files(report, args):
        facts["files"] = written
        lines += [f"{kind}: {path}" for kind, path in written.items()]
    return facts, "\n".join([*lines, *kept, "", _cost(report)])


def _glance(array: Any) -> str:
    import numpy as np

    return np.array2string(array, threshold=8, edgeitems=3, precision=5, separator=", ").replace("\n", "")


def _cost(report: Any) -> str:
    from ..report import words

    return (
        f"{report.cycles:,} cycles, {words.duration(report.seconds)} on {report.target.name};"
        f" simulated in {words.duration(report.host_wall_seconds)}"
    )


def read_array(file: str) -> Any:
    """The array of an .npy file. Raises DataError where it is missing, damaged or holds objects."""
    import numpy as np

    from ..errors import DataError

    try:
        with open(file, "rb") as opened:
            return np.lib.format.read_array(opened, allow_pickle=False)
    except OSError as problem:
        raise DataError(f"cannot read {file}: {problem.strerror}") from None
    except (ValueError, EOFError, SyntaxError) as problem:
        raise DataError(f"{file} is not an .npy file of numbers ({problem})") from None


def _make_folder(folder: str) -> None:
    from ..errors import FileLoadError

    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileLoadError(f"cannot make folder {folder}: {problem.strerror}") from None


def write_array(folder: Path, name: str, array: Any) -> Path:
    """Write `folder/name.npy`; the path separators of a name become dots."""
    import numpy as np

    path = folder / (name.replace("/", ".") + ".npy")
    np.save(path, array)
    return path


def describe_data(data: Any) -> str:
    """A line about a data set."""
    return f"{data.provenance}: {len(data.train_y):,} to train on, {len(data.test_y):,} to test on"


# a data set ----------------------------------------------------------------------------------------------------


def _on_data(args: argparse.Namespace, executable: Any, data: Any, line: Progress) -> tuple[dict[str, Any], str]:
    from .. import training
    from ..report import words

    model = training.Model.of(executable, data)
    if args.output:
        _make_folder(args.output)
    engine = make_engine(args, executable, line)
    facts: dict[str, Any] = {"name": executable.name, "data": data.name, "target": executable.target.name}
    lines = [f"{executable.name} on {words.machine(executable.target)}", f"  {describe_data(data)}"]
    if model.trains:
        trained = training.train(engine, model, steps=args.steps, epochs=args.epochs, seed=args.seed, progress=line)
        facts |= {"steps": trained.steps, "epochs": trained.epochs, "losses": trained.losses.tolist()}
        first, last = trained.losses[:10].mean(), trained.losses[-10:].mean()
        lines.append(f"  {trained.steps:,} steps ({trained.epochs:.2f} epochs): loss {first:.4f} -> {last:.4f}")
    elif args.steps is not None or args.epochs is not None:
        lines.append("  (compiled without --training, so there is nothing to train)")
    report = engine.profile()
    result = training.evaluate(engine, model, progress=line)
    facts |= result.facts()
    lines.append(f"  {result.text()}")
    if not model.trains:
        report = engine.profile()
    facts |= {"cycles": report.cycles, "seconds": report.seconds, "wall_seconds": report.host_wall_seconds}
    lines.append(f"  {_cost(report)}")
    if args.output and training.reconstructs(model, result):
        picture = Path(args.output) / "reconstruction.png"
        training.save_reconstruction(model, result, picture)
        facts["picture"] = str(picture)
        lines.append(f"  samples above what the model makes of them: {picture}")
    lines += keep_weights(args, engine)
    if args.output:
        written = {
            n: str(write_array(Path(args.output), n, engine.read_tensor(n))) for n in executable.graph.host_reads
        }
        facts["outputs"] = written
        lines.append(f"  {len(written)} tensors written to {args.output}")
    if written := write_files(report, args):
        facts["files"] = written
        lines += [f"  {kind}: {path}" for kind, path in written.items()]
    return facts, "\n".join(lines)
