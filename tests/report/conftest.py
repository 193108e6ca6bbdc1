"""An executable made by hand: three supersteps on four tiles, with figures one can add up in one's head."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from poplar_py.memory.account import Alive
from poplar_py.report import Report
from poplar_py.target import Target


def step(index: int, kind: str, name: str, compute: list[int], arriving: list[int], sync: int, host: int = 0) -> Any:
    compute_cycles, exchange_cycles = np.array(compute, np.int64), np.array(arriving, np.int64)
    total = int((compute_cycles + exchange_cycles).max()) + sync + host
    return SimpleNamespace(
        index=index, kind=kind, name=name, compute_set=index if kind == "execute" else -1,
        compute_cycles=compute_cycles, exchange_cycles=exchange_cycles, exchange_out_cycles=np.zeros(4, np.int64),
        bytes_received=exchange_cycles * 4, bytes_sent=exchange_cycles * 4, sync_cycles=sync, host_cycles=host,
        cycles=total, num_exchange_regions=int((exchange_cycles > 0).sum()), multicast_bytes_saved=0,
    )  # fmt: skip


def memory(tile_bytes: list[int], capacity: int) -> Any:
    tiles = np.array(tile_bytes, np.int64)
    return SimpleNamespace(
        tile_bytes=tiles, max_tile_bytes=int(tiles.max()), capacity_bytes=capacity,
        always_live_bytes=int(tiles.sum()) // 2,
        by_category={"variables": tiles - 10, "constants": np.zeros(4, np.int64), "gaps": np.full(4, 10, np.int64)},
        live_bytes=np.array([100, 300, 200], np.int64),
        largest=lambda tile, k=5: [("fc1/weights", 64, 0, 2), ("fc1/partials", 32, 1, 1)][:k],
        always_by_category={"variables": tiles // 2, "constants": np.zeros(4, np.int64), "gaps": np.zeros(4, np.int64)},
        always_live_tile_bytes=tiles // 2, peak_step=np.array([1, 1, 1, 1]),
        alive_at=lambda step, tile=None: [
            Alive("fc1/weights", 64, "variables", True, ((0, 2),)), Alive("fc1/partials", 32, "variables", False, ((1, 1),)),
        ],
        names=["fc1/weights", "fc1/partials", "x"], always=np.array([True, False, False]),
        thing_entity=np.array([0, 1]), thing_bytes=np.array([64, 32]), live_first=np.array([0, 1, 2, 2]),
        live_runs=np.array([[0, 2], [1, 1]]),
    )  # fmt: skip


@pytest.fixture
def executable() -> Any:
    block = SimpleNamespace(
        codelet="Dot", n=4, fields={"a": SimpleNamespace(num_edges=4), "out": SimpleNamespace(num_edges=4)}
    )
    graph = SimpleNamespace(variables=[0, 0, 0], compute_sets=[SimpleNamespace(name="fc1/dots", blocks=[block])])
    return SimpleNamespace(
        name="three", target=Target.tiny(), graph=graph, num_vertices=4, num_edges=8, info={},
        memory=memory([100, 120, 90, 60], 1000),
        steps=[
            step(0, "stream_in", "data", [0] * 4, [0] * 4, 10, 50),
            step(1, "execute", "fc1/dots", [30, 30, 30, 15], [5, 5, 5, 0], 10),
            step(2, "copy", "fc1/move", [0] * 4, [7, 0, 0, 7], 10),
        ],
        schedule=SimpleNamespace(
            steps=[], functions=[["seq", [["step", 1], ["step", 2]]]],
            programs=[["seq", [["step", 0], ["repeat", 3, ["call", 0]]]]],
        ),
    )  # fmt: skip


@pytest.fixture
def report(executable: Any) -> Report:
    return Report(executable, [1, 3, 3], [0, 1, 2, 1, 2, 1, 2], 0.25)
