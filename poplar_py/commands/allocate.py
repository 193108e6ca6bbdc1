"""poplar-py allocate: addresses for things with sizes and lifetimes, from a table."""

from __future__ import annotations

import argparse
import csv
import math
import time
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
thing with several. Columns that may be there: alignment; region_begin and region_end, the addresses a thing must lie
between; apart, ids (with blanks between) of things it may share no memory element with (--element bytes each).
With --capacity the search ends as soon as everything fits, and the exit code is 1 if it does not; without it the
search goes on until the peak is proven least or the time is over. Ctrl-C gives the best so far. Several tables are
placed one after another, each with the time given, and their ratios have a geometric mean."""
EXAMPLES = (
    "poplar-py allocate problem.csv --capacity 1048576",
    "poplar-py allocate problem.csv --time 60 -o placed.csv",
    "poplar-py allocate first.csv second.csv --time 0 --json       (the quick portfolio alone)",
)
SECONDS, SECONDS_TO_FIT = 10.0, 60.0
_NAMES = {
    "id": ("id", "name", "buffer"),
    "lower": ("lower", "start", "begin"),
    "upper": ("upper", "end", "stop"),
    "size": ("size", "bytes"),
    "alignment": ("alignment", "align"),
    "region_begin": ("region_begin",),
    "region_end": ("region_end",),
    "apart": ("apart",),
}
TIME = f"how long to search at most (default {SECONDS:.0f}; {SECONDS_TO_FIT:.0f} where --capacity may be within reach)"
_MOST = 1 << 59  # bytes, addresses and moments: sums of a few stay within 64 bits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("problem", nargs="+", metavar="PROBLEM.csv", help="tables of things")
    parser.add_argument("--capacity", type=int, metavar="BYTES", help="how much memory there is")
    parser.add_argument("--time", type=float, metavar="SECONDS", help=TIME)
    parser.add_argument("--element", type=int, metavar="BYTES", help="size of a memory element (default 16384)")
    parser.add_argument("-o", "--output", metavar="FILE.csv", help="write the table with a column of offsets")


def run(args: argparse.Namespace) -> int:
    from ..cost.allocate_improve import load
    from ..errors import InvalidOption

    if args.capacity is not None and args.capacity < 0:
        raise InvalidOption(f"--capacity {args.capacity}: bytes cannot be negative")
    if args.element is not None and args.element < 1:
        raise InvalidOption(f"--element {args.element}: a memory element has at least one byte")
    if args.time is not None and not args.time >= 0:
        raise InvalidOption(f"--time {args.time}: seconds cannot be negative; 0 runs the quick portfolio alone")
    if args.output and len(args.problem) > 1:
        raise InvalidOption(f"--output {args.output} takes the placement of one table; {len(args.problem)} are given")
    problems = [(path, read_problem(path, args.element)) for path in args.problem]
    loaded = load()
    found = [_place(args, path, problem) for path, problem in problems]
    if len(found) == 1:
        emit(args, found[0] | {"load_seconds": round(loaded, 4)}, _people(found[0]))
    else:
        ratios = [max(facts["ratio"], 1e-9) for facts in found]
        together = {
            "problems": found,
            "ratio_geometric_mean": round(math.exp(sum(map(math.log, ratios)) / len(ratios)), 6),
            "ratio_max": max(ratios),
            "fits": all(facts["fits"] for facts in found),
            "seconds": round(sum(facts["seconds"] for facts in found), 4),
            "cpu_seconds": round(sum(facts["cpu_seconds"] for facts in found), 4),
            "load_seconds": round(loaded, 4),
        }
        emit(args, together, "\n".join([*map(_people, found), _summary(together)]))
        if "interrupt" in [facts["stopped"] for facts in found]:
            return 130
    return 0 if all(facts["fits"] for facts in found) else 1


def _place(args: argparse.Namespace, path: str, problem: Problem) -> dict[str, Any]:
    """Place one table; what there is to say about it."""
    from ..cost.allocate import allocate, lower_bound

    seconds = args.time
    if seconds is None:
        reachable = args.capacity is not None and lower_bound(problem) <= args.capacity
        seconds = SECONDS_TO_FIT if reachable else SECONDS
    with progress(args) as line:
        line.begin(f"place {len(problem.size):,} things")
        cpu = time.process_time()
        placed = allocate(
            problem,
            args.capacity,
            seconds,
            lambda peak, bound, method: line.update(0, f"peak {peak:,}, {peak / max(bound, 1):.4f} of the lower bound"),
        )
        cpu = time.process_time() - cpu
    if args.output:
        write_placement(args.output, problem, placed.offset)
    largest = int(problem.size.argmax()) if len(problem.size) else -1
    return {
        "problem": path,
        "things": len(problem.size),
        "largest": {"id": problem.name(largest), "size": int(problem.size[largest])} if largest >= 0 else None,
        "peak": placed.peak,
        "lower_bound": placed.lower_bound,
        "ratio": round(placed.ratio, 6),
        "proven": placed.proven,
        "capacity": args.capacity,
        "fits": args.capacity is None or placed.peak <= args.capacity,
        "seconds": round(placed.seconds, 4),
        "cpu_seconds": round(cpu, 4),
        "states": placed.states,
        "method": placed.method,
        "stopped": placed.stopped,
        "file": args.output,
    }


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
            if facts["largest"]["size"] > capacity:
                verdict += f" ({facts['largest']['id']} of {facts['largest']['size']:,} bytes alone is too large)"
        elif not facts["fits"]:
            verdict += "; more --time may find a placement that fits"
        lines.append(f"  capacity     {capacity:>14,} bytes: {verdict}")
    if facts["stopped"] == "interrupt":
        lines.append("  stopped by Ctrl-C; this is the best so far")
    if facts["file"]:
        lines.append(f"  written to {facts['file']}")
    return "\n".join(lines)


def _summary(together: dict[str, Any]) -> str:
    count = len(together["problems"])
    return (
        f"{count} tables: ratio {together['ratio_geometric_mean']:.4f} geometric mean,"
        f" {together['ratio_max']:.4f} at most; {together['seconds']:.3f} s, {together['cpu_seconds']:.3f} s of processor"
    )


def read_problem(path: str, element_bytes: int | None = None) -> Problem:
    """The problem of a CSV file.

    Raises InvalidOption, naming file and line, for missing columns, numbers that are none or beyond 2**59, lifetimes
    that end before they begin, and partners that are not in the table.
    """
    from ..errors import InvalidOption

    table = _Table(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            table.read_header(next(rows, []))
            for row in rows:
                if row:
                    table.add(rows.line_num, row)
    except UnicodeDecodeError:
        raise InvalidOption(f"{path} is no text in UTF-8; expected a CSV table with id,lower,upper,size") from None
    except csv.Error as error:
        raise InvalidOption(f"{path} is no CSV table: {error}") from None
    return table.problem(element_bytes)


class _Table:
    """Rows of a CSV file as they are read, gathered by id."""

    def __init__(self, path: str):
        self.path = path
        self.numbers: dict[str, int] = {}
        self.owner: list[int] = []
        self.lifetime: list[tuple[int, int]] = []
        self.thing: list[tuple[int, ...]] = []  # size, alignment, region
        self.partners: list[tuple[int, int, str]] = []  # line, thing, id

    def read_header(self, cells: list[str]) -> None:
        from ..errors import InvalidOption

        header = [h.strip().lower() for h in cells]
        self.place = {k: next((header.index(n) for n in names if n in header), -1) for k, names in _NAMES.items()}
        missing = [k for k in ("lower", "upper", "size") if self.place[k] < 0]
        if missing:
            text = ",".join(header)
            text = text if len(text) < 80 else text[:80] + "..."
            raise InvalidOption(
                f"{self.path}: no column {', '.join(missing)}; the header is '{text}', expected id,lower,upper,size"
            )

    def _number(self, row: list[str], column: str, default: int | None = None) -> int:
        at = self.place[column]
        if default is not None and (at < 0 or at >= len(row) or not row[at].strip()):
            return default
        value = int(row[at])
        if abs(value) > _MOST:
            raise ValueError
        return value

    def add(self, line: int, row: list[str]) -> None:
        from ..errors import InvalidOption

        where = f"{self.path}, line {line}"
        try:
            begin, end = self._number(row, "lower"), self._number(row, "upper")
            thing = (
                self._number(row, "size"),
                self._number(row, "alignment", 1),
                self._number(row, "region_begin", 0),
                self._number(row, "region_end", 2 * _MOST),
            )
        except (ValueError, IndexError):
            text = ",".join(row)
            text = text if len(text) < 80 else text[:80] + "..."
            raise InvalidOption(
                f"{where}: '{text}' does not give whole numbers (below 2**59) for lower, upper, size"
            ) from None
        at = self.place["id"]
        name = row[at].strip() if 0 <= at < len(row) else str(len(self.thing))
        if end < begin:
            raise InvalidOption(f"{where}: {name} ends at {end}, before it begins at {begin}")
        i = self.numbers.setdefault(name, len(self.thing))
        if i == len(self.thing):
            self.thing.append(thing)
        elif self.thing[i] != thing:
            what = f"{thing[0]} bytes here and {self.thing[i][0]}" if thing[0] != self.thing[i][0] else "other columns"
            raise InvalidOption(
                f"{where}: {name} has {what} before; rows with one id are one thing with several lifetimes"
            )
        self.owner.append(i)
        self.lifetime.append((begin, end))
        at = self.place["apart"]
        if 0 <= at < len(row):
            self.partners += [(line, i, other) for other in row[at].split()]

    def problem(self, element_bytes: int | None) -> Problem:
        import numpy as np

        from ..cost.allocate import ELEMENT_BYTES, Problem
        from ..errors import InvalidOption

        for line, _, other in self.partners:
            if other not in self.numbers:
                raise InvalidOption(f"{self.path}, line {line}: '{other}', to lie apart from, is no id of the table")
        if sum(abs(thing[0]) for thing in self.thing) > _MOST:
            raise InvalidOption(f"{self.path}: the sizes add up to more than 2**59 bytes")
        n = len(self.thing)
        owner = np.array(self.owner, np.int64)
        order = np.argsort(owner, kind="stable")
        lifetime = np.array(self.lifetime, np.int64).reshape(-1, 2)[order]
        size, align, begin, end = np.array(self.thing, np.int64).reshape(n, 4).T
        try:
            return Problem(
                size,
                lifetime[:, 0],
                lifetime[:, 1],
                first=np.searchsorted(owner[order], np.arange(n + 1)),
                align=align,
                apart=[(i, self.numbers[other]) for _, i, other in self.partners],
                element_bytes=element_bytes or ELEMENT_BYTES,
                begin=begin,
                end=end,
                names=list(self.numbers),
            )
        except InvalidOption as error:
            raise InvalidOption(f"{self.path}: {error}") from None


def write_placement(path: str, problem: Problem, offset: Any) -> None:
    """The table again, a row an interval, with a column `offset` (bytes)."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["id", "lower", "upper", "size", "offset"])
        for i in range(len(problem.size)):
            for k in range(problem.first[i], problem.first[i + 1]):
                out.writerow([problem.name(i), problem.lower[k], problem.upper[k], problem.size[i], offset[i]])
