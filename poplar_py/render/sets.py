"""The compute-sets view: compute sets in the order they depend on each other, joined by the variables between them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from .boxes import Arrow, Box
from .costs import Costs, counted, run_order, short_tiles, size
from .diagram import Diagram
from .figure import Figure
from .palette import KIND_NAMES, KINDS, PHASES, THEMES, kind_of, mix, phase_of
from .regions import paired
from .repeats import blocks_of, plain, runs
from .vertices import SMALL, draw_vertices

MOST_SETS = 100  # drawn one by one; more are put together by block and phase, and so are those that are too entangled:
TANGLE = 2.4  # arrows a box, of more than FEW_ARROWS arrows
FEW_ARROWS = 45  # up to here arrows carry the names of variables


def draw_sets(executable: Any, path: Path, theme: str, focus: str | None, program: int = 0) -> dict[str, Any]:
    """Write the view to a file; a graph of at most 40 vertices is drawn vertex by vertex."""
    vertices = sum(
        b.n for cs in executable.graph.compute_sets for b in cs.blocks if not focus or cs.name.startswith(focus)
    )
    if vertices <= SMALL:
        return draw_vertices(executable, path, theme, focus)
    figure, facts = sets_figure(executable, theme, focus, program)
    figure.save(path)
    return facts


def sets_figure(executable: Any, theme: str, focus: str | None, program: int) -> tuple[Figure, dict[str, Any]]:
    """The figure, and facts: how many compute sets it shows."""
    graph, t = executable.graph, THEMES[theme]
    order = [executable.steps[i] for i in run_order(executable, program)]
    steps = {s.compute_set: s for s in order if s.kind == "execute" and (not focus or s.name.startswith(focus))}
    links = _links(executable, program, set(steps))
    costs = Costs(executable)
    calls = Counter(s.compute_set for s in order if s.compute_set in steps)
    cycles = sum(s.cycles for s in steps.values())
    diagram = Diagram(
        t, f"{executable.name}: compute sets" + (f" of {focus}" if focus else ""),
        f"{len(steps)} compute sets of program {program}, {cycles:,} cycles; arrows are the data between them,"
        " wider where more",
    )  # fmt: skip
    blocks = blocks_of(s.name for s in steps.values())
    together = len(steps) > MOST_SETS or len(links) > max(FEW_ARROWS, TANGLE * len(steps))
    if together:
        group = {i: (blocks[s.name], phase_of(s.name)) for i, s in steps.items()}
        arrows = {(group[a], group[b]) for a, b in links if group[a] != group[b]}
        if len(arrows) > max(FEW_ARROWS, TANGLE * len(set(group.values()))):
            group = {i: (s.name.split("/")[0], phase_of(s.name)) for i, s in steps.items()}
    else:
        group = {i: (s.name, str(i)) for i, s in steps.items()}
    members: dict[tuple[str, str], list[int]] = {}
    for i in steps:
        members.setdefault(group[i], []).append(i)
    # what is compared to fold repeats: groups of sets as they are drawn, or the sets of a block all together
    units: dict[str, list[tuple[str, str]]] = {}
    for key in members:
        units.setdefault(_key(key) if together else blocks[key[0]], []).append(key)
    signs = [
        tuple((plain(k[0]), k[1] if together else "", *(_sign(graph, costs, i) for i in members[k])) for k in keys)
        for keys in units.values()
    ]
    folded = list(units.values())
    shown: dict[tuple[str, str], tuple[str, str]] = {}
    many: dict[str, int] = {}
    for start, period, times in runs(signs):
        for k in range(period):
            for place, key in enumerate(folded[start + k]):
                for r in range(times):
                    shown[folded[start + r * period + k][place]] = key
                runs_of = {calls[i] for i in members[key]}
                alike = max(times, runs_of.pop() if len(runs_of) == 1 else 1)
                _set_box(diagram, graph, key, members[key], costs, alike, together, executable.target.num_tiles)
                many[_frame(key[0], blocks)] = many.get(_frame(key[0], blocks), 0) + 1
    for box in diagram.boxes.values():
        frame = _frame(box.name, blocks)
        if not together and many.get(frame, 0) > 1:
            box.cluster = frame
            box.lines[0] = box.name.removeprefix(blocks.get(box.name, "") + "/") or box.name
    between: dict[tuple[str, str], list[Any]] = {}
    for (a, b), variables in links.items():
        ends = (_key(shown[group[a]]), _key(shown[group[b]]))
        if ends[0] != ends[1]:
            between.setdefault(ends, []).extend(v for v in variables if v not in between.get(ends, ()))
    for (source, target), variables in between.items():
        total = sum(graph.variables[v].size * graph.variables[v].dtype.size for v in variables)
        label = size(total) if len(between) <= FEW_ARROWS else ""
        again = list(diagram.boxes).index(source) > list(diagram.boxes).index(target)
        width = float(np.clip(0.5 * np.log10(max(total, 10)), 0.8, 4.0))
        diagram.arrows.append(Arrow(source, target, label, mix(t.line, t.faint, 0.6), dash=again, width=width))
    kinds = dict.fromkeys(b.colour for b in diagram.boxes.values())
    named = {c: KIND_NAMES[k] for k, c in KINDS.items()} | {c: p for p, c in PHASES.items()}
    diagram.legend = [("box", c, named[c]) for c in kinds]
    figure, facts = diagram.draw()
    return figure, {"compute_sets": len(steps), "program": program, "drawn_sets": len(diagram.boxes), **facts}


def _key(group: tuple[str, str]) -> str:
    return "|".join(group)


def _frame(name: str, blocks: dict[str, str]) -> str:
    """The frame a compute set is drawn in: its block, apart by forward and the rest so that arrows run one way."""
    block = blocks.get(name, name)
    return block if phase_of(name) == "forward" else f"{block} backward and update"


def _sign(graph: Any, costs: Costs, index: int) -> tuple:
    cost = costs.by_set.get(index)
    return tuple((b.codelet, int(b.n)) for b in graph.compute_sets[index].blocks), cost.edges if cost else 0


def _set_box(diagram, graph, key, members, costs, times, layers, tiles) -> None:
    cost = costs.of_sets(members)
    codelets: dict[str, int] = {}
    for i in members:
        for block in graph.compute_sets[i].blocks:
            codelets[block.codelet] = codelets.get(block.codelet, 0) + int(block.n)
    main = max(codelets, key=lambda c: codelets[c]) if codelets else ""
    most = sorted(codelets, key=lambda c: -codelets[c])
    lines = [
        key[0] if not layers or key[1] == "forward" else f"{key[0]} {key[1]}",
        *(f"{codelets[c]:,} x {c}" for c in most[:2]), *([f"and {counted(len(most) - 2, 'more codelet')}"] if len(most) > 2 else []),
        f"{short_tiles(cost.tiles, tiles)}, {cost.cycles:,} cycles",
    ]  # fmt: skip
    colour = PHASES[key[1]] if layers else KINDS[kind_of(main)] if main else KINDS["other"]
    tip = (*cost.lines(), *(f"{n:,} x {c}" for c, n in codelets.items()))
    diagram.boxes[_key(key)] = Box(lines, colour, times=times, name=key[0], tip=tip)


def _links(executable: Any, program: int, wanted: set[int]) -> dict[tuple[int, int], list[int]]:
    """Variables between compute sets: {(writer, reader): variable indexes}, along the order of the program.

    A variable's writers are all since it was last read; what loops carry around is found by going through twice.
    Compute sets not wanted pass nothing on.
    """
    graph, use = executable.graph, {}
    for index in wanted:
        reads: set[int] = set()
        writes: set[int] = set()
        for block in graph.compute_sets[index].blocks:
            for name, edges in block.fields.items():
                start = edges.runs()[1]
                owners = np.flatnonzero(np.bincount(graph.variable_index(start))).tolist() if len(start) else []
                direction = block.info.fields[name].direction
                if direction in ("in", "inout"):
                    reads.update(owners)
                if direction in ("out", "inout"):
                    writes.update(owners)
        use[index] = (reads, writes)
    links: dict[tuple[int, int], list[int]] = {}
    writers: dict[int, list[int]] = {}
    read_since: dict[int, bool] = {}
    for i in run_order(executable, program, loops=2):
        step, plan = executable.steps[i], executable.schedule.steps[i]
        if step.kind == "copy":
            copied = {v: [w for u in give for w in writers.get(u, ())] for v, give in _copied(graph, plan).items()}
            for v, sources in copied.items():
                writers[v], read_since[v] = list(dict.fromkeys(sources)), False
        if step.compute_set not in use:
            continue
        reads, writes = use[step.compute_set]
        for v in sorted(reads):
            read_since[v] = True
            for w in writers.get(v, ()):
                if w != step.compute_set and v not in links.setdefault((w, step.compute_set), []):
                    links[w, step.compute_set].append(v)
        for v in sorted(writes):
            if read_since.get(v, True):
                writers[v] = []
            read_since[v] = False
            if step.compute_set not in writers[v]:
                writers[v].append(step.compute_set)
    return {ends: variables for ends, variables in links.items() if variables}


def _copied(graph: Any, plan: Any) -> dict[int, list[int]]:
    """Variables that a copy writes, and which variables each is copied from: one step binds all arguments of a call."""
    source, destination, _ = paired(plan.source.regions(), plan.destination.regions())
    pairs = np.unique(np.stack([graph.variable_index(destination), graph.variable_index(source)]), axis=1)
    found: dict[int, list[int]] = {}
    for v, u in pairs.T.tolist():
        found.setdefault(v, []).append(u)
    return found
