"""Small hand-made graphs as in a textbook: variables, every vertex with its codelet and tile, field names on the arrows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .costs import counted
from .figure import Figure
from .palette import KIND_NAMES, KINDS, PHASES, THEMES, kind_of
from .textbook import Textbook, Thing, Wire

SMALL = 40  # vertices up to which a graph is drawn one by one


def draw_vertices(executable: Any, path: Path, theme: str, focus: str | None = None) -> dict[str, Any]:
    """Write `vertices_figure` to a file."""
    figure, facts = vertices_figure(executable, theme, focus)
    figure.save(path)
    return facts


def vertices_figure(executable: Any, theme: str, focus: str | None = None) -> tuple[Figure, dict[str, Any]]:
    """Variables as boxes with the parts that are used, vertices as ellipses framed by compute set, copies dashed, streams
    as tags; a field's name stands where its arrow meets the vertex."""
    graph, t = executable.graph, THEMES[theme]
    used = [cs for cs in graph.compute_sets if cs.blocks and (not focus or cs.name.startswith(focus))]
    step_of = {s.compute_set: s for s in executable.steps if s.compute_set >= 0}
    sets = sorted(used, key=lambda cs: step_of[cs.index].index if cs.index in step_of else len(executable.steps))
    vertices = sum(b.n for cs in sets for b in cs.blocks)
    counts = f"{counted(executable.num_vertices, 'vertex', 'vertices')}, {counted(executable.num_edges, 'edge')}"
    page = Textbook(t, executable.name, f"{counts} in {counted(len(sets), 'compute set')}, on {executable.target.name}")
    page.copy_colour = PHASES["update"]
    columns: dict[int, int] = {}
    uses: dict[int, set[tuple[int, ...]]] = {}
    for number, cs in enumerate(sets):
        cycles = f"   {step_of[cs.index].cycles:,} cycles" if cs.index in step_of else ""
        page.frames[f"cs{cs.index}"] = f"{cs.name}{cycles}"
        for block in cs.blocks:
            for row in range(block.n):
                for use in _fields(graph, block, row):
                    uses.setdefault(use.variable, set()).add(use.part)
                    columns.setdefault(use.variable, 2 * number + (2 if use.direction == "out" else 0))
    parts = {v: _slots(graph.variables[v], found) for v, found in uses.items()}
    for v, column in columns.items():
        _variable(page, graph.variables[v], column, [words for _, words in parts[v]])
    for number, cs in enumerate(sets):
        for which, block in enumerate(cs.blocks):
            for row in range(block.n):
                _vertex(page, graph, cs, f"x{cs.index}.{which}.{row}", 2 * number + 1, block, row, parts)
    if not focus:
        _moves(page, executable)
    kinds = dict.fromkeys(kind_of(b.codelet) for cs in sets for b in cs.blocks)
    page.legend = [("ellipse", KINDS[k], "vertex: " + KIND_NAMES[k]) for k in kinds]
    page.legend.append(("box", KINDS["data"], "variable"))
    if page.copies or any(wire.dash for wire in page.wires):
        page.legend.append(("line", PHASES["update"], "copy"))
    if any(thing.shape == "tag" for thing in page.things.values()):
        page.legend.append(("tag", KINDS["loss"], "host stream"))
    return page.draw(), {"drawn_vertices": vertices, "layout": "columns"}


@dataclass
class _Use:
    """A field of a vertex and the part of one variable it is connected to."""

    field: str
    direction: str
    variable: int
    part: tuple[int, ...]  # elements of the variable, in order
    count: int


def _fields(graph: Any, block: Any, row: int) -> list[_Use]:
    found = []
    for name, edges in block.fields.items():
        elements = edges.window(row).reshape(-1)
        owner = graph.variable_index(elements) if len(elements) else np.zeros(0, np.int64)
        for v in np.unique(owner):
            mine = elements[owner == v] - graph.variables[int(v)].base
            part = tuple(np.sort(mine).tolist())
            found.append(_Use(name, block.info.fields[name].direction, int(v), part, len(mine)))
    return found


def _slots(variable: Any, used: set[tuple[int, ...]]) -> list[tuple[tuple[int, ...], str]]:
    """The parts of a variable in order, with their words; none where all uses are of all of it."""
    if all(len(part) >= variable.size for part in used):
        return []
    return [(part, _part(variable, part) or "all") for part in sorted(used)]


