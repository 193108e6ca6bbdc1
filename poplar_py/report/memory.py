"""Memory as a reader asks for it: the fullest tiles, how tiles spread, always live or not, what is alive when fullest."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from . import words

FIXED = ("vertex_state", "vertex_code", "control_code", "exchange_code", "stacks")
WORST = 5
BINS = 24


def worst_tiles(memory: Any, count: int = WORST) -> list[tuple[int, int]]:
    """The fullest tiles and their bytes, fullest first."""
    order = np.argsort(-memory.tile_bytes, kind="stable")[:count]
    return [(int(t), int(memory.tile_bytes[t])) for t in order]


def histogram(memory: Any, bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """How many tiles have how many bytes: (counts, edges in bytes), from nothing to the fullest tile."""
    return np.histogram(memory.tile_bytes, bins=bins, range=(0, max(int(memory.max_tile_bytes), 1)))


def split(memory: Any) -> list[tuple[str, int, int]]:
    """(category, bytes always live, bytes live for a while) over all tiles, each at its fullest superstep; gaps are told
    apart by `gaps` of the whole."""
    rows = []
    for name, column in memory.by_category.items():
        if name != "gaps":
            always = int(memory.always_by_category[name].sum())
            rows.append((name, always, int(column.sum()) - always))
    return rows


def fullest(report: Any) -> tuple[int, list[Any]]:
    """The fullest superstep of the fullest tile (-1: there is none), and what is alive there, largest first."""
    memory = report.memory
    if not len(report.executable.steps):
        return -1, memory.alive_at(0, report.worst_tile)
    step = int(memory.peak_step[report.worst_tile])
    return step, memory.alive_at(step, report.worst_tile)


def text(report: Any) -> list[str]:
    """Lines of the summary after the table of categories."""
    memory = report.memory
    lines = ["  fullest tiles: " + ", ".join(f"{t} {words.size(n)}" for t, n in worst_tiles(memory))]
    step, alive = fullest(report)
    if alive:
        name = f" in superstep {step}, {report.executable.steps[step].name}" if step >= 0 else ""
        lines.append(f"  largest on tile {report.worst_tile}{name}:")
        lines += [f"    {words.size(a.bytes):>10}  {a.name} ({a.span})" for a in alive[:3]]
    buffers = getattr(report.executable.graph, "remote_buffers", {})
    if buffers:
        total = sum(b.size_bytes for b in buffers.values())
        rows = sum(b.repeats for b in buffers.values())
        lines.append(f"  streaming memory: {words.size(total)} in {len(buffers)} remote buffers of {rows} rows")
    return [*lines, ""]


def page(report: Any) -> str:
    """Part of the page: fullest tiles, how tiles spread, and what is alive on the fullest one when it is fullest."""
    memory = report.memory
    capacity = int(memory.capacity_bytes)
    rows = "".join(
        f'<tr><td>tile {t}</td><td class="n">{words.size(n)}</td><td class="n">{words.share(n, capacity)}</td></tr>'
        for t, n in worst_tiles(memory)
    )
    kinds = "".join(
        f'<tr><td>{name.replace("_", " ")}</td><td class="n">{words.size(a)}</td><td class="n">{words.size(b)}</td></tr>'
        for name, a, b in split(memory)
        if a or b
    )
    step, alive = fullest(report)
    where = f", in superstep {step} <code>{escape(report.executable.steps[step].name)}</code>" if step >= 0 else ""
    things = "".join(
        f'<tr><td><code>{escape(a.name)}</code></td><td class="n">{words.size(a.bytes)}</td><td>{a.category}</td>'
        f"<td>{a.span}</td></tr>"
        for a in alive[:12]
    )
    table = (
        f'<h2>Alive on tile {report.worst_tile} when it is fullest</h2><p class="note">{len(alive)} things{where}.</p>'
        '<div class="scroll"><table><tr><th>name</th><th class="n">bytes</th><th>category</th><th>supersteps</th></tr>'
        f"{things}</table></div>"
        if things
        else ""
    )
    return (
        '<h2>Fullest tiles</h2><div class="scroll"><table><tr><th>tile</th><th class="n">bytes</th>'
        f'<th class="n">of its memory</th></tr>{rows}</table></div>'
        f"<h2>Tiles by bytes</h2>{_bars(memory)}"
        '<h2>Always live, and live for a while</h2><p class="note">All tiles, each at its fullest superstep; recomputing,'
        " smaller batches and lower available memory proportions act on the second column only.</p>"
        '<div class="scroll"><table><tr><th>category</th><th class="n">always live</th>'
        f'<th class="n">for a while</th></tr>{kinds}</table></div>' + table
    )


def _bars(memory: Any) -> str:
    counts, edges = histogram(memory)
    top, wide = max(int(counts.max()), 1), 1100 / len(counts)
    bars = "".join(
        f'<rect x="{20 + i * wide:.1f}" y="{90 - 80 * n / top:.1f}" width="{wide - 2:.1f}" height="{80 * n / top:.1f}"'
        f' fill="var(--m0)"><title>{n} tiles of {words.size(a)} to {words.size(b)}</title></rect>'
        for i, (n, a, b) in enumerate(zip(counts.tolist(), edges[:-1], edges[1:], strict=True))
        if n
    )
    ends = f'<text x="20" y="106">0</text><text x="1120" y="106" text-anchor="end">{words.size(edges[-1])}</text>'
    return f'<svg viewBox="0 0 1140 112" role="img" aria-label="tiles by bytes">{bars}{ends}</svg>'


def to_dict(report: Any) -> dict[str, Any]:
    """The same for machines."""
    memory = report.memory
    counts, edges = histogram(memory)
    step, alive = fullest(report)
    return {
        "worstTiles": [{"tile": t, "bytes": n} for t, n in worst_tiles(memory)],
        "histogram": {"counts": counts.tolist(), "edges": edges.tolist()},
        "alwaysLiveByCategory": {name: int(column.sum()) for name, column in memory.always_by_category.items()},
        "fullestStepOfWorstTile": step,
        "aliveOnWorstTile": [
            {"name": a.name, "bytes": a.bytes, "category": a.category, "alwaysLive": a.always, "runs": a.runs}
            for a in alive[:50]
        ],
    }


def liveness(report: Any, top: int = 10) -> list[dict[str, Any]]:
    """libpva's livenessProgramSteps: at every static superstep the bytes alive over all tiles, and the largest of what is
    not always live."""
    memory = report.memory
    zero = np.zeros(1, np.int64)
    total = np.bincount(memory.thing_entity, weights=memory.thing_bytes, minlength=len(memory.names)).astype(np.int64)
    always = int(total[memory.always].sum()) + sum(int(memory.always_by_category.get(c, zero).sum()) for c in FIXED)
    passing = np.where(memory.always, 0, total)
    owner = np.repeat(np.arange(len(memory.names)), np.diff(memory.live_first))
    begins, ends = memory.live_runs[:, 0], memory.live_runs[:, 1]
    kept = passing[owner] > 0
    owner, begins, ends = owner[kept], begins[kept], ends[kept]
    result = []
    for step, count in zip(report.executable.steps, memory.live_bytes.tolist(), strict=True):
        here = owner[(begins <= step.index) & (step.index <= ends)]
        here = here[np.argsort(-passing[here], kind="stable")][:top]
        result.append(
            {
                "program": {"name": step.name, "type": step.kind},
                "bytes": count,
                "alwaysLiveBytes": always,
                "notAlwaysLiveMemory": {
                    "bytes": count - always,
                    "variables": [{"name": memory.names[e], "size": int(passing[e])} for e in here.tolist()],
                },
            }
        )
    return result
