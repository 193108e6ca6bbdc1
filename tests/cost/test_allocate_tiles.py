"""Tiles: what lives at once lies apart, same tiles get the same plan, and the plan stays near its lower bound."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from poplar_py.cost.allocate_forward import LEAST, MOST, forward, forward_from
from poplar_py.cost.allocate_order import fit, load_of
from poplar_py.cost.allocate_sections import sections_of
from poplar_py.cost.allocate_state import mix
from poplar_py.cost.allocate_tiles import lifetimes, place_tiles


def make(seed, tiles, entities, steps, most):
    random = np.random.default_rng(seed)
    alive = np.zeros((steps, entities), bool)
    for e in range(entities):
        for _ in range(random.integers(1, 3)):
            begin = random.integers(0, steps)
            alive[begin : begin + 1 + random.integers(0, steps), e] = True
    always = random.random(entities) < 0.2
    first, entity, size = [0], [], []
    for _ in range(tiles):
        here = random.permutation(entities)[: random.integers(0, min(most, entities) + 1)]
        entity += here.tolist()
        size += random.integers(1, 500, len(here)).tolist()
        first.append(len(entity))
    base = random.integers(0, 1000, tiles)
    return np.array(first), np.array(entity, np.int64), np.array(size, np.int64), alive, always, base


def check(first, entity, size, alive, always, base, align, offset, end, floor):
    live = alive | always
    assert (offset % align == 0).all()
    for t in range(len(first) - 1):
        here = range(first[t], first[t + 1])
        assert all(base[t] <= offset[i] and offset[i] + size[i] <= end[t] for i in here)
        assert end[t] == max([base[t], *(offset[i] + size[i] for i in here)])
        fixed = [i for i in here if always[entity[i]]]
        assert floor[t] == max([base[t], *(offset[i] + size[i] for i in fixed)])
        for i in here:
            for j in here:
                if i < j and (live[:, entity[i]] & live[:, entity[j]]).any():
                    assert offset[i] + size[i] <= offset[j] or offset[j] + size[j] <= offset[i]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 4, 8]))
def test_what_lives_at_once_lies_apart(seed, align):
    problem = make(seed, 4, 14, 12, 14)
    check(*problem, align, *place_tiles(*problem, align))


def test_tiles_alike_are_placed_alike_whatever_their_things_are_called():
    _first, entity, size, alive, always, _ = make(5, 1, 30, 20, 30)
    tiles, n = 50, len(entity)
    alive = np.tile(alive, (1, tiles))
    always = np.tile(always, tiles)
    entities = len(always) // tiles
    entity = np.concatenate([entity + t * entities for t in range(tiles)])
    problem = np.arange(tiles + 1) * n, entity, np.tile(size, tiles), alive, always, np.full(tiles, 96)
    offset, end, floor = place_tiles(*problem, 8)
    assert (offset.reshape(tiles, n) == offset[:n]).all() and len(set(end)) == len(set(floor)) == 1


def test_many_tiles_stay_near_the_largest_sum_of_live_bytes():
    """A chain forward and backward: what layers keep, what they need for a moment, weights that stay."""
    layers, tiles = 40, 64
    random = np.random.default_rng(0)
    steps = 2 * layers
    alive = np.zeros((steps, 3 * layers), bool)
    for k in range(layers):
        alive[k : steps - k, k] = True  # kept for the backward pass
        alive[k : k + 2, layers + k] = True
        alive[steps - k - 1 : steps - k + 1, 2 * layers + k] = True
    always = np.zeros(3 * layers, bool)
    size = (np.exp(random.normal(6, 1.2, (tiles, 3 * layers))).astype(np.int64) // 4 + 1) * 4
    problem = np.arange(tiles + 1) * 3 * layers, np.tile(np.arange(3 * layers), tiles), size.ravel(), alive, always
    offset, end, floor = place_tiles(*problem, np.zeros(tiles, np.int64), 8)
    check(*problem, np.zeros(tiles, np.int64), 8, offset, end, floor)
    bound = (alive @ ((size + 7) // 8 * 8).T).max(axis=0)
    assert (end <= 1.01 * bound + 8).all()


def test_lifetimes_are_runs():
    alive = np.array([[1, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], bool)
    first, begins, ends, sections = lifetimes(alive)
    assert first.tolist() == [0, 1, 2, 4]
    assert (begins <= ends).all() and ends.max() < sections
    assert lifetimes(np.zeros((0, 3), bool))[3] == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_changed_orders_place_apart_and_below_what_is_asked(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 30))
    lower = random.integers(0, 40, n)
    upper = lower + random.integers(1, 20, n)
    size = random.integers(1, 60, n)
    first = np.arange(n + 1)
    begins, ends, sections = sections_of(first, lower, upper)
    low = int(load_of(size, first, begins, ends, sections).max())
    starts = np.array([np.argsort(-size, kind="stable"), *(random.permutation(n) for _ in range(3))])
    run = size, first, begins, ends
    offset, peak, order, turns, steps = forward_from(starts, *run, low, 1 << 40, 2500, 1 << 40)
    assert 0 < turns <= 2500 and low <= peak == (offset + size).max()
    meet = (lower[:, None] < upper) & (lower < upper[:, None]) & ~np.eye(n, dtype=bool)
    above = offset[:, None] >= (offset + size)
    assert (~meet | above | above.T).all()
    assert turns == 2500 or peak == low
    again = forward_from(order[None], *run, peak, 1 << 40, 2, 1 << 40)
    assert again[1] <= peak and again[3] == 1  # what it learned is where another may start from
    assert forward_from(starts, *run, low, low, 200, 1 << 40)[1] == -1  # nothing below the bound is tried
    assert steps >= n and forward_from(starts, *run, 0, 1 << 40, 2500, 1)[3] == 1  # steps end it as turns do


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_changed_orders_are_those_of_whole_passes(seed):
    """A turn goes on from what lies already; passes made from the bottom each time end the same."""
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 25))
    runs = random.integers(1, 4, n)
    first = np.concatenate([[0], np.cumsum(runs)])
    cuts = [np.sort(random.permutation(50)[: 2 * k]) for k in runs]
    lower, upper = np.concatenate([c[::2] for c in cuts]), np.concatenate([c[1::2] for c in cuts])
    size = random.integers(1, 60, n)
    begins, ends, sections = sections_of(first, lower, upper)
    goal = int(load_of(size, first, begins, ends, sections).max())
    start = np.argsort(-size, kind="stable")
    found = forward(start, size, first, begins, ends, goal, 1 << 40, 120, 1 << 40, seed)
    one, zero, far, none = np.ones(n, int), np.zeros(n, int), np.full(n, 1 << 60), np.zeros(0, int)
    rank = np.empty(n)
    rank[start] = np.log(np.arange(n) + 1)
    kept, best = None, 1 << 40
    for turn in range(1, 121):
        order = np.argsort(rank, kind="stable")
        rest = 1, np.zeros(n + 1, int), none, first, begins, ends, False, best - 1
        offset, peak = fit(order, size, one, zero, far, *rest)
        if peak >= 0:
            kept, best = (offset, order), peak
            failed = order[np.argmax((offset + size)[order] >= best)]
        else:
            failed = -1 - peak
        if best <= goal:
            break
        share = float(mix(np.uint64(seed + turn)) >> np.uint64(11)) / 2**53
        rank[failed] += np.log(LEAST + (MOST - LEAST) * share)
    assert found[1] == best and found[3] == turn
    assert (found[0] == kept[0]).all() and (found[2] == kept[1]).all()


def test_changed_orders_serve_where_no_rule_of_thumb_does():
    """Many small things between few large ones: a block of time x bytes cut at random, a little of it left empty."""
    random = np.random.default_rng(1)
    blocks = [(0, 60, 0, 4000)]
    while len(blocks) < 120:
        a, b, low, high = blocks.pop(int(random.integers(0, len(blocks))))
        if b - a > 1 and random.random() < 0.5:
            m = int(random.integers(a + 1, b))
            blocks += [(a, m, low, high), (m, b, low, high)]
        elif high - low > 1:
            m = int(random.integers(low + 1, high))
            blocks += [(a, b, low, m), (a, b, m, high)]
        else:
            blocks.append((a, b, low, high))
    lower, upper, low, high = (np.array(c) for c in zip(*blocks, strict=True))
    size = high - low
    first = np.arange(len(size) + 1)
    begins, ends, _sections = sections_of(first, lower, upper)
    starts = np.argsort(-(upper - lower) * size, kind="stable")[None]
    n = len(size)
    one, zero, far, none = np.ones(n, int), np.zeros(n, int), np.full(n, 1 << 60), np.zeros(0, int)
    once = fit(starts[0], size, one, zero, far, 1, np.zeros(n + 1, int), none, first, begins, ends, False, 1 << 60)[1]
    better = forward_from(starts, size, first, begins, ends, 4000, 1 << 40, 4000, 1 << 40)[1]
    assert 4000 <= better < once
