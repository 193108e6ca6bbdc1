"""Small hand-made graphs as in a textbook: variables, every vertex with its codelet and tile, field names on the arrows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .costs import counted
from .diagram import Arrow, Box, Diagram
from .figure import Figure
from .palette import KIND_NAMES, KINDS, PHASES, THEMES, kind_of

SMALL = 40  # vertices up to which a graph is drawn one by one


def draw_vertices(executable: Any, path: Path, theme: str, focus: str | None = None) -> dict[str, Any]:
    """Write `vertices_figure` to a file."""
    figure, facts = vertices_figure(executable, theme, focus)
    figure.save(path)
    return facts


def vertices_figure(executable: Any, theme: str, focus: str | None = None) -> tuple[Figure, dict[str, Any]]:
    """Variables as boxes, vertices as ellipses framed by compute set, copies dashed, streams as tags."""
    graph, t = executable.graph, THEMES[theme]
    sets = [cs for cs in graph.compute_sets if cs.blocks and (not focus or cs.name.startswith(focus))]
    vertices = sum(b.n for cs in sets for b in cs.blocks)
    counts = f"{counted(executable.num_vertices, 'vertex', 'vertices')}, {counted(executable.num_edges, 'edge')}"
    diagram = Diagram(
        t, executable.name, f"{counts} in {counted(len(sets), 'compute set')}, on {executable.target.name}", across=True
    )
    step_of = {s.compute_set: s for s in executable.steps if s.compute_set >= 0}
    for cs in sets:
        cluster = f"cs{cs.index}"
        cycles = f"   {step_of[cs.index].cycles:,} cycles" if cs.index in step_of else ""
        diagram.cluster_titles[cluster] = f"compute set {cs.name}{cycles}"
        for number, block in enumerate(cs.blocks):
            _block(diagram, graph, cluster, f"{cs.index}.{number}", cs.name, block)
    if not focus:
        _moves(diagram, executable)
    kinds = dict.fromkeys(kind_of(b.codelet) for cs in sets for b in cs.blocks)
    diagram.legend = [("ellipse", KINDS[k], "vertex: " + KIND_NAMES[k]) for k in kinds]
    diagram.legend.append(("box", KINDS["data"], "variable"))
    if any(a.dash for a in diagram.arrows):
        diagram.legend.append(("line", PHASES["update"], "copy"))
    if any(b.shape == "tag" for b in diagram.boxes.values()):
        diagram.legend.append(("tag", KINDS["loss"], "host stream"))
    figure, facts = diagram.draw()
    return figure, {"drawn_vertices": vertices, **facts}


def _variable(diagram: Diagram, v: Any) -> str:
    key = f"v{v.index}"
    if key not in diagram.boxes:
        _, tile = v.runs()
        tiles = np.unique(tile)
        where = f"tile {tiles[0]}" if len(tiles) == 1 else f"tiles {tiles[0]}..{tiles[-1]}"
        kind = f"{v.dtype.name.lower()} {'x'.join(map(str, v.shape)) or 'scalar'}"
        colour = KINDS["other"] if v.is_constant else KINDS["data"]
        tip = ("constant" if v.is_constant else "variable", kind, where, f"{v.size * v.dtype.size:,} bytes")
        diagram.boxes[key] = Box([v.name, kind, where], colour, name=v.name, tip=tip)
    return key


def _block(diagram: Diagram, graph: Any, cluster: str, key: str, set_name: str, block: Any) -> None:
    colour = KINDS[kind_of(block.codelet)]
    for row in range(block.n):
        tile = int(block.tile[row])
        constants = [
            f"{n} = {np.asarray(v).reshape(-1)[row if np.ndim(v) else 0]:g}" for n, v in block.constants.items()
        ]
        vertex = f"x{key}.{row}"
        diagram.boxes[vertex] = Box([block.codelet, f"tile {tile}", *constants], colour, "ellipse", cluster,
                                    name=f"{block.codelet} of {set_name}, tile {tile}")  # fmt: skip
        fields = []
        for name, edges in block.fields.items():
            elements = edges.window(row).reshape(-1)
            owner = graph.variable_index(elements) if len(elements) else np.zeros(0, np.int64)
            direction = block.info.fields[name].direction
            fields.append(f"{direction} {name}: {counted(len(elements), 'element')}")
            for v in np.unique(owner):
                variable = graph.variables[int(v)]
                label = name + _part(variable, elements[owner == v])
                ends = (_variable(diagram, variable), vertex)
                ends = ends[::-1] if direction == "out" else ends
                diagram.arrows.append(Arrow(*ends, label, both=direction == "inout"))
        diagram.boxes[vertex].tip = (f"tile {tile}", *fields)


def _moves(diagram: Diagram, executable: Any) -> None:
    """Copies between variables, and streams from and to the host."""
    seen = set()
    for step in executable.schedule.steps:
        if step.kind == "copy":
            for a in step.source.variables():
                for b in step.destination.variables():
                    if (a.index, b.index) not in seen:
                        seen.add((a.index, b.index))
                        diagram.arrows.append(
                            Arrow(_variable(diagram, a), _variable(diagram, b), "copy", PHASES["update"], dash=True)
                        )
        elif step.kind in ("stream_in", "stream_out", "remote_in", "remote_out"):
            comes = step.kind.endswith("_in")
            tensor = step.destination if comes else step.source
            for v in tensor.variables() if tensor is not None else ():
                key = f"s:{step.kind}:{step.stream}"
                if (key, v.index) in seen:
                    continue
                seen.add((key, v.index))
                place = "host" if step.kind.startswith("stream") else "streaming memory"
                words = f"from {place}" if comes else f"to {place}"
                diagram.boxes.setdefault(
                    key, Box([step.stream, words], KINDS["loss"], "tag", name=step.stream, tip=(f"stream {words}",))
                )
                ends = (key, _variable(diagram, v)) if comes else (_variable(diagram, v), key)
                diagram.arrows.append(Arrow(*ends))


def _part(variable: Any, elements: np.ndarray) -> str:
    """Which elements of the variable: nothing for all, `[3]`, `[0..7]`, `[0..14 by 2]`."""
    if len(elements) >= variable.size:
        return ""
    at = np.sort(elements) - variable.base
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
