"""How busy planned matrix products keep the product units of a gc200: the table of docs/convolution.md.

    python tools/utilisation.py [--float]

A row a size s, a column a skew r: (s r, s) x (s, s / r), so that every column of a row has the same work. Figures are per
cent of the peak of all 1472 tiles, by the estimate of the plan; `--` where nothing fits a tile's memory.
"""

from __future__ import annotations

import argparse
from fractions import Fraction

import poplar_py as pp
from poplar_py import poplin
from poplar_py.codelet.amp import macs_per_cycle

SIZES = (128, 256, 512, 1024, 2048, 4096)
SKEWS = (Fraction(1, 16), Fraction(1, 4), Fraction(1), Fraction(4), Fraction(16))


def utilisation(graph: pp.Graph, m: int, k: int, n: int, kind: str) -> float | None:
    """Part of the peak of all tiles that the plan of a product (m, k) x (k, n) expects; None where none fits."""
    try:
        plan = poplin.mat_mul_plan(graph, (m, k), (k, n), kind)
    except pp.GraphMemoryAllocationError:
        return None
    target = graph.target
    peak = macs_per_cycle(target, pp.dtypes.dtype(kind)) * target.num_tiles
    return m * k * n / (peak * sum(plan.cycles.values()))


def table(kind: str) -> list[str]:
    """The lines of the table, in Markdown."""
    graph = pp.Graph(pp.Target.gc200())
    lines = [f"| {kind}, s | " + " | ".join(f"r = {r}" for r in SKEWS) + " |", "|---" * (len(SKEWS) + 1) + "|"]
    for s in SIZES:
        cells = (utilisation(graph, int(s * r), s, int(s / r), kind) for r in SKEWS)
        lines.append(f"| {s} | " + " | ".join("--" if c is None else f"{100 * c:.1f}" for c in cells) + " |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--float", action="store_true", help="float instead of half")
    print("\n".join(table("float" if parser.parse_args().float else "half")))
