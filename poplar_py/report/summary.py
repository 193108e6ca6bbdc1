"""The report as one page of text."""

from __future__ import annotations

from typing import Any

from . import memory as books
from . import words


def summary(report: Any, top: int = 8) -> str:
    """Target, graph, memory, cycles by phase, and the dearest supersteps, as text ending in a newline."""
    executable, memory = report.executable, report.memory
    graph = executable.graph
    lines = [f"{executable.name or 'graph'} on {words.machine(report.target)}", ""]
    lines += _table(
        "Graph",
        [
            ("vertices", f"{executable.num_vertices:,}"),
            ("edges", f"{executable.num_edges:,}"),
            ("variables", f"{len(graph.variables):,}"),
            ("compute sets", f"{len(graph.compute_sets):,}"),
            ("supersteps", f"{len(executable.steps):,} static, {report.num_supersteps:,} {_ran(report)}"),
        ],
    )
    total = int(memory.tile_bytes.sum())
    lines += _table(
        "Memory",
        [
            ("verdict", words.memory_verdict(report)),
            ("all tiles", f"{words.size(total)}, of it always live {words.size(int(memory.always_live_bytes))}"),
            *(
                (name.replace("_", " "), f"{words.size(int(column.sum()))} ({words.share(int(column.sum()), total)})")
                for name, column in memory.by_category.items()
                if column.any()
            ),
        ],
    )
    lines += books.text(report)
    lines += _time(report)
    lines += _costs(report, top)
    return "\n".join(lines).rstrip() + "\n"


def _ran(report: Any) -> str:
    if report.measured:
        return "executed"
    return "in one run (counted from the program" + (", where it branches guessed)" if report.guessed else ")")


def _table(title: str, rows: list[tuple[str, str]]) -> list[str]:
    return [title, *(f"  {name:<14}{text}" for name, text in rows), ""]


def _time(report: Any) -> list[str]:
    total = report.cycles
    rows = [("total", f"{total:,} cycles, {words.duration(report.seconds)} on the chip")]
    rows += [(name, f"{count:,} ({words.share(count, total)})") for name, count in report.cycles_by_phase.items()]
    done = report.executable.info.get("recompute", {})
    if done.get("ops"):
        cycles = report.recomputed_cycles
        text = f"{cycles:,} ({words.share(cycles, total)}), {len(done['ops']):,} ops of the forward phase again"
        chosen = ", chosen because it does not fit without" if done.get("automatic") else ""
        rows += [("recompute", f"{text} ({done['setting']}{chosen})")]
    rows += [("tile balance", f"{report.tile_balance:.2f} (1 = every tile computes as long as the slowest)")]
    if report.host_wall_seconds:
        rows += [("simulated in", f"{words.duration(report.host_wall_seconds)} of wall time")]
    return [*_table("Time", rows), f"  {words.sentence(report)}", ""]


def _costs(report: Any, top: int) -> list[str]:
    dearest = report.top_steps(top)
    if not dearest:
        return []
    lines = ["Dearest supersteps"]
    for step, count, cycles in dearest:
        times = f"{count:,} x {int(step.cycles):,}"
        lines.append(f"  {words.share(cycles, report.cycles):>7}  {times:>20}  {step.kind:<10} {step.name}")
    return lines
