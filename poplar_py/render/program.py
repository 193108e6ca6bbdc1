"""The program view: control as a tree with its supersteps in columns; what repeats in a row is drawn once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .costs import counted, size
from .figure import Figure
from .marks import text_width
from .palette import SPANS, THEMES, mix, phase_of
from .repeats import blocks_of, plain, runs

_MOST = 600  # lines drawn; a longer program says how many more there are
_LONG = 160  # lines above which neighbours of a block are put together
_ROW = 24.0
_BARS = 420.0  # pixels of the longest bar
_PARTS = ("sync", "host", "exchange", "compute")
_WORDS = {
    "execute": "compute set", "copy": "copy", "stream_in": "stream in", "stream_out": "stream out", "remote_in": "load row", "remote_out": "store row", "print": "print", "undef": "forget",
    "sync": "sync", "abort": "abort if", "control": "test",
}  # fmt: skip


def draw_program(executable: Any, path: Path, theme: str, focus: str | None) -> dict[str, Any]:
    """Write `program_figure` to a file."""
    figure, facts = program_figure(executable, theme, focus)
    figure.save(path)
    return facts


def program_figure(executable: Any, theme: str, focus: str | None) -> tuple[Figure, dict[str, Any]]:
    """A line a superstep, indented by the control around it: kind, name, cycles, a bar of where they go, vertices and
    exchanged bytes. Supersteps that repeat but for the numbers in their names are drawn once, with how often."""
    t, schedule = THEMES[theme], executable.schedule
    lines: list[tuple[int, str, int, int]] = []  # depth, words, superstep or -1, times
    for kind, trees in (("program", schedule.programs), ("function", schedule.functions)):
        for i, tree in enumerate(trees):
            block = _lines(executable, tree, 1, focus)
            if block or not focus:
                lines += [(0, f"{kind} {i}", -1, 1), *block]
    supersteps = len(lines)
    rows = [(d, w, [i] if i >= 0 else [], n) for d, w, i, n in lines]
    if len(rows) > _LONG:
        rows = _by_block(executable, rows)
    more = max(0, len(rows) - _MOST)
    rows = rows[:_MOST]
    names = max((text_width(w, 14, not s) + 26 * d + (50 if n > 1 else 0) for d, w, s, n in rows), default=200.0)
    kinds = 40.0 + 108
    cycles_at = kinds + max(names, 220) + 100
    bars_at = cycles_at + 16
    vertices_at = bars_at + _BARS + 90
    bytes_at = vertices_at + 120
    fig = Figure(bytes_at + 44, 176 + _ROW * (len(rows) + bool(more)) + 30, t, f"{executable.name}: program")
    fig.text(40, 48, fig.title + (f", only {focus}" if focus else ""), 24, t.text, bold=True)
    words = counted(len(executable.steps), "static superstep")
    fig.text(
        40,
        76,
        f"{words} in {counted(len(schedule.programs), 'program')}; cycles are of one execution of each"
        + (
            "; those of a block, one after the other, are one line (--focus PATH shows each)"
            if len(rows) < supersteps
            else ""
        ),
        14,
        t.faint,
    )
    x = 40.0
    for part in _PARTS:
        fig.box(x, 95, 13, 13, SPANS[part], "", 2)
        fig.text(x + 20, 106, part, 13, t.faint)
        x += 46 + text_width(part, 13)
    top = 142.0
    heads = ((40.0, "what", "start"), (kinds, "name", "start"), (cycles_at, "cycles", "end"), (bars_at, "where they go", "start"),
             (vertices_at, "vertices", "end"), (bytes_at, "exchanged", "end"))  # fmt: skip
    for x, word, anchor in heads:
        fig.text(x, top, word, 12, t.faint, bold=True, anchor=anchor)
    fig.line([(40, top + 8), (bytes_at, top + 8)], t.line, 1)
    longest = max((sum(executable.steps[i].cycles for i in found) for _, _, found, _ in rows), default=1) or 1
    for n, (depth, words, found, times) in enumerate(rows):
        y = top + 28 + n * _ROW
        if n % 2:
            fig.box(34, y - 16, bytes_at - 28, _ROW, mix(t.ground, t.line, 0.22))
        left = kinds + 26 * (depth - 1) if depth else 40.0
        for d in range(1, depth):
            fig.line([(kinds + 26 * (d - 1) + 5, y - 16), (kinds + 26 * (d - 1) + 5, y + 8)], t.line, 1)
        if not found:
            fig.text(left, y, words, 14, t.text, bold=True)
            continue
        steps = [executable.steps[i] for i in found]
        _step(fig, executable, steps, words, left, y, (cycles_at, bars_at, vertices_at, bytes_at), longest, times)
    if more:
        fig.text(
            40,
            top + 28 + len(rows) * _ROW,
            f"... and {counted(more, 'line')} more; --focus PATH draws a part",
            14,
            t.faint,
        )
    return fig, {"supersteps": len(executable.steps), "lines": len(rows)}


def _by_block(executable: Any, rows: list[tuple[int, str, list[int], int]]) -> list[tuple[int, str, list[int], int]]:
    """Neighbouring supersteps of one block and phase as one row; copies between them that belong to no block go along."""
    block = blocks_of(s.name for s in executable.steps if s.kind == "execute")
    out: list[tuple[int, str, list[int], int]] = []
    last: tuple | None = None  # depth, block, phase and times of the row that may go on
    for depth, words, found, times in rows:
        name = executable.steps[found[0]].name if found else ""
        key = (depth, block[name], phase_of(name), times) if name in block else None
        goes_on = bool(found) and last is not None and (key == last or (key is None and last[0] == depth))
        if goes_on and (key is not None or executable.steps[found[0]].kind == "copy"):
            out[-1][2].extend(found)
        else:
            out.append((depth, words, list(found), times))
            last = key
    named = []
    for depth, words, found, times in out:
        if len(found) > 1:
            first = next(executable.steps[i].name for i in found if executable.steps[i].name in block)
            phase = phase_of(first)
            words = block[first] + ("" if phase == "forward" else f" {phase}")
            words += f"   ({counted(len(found), 'superstep')})"
        named.append((depth, words, found, times))
    return named


def _step(
    fig: Figure,
    executable: Any,
    steps: list[Any],
    words: str,
    left: float,
    y: float,
    at: tuple,
    longest: int,
    times: int,
) -> None:
    """A row of one superstep, or of several put together, whose figures are summed."""
    t, step = fig.theme, steps[0]
    cycles_at, bars_at, vertices_at, bytes_at = at
    exchange = sum(int(s.exchange_cycles.max(initial=0) + s.exchange_out_cycles.max(initial=0)) for s in steps)
    cycles_of_all = sum(int(s.cycles) for s in steps)
    parts = {"sync": sum(int(s.sync_cycles) for s in steps), "host": sum(int(s.host_cycles) for s in steps),
             "exchange": exchange, "compute": sum(int(s.compute_cycles.max(initial=0)) for s in steps)}  # fmt: skip
    vertices = sum(
        int(b.n) for s in steps if s.compute_set >= 0 for b in executable.graph.compute_sets[s.compute_set].blocks
    )
    moved = sum(int(s.bytes_received.sum()) for s in steps)
    kind = _WORDS.get(step.kind, step.kind) if len(steps) == 1 else "block"
    head = f"superstep {step.index}: {kind}" if len(steps) == 1 else counted(len(steps), "superstep")
    tip = [head, f"{cycles_of_all:,} cycles"]
    tip += [f"{part} {cycles:,}" for part, cycles in parts.items() if cycles]
    tip += [counted(vertices, "vertex", "vertices")] if vertices else []
    tip += [f"{size(moved)} exchanged"] if moved else []
    with fig.item(step.name if len(steps) == 1 and step.name else words, *tip):
        fig.box(
            34, y - 16, bytes_at - 28, _ROW, mix(t.ground, t.line, 0.22) if round((y - 170) / _ROW) % 2 else t.ground
        )
        fig.text(40, y, kind, 13, t.faint)
        for d in range(round((left - 148) / 26)):
            fig.line([(148 + 26 * d + 5, y - 16), (148 + 26 * d + 5, y + 8)], t.line, 1)
        fig.text(left, y, words, 14, t.text)
        if times > 1:
            x = left + text_width(words, 14) + 10
            fig.box(x, y - 13, text_width(f"x{times}", 12, True) + 12, 17, SPANS["exchange"], "", 8)
            fig.text(x + 6, y, f"x{times}", 12, "#07090f", bold=True)
        fig.text(cycles_at, y, f"{cycles_of_all:,}", 13, t.text, anchor="end")
        x = bars_at
        for part, cycles in parts.items():
            wide = _BARS * cycles / longest
            fig.box(x, y - 11, wide, 12, SPANS[part])
            x += wide
        if vertices:
            fig.text(vertices_at, y, f"{vertices:,}", 13, t.faint, anchor="end")
        if moved:
            fig.text(bytes_at, y, size(moved), 13, t.faint, anchor="end")


def _lines(executable: Any, tree: list, depth: int, focus: str | None) -> list[tuple[int, str, int, int]]:
    """The lines of a control tree; runs of children that are alike are put together."""
    kind = tree[0]
    if kind == "step":
        step = executable.steps[tree[1]]
        return [(depth, step.name, step.index, 1)] if not focus or step.name.startswith(focus) else []
    if kind == "seq":
        blocks = [_lines(executable, child, depth, focus) for child in _flat(tree)]
        signs = [
            tuple((d, plain(w), executable.steps[i].cycles if i >= 0 else 0) for d, w, i, _ in block)
            for block in blocks
        ]
        out: list[tuple[int, str, int, int]] = []
        for start, period, times in runs(signs):
            for block in blocks[start : start + period]:
                out += [(d, w, i, n * times) for d, w, i, n in block]
        return out
    if kind == "repeat":
        inner = _lines(executable, tree[2], depth + 1, focus)
        return [(depth, f"repeat x {tree[1]:,}", -1, 1), *inner] if inner or not focus else []
    if kind == "call":
        return [] if focus else [(depth, f"call function {tree[1]}", -1, 1)]
    out = []
    if kind == "while":
        name = executable.steps[tree[3]].name
        out = [
            (depth, f"while {name} is {'true' if tree[1] else 'false'}", -1, 1),
            *_lines(executable, tree[2], depth + 1, focus),
        ]
        return [*out, (depth, "do", -1, 1), *_lines(executable, tree[4], depth + 1, focus)]
    out = [(depth, f"{kind} {executable.steps[tree[1]].name}", -1, 1)]
    branches = [("then", tree[2]), ("else", tree[3])] if kind == "if" else [
        *((f"case {v}", c) for v, c in tree[2]), ("default", tree[3])
    ]  # fmt: skip
    for name, branch in branches:
        inner = _lines(executable, branch, depth + 1, focus)
        if inner:
            out += [(depth, name, -1, 1), *inner]
    return out


def _flat(tree: list) -> list:
    """Children of a sequence, of sequences within it too."""
    return [leaf for child in tree[1] for leaf in (_flat(child) if child[0] == "seq" else [child])]
