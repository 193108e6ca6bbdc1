"""Ways of edges between cells: along the membranes, not across other cells."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from .bodies import Bodies

POINTS = 96  # of a way
ACROSS = 190  # raster that ways are found on


def find_routes(bodies: Bodies, traffic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(number (n, n), points (m, POINTS, 2) float32): the way from cell i to cell j is points[number[i, j]]."""
    n = len(bodies.centre)
    number = np.full((n, n), -1, np.int32)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j and traffic[i, j] > 0]
    between = _membranes(bodies, {i for i, _ in pairs}) if bodies.kind == "tissue" and n > 1 else None
    ways = []
    for k, (i, j) in enumerate(pairs):
        number[i, j] = k
        if between is not None:
            ways.append(between(i, j))
        elif bodies.kind == "plate":
            ways.append(_swing(bodies.centre[i], bodies.centre[j], bodies.panel))
        else:
            ways.append(_bow(bodies.centre[i], bodies.centre[j]))
    shape = (len(ways), POINTS, 2)
    return number, np.array(ways, np.float32).reshape(shape) if ways else np.zeros((0, POINTS, 2), np.float32)


def signed_depth(bodies: Bodies, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(cell, distance along the ray to its outline, negative inside) of points."""
    shape = np.shape(x)
    x, y = np.ravel(x), np.ravel(y)
    label = np.zeros(len(x), np.int64)
    best = np.full(len(x), np.inf)
    for i, (cx, cy) in enumerate(bodies.centre):
        if bodies.kind == "plate":
            d = np.maximum(np.abs(x - cx) / bodies.panel[0], np.abs(y - cy) / bodies.panel[1])
        else:
            d = (x - cx) ** 2 + (y - cy) ** 2 - bodies.weight[i]
        label = np.where(d < best, i, label)
        best = np.minimum(best, d)
    dx, dy = x - bodies.centre[label, 0], y - bodies.centre[label, 1]
    depth = np.hypot(dx, dy) - bodies.radius(label, np.arctan2(dy, dx) % (2 * np.pi))
    return label.reshape(shape), depth.reshape(shape)


def _membranes(bodies: Bodies, sources: set[int]):
    side = (np.arange(ACROSS) + 0.5) / ACROSS * 2.06 - 1.03
    x, y = np.meshgrid(side, side)
    _, depth = signed_depth(bodies, x, y)
    price = np.where(depth < 0, 6.0 + 20 * np.clip(-depth / 0.05, 0, 1), 1.0)
    price[x * x + y * y > 1.0] = 9.0
    at = np.arange(ACROSS * ACROSS).reshape(ACROSS, ACROSS)
    rows, columns, lengths = [], [], []
    for here, there, far in (
        (at[:, :-1], at[:, 1:], 1.0),
        (at[:-1], at[1:], 1.0),
        (at[:-1, :-1], at[1:, 1:], 2**0.5),
        (at[:-1, 1:], at[1:, :-1], 2**0.5),
    ):
        rows.append(here.ravel())
        columns.append(there.ravel())
        lengths.append(far * 0.5 * (price.ravel()[here.ravel()] + price.ravel()[there.ravel()]))
    shape = (ACROSS * ACROSS,) * 2
    net = coo_matrix((np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns))), shape=shape).tocsr()
    step = 2.06 / ACROSS
    column, row = (np.clip(((bodies.centre[:, k] + 1.03) / step).astype(int), 0, ACROSS - 1) for k in (0, 1))
    spot = row * ACROSS + column
    wanted = sorted(sources)
    _, before = dijkstra(net, directed=False, indices=spot[wanted], return_predecessors=True)
    line = {i: k for k, i in enumerate(wanted)}

    def way(i: int, j: int) -> np.ndarray:
        at, path = int(spot[j]), []
        while at != spot[i] and at >= 0:
            path.append(at)
            at = int(before[line[i], at])
        path.append(int(spot[i]))
        found = np.array(path[::-1])
        points = np.stack([x.ravel()[found], y.ravel()[found]], 1)
        points[0], points[-1] = bodies.centre[i], bodies.centre[j]
        return _even(_smooth(points, 30))

    return way


def _smooth(points: np.ndarray, turns: int) -> np.ndarray:
    for _ in range(turns):
        if len(points) > 2:
            points[1:-1] = 0.5 * points[1:-1] + 0.25 * (points[:-2] + points[2:])
    return points


def _even(points: np.ndarray) -> np.ndarray:
    """POINTS points evenly along a polyline."""
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.linspace(0, along[-1], POINTS)
    return np.stack([np.interp(at, along, points[:, k]) for k in (0, 1)], 1)


def _cubic(p0, p1, p2, p3) -> np.ndarray:
    t = np.linspace(0, 1, POINTS)[:, None]
    return (1 - t) ** 3 * p0 + 3 * (1 - t) ** 2 * t * p1 + 3 * (1 - t) * t * t * p2 + t**3 * p3


def _bow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    d = b - a
    side = np.array([-d[1], d[0]]) * 0.16
    return _cubic(a, a + d * 0.33 + side, a + d * 0.67 + side, b)


def _swing(a: np.ndarray, b: np.ndarray, panel: tuple[float, float]) -> np.ndarray:
    d = b - a
    if abs(d[0]) > abs(d[1]) * 0.5:
        lift = np.array([0.0, 0.0 if abs(d[1]) > panel[1] or abs(d[0]) < panel[0] * 2.6 else panel[1] * 1.02])
        return _cubic(a, a + [d[0] * 0.5, 0] - lift, b - [d[0] * 0.5, 0] - lift, b)
    side = np.array([panel[0] * 0.9, 0.0]) if abs(d[1]) > panel[1] * 2.6 else np.zeros(2)
    return _cubic(a, a + side + [d[0] * 0.2, d[1] * 0.5], b + side - [d[0] * 0.2, d[1] * 0.5], b)
