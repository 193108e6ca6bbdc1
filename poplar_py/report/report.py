"""The record of a run, and the forms it is read in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileLoadError
from . import phases
from .estimate import static_counts


class Report:
    """What a run cost: cycles by superstep, bytes by tile, and the graph they belong to.

    executable: what ran. counts: executions of every static superstep (int64). trace: static superstep indexes in the
    order executed (int32; the engine caps it). host_wall_seconds: time the simulation itself took. measured: False
    where counts were read off the program instead of a run. guessed: such counts depend on data somewhere.
    """

    def __init__(
        self,
        executable: Any,
        counts: Sequence[int] | np.ndarray,
        trace: Sequence[int] | np.ndarray = (),
        host_wall_seconds: float = 0.0,
        *,
        measured: bool = True,
        guessed: bool = False,
    ):
        self.executable = executable
        self.counts = np.array(counts, np.int64)
        self.trace = np.array(trace, np.int32)
        self.host_wall_seconds = float(host_wall_seconds)
        self.measured = measured
        self.guessed = guessed
        self.phases = phases.split_table(executable.steps)  # cycles of one execution, (supersteps, 4)

    @classmethod
    def of_engine(cls, engine: Any) -> Report:
        """What `engine` has run since it was loaded or `reset_profile` was called."""
        return cls(engine.executable, engine.counts, engine.trace[: engine.trace_length], engine.wall_seconds)

    @classmethod
    def of_program(cls, executable: Any, program: int = 0) -> Report:
        """The report of one run of a program of `executable`, from its supersteps' prices, without running it."""
        counts, guessed = static_counts(executable, program)
        return cls(executable, counts, np.flatnonzero(counts), measured=False, guessed=guessed)

    # figures ---------------------------------------------------------------------------------------------------

    @property
    def target(self) -> Any:
        return self.executable.target

    @property
    def memory(self) -> Any:
        return self.executable.memory

    @property
    def steps(self) -> list[tuple[Any, int]]:
        """(static superstep, how often it ran), in program order."""
        return list(zip(self.executable.steps, self.counts.tolist(), strict=True))

    @property
    def step_cycles(self) -> np.ndarray:
        """Cycles that each static superstep took in all its executions (int64)."""
        return self.phases.sum(axis=1) * self.counts

    @property
    def cycles(self) -> int:
        """Chip time of the run in tile cycles."""
        return int(self.step_cycles.sum())

    @property
    def seconds(self) -> float:
        """Chip time of the run in seconds of the target's clock."""
        return self.target.seconds(self.cycles)

    @property
    def num_supersteps(self) -> int:
        return int(self.counts.sum())

    @property
    def cycles_by_phase(self) -> dict[str, int]:
        """Cycles of the run spent in compute, exchange, sync and host."""
        totals = self.counts @ self.phases if len(self.counts) else np.zeros(len(phases.PHASES), np.int64)
        return dict(zip(phases.PHASES, totals.tolist(), strict=True))

    @property
    def recomputed_cycles(self) -> int:
        """Cycles of the run spent in ops that repeat one of the forward phase (`recompute`)."""
        again = frozenset(self.executable.info.get("recompute", {}).get("ops", ()))
        if not again:
            return 0
        parts = [step.name.split("/") for step in self.executable.steps]
        repeats = [any("/".join(p[:n]) in again for n in range(len(p), 0, -1)) for p in parts]
        return int(self.step_cycles[np.array(repeats, bool)].sum())

    @property
    def tile_balance(self) -> float:
        """How evenly compute is spread: tile cycles used over tile cycles waited for, 0..1, weighted by time."""
        used = waited = 0.0
        for step, count in self.steps:
            largest = int(step.compute_cycles.max(initial=0))
            if count and largest:
                used += count * float(step.compute_cycles.mean())
                waited += count * largest
        return used / waited if waited else 0.0

    @property
    def worst_tile(self) -> int:
        return int(np.argmax(self.memory.tile_bytes))

    @property
    def fits(self) -> bool:
        return int(self.memory.max_tile_bytes) <= int(self.memory.capacity_bytes)

    def top_steps(self, count: int = 5) -> list[tuple[Any, int, int]]:
        """The dearest supersteps: (step, executions, cycles together), dearest first."""
        cycles = self.step_cycles
        order = np.argsort(-cycles, kind="stable")[:count]
        return [(self.executable.steps[i], int(self.counts[i]), int(cycles[i])) for i in order if cycles[i]]

    def cycles_by_scope(self, depth: int = 1) -> dict[str, np.ndarray]:
        """Cycles by phase (int64, 4) of everything whose path begins alike, dearest first; host streams and copies
        without a name of their own are a part each."""
        groups: dict[str, np.ndarray] = {}
        for i, step in enumerate(self.executable.steps):
            if self.counts[i]:
                scope = _scope(step, depth)
                groups[scope] = groups.get(scope, 0) + self.phases[i] * self.counts[i]
        return dict(sorted(groups.items(), key=lambda item: -int(item[1].sum())))

    def vertices_by_codelet(self) -> dict[str, tuple[int, int]]:
        """{codelet: (vertices, edges)}, most vertices first."""
        table: dict[str, list[int]] = {}
        for compute_set in self.executable.graph.compute_sets:
            for block in compute_set.blocks:
                row = table.setdefault(block.codelet, [0, 0])
                row[0] += int(block.n)
                row[1] += sum(int(edges.num_edges) for edges in block.fields.values())
        return {name: (v, e) for name, (v, e) in sorted(table.items(), key=lambda item: -item[1][0])}

    # forms -----------------------------------------------------------------------------------------------------

    def summary(self) -> str:
        """A page of text."""
        from .summary import summary

        return summary(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; see `report/json.py` for the names."""
        from .json import to_dict

        return to_dict(self)

    def to_json(self, path: str | Path | None = None) -> str:
        """`to_dict` as JSON text; also written to `path` where given."""
        import json

        return self._written(json.dumps(self.to_dict()), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """One page that needs nothing but itself; also written to `path` where given."""
        from .html import page

        return self._written(page(self), path)

    def to_trace(self, path: str | Path | None = None) -> str:
        """A Chrome trace (chrome://tracing, Perfetto) as JSON text; also written to `path` where given."""
        import json

        from .trace import trace

        return self._written(json.dumps(trace(self)), path)

    def _written(self, text: str, path: str | Path | None) -> str:
        if path is not None:
            try:
                Path(path).write_text(text, encoding="utf-8")
            except OSError as error:
                raise FileLoadError(f"cannot write {path}: {error.strerror or error}") from None
        return text

    def __repr__(self) -> str:
        return f"<Report {self.executable.name}: {self.cycles:,} cycles, {self.num_supersteps:,} supersteps>"


def _scope(step: Any, depth: int) -> str:
    if step.kind in ("stream_in", "stream_out"):
        return "(host streams)"
    if step.kind in ("remote_in", "remote_out"):
        return "(streaming memory)"
    if step.name.startswith("copy("):
        return "(copies)"
    return "/".join(step.name.split("/")[:depth])
