"""How many vertices and edges the cutting rule `--grain row` makes of the networks whose pictures were published.

    python tools/counts.py            # finds the batch at which AlexNet's training graph has the published size (minutes)
    python tools/counts.py --quick    # counts it at the batch that was found, 496

The pictures: AlexNet training, 18.7 million vertices and 115.8 million edges; ResNet-50 inference, 3.22 and 6.21 million.
Their batch is not published. Counts grow with the batch, by jumps where another plan is better for a layer: two small
graphs tell about where to look, and the multiples of 16 around are counted, each in a process of its own. The last line
is the nearest of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

PUBLISHED = {
    "alexnet": {"vertices": 18.7e6, "edges": 115.8e6},
    "resnet50": {"vertices": 3.22e6, "edges": 6.21e6},
}
ALEXNET: dict[str, Any] = {"batch": 496}  # vertices + 8.3 %, edges + 5.0 % of the published
STEP = 16
AROUND = 3  # steps to each side of where it is looked: neighbours may be further apart than the next but one


def count(model: str, batch: int, training: bool) -> tuple[int, int]:
    """Vertices and edges of a model for one gc200 at row grain, compiled as far as the graph.

    In a process of its own, whose memory ends with it: AlexNet's graph at the published size takes gigabytes.
    """
    with ProcessPoolExecutor(1) as alone:
        return alone.submit(_count, model, batch, training).result()


def _count(model: str, batch: int, training: bool) -> tuple[int, int]:
    import poplar_py as pp

    options = {"grain": "row"}
    lowered = pp.compile(model, pp.Target.gc200(), batch=batch, training=training, options=options, stop_after="lower")
    return lowered.graph.num_vertices, lowered.graph.num_edges


def apart(vertices: int, edges: int) -> float:
    """How far AlexNet's counts are from the published, the worse of both: 0.1 is a tenth."""
    published = PUBLISHED["alexnet"]
    return max(abs(vertices / published["vertices"] - 1), abs(edges / published["edges"] - 1))


def alexnet_batch(low: int = 110, high: int = 220) -> Iterator[tuple[int, int, int]]:
    """Batches tried and their counts, the last the best: (batch, vertices, edges)."""
    (v0, _), (v1, _) = count("alexnet", low, True), count("alexnet", high, True)
    guess = low + (PUBLISHED["alexnet"]["vertices"] - v0) * (high - low) / (v1 - v0)
    middle = round(guess / STEP) * STEP
    best: tuple[int, int, int] | None = None
    for batch in range(middle - AROUND * STEP, middle + AROUND * STEP + 1, STEP):
        found = (batch, *count("alexnet", batch, True))
        yield found
        if best is None or apart(*found[1:]) < apart(*best[1:]):
            best = found
    assert best is not None
    yield best


def line(what: str, vertices: int, edges: int, model: str) -> str:
    """One row: found, published, and how far apart."""
    published = PUBLISHED[model]
    away = [found / published[k] - 1 for found, k in ((vertices, "vertices"), (edges, "edges"))]
    return (
        f"{what:44s} {vertices:14,.0f} {edges:15,.0f}   published {published['vertices']:,.0f} {published['edges']:,.0f}"
        f"   {away[0]:+.1%} {away[1]:+.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="do not search, count at the batch found before")
    given = parser.parse_args()
    print(line("ResNet-50 inference, batch 1", *count("resnet50", 1, False), "resnet50"), flush=True)
    batch = ALEXNET["batch"]
    tried = iter([(batch, *count("alexnet", batch, True))]) if given.quick else alexnet_batch()
    for batch, vertices, edges in tried:
        print(line(f"AlexNet training, batch {batch}", vertices, edges, "alexnet"), flush=True)


if __name__ == "__main__":
    main()
