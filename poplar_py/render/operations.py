"""The operations view: what the model says, repeated blocks once; layers instead of operations where those are many."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from .boxes import Arrow, Box
from .costs import Costs, counted
from .diagram import Diagram
from .figure import Figure
from .palette import KINDS, PHASES, THEMES, phase_of
from .repeats import blocks_of, plain, runs

MOST_OPERATIONS = 90  # drawn one by one; more are put together by block and phase
FEW_OPERATIONS = 70  # up to here values have their types on the arrows
FEW_PARAMETERS = 14  # parameters up to which each is drawn; more are named in the boxes
FAN = 4  # updates up to which a number they share has arrows to them; above, they name it


def draw_operations(executable: Any, path: Path, theme: str, focus: str | None) -> dict[str, Any]:
    """The op graph; a graph made by hand shows its compute sets (or its vertices, where few) instead."""
    if executable.op_graph is None:
        from .sets import draw_sets

        return draw_sets(executable, path, theme, focus)
    figure, facts = operations_figure(executable, theme, focus)
    figure.save(path)
    return facts


def operations_figure(executable: Any, theme: str, focus: str | None) -> tuple[Figure, dict[str, Any]]:
    """The figure, and facts: operations drawn and how often the drawn ones stand for others."""
    described = executable.op_graph
    described = described.to_dict() if hasattr(described, "to_dict") else described
    ops = [op for op in described["ops"] if not focus or op["name"].startswith(focus)]
    stands_for, times = _fold(ops)
    drawn = [op for op in ops if stands_for[op["name"]] == op["name"]]
    t = THEMES[theme]
    folded = f", {len(ops) - len(drawn)} of them drawn as repeats" if len(drawn) < len(ops) else ""
    diagram = Diagram(
        t, f"{executable.name}: operations" + (f" of {focus}" if focus else ""),
        f"{len(ops)} operations{folded}; compiled to {executable.num_vertices:,} vertices and {executable.num_edges:,} edges"
        f" on {executable.target.name}",
    )  # fmt: skip
    costs = Costs(executable)
    if len(drawn) > MOST_OPERATIONS:
        _by_layer(diagram, ops, costs)
    else:
        _one_by_one(diagram, described, ops, drawn, stands_for, times, costs)
    used = {b.colour for b in diagram.boxes.values()}
    shapes = {"forward": "box", "backward": "box", "update": "box"}
    diagram.legend = [(shapes[p], c, p) for p, c in PHASES.items() if c in used]
    if any(b.shape == "tag" for b in diagram.boxes.values()):
        diagram.legend.append(("tag", KINDS["elementwise"], "input or output"))
    if any(b.shape == "drum" for b in diagram.boxes.values()):
        diagram.legend.append(("drum", KINDS["data"], "parameter or state"))
    figure, facts = diagram.draw()
    return figure, {"operations": len(ops), "drawn_operations": len(drawn), **facts}


def _fold(ops: list[dict]) -> tuple[dict[str, str], dict[str, int]]:
    """For each operation the one drawn for it, and for each drawn one how many it stands for."""
    scopes: dict[str, list[dict]] = {}
    block = blocks_of(op["name"] for op in ops)
    for op in ops:
        scopes.setdefault(block[op["name"]], []).append(op)
    producer = {o["name"]: op["name"] for op in ops for o in op["outputs"]}
    names = list(scopes)
    signs = []
    for scope, members in scopes.items():
        own = {op["name"] for op in members}
        signs.append((plain(scope), tuple(_sign(op, own, producer) for op in members)))
    stands_for: dict[str, str] = {}
    times: dict[str, int] = {}
    for start, period, count in runs(signs):
        for k in range(period):
            first = scopes[names[start + k]]
            for r in range(count):
                for op, same in zip(first, scopes[names[start + r * period + k]], strict=True):
                    stands_for[same["name"]] = op["name"]
                    times[op["name"]] = count
    return stands_for, times


def _sign(op: dict, own: set[str], producer: dict[str, str]) -> tuple:
    inputs = tuple(
        "inner" if producer.get(n) in own else "outer" if n in producer or "/" not in n else plain(n)
        for n in op["inputs"]
    )
    outputs = tuple((str(o["dtype"]), tuple(o["shape"])) for o in op["outputs"])
    return plain(op["name"]), op["kind"], outputs, inputs


def _one_by_one(diagram, described, ops, drawn, stands_for, times, costs) -> None:
    few = len(drawn) <= FEW_OPERATIONS
    parameters = {value["name"]: value for value in described["parameters"]}
    drums = len(parameters.keys() & {n for op in drawn for n in op["inputs"]}) <= FEW_PARAMETERS
    blocks = blocks_of(op["name"] for op in ops)
    shared = _shared_by_updates(drawn, {**{o["name"]: o for op in ops for o in op["outputs"]}, **parameters})
    values = {o["name"]: o for op in ops for o in op["outputs"]}
    producer = {o["name"]: op["name"] for op in ops for o in op["outputs"]}
    scope_sizes = Counter(_frame(op, blocks) for op in drawn)
    for op in drawn:
        kind, leaf = op["kind"].replace("_", " "), op["name"].rsplit("/", 1)[-1]
        same = leaf.replace("_", " ") == kind
        shape = "" if few or not op["outputs"] else type_of(op["outputs"][0])
        lines = [kind, *([] if same else [leaf]), *([shape] if shape else [])]
        if not drums:
            lines += _parameter_lines([parameters[n] for n in op["inputs"] if n in parameters and n not in shared])
        lines += [f"by {n}" for n in op["inputs"] if n in shared and _phase(op) == "update"]
        scope = _frame(op, blocks) if scope_sizes[_frame(op, blocks)] > 1 else ""
        attributes = ", ".join(f"{k}={v}" for k, v in op.get("attributes", {}).items() if v not in (None, False, ()))
        tip = [f"{kind}, {_phase(op)}", *(f"makes {type_of(o)}" for o in op["outputs"])]
        tip += [attributes] if attributes else []
        diagram.boxes["op:" + op["name"]] = Box(
            lines, PHASES[_phase(op)], cluster=scope, times=1 if scope and times[op["name"]] > 1 else times[op["name"]],
            name=op["name"], tip=(*tip, *costs.of_path(op["name"]).lines()),
        )  # fmt: skip
    for scope, size in scope_sizes.items():
        count = max((times[op["name"]] for op in drawn if _frame(op, blocks) == scope), default=1)
        if scope and size > 1 and count > 1:
            diagram.cluster_titles[scope] = f"{scope}   x{count}"
            diagram.cluster_times[scope] = count
    seen: set[tuple[str, str]] = set()
    used_as_input = {n for op in drawn for n in op["inputs"]}
    for role, shape, colour in (("inputs", "tag", KINDS["elementwise"]), ("parameters", "drum", KINDS["data"])):
        for value in described[role]:
            values[value["name"]] = value
            if value["name"] in used_as_input and (drums or role == "inputs"):
                diagram.boxes["in:" + value["name"]] = Box(
                    [value["name"], type_of(value)], colour, shape, name=value["name"],
                    tip=("input" if role == "inputs" else "parameter or state", type_of(value)),
                )  # fmt: skip
    for op in ops:
        target = stands_for[op["name"]]
        for name in op["inputs"]:
            if name in shared and _phase(op) == "update":
                continue
            if name in producer:
                source = "op:" + stands_for[producer[name]]
                between = stands_for[producer[name]] != producer[name] or stands_for[op["name"]] != op["name"]
                again = between and blocks[producer[name]] != blocks[op["name"]]
            elif "in:" + name in diagram.boxes:
                source, again = "in:" + name, False
            else:
                continue
            key = (source, "op:" + target)
            if key in seen:
                continue
            seen.add(key)
            label = type_of(values[name]) if few and name in producer and name in values else ""
            diagram.arrows.append(Arrow(source, "op:" + target, label, dash=again and times[target] > 1))
    for op in drawn:
        for name in op["updates"]:
            if "in:" + name in diagram.boxes:
                _updated(diagram, op, parameters[name])
    for value in described["outputs"]:
        name = value.get("value", value["name"])
        if name in producer:
            key = "out:" + value["name"]
            diagram.boxes[key] = Box(
                [value["name"], type_of(value)],
                KINDS["elementwise"],
                "tag",
                name=value["name"],
                tip=("output", type_of(value)),
            )
            diagram.arrows.append(Arrow("op:" + stands_for[producer[name]], key))


def _shared_by_updates(drawn: list[dict], values: dict[str, dict]) -> set[str]:
    """Single numbers (learning rates) that more than FAN updates read."""
    readers = Counter(n for op in drawn if _phase(op) == "update" for n in set(op["inputs"]) - set(op["updates"]))
    return {n for n, count in readers.items() if count > FAN and n in values and not values[n]["shape"]}


def _parameter_lines(read: list[dict]) -> list[str]:
    """The largest parameter with its shape, the others by name."""
    if not read:
        return []
    read = sorted(read, key=lambda v: -math.prod(v["shape"]))
    leaf = [v["name"].rsplit("/", 1)[-1] for v in read]
    first = f"{leaf[0]} {'x'.join(map(str, read[0]['shape'])) or 'scalar'}"
    return [
        first,
        *([", ".join(leaf[1:4]) + (f" and {len(leaf) - 4} more" if len(leaf) > 4 else "")] if leaf[1:] else []),
    ]


def _updated(diagram: Diagram, op: dict, value: dict) -> None:
    """What an update writes: state of its own is joined by an arrow both ways; a parameter that others read as well is
    drawn a second time below, as it is in the next step, so that no arrow runs back."""
    source, target = "in:" + value["name"], "op:" + op["name"]
    mine = next((a for a in diagram.arrows if (a.source, a.target) == (source, target)), None)
    if mine is not None and not any(a.source == source and a is not mine for a in diagram.arrows):
        mine.both, mine.colour = True, PHASES["update"]
        return
    if mine is not None:
        diagram.arrows.remove(mine)
    after = "next:" + value["name"]
    diagram.boxes[after] = Box([value["name"], "for the next step"], KINDS["data"], "drum", name=value["name"],
                               tip=("the same parameter, updated", type_of(value)))  # fmt: skip
    diagram.arrows.append(Arrow(target, after, colour=PHASES["update"]))


def _phase(op: dict) -> str:
    return op.get("phase") or phase_of(op["name"])


def _by_layer(diagram: Diagram, ops: list[dict], costs: Costs) -> None:
    """A box a block and phase, with how many operations of which kinds."""
    producer = {o["name"]: op for op in ops for o in op["outputs"]}
    block = blocks_of(op["name"] for op in ops)

    def _layer(op: dict) -> tuple[str, str]:
        return block[op["name"]], _phase(op)

    groups: dict[tuple[str, str], list[dict]] = {}
    for op in ops:
        groups.setdefault(_layer(op), []).append(op)
    signs = [(plain(layer), phase, tuple((op["kind"], tuple(tuple(o["shape"]) for o in op["outputs"])) for op in members))
             for (layer, phase), members in groups.items()]  # fmt: skip
    keys, shown = list(groups), {}
    for start, period, times in runs(signs):
        for k in range(period):
            layer, phase = keys[start + k]
            members = groups[keys[start + k]]
            kinds = Counter(op["kind"].replace("_", " ") for op in members)
            lines = [layer, *(f"{n} x {kind}" if n > 1 else kind for kind, n in kinds.most_common(3))]
            lines += [f"and {counted(len(kinds) - 3, 'more kind')}"] if len(kinds) > 3 else []
            last = members[-1]["outputs"]
            lines += [type_of(last[0])] if last else []
            cost = costs.of_sets([i for op in members for n in costs.names if n == op["name"] or n.startswith(op["name"] + "/")
                                  for i in costs.names[n][:1]])  # fmt: skip
            key = f"{layer}|{phase}"
            diagram.boxes[key] = Box(lines, PHASES[phase], times=times, name=f"{layer} {phase}",
                                     tip=(f"{len(members)} operations, {phase}", *cost.lines()))  # fmt: skip
            for r in range(times):
                shown[keys[start + r * period + k]] = key
    seen = set()
    for op in ops:
        for name in op["inputs"]:
            if name in producer:
                a, b = shown[_layer(producer[name])], shown[_layer(op)]
                if a != b and (a, b) not in seen:
                    seen.add((a, b))
                    diagram.arrows.append(Arrow(a, b))


def _frame(op: dict, blocks: dict[str, str]) -> str:
    """The frame an operation is drawn in: its block, apart by forward and the rest so that arrows run one way."""
    if "/" not in op["name"]:
        return ""
    block = blocks[op["name"]]
    return block if _phase(op) == "forward" else f"{block} backward and update"


def type_of(value: dict[str, Any]) -> str:
    """`float 50x784` of a described value."""
    return f"{str(value['dtype']).lower()} {'x'.join(map(str, value['shape'])) or 'scalar'}"
