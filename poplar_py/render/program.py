"""The program view: control as a tree, with counts and cycles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .palette import SPANS, THEMES, mix

_MOST = 400  # lines drawn; a longer program says how many more there are


def draw_program(executable: Any, path: Path, theme: str, focus: str | None) -> dict[str, Any]:
    """Every superstep on a line, indented by the control around it, with a bar of its cycles."""
    from .canvas import Canvas

    lines: list[tuple[int, str, int]] = []
    schedule = executable.schedule
    for kind, trees in (("program", schedule.programs), ("function", schedule.functions)):
        for i, tree in enumerate(trees):
            lines.append((0, f"{kind} {i}", -1))
            _walk(executable, tree, 1, lines, focus)
    more = max(0, len(lines) - _MOST)
    lines = lines[:_MOST]
    t = THEMES[theme]
    row, width = 22, 1500
    canvas = Canvas(width, 110 + row * (len(lines) + bool(more)), t.ground)
    canvas.text(40, 48, f"{executable.name}: the program", 26, t.text, bold=True)
    canvas.text(40, 76, f"{len(executable.steps):,} static supersteps; bars are cycles of one execution", 14, t.faint)
    longest = max((executable.steps[i].cycles for _, _, i in lines if i >= 0), default=1) or 1
    for n, (depth, text, index) in enumerate(lines):
        y = 108 + n * row
        control = index < 0
        canvas.text(40 + 22 * depth, y, text, 14, t.text if control else t.faint, bold=control)
        if control:
            continue
        step = executable.steps[index]
        exchange = int(step.exchange_cycles.max(initial=0) + step.exchange_out_cycles.max(initial=0))
        x = 900.0
        for what, cycles in (("sync", step.sync_cycles), ("host", step.host_cycles), ("exchange", exchange),
                             ("compute", int(step.compute_cycles.max(initial=0)))):
            wide = 460 * cycles / longest
            canvas.box(x, y - 12, wide, 13, SPANS[what])
            x += wide
        canvas.text(890, y, f"{step.cycles:,}", 12, mix(t.faint, t.text, 0.3), anchor="end")
    if more:
        canvas.text(40, 108 + len(lines) * row, f"... and {more} more", 14, t.faint)
    canvas.save(path)
    return {"supersteps": len(executable.steps)}


def _walk(executable: Any, tree: list, depth: int, lines: list, focus: str | None) -> None:
    kind = tree[0]
    if kind == "step":
        step = executable.steps[tree[1]]
        if not focus or step.name.startswith(focus):
            lines.append((depth, f"{step.kind}  {step.name}", step.index))
    elif kind == "seq":
        for child in tree[1]:
            _walk(executable, child, depth, lines, focus)
    elif kind == "repeat":
        lines.append((depth, f"repeat x {tree[1]:,}", -1))
        _walk(executable, tree[2], depth + 1, lines, focus)
    elif kind == "while":
        lines.append((depth, f"while {'true' if tree[1] else 'false'}: {executable.steps[tree[3]].name}", -1))
        _walk(executable, tree[2], depth + 1, lines, focus)
        lines.append((depth, "do", -1))
        _walk(executable, tree[4], depth + 1, lines, focus)
    elif kind == "call":
        lines.append((depth, f"call function {tree[1]}", -1))
    else:
        lines.append((depth, f"{kind} {executable.steps[tree[1]].name}", -1))
        branches = (("then", tree[2]), ("else", tree[3])) if kind == "if" else (
            *((f"case {v}", c) for v, c in tree[2]), ("default", tree[3])
        )
        for name, branch in branches:
            lines.append((depth, name, -1))
            _walk(executable, branch, depth + 1, lines, focus)
