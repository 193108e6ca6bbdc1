"""How many vertices and edges the cutting rule `--grain row` makes of the networks whose pictures were published.

    python tools/counts.py            # the batch at which AlexNet's training graph has the published size, by two smaller ones
    python tools/counts.py --whole    # and that graph itself (minutes, many gigabytes)

The pictures: AlexNet training, 18.7 million vertices and 115.8 million edges; ResNet-50 inference, 3.22 and 6.21 million.
Their batch is not published. Counts grow by the same amount with every sample, so two small graphs tell the batch.
"""

from __future__ import annotations

import argparse
from typing import Any

PUBLISHED = {
    "alexnet": {"vertices": 18.7e6, "edges": 115.8e6},
    "resnet50": {"vertices": 3.22e6, "edges": 6.21e6},
}
ALEXNET: dict[str, Any] = {"batch": 540}  # vertices + 4 %, edges - 8 % of the published: both within a tenth


def count(model: str, batch: int, training: bool) -> tuple[int, int]:
    """Vertices and edges of a model for one gc200 at row grain, compiled as far as the graph."""
    import poplar_py as pp

    options = {"grain": "row"}
    lowered = pp.compile(model, pp.Target.gc200(), batch=batch, training=training, options=options, stop_after="lower")
    return lowered.graph.num_vertices, lowered.graph.num_edges


def alexnet_batch(low: int = 110, high: int = 220) -> tuple[int, float, float]:
    """The batch whose vertices come nearest the published number, and the vertices and edges it will have."""
    (v0, e0), (v1, e1) = count("alexnet", low, True), count("alexnet", high, True)
    each = (v1 - v0) / (high - low), (e1 - e0) / (high - low)
    batch = round(low + (PUBLISHED["alexnet"]["vertices"] - v0) / each[0])
    return batch, v0 + (batch - low) * each[0], e0 + (batch - low) * each[1]


def line(what: str, vertices: float, edges: float, model: str) -> str:
    """One row: found, published, and how far apart."""
    published = PUBLISHED[model]
    away = [found / published[k] - 1 for found, k in ((vertices, "vertices"), (edges, "edges"))]
    return (
        f"{what:44s} {vertices:14,.0f} {edges:15,.0f}   published {published['vertices']:,.0f} {published['edges']:,.0f}"
        f"   {away[0]:+.1%} {away[1]:+.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", help="also lower AlexNet at the batch found, to count it")
    given = parser.parse_args()
    batch, vertices, edges = alexnet_batch()
    print(line(f"AlexNet training, batch {batch} (by two smaller)", vertices, edges, "alexnet"), flush=True)
    print(line("ResNet-50 inference, batch 1", *count("resnet50", 1, False), "resnet50"), flush=True)
    if given.whole:
        print(line(f"AlexNet training, batch {batch}", *count("alexnet", batch, True), "alexnet"), flush=True)


if __name__ == "__main__":
    main()
