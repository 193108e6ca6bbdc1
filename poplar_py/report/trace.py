"""The run as a Chrome trace: one row of supersteps with their phases below, on the target's clock.

Read by chrome://tracing and by Perfetto. Times are microseconds of chip time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import phases

LIMIT = 20_000  # supersteps written; a viewer grows slow beyond
_ORDER = (2, 1, 0, 3)  # a superstep is sync, exchange, compute; then the host, where it takes part
_COLOURS = {"compute": "good", "exchange": "rail_response", "sync": "grey", "host": "rail_animation"}


def trace(report: Any, limit: int = LIMIT) -> dict[str, Any]:
    """The first `limit` supersteps of the run in the trace event format."""
    steps = report.executable.steps
    order = report.trace[:limit]
    per_step = report.phases.sum(axis=1)
    begin = np.concatenate([[0], np.cumsum(per_step[order])]) if len(order) else np.zeros(1, np.int64)
    unit = 1e6 / report.target.tile_clock_hz
    events: list[dict[str, Any]] = [
        _name("process_name", 0, f"{report.executable.name} on {report.target.name} (simulated)"),
        _name("thread_name", 1, "supersteps"),
        _name("thread_name", 2, "phases"),
    ]
    for at, index in zip(begin.tolist(), order.tolist(), strict=False):
        step = steps[index]
        if not per_step[index]:
            continue
        events.append(
            {
                "name": step.name or step.kind, "cat": step.kind, "ph": "X", "pid": 0, "tid": 1,
                "ts": at * unit, "dur": int(per_step[index]) * unit,
                "args": {
                    "superstep": index, "cycles": int(step.cycles), "balance": round(phases.balance(step), 3),
                    "bytes exchanged": int(step.bytes_received.sum()),
                },
            }
        )  # fmt: skip
        for number in _ORDER:
            cycles = int(report.phases[index, number])
            if cycles:
                name = phases.PHASES[number]
                events.append(
                    {"name": name, "cat": "phase", "ph": "X", "pid": 0, "tid": 2, "ts": at * unit,
                     "dur": cycles * unit, "cname": _COLOURS[name], "args": {"cycles": cycles}}
                )  # fmt: skip
            at += cycles
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "supersteps": report.num_supersteps, "written": len(order), "cycles": report.cycles,
            "measured": report.measured,
        },
    }  # fmt: skip


def _name(what: str, thread: int, text: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": 0, "tid": thread, "args": {"name": text}}