def _variable(page: Textbook, v: Any, column: int, slots: list[str]) -> str:
    key = f"v{v.index}"
    if key not in page.things:
        _, tile = v.runs()
        tiles = np.unique(tile)
        where = f"tile {tiles[0]}" if len(tiles) == 1 else f"tiles {tiles[0]}..{tiles[-1]}" if len(tiles) else "no tile"
        kind = f"{v.dtype.name.lower()} {'x'.join(map(str, v.shape)) or 'scalar'}"
        colour = KINDS["other"] if v.is_constant else KINDS["data"]
        tip = ("constant" if v.is_constant else "variable", kind, where, f"{v.size * v.dtype.size:,} bytes")
        page.things[key] = Thing([v.name, kind, where], colour, "box", column, v.name, tip, slots)
    return key


def _vertex(page: Textbook, graph: Any, cs: Any, key: str, column: int, block: Any, row: int, parts: dict) -> None:
    tile = int(block.tile[row])
    constants = [f"{n} = {np.asarray(v).reshape(-1)[row if np.ndim(v) else 0]:g}" for n, v in block.constants.items()]
    uses = _fields(graph, block, row)
    tip = (f"tile {tile}", *(f"{u.direction} {u.field}: {counted(u.count, 'element')}" for u in uses))
    page.things[key] = Thing([block.codelet, f"tile {tile}", *constants], KINDS[kind_of(block.codelet)], "ellipse", column,
                             f"{block.codelet} of {cs.name}, tile {tile}", tip, frame=f"cs{cs.index}")  # fmt: skip
    for use in uses:
        slot = next((i for i, (part, _) in enumerate(parts[use.variable]) if part == use.part), 0)
        ends = (f"v{use.variable}", key)
        ends = ends[::-1] if use.direction == "out" else ends
        page.wires.append(Wire(*ends, use.field, slot, use.direction == "inout"))


def _moves(page: Textbook, executable: Any) -> None:
    """Copies between variables, and streams from and to the host."""
    seen = set()
    last = max((thing.column for thing in page.things.values()), default=0)
    for step in executable.schedule.steps:
        if step.kind == "copy":
            for a in step.source.variables():
                for b in step.destination.variables():
                    if (a.index, b.index) not in seen:
                        seen.add((a.index, b.index))
                        source = _variable(page, a, 0, [])
                        target = _variable(page, b, page.things[source].column + 2, [])
                        if page.things[source].column < page.things[target].column:
                            page.wires.append(Wire(source, target, "copy", colour=PHASES["update"], dash=True))
                        else:
                            page.copies.append((source, target))
        elif step.kind in ("stream_in", "stream_out", "remote_in", "remote_out"):
            comes = step.kind.endswith("_in")
            tensor = step.destination if comes else step.source
            for v in tensor.variables() if tensor is not None else ():
                key = f"s:{step.kind}:{step.stream}:{v.index}"
                if key in page.things:
                    continue
                variable = _variable(page, v, 0 if comes else last + 1, [])
                place = "host" if step.kind.startswith("stream") else "streaming memory"
                words = f"from {place}" if comes else f"to {place}"
                column = page.things[variable].column + (-1 if comes else 1)
                page.things[key] = Thing(
                    [step.stream, words], KINDS["loss"], "tag", column, step.stream, (f"stream {words}",)
                )
                page.wires.append(Wire(*((key, variable) if comes else (variable, key)), colour=KINDS["loss"]))


def _part(variable: Any, part: tuple[int, ...]) -> str:
    """Which elements of the variable: nothing for all, `[3]`, `[0..7]`, `[0..14 by 2]`."""
    if len(part) >= variable.size:
        return ""
    at = np.array(part)
    if len(at) == 1:
        return f"[{at[0]}]"
    steps = np.diff(at)
    if len(variable.shape) == 2 and steps[0] == variable.shape[1] and (steps == steps[0]).all():
        return f"[{at[0] // variable.shape[1]}..{at[-1] // variable.shape[1]}, {at[0] % variable.shape[1]}]"
    if (steps == 1).all():
        if len(variable.shape) == 2 and len(at) == variable.shape[1] and at[0] % variable.shape[1] == 0:
            return f"[{at[0] // variable.shape[1]}, :]"
        return f"[{at[0]}..{at[-1]}]"
    return f"[{at[0]}..{at[-1]} by {steps[0]}]" if (steps == steps[0]).all() else f" ({len(at)} elements)"
