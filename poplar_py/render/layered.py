"""A layered layout of our own (after Sugiyama, Tagawa and Toda 1981), for machines without Graphviz and graphs too large for it.

Cycles are cut, every node gets a rank below what it depends on, long edges are led through bends of their own, the
order within a rank follows the barycentres of the neighbours, and places are pulled towards the neighbours without
changing the order. Boxes never overlap; all edges but the cut ones run down.
"""

from __future__ import annotations

import itertools

import numpy as np

Point = tuple[float, float]
_BEND = 10.0  # width kept free for an edge that passes through a rank
_SWEEPS = 10


def layered(
    sizes: list[tuple[float, float]],
    edges: list[tuple[int, int]],
    clusters: list[str] | None = None,
    *,
    gap: float = 26.0,
    rank_gap: float = 56.0,
) -> tuple[list[Point], list[list[Point]]]:
    """Centres of boxes of `sizes` (width, height), and every edge as Bezier points from border to border, top down.

    edges: (source, target) numbers; clusters: a name per box, members of one stay together within a rank.
    """
    count = len(sizes)
    forward = [(b, a) if flip else (a, b) for (a, b), flip in zip(edges, _back_edges(count, edges), strict=True)]
    rank = _ranks(count, forward)
    ranks: list[list[int]] = [[] for _ in range(max(rank, default=0) + 1)]
    for v in range(count):
        ranks[rank[v]].append(v)
    width = [w for w, _ in sizes]
    group = list(clusters or [""] * count)
    up: list[list[int]] = [[] for _ in range(count)]
    down: list[list[int]] = [[] for _ in range(count)]
    chains: list[list[int]] = []
    for a, b in forward:
        chain = [a]
        for r in range(rank[a] + 1, rank[b]):
            bend = len(width)
            width.append(_BEND)
            rank.append(r)
            group.append(group[a] if group[a] == group[b] else "")
            up.append([])
            down.append([])
            ranks[r].append(bend)
            chain.append(bend)
        chain.append(b)
        chains.append(chain)
        for s, t in itertools.pairwise(chain):
            if s != t:
                down[s].append(t)
                up[t].append(s)
    _order(ranks, up, down, group)
    x = _columns(ranks, up, down, width, gap)
    tops, y = [], 0.0
    heights = [max((sizes[v][1] for v in row if v < count), default=0.0) for row in ranks]
    for high, row in zip(heights, ranks, strict=True):
        tops.append(y)
        y += high + rank_gap + min(3.0 * max(0, len(row) - 12), 140.0)
    middle = [top + high / 2 for top, high in zip(tops, heights, strict=True)]
    centres = [(float(x[v]), middle[rank[v]]) for v in range(count)]
    paths = []
    for (a, b), (source, _), chain in zip(edges, forward, chains, strict=True):
        path = _path(chain, x, tops, heights, rank, sizes, count) if a != b else _loop(centres[a], sizes[a])
        paths.append(path if source == a else path[::-1])
    return centres, paths


def _back_edges(count: int, edges: list[tuple[int, int]]) -> list[bool]:
    """Which edges close a cycle in a depth-first walk in the order given."""
    out: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for i, (a, b) in enumerate(edges):
        out[a].append((i, b))
    state, back = [0] * count, [False] * len(edges)
    for root in range(count):
        if state[root]:
            continue
        state[root] = 1
        stack = [(root, iter(out[root]))]
        while stack:
            v, rest = stack[-1]
            for i, b in rest:
                if state[b] == 1:
                    back[i] = True
                elif state[b] == 0:
                    state[b] = 1
                    stack.append((b, iter(out[b])))
                    break
            else:
                state[v] = 2
                stack.pop()
    return back


def _ranks(count: int, edges: list[tuple[int, int]]) -> list[int]:
    """Longest path from the sources; sources then sink to just above what they feed."""
    out: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for a, b in edges:
        if a != b:
            out[a].append(b)
            waiting[b] += 1
    rank = [0] * count
    sources = [v for v in range(count) if not waiting[v]]
    ready = list(sources)
    while ready:
        v = ready.pop()
        for b in out[v]:
            rank[b] = max(rank[b], rank[v] + 1)
            waiting[b] -= 1
            if not waiting[b]:
                ready.append(b)
    for v in sources:
        if out[v]:
            rank[v] = max(min(rank[b] for b in out[v]) - 1, 0)
    return rank


