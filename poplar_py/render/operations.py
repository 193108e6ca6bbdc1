"""The operations view: what the model says, by Graphviz; and small hand-made graphs, vertex by vertex."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .palette import KINDS, PHASES, THEMES, kind_of, mix, phase_of

SMALL = 40  # vertices up to which a hand-made graph is drawn one by one
_FONT = "Helvetica"


def _digraph(executable: Any, theme: str, title: str) -> Any:
    import graphviz

    t = THEMES[theme]
    g = graphviz.Digraph(executable.name)
    g.attr(
        bgcolor=t.ground, fontname=_FONT, fontcolor=t.text, fontsize="20", label=title, labelloc="t", labeljust="l",
        rankdir="TB", pad="0.5", nodesep="0.3", ranksep="0.45", dpi="110",
    )
    g.attr("node", fontname=_FONT, fontcolor=t.text, fontsize="12", style="filled,rounded", shape="box", penwidth="1.4")
    g.attr("edge", fontname=_FONT, fontcolor=t.faint, fontsize="9", color=t.faint, arrowsize="0.7")
    return g


def draw_operations(executable: Any, path: Path, theme: str, focus: str | None) -> dict[str, Any]:
    """The op graph; a graph made by hand shows its variables and vertices instead."""
    from .dot import draw

    described = executable.op_graph
    if described is None:
        return draw_vertices(executable, path, theme, focus)
    described = described.to_dict() if hasattr(described, "to_dict") else described
    g, count = _operations(executable, described, theme, focus)
    draw(g, path)
    return {"operations": count}


def _operations(executable: Any, described: dict[str, Any], theme: str, focus: str | None) -> tuple[Any, int]:
    t = THEMES[theme]
    ops = [op for op in described["ops"] if not focus or op["name"].startswith(focus)]
    title = (
        f"{executable.name}   {len(ops)} operations   {executable.num_vertices:,} vertices and"
        f" {executable.num_edges:,} edges on {executable.target.name}\\l"
    )
    g = _digraph(executable, theme, title)
    used = {name for op in ops for name in op["inputs"]}
    kinds = {"inputs": ("cds", PHASES["forward"]), "parameters": ("cylinder", PHASES["update"])}
    for role, (shape, colour) in kinds.items():
        for value in described[role]:
            if value["name"] in used:
                g.node(_id(value["name"]), f"{value['name']}\\n{_type(value)}", shape=shape, color=colour,
                       fillcolor=mix(t.ground, colour, 0.14), style="filled")
    clusters: dict[str, list[Any]] = {}
    for op in ops:
        clusters.setdefault(op["name"].split("/")[0] if "/" in op["name"] else "", []).append(op)
    shapes = {o["name"]: o for op in ops for o in op["outputs"]}
    shapes |= {v["name"]: v for role in kinds for v in described[role]}
    producers = {o["name"]: op["name"] for op in ops for o in op["outputs"]}
    for scope, members in clusters.items():
        if scope:
            with g.subgraph(name=f"cluster_{_id(scope)}") as c:
                c.attr(label=scope, color=t.line, fontcolor=t.faint, fontsize="13", style="rounded", labeljust="l", bgcolor=t.panel)
                _ops(c, members, theme)
        else:
            _ops(g, members, theme)
    for op in ops:
        for name in op["inputs"]:
            source = producers.get(name)
            if source or name in shapes:
                label = _type(shapes[name]) if source and len(ops) <= 60 else ""
                g.edge(_id("op:" + source) if source else _id(name), _id("op:" + op["name"]), label=f" {label}")
    for value in described["outputs"]:
        if value["name"] in producers or value.get("value") in producers:
            name = value.get("value", value["name"])
            g.node(_id("out:" + value["name"]), value["name"], shape="cds", color=PHASES["forward"], fillcolor=t.panel)
            g.edge(_id("op:" + producers[name]), _id("out:" + value["name"]))
    return g, len(ops)


def _ops(g: Any, ops: list[Any], theme: str) -> None:
    t = THEMES[theme]
    for op in ops:
        colour = PHASES[op.get("phase") or phase_of(op["name"])]
        kind = op["kind"].replace("_", " ")
        leaf = op["name"].rsplit("/", 1)[-1]
        label = kind if leaf.replace("_", " ") == kind else f"{kind}\\n{leaf}"
        g.node(_id("op:" + op["name"]), label, color=colour, fillcolor=mix(t.ground, colour, 0.22))


def _id(name: str) -> str:
    return name.replace(":", "_").replace("\\", "_")


def _type(value: dict[str, Any]) -> str:
    return f"{str(value['dtype']).lower()} {'x'.join(map(str, value['shape'])) or 'scalar'}"


def draw_vertices(executable: Any, path: Path, theme: str, focus: str | None = None) -> dict[str, Any]:
    """A hand-made graph: variables, compute sets, and every vertex with its tile and fields where they are few."""
    from .dot import draw

    graph, t = executable.graph, THEMES[theme]
    sets = [cs for cs in graph.compute_sets if cs.blocks and (not focus or cs.name.startswith(focus))]
    vertices = sum(b.n for cs in sets for b in cs.blocks)
    title = f"{executable.name}   {executable.num_vertices:,} vertices   {executable.num_edges:,} edges\\l"
    g = _digraph(executable, theme, title)
    g.attr(rankdir="LR", ranksep="1.1", nodesep="0.35")
    shown: set[int] = set()
    one_by_one = vertices <= SMALL
    for cs in sets:
        with g.subgraph(name=f"cluster_cs{cs.index}") as c:
            c.attr(label=f"compute set {cs.name}", color=t.line, fontcolor=t.faint, fontsize="12", style="rounded", bgcolor=t.panel)
            for number, block in enumerate(cs.blocks):
                _block(c, g, graph, f"{cs.index}.{number}", block, one_by_one, theme, shown)
    for v in graph.variables:
        if v.index in shown:
            _variable(g, v, theme)
    for step in executable.schedule.steps:
        if step.kind == "copy" and one_by_one:
            for a in step.source.variables():
                for b in step.destination.variables():
                    if {a.index, b.index} & shown or not sets:
                        for v in (a, b):
                            if v.index not in shown:
                                _variable(g, v, theme)
                                shown.add(v.index)
                        g.edge(f"v{a.index}", f"v{b.index}", label=" copy", style="dashed", color=PHASES["update"])
    draw(g, path)
    return {"drawn_vertices": vertices if one_by_one else 0}


def _variable(g: Any, v: Any, theme: str) -> None:
    t = THEMES[theme]
    start, tile = v.runs()
    tiles = np.unique(tile)
    where = f"tile {tiles[0]}" if len(tiles) == 1 else f"tiles {tiles[0]}..{tiles[-1]}"
    colour = KINDS["other"] if v.is_constant else KINDS["data"]
    shape = "x".join(map(str, v.shape)) or "scalar"
    g.node(f"v{v.index}", f"{v.name}\\n{v.dtype.name.lower()} {shape}\\n{where}", color=colour,
           fillcolor=mix(t.ground, colour, 0.2), shape="box", style="filled")


def _block(c: Any, g: Any, graph: Any, key: str, block: Any, one_by_one: bool, theme: str, shown: set[int]) -> None:
    t, colour = THEMES[theme], KINDS[kind_of(block.codelet)]
    fill = mix(t.ground, colour, 0.25)
    rows = range(block.n) if one_by_one else [0]
    for row in rows:
        tile = f"tile {int(block.tile[row])}" if one_by_one else f"x{block.n:,} on {len(np.unique(block.tile)):,} tiles"
        constants = "".join(f"\\n{n} = {np.asarray(v).reshape(-1)[row if np.ndim(v) else 0]:g}" for n, v in block.constants.items())
        c.node(f"x{key}.{row}", f"{block.codelet}\\n{tile}{constants}", shape="ellipse", color=colour, fillcolor=fill, style="filled")
        for name, edges in block.fields.items():
            windows = edges.window(row).reshape(-1) if one_by_one else edges.runs()[1]
            owners = np.unique(graph.variable_index(windows)) if len(windows) else []
            for v in owners:
                shown.add(int(v))
                variable = graph.variables[int(v)]
                part = _part(variable, windows[graph.variable_index(windows) == v]) if one_by_one else ""
                ends = (f"v{v}", f"x{key}.{row}")
                direction = block.info.fields[name].direction
                if direction == "out":
                    ends = ends[::-1]
                g.edge(*ends, label=f" {name}{part}", dir="both" if direction == "inout" else "forward")


def _part(variable: Any, elements: np.ndarray) -> str:
    if len(elements) >= variable.size:
        return ""
    first, last = int(elements.min()) - variable.base, int(elements.max()) - variable.base
    return f" = [{first}]" if first == last else f" = [{first}..{last}]"
