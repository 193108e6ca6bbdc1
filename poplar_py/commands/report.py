"""poplar-py report: what a program will cost, as text, a page, a trace or JSON."""

from __future__ import annotations

import argparse
from typing import Any

from .model import add_model, open_executable
from .terminal import emit, progress

SUMMARY = "tell what an executable costs in memory and time"
DESCRIPTION = """\
Memory by tile and cycles by superstep of one run of a program of the executable. Nothing here needs a run: a
superstep's cycles do not depend on data. Where the program itself branches on data, the dearer way is assumed; for
what a run really did use `poplar-py run ... --html FILE`."""
EXAMPLES = (
    "poplar-py report mnist.pop",
    "poplar-py report mnist_small --training --html report.html",
    "poplar-py report mnist.pop --trace trace.json     (open it in Perfetto)",
    "poplar-py report mnist.pop --alive-at 12 --tile 0",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser, "what to report on")
    parser.add_argument("--html", metavar="FILE", help="write one page that needs nothing but itself")
    parser.add_argument("--trace", metavar="FILE", help="write a Chrome trace of the supersteps")
    parser.add_argument(
        "--program", type=int, default=0, metavar="N", help="which program of the executable (default 0)"
    )
    parser.add_argument(
        "--alive-at", type=int, metavar="STEP", help="print only what holds memory in that superstep, largest first"
    )
    parser.add_argument(
        "--tile", type=int, metavar="N", help="with --alive-at: of that tile (default: of all together)"
    )


def run(args: argparse.Namespace) -> int:
    from ..errors import InvalidOption
    from ..report import Report

    with progress(args) as line:
        executable = open_executable(args, line)
        count = len(executable.schedule.programs)
        if not 0 <= args.program < count:
            raise InvalidOption(f"--program {args.program}: the executable has {count}, numbered from 0")
        if args.alive_at is not None:
            return alive_at(args, executable)
        line.begin("report")
        report = Report.of_program(executable, args.program)
        written = write_files(report, args)
    text = report.summary() + "".join(f"\n{kind}: {path}" for kind, path in written.items())
    emit(args, report.to_dict() | ({"files": written} if written else {}), text)
    return 0


def alive_at(args: argparse.Namespace, executable: Any) -> int:
    """Print what is alive in a superstep."""
    from dataclasses import asdict

    from ..errors import InvalidOption
    from ..report import words

    steps, tiles = executable.steps, executable.target.num_tiles
    if not 0 <= args.alive_at < len(steps):
        raise InvalidOption(f"--alive-at {args.alive_at}: the executable has supersteps 0..{len(steps) - 1}")
    if args.tile is not None and not 0 <= args.tile < tiles:
        raise InvalidOption(f"--tile {args.tile}: {executable.target.name} has tiles 0..{tiles - 1}")
    found = executable.memory.alive_at(args.alive_at, args.tile)
    step, where = steps[args.alive_at], "all tiles" if args.tile is None else f"tile {args.tile}"
    lines = [f"superstep {step.index}, {step.kind} {step.name}, on {where}: {words.size(sum(a.bytes for a in found))}"]
    lines += [f"  {a.bytes:>14,}  {a.name} ({a.category}, {a.span})" for a in found]
    emit(
        args,
        {"step": step.index, "name": step.name, "tile": args.tile, "alive": [asdict(a) for a in found]},
        "\n".join(lines),
    )
    return 0


def write_files(report: Any, args: argparse.Namespace) -> dict[str, str]:
    """The page and the trace that --html and --trace ask for; {kind: path}."""
    written = {}
    if args.html:
        report.to_html(args.html)
        written["html"] = args.html
    if args.trace:
        report.to_trace(args.trace)
        written["trace"] = args.trace
    return written
