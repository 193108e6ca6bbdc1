"""poplar-py demo: a network trained on real digits by a simulated chip, with its profile and its pictures."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from .terminal import Progress, emit, progress

SUMMARY = "the whole story on real data in about a minute"
DESCRIPTION = """\
Compiles the model mnist_small with its training for every tile of a gc200, trains it on 8,500 real handwritten digits
on the simulated device, tests it on 1,500 others, and leaves the profile as a page and the graph as pictures."""
EXAMPLES = ("poplar-py demo", "poplar-py demo -o digits --epochs 2", "poplar-py demo --json")
MODEL, DATA = "mnist_small", "mnist"
PICTURES = (
    ("operations", "operations.png"),
    ("timeline", "timeline.png"),
    ("computation", "computation.png"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="DIR", default="poplar_py_demo", help="folder for page and pictures")
    parser.add_argument("--epochs", type=float, metavar="N", help="passes over the data (default: as the model says)")
    parser.add_argument("--target", metavar="NAME", default="gc200", help="machine (default gc200)")
    parser.add_argument("--tiles", type=int, metavar="N", help="so many tiles instead of the target's")
    parser.add_argument("--seed", type=int, metavar="N", help="order of the samples (default: as the model says)")


class _Story:
    """What people read, a line when it has happened; nothing with --json."""

    def __init__(self, silent: bool):
        self.silent = silent
        self.begin = time.perf_counter()

    def tell(self, text: str) -> None:
        if not self.silent:
            print(f"[{time.perf_counter() - self.begin:5.1f} s] {text}", flush=True)


def run(args: argparse.Namespace) -> int:
    from ..errors import FileLoadError, InvalidOption

    if args.epochs is not None and args.epochs <= 0:
        raise InvalidOption(f"--epochs {args.epochs}: it must be more than 0")
    folder = Path(args.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileLoadError(f"cannot make folder {folder}: {problem.strerror}") from None
    story = _Story(args.json)
    with progress(args) as line:
        facts = _play(args, folder, story, line)
    facts["wall_seconds"] = round(time.perf_counter() - story.begin, 2)
    emit(args, facts, _end(facts))
    return 0


def _play(args: argparse.Namespace, folder: Path, story: _Story, line: Progress) -> dict[str, Any]:
    from .. import training
    from ..frontends.data import load_data
    from ..report import words
    from ..session import Engine
    from ..target import Device, Target
    from .run import describe_data

    target = Target.named(args.target, **({"num_tiles": args.tiles} if args.tiles else {}))
    data = load_data(DATA)
    story.tell(f"data: {describe_data(data)}")
    executable = _compile(target, line)
    story.tell(
        f"compiled {MODEL} for {words.machine(target)}: {executable.num_vertices:,} vertices, {executable.num_edges:,} edges"
    )
    story.tell(f"memory {words.memory_verdict(_static(executable))}")
    model = training.Model.of(executable, data)
    engine = Engine(executable)
    line.begin("load")
    engine.load(Device(target))
    trained = training.train(engine, model, epochs=args.epochs, seed=args.seed, progress=line)
    report = engine.profile()
    story.tell(
        f"trained {trained.steps:,} batches ({trained.epochs:g} epochs), loss {trained.first:.3f} -> {trained.last:.3f}:"
        f" {report.cycles:,} cycles, {words.duration(report.seconds)} on the chip,"
        f" simulated in {words.duration(report.host_wall_seconds)}"
    )
    tested = training.evaluate(engine, model, progress=line)
    story.tell(f"{tested.text()}")
    page = folder / "report.html"
    report.to_html(page)
    pictures = {}
    for view, name in PICTURES:
        line.begin(f"draw {view}")
        executable.render(folder / name, view=view, **({"profile": report} if view == "timeline" else {}))
        pictures[view] = str(folder / name)
        story.tell(f"drew the {view}")
    return {
        "model": MODEL, "data": data.name, "target": target.name, "num_tiles": target.num_tiles,
        "vertices": int(executable.num_vertices), "edges": int(executable.num_edges),
        "max_tile_bytes": int(executable.memory.max_tile_bytes), "bytes_per_tile": int(executable.memory.capacity_bytes),
        "steps": trained.steps, "epochs": trained.epochs, "first_loss": trained.first, "last_loss": trained.last,
        **tested.facts(), "cycles": report.cycles, "cycles_by_phase": report.cycles_by_phase,
        "simulated_seconds": report.seconds, "picture": pictures["computation"], "pictures": pictures,
        "report": str(page),
    }  # fmt: skip


def _compile(target: Any, line: Progress) -> Any:
    from ..pipeline import MODEL_STAGES, compile

    line.begin("compile", len(MODEL_STAGES))
    done = list(MODEL_STAGES)
    return compile(
        MODEL, target, training=True,
        progress=lambda stage, _: line.update(done.index(stage) + 1 if stage in done else 0, f"compile: {stage}"),
    )  # fmt: skip


def _static(executable: Any) -> Any:
    from ..report import Report

    return Report.of_program(executable)


def _end(facts: dict[str, Any]) -> str:
    pictures = "".join(f"\n  picture    {path}" for path in facts["pictures"].values())
    return (
        f"\n{100 * facts['test_accuracy']:.1f} % of {facts['test_samples']:,} digits it had not seen are read right,"
        f" after {facts['wall_seconds']:.0f} s in all.{pictures}\n  report     {facts['report']}"
    )
