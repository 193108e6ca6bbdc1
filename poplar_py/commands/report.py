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
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser, "what to report on")
    parser.add_argument("--html", metavar="FILE", help="write one page that needs nothing but itself")
    parser.add_argument("--trace", metavar="FILE", help="write a Chrome trace of the supersteps")
    parser.add_argument(
        "--program", type=int, default=0, metavar="N", help="which program of the executable (default 0)"
    )


def run(args: argparse.Namespace) -> int:
    from ..errors import InvalidOption
    from ..report import Report

    with progress(args) as line:
        executable = open_executable(args, line)
        count = len(executable.schedule.programs)
        if not 0 <= args.program < count:
            raise InvalidOption(f"--program {args.program}: the executable has {count}, numbered from 0")
        line.begin("report")
        report = Report.of_program(executable, args.program)
        written = write_files(report, args)
    text = report.summary() + "".join(f"\n{kind}: {path}" for kind, path in written.items())
    emit(args, report.to_dict() | ({"files": written} if written else {}), text)
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
