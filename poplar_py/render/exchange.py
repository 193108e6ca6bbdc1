"""The exchange view: who sends how much to whom, tile by tile, and the bytes of every superstep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .costs import counted, counts_of, size
from .figure import Figure
from .palette import SPANS, THEMES
from .plots import axis, fold, heat, heat_bar, names_below

_SIDE = 760.0  # of the matrix
_CELLS = 1472  # rows and columns of its raster at most
_BARS = 700.0


def draw_exchange(
    executable: Any, path: Path, theme: str, focus: str | None, profile: Any, program: int = 0
) -> dict[str, Any]:
    """Write `exchange_figure` to a file."""
    figure, facts = exchange_figure(executable, theme, focus, profile, program)
    figure.save(path)
    return facts


def traffic(executable: Any, wanted: list[Any], counts: np.ndarray) -> np.ndarray:
    """Bytes from tile (row) to tile (column), float64 (tiles, tiles), over `counts` executions of the wanted supersteps.

    What a tile moves within itself is left out: it does not cross the exchange. Bytes heard by several tiles count for
    each of them.
    """
    tiles = executable.target.num_tiles
    matrix = np.zeros(tiles * tiles)
    for step in wanted:
        count = int(counts[step.index])
        if not count:
            continue
        if step.compute_set >= 0:
            routes = executable.routes.get(step.compute_set)
            moves = [] if routes is None else [routes.gathers, routes.scatters]
        else:
            plan = executable.copies.get(step.index)
            moves = [] if plan is None else [plan.first, plan.second]
        for move in moves:
            if len(move):
                source, target = move.src_tile.astype(np.int64), move.dst_tile.astype(np.int64)
                apart = source != target
                key = source[apart] * tiles + target[apart]
                matrix += np.bincount(key, weights=move.size[apart].astype(float) * count, minlength=tiles * tiles)
    return matrix.reshape(tiles, tiles)


def exchange_figure(
    executable: Any, theme: str, focus: str | None, profile: Any = None, program: int = 0
) -> tuple[Figure, dict[str, Any]]:
    """Matrix of tile to tile traffic with the sums of rows and columns at its sides; bars of the supersteps with most
    bytes. Counts come from `profile`, else from one run of `program`. facts: bytes, bytes_saved_by_multicast."""
    t, counts = THEMES[theme], counts_of(executable, program, profile)
    wanted = [s for s in executable.steps if counts[s.index] and (not focus or s.name.startswith(focus))]
    matrix = traffic(executable, wanted, counts)
    tiles = len(matrix)
    received = {s.index: int(s.bytes_received.sum()) * int(counts[s.index]) for s in wanted if not s.host_cycles}
    saved = sum(int(s.multicast_bytes_saved) * int(counts[s.index]) for s in wanted)
    cycles = sum(
        int(s.exchange_cycles.max(initial=0) + s.exchange_out_cycles.max(initial=0)) * int(counts[s.index])
        for s in wanted
    )
    fig = Figure(1820, 1140, t, f"{executable.name}: exchange")
    what = "of the profiled run" if profile is not None else f"of one run of program {program}"
    fig.text(50, 48, f"{fig.title}: {size(matrix.sum())} between tiles", 24, t.text, bold=True)
    words = f"{what}{f', only {focus}' if focus else ''}, {counted(tiles, 'tile')}; {cycles:,} cycles of exchange; multicast saves {size(saved)} of sending"
    fig.text(50, 76, words, 14, t.faint)
    left, top = 120.0, 210.0
    _matrix(fig, matrix, left, top)
    _sums(fig, matrix, left, top)
    _steps(fig, executable, wanted, received, counts, left + _SIDE + 220, top - 40)
    return fig, {
        "bytes": int(matrix.sum()),
        "bytes_saved_by_multicast": saved,
        "exchange_cycles": cycles,
        "program": program,
    }


def _matrix(fig: Figure, matrix: np.ndarray, left: float, top: float) -> None:
    t, tiles = fig.theme, len(matrix)
    folded = fold(fold(matrix, _CELLS).T, _CELLS).T
    most = float(folded.max())
    shares = np.log1p(folded / max(np.quantile(folded[folded > 0], 0.05), 1e-9)) if most else folded
    lit = folded > 0
    shares = np.where(lit, 0.08 + 0.92 * shares / max(float(shares.max()), 1e-9), 0.0)
    fig.box(left - 1.5, top - 1.5, _SIDE + 3, _SIDE + 3, t.line)
    with fig.item("traffic from tile to tile", f"row: the tile that sends; column: the tile that hears, of {tiles:,}",
                  f"{int((matrix > 0).sum()):,} pairs of tiles talk"):  # fmt: skip
        fig.image(left, top, _SIDE, _SIDE, heat(shares, t))
    for tile in sorted({round((tiles - 1) * i / 4) for i in range(5)}):
        at = _SIDE * (tile + 0.5) / tiles
        fig.text(left - 8, top + at + 4, f"{tile:,}", 12, t.faint, anchor="end")
        fig.text(left + at, top + _SIDE + 20, f"{tile:,}", 12, t.faint, anchor="middle")
    fig.text(left - 58, top + _SIDE / 2, "sends", 14, t.text, bold=True, anchor="middle", turn=True)
    fig.text(left + _SIDE / 2, top + _SIDE + 44, "hears", 14, t.text, bold=True, anchor="middle")
    per = (tiles / folded.shape[0]) ** 2
    heat_bar(
        fig, left, top + _SIDE + 72, 260, "a pair: 0 bytes", size(most) + (" (mean of neighbours)" if per > 1 else "")
    )
    fig.text(left + 290, top + _SIDE + 82, "logarithmic", 12, t.faint)


def _sums(fig: Figure, matrix: np.ndarray, left: float, top: float) -> None:
    """What every tile hears above the matrix, and what it sends to its right."""
    t = fig.theme
    hears, sends = fold(matrix.sum(axis=0), _CELLS), fold(matrix.sum(axis=1), _CELLS)
    most = max(float(hears.max(initial=0)), float(sends.max(initial=0)), 1.0)
    each = _SIDE / len(hears)
    for values, colour, across in (
        (hears, SPANS["exchange"], True),
        (sends, "#fbd100" if t.additive else "#c79a00", False),
    ):
        at = np.repeat(np.arange(len(values) + 1) * each, 2)[1:-1]
        long = np.repeat(values / most * 64, 2)
        if across:
            points = [
                (left, top - 6.0),
                *zip((left + at).tolist(), (top - 6 - long).tolist(), strict=True),
                (left + _SIDE, top - 6.0),
            ]
        else:
            x = left + _SIDE + 6
            points = [(x, top), *zip((x + long).tolist(), (top + at).tolist(), strict=True), (x, top + _SIDE)]
        fig.polygon(points, colour)
    fig.text(left, top - 80, f"heard by each tile, at most {size(most)}", 12, t.faint)
    fig.text(left + _SIDE + 92, top, "sent by each tile", 12, t.faint, anchor="end", turn=True)


def _steps(
    fig: Figure,
    executable: Any,
    wanted: list[Any],
    received: dict[int, int],
    counts: np.ndarray,
    left: float,
    top: float,
) -> None:
    """The supersteps with most bytes as bars, then all of them along the program."""
    t = fig.theme
    best = sorted((i for i in received if received[i]), key=lambda i: -received[i])[:14]
    most = max((received[i] for i in best), default=1)
    fig.text(left, top, "supersteps with most bytes", 15, t.text, bold=True)
    for n, i in enumerate(best):
        step, y = executable.steps[i], top + 30 + 30 * n
        exchange = int(step.exchange_cycles.max(initial=0) + step.exchange_out_cycles.max(initial=0))
        tip = (f"{size(received[i])} received in {counts[i]:,} executions", f"{exchange:,} cycles of exchange each",
               f"{step.num_exchange_regions:,} regions, multicast saves {size(step.multicast_bytes_saved)} each")  # fmt: skip
        with fig.item(step.name, *tip):
            fig.box(left, y, max(_BARS * received[i] / most * 0.72, 1), 9, SPANS["exchange"], "", 2)
            fig.text(left, y - 4, step.name, 12, t.faint)
            fig.text(
                left + _BARS * received[i] / most * 0.72 + 10,
                y + 8,
                f"{size(received[i])}, {exchange * int(counts[i]):,} cycles",
                12,
                t.text,
            )
    y, high = top + 30 + 30 * 14 + 50, 170.0
    fig.text(left, y - 16, "along the program", 15, t.text, bold=True)
    moving = [s for s in wanted if not s.host_cycles]
    values = np.array([received.get(s.index, 0) for s in moving], float)
    limit = float(values.max(initial=0)) * 1.08 or 1.0
    axis(fig, left, y, _BARS, high, limit, size)
    each = _BARS / max(len(moving), 1)
    bars = fold(values, int(_BARS))
    for n, value in enumerate(bars):
        tall = high * value / limit
        fig.box(
            left + _BARS * n / len(bars), y + high - tall, max(_BARS / len(bars) * 0.82, 0.6), tall, SPANS["exchange"]
        )
    places = [
        (left + each * (n + 0.5), float(received.get(s.index, 0)), str(s.name))
        for n, s in enumerate(moving)
        if received.get(s.index, 0)
    ]
    names_below(fig, places, y + high, left, _BARS, rows=5)
