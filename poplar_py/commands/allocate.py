"""poplar-py allocate: addresses for things with sizes and lifetimes, from a table."""

from __future__ import annotations

import argparse
import csv
from typing import TYPE_CHECKING, Any

from .terminal import emit, progress

if TYPE_CHECKING:
    from ..cost.allocate import Problem

SUMMARY = "place things with lifetimes in as little memory as can be found"
DESCRIPTION = """\
Read a table of things with a size and a lifetime, give each an address so that no two that live at once overlap, and
print the peak, the lower bound that no placement can beat, their ratio and the time taken.
The table is CSV with a header: the columns lower, upper and size, and id if there are names (the form of minimalloc
and idealloc problems; start, end and bytes are understood too). Lifetimes are half-open; rows with one id are one
thing with several. A column alignment is respected where there is one.
With --capacity the search ends as soon as everything fits, and the exit code is 1 if it does not; without it the
search goes on until the peak is proven least or the time is over. Ctrl-C gives the best so far."""
EXAMPLES = (
    "poplar-py allocate problem.csv --capacity 1048576",
    "poplar-py allocate problem.csv --time 60 -o placed.csv",
    "poplar-py allocate problem.csv --time 0 --json       (the quick portfolio alone)",
)
_NAMES = {
    "id": ("id", "name", "buffer"),
    "lower": ("lower", "start", "begin"),
    "upper": ("upper", "end", "stop"),
    "size": ("size", "bytes"),
    "alignment": ("alignment", "align"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("problem", metavar="PROBLEM.csv", help="the table of things")
    parser.add_argument("--capacity", type=int, metavar="BYTES", help="how much memory there is")
    parser.add_argument("--time", type=float, default=10.0, metavar="SECONDS", help="how long to search (default 10)")
    parser.add_argument("-o", "--output", metavar="FILE.csv", help="write the table with a column of offsets")


def run(args: argparse.Namespace) -> int:
    from ..cost.allocate import allocate
    from ..errors import InvalidOption

    if args.capacity is not None and args.capacity < 0:
        raise InvalidOption(f"--capacity {args.capacity}: bytes cannot be negative")
    if not args.time >= 0:
        raise InvalidOption(f"--time {args.time}: seconds cannot be negative; 0 runs the quick portfolio alone")
    problem = read_problem(args.problem)
    with progress(args) as line:
        line.begin(f"place {len(problem.size):,} things")
        placed = allocate(
            problem,
            args.capacity,
            args.time,
            lambda peak, bound, method: line.update(0, f"peak {peak:,}, {peak / max(bound, 1):.4f} of the lower bound"),
        )
    if args.output:
        write_placement(args.output, problem, placed.offset)
    fits = args.capacity is None or placed.peak <= args.capacity
    facts: dict[str, Any] = {
        "problem": args.problem,
        "things": len(problem.size),
        "peak": placed.peak,
        "lower_bound": placed.lower_bound,
        "ratio": round(placed.ratio, 6),
        "proven": placed.proven,
        "capacity": args.capacity,
        "fits": fits,
        "seconds": round(placed.seconds, 4),
        "states": placed.states,
        "method": placed.method,
        "stopped": placed.stopped,
        "file": args.output,
    }
    emit(args, facts, _people(facts))
    return 0 if fits else 1


def _people(facts: dict[str, Any]) -> str:
    peak, low, capacity = facts["peak"], facts["lower_bound"], facts["capacity"]
    lines = [
        f"{facts['problem']}: {facts['things']:,} things",
        f"  peak         {peak:>14,} bytes" + (" (the least there is)" if facts["proven"] else ""),
        f"  lower bound  {low:>14,} bytes",
        f"  ratio        {facts['ratio']:>14.4f}",
        f"  time         {facts['seconds']:>14.3f} s ({facts['method']}; {facts['states']:,} states searched)",
    ]
    if capacity is not None:
        verdict = "fits" if facts["fits"] else f"over by {peak - capacity:,}"
        if not facts["fits"] and low > capacity:
            verdict += f"; nothing can fit, the lower bound is over by {low - capacity:,}"
        elif not facts["fits"]:
            verdict += "; more --time may find a placement that fits"
        lines.append(f"  capacity     {capacity:>14,} bytes: {verdict}")
    if facts["stopped"] == "interrupt":
        lines.append("  stopped by Ctrl-C; this is the best so far")
    if facts["file"]:
        lines.append(f"  written to {facts['file']}")
    return "\n".join(lines)


def read_problem(path: str) -> Problem:
    """The problem of a CSV file.

    Raises InvalidOption, naming file and line, for missing columns, numbers that are none and lifetimes that end
    before they begin.
    """
    import numpy as np

    from ..cost.allocate import Problem
    from ..errors import InvalidOption

    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = [h.strip().lower() for h in next(rows, [])]
        place = {k: next((header.index(n) for n in names if n in header), -1) for k, names in _NAMES.items()}
        missing = [k for k in ("lower", "upper", "size") if place[k] < 0]
        if missing:
            raise InvalidOption(
                f"{path}: no column {', '.join(missing)}; the header is '{','.join(header)}', expected id,lower,upper,size"
            )
        numbers: dict[str, int] = {}
        owner, lower, upper = [], [], []
        size: list[int] = []
        align: list[int] = []
        for row in rows:
            if not row:
                continue
            try:
                begin, end, amount = (int(row[place[k]]) for k in ("lower", "upper", "size"))
                alignment = int(row[place["alignment"]]) if place["alignment"] >= 0 else 1
            except (ValueError, IndexError):
                raise InvalidOption(
                    f"{path}, line {rows.line_num}: '{','.join(row)}' does not give whole numbers for lower, upper, size"
                ) from None
            name = row[place["id"]] if place["id"] >= 0 else str(len(size))
            if end < begin:
                raise InvalidOption(f"{path}, line {rows.line_num}: {name} ends at {end}, before it begins at {begin}")
            i = numbers.setdefault(name, len(size))
            if i == len(size):
                size.append(amount)
                align.append(alignment)
            elif size[i] != amount:
                raise InvalidOption(
                    f"{path}, line {rows.line_num}: {name} has {amount} bytes here and {size[i]} before;"
                    " rows with one id are one thing with several lifetimes"
                )
            owner.append(i)
            lower.append(begin)
            upper.append(end)
    order = np.argsort(np.array(owner, np.int64), kind="stable")
    first = np.searchsorted(np.array(owner, np.int64)[order], np.arange(len(size) + 1))
    return Problem(
        np.array(size, np.int64),
        np.array(lower, np.int64)[order],
        np.array(upper, np.int64)[order],
        first=first,
        align=np.array(align, np.int64),
        names=list(numbers),
    )


def write_placement(path: str, problem: Problem, offset: Any) -> None:
    """The table again, a row an interval, with a column `offset` (bytes)."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["id", "lower", "upper", "size", "offset"])
        for i in range(len(problem.size)):
            for k in range(problem.first[i], problem.first[i + 1]):
                out.writerow([problem.name(i), problem.lower[k], problem.upper[k], problem.size[i], offset[i]])