def _order(ranks: list[list[int]], up: list[list[int]], down: list[list[int]], group: list[str]) -> None:
    """Sort each rank by the barycentre of its neighbours, members of a cluster together; keep the best found."""
    place: dict[int, float] = {}

    def number(row: list[int]) -> None:
        for i, v in enumerate(row):
            place[v] = i / max(len(row) - 1, 1)

    for row in ranks:
        number(row)
    best, kept = _crossings(ranks, down), [list(row) for row in ranks]
    for sweep in range(_SWEEPS):
        order, near = (ranks, up) if sweep % 2 == 0 else (ranks[::-1], down)
        for row in order:
            centre = {v: float(np.mean([place[n] for n in near[v]])) if near[v] else place[v] for v in row}
            together: dict[str, list[float]] = {}
            for v in row:
                together.setdefault(group[v] or f"#{v}", []).append(centre[v])
            mean = {g: float(np.mean(values)) for g, values in together.items()}
            row.sort(key=lambda v: (mean[group[v] or f"#{v}"], group[v], centre[v]))
            number(row)
        crossings = _crossings(ranks, down)
        if crossings < best:
            best, kept = crossings, [list(row) for row in ranks]
        if not best:
            break
    for row, better in zip(ranks, kept, strict=True):
        row[:] = better


def _crossings(ranks: list[list[int]], down: list[list[int]]) -> int:
    """Crossings between neighbouring ranks; of wide ranks a sum of displacements stands for them."""
    total = 0
    for row, below in itertools.pairwise(ranks):
        at = {v: i for i, v in enumerate(below)}
        ends = np.array([at[b] for v in row for b in sorted(down[v], key=at.__getitem__)], np.int64)
        if len(ends) <= 1500:
            total += int(np.triu(ends[:, None] > ends[None, :], 1).sum())
        else:
            total += int(np.abs(np.diff(ends)).sum())
    return total


def _columns(
    ranks: list[list[int]], up: list[list[int]], down: list[list[int]], width: list[float], gap: float
) -> np.ndarray:
    """x of every box: pulled to its neighbours, kept in order and apart by `gap`."""
    x = np.zeros(len(width))
    for row in ranks:
        at = 0.0
        for v in row:
            x[v] = at + width[v] / 2
            at += width[v] + gap
        x[row] -= at / 2
    for sweep in range(24):
        for row in ranks if sweep % 2 == 0 else ranks[::-1]:
            both = sweep > 16
            wanted = []
            for v in row:
                near = up[v] + down[v] if both else (up[v] if sweep % 2 == 0 else down[v])
                wanted.append(float(np.median(x[near])) if near else x[v])
            x[row] = _apart(np.array(wanted), np.array([width[v] for v in row]), gap)
    return x - (min((x[v] - width[v] / 2 for row in ranks for v in row), default=0.0))


def _apart(wanted: np.ndarray, width: np.ndarray, gap: float) -> np.ndarray:
    """Places in order, no two nearer than their widths and the gap, as near to the wanted as may be (pool adjacent
    violators on what remains after the boxes are slid together)."""
    shift = np.concatenate([[0.0], np.cumsum((width[:-1] + width[1:]) / 2 + gap)])
    blocks: list[list[float]] = []  # mean, members
    for value in wanted - shift:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, members = blocks.pop()
            first = blocks[-1]
            first[0] = (first[0] * first[1] + mean * members) / (first[1] + members)
            first[1] += members
    return np.repeat([b[0] for b in blocks], [int(b[1]) for b in blocks]) + shift


def _path(chain, x, tops, heights, rank, sizes, count) -> list[Point]:
    """From the lower border of the first box through its bends to the upper border of the last, tangents upright."""
    first, last = chain[0], chain[-1]
    spots = [(float(x[first]), tops[rank[first]] + heights[rank[first]] / 2 + sizes[first][1] / 2)]
    for v in chain[1:-1]:
        spots.append((float(x[v]), tops[rank[v]]))
        spots.append((float(x[v]), tops[rank[v]] + max(heights[rank[v]], 1.0)))
    spots.append((float(x[last]), tops[rank[last]] + heights[rank[last]] / 2 - sizes[last][1] / 2))
    path = [spots[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(spots):
        path += [(x0, y0 + (y1 - y0) * 0.45), (x1, y1 - (y1 - y0) * 0.45), (x1, y1)]
    return path


def _loop(centre: Point, size: tuple[float, float]) -> list[Point]:
    x, y, w, h = *centre, *size
    return [(x + w / 2, y - h / 5), (x + w / 2 + 34, y - h / 2), (x + w / 2 + 34, y + h / 2), (x + w / 2, y + h / 5)]
