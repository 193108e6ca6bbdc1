"""How much memory well-known networks need: the tables of docs/memory.md, on op graphs, next to published figures.

    python tools/memory_table.py                     print all rows (minutes: the longest LSTM has 60,000 ops)
    python tools/memory_table.py alexnet resnet50    some rows
    python tools/memory_table.py --write             put all rows into docs/memory.md

Everything is bytes of values (float, parameters and optimiser state excluded) in MB of 10^6. What MXNet 1.9.1 plans was
measured with its own executor, which prints MiB; they are converted here. Its column without sharing still works in place
where activations and sums may: `AS_MXNET` counts ours by that rule, so that the two can be compared.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from poplar_py.frontends.models import read_model
from poplar_py.opgraph.graph import OpGraph
from poplar_py.opgraph.liveness import Liveness
from poplar_py.opgraph.order import ordered
from poplar_py.report.opgraph_memory import SETTINGS, recomputed

PAGE = Path(__file__).resolve().parent.parent / "docs" / "memory.md"
MIB = 1.048576  # MB
AS_MXNET = {"relu", "relu_grad", "add", "add_bias", "mul", "sigmoid", "tanh", "dropout"}
LSTM = {"features": 1024, "units": 1024, "layers": 4}


@dataclass(frozen=True)
class Network:
    """A row. mxnet: MiB planned for training and inference, nothing shared and shared; memonger: MiB of its training plan
    with recomputation, on networks that are nearly these (leaky activations)."""

    title: str
    model: str
    batch: int
    settings: dict[str, Any] = field(default_factory=dict)
    mxnet: tuple[int, int, int, int] | None = None
    memonger: int | None = None

    @property
    def command(self) -> str:
        """What prints the figures of one row."""
        settings = "".join(f" --set {k}={v}" for k, v in self.settings.items())
        return f"poplar-py memory {self.model} --batch {self.batch} --training{settings}"

    def graph(self, training: bool) -> OpGraph:
        return read_model(self.model, batch=self.batch, training=training, settings=self.settings)


NETWORKS = {
    "alexnet": Network("AlexNet", "alexnet", 32, {"form": "one_tower"}, (368, 247, 212, 104)),
    "vgg16": Network("VGG-16", "vgg16", 32, {}, (4057, 2427, 2029, 910)),
    "vgg19": Network("VGG-19", "vgg19", 32),
    "resnet50": Network("ResNet-50", "resnet50", 32, {}, (5537, 2901, 2762, 300), 1658),
    "resnet101": Network("ResNet-101", "resnet101", 32, {}, (8037, 4150, 4012, 300), 2050),
    "resnet152": Network("ResNet-152", "resnet152", 32, {}, (11124, 5694, 5556, 300), 2350),
    "densenet121": Network("DenseNet-121", "densenet121", 32, {}, (9244, 4165, 4067, 267)),
    "unet": Network("U-Net", "unet", 32, {}, (11882, 6370, 5573, 1923)),
    "lstm50": Network("LSTM 4 x 1024, 50 steps", "lstm", 64, {"steps": 50, **LSTM}, None, 492),
    "lstm100": Network("LSTM, 100 steps", "lstm", 64, {"steps": 100, **LSTM}, None, 619),
    "lstm200": Network("LSTM, 200 steps", "lstm", 64, {"steps": 200, **LSTM}, None, 781),
    "lstm1000": Network("LSTM, 1000 steps", "lstm", 64, {"steps": 1000, **LSTM}),
    "mlp100": Network("MLP 100 x 1024", "deep_mlp", 64, {"depth": 100, "width": 1024}),
}

TRAINING = (
    "| network, batch | ops | nothing shared | in place | reuse | both | standard | sqrt | optimal"
    " | counted as MXNet: ours / its, shared / its | memonger |"
)
INFERENCE = (
    "| network, batch | ops | nothing shared | in place | reuse | both | counted as MXNet: ours / its, shared / its |"
)


def rule(head: str) -> str:
    """The line below a table's head: numbers stand right."""
    return "|---|" + "---:|" * (head.count("|") - 2)


def mb(size: float) -> str:
    """Bytes as MB of 10^6."""
    return f"{size / 1e6:,.0f}" if size >= 9.95e6 else f"{size / 1e6:.1f}"


def sharing(g: OpGraph) -> list[str]:
    """ops, and bytes with nothing shared, in place only, reuse only, both. Reuse is counted in the order that frees
    memory early, which is the one compiled with `--optimise memory` or any recompute setting."""
    early = ordered(g)
    apart, together = Liveness(early, in_place=False), Liveness(early)
    sizes = (apart.total, together.total, apart.peak, together.peak)
    return [f"{len(g.ops):,}", *map(mb, sizes)]


def as_mxnet(g: OpGraph, published: tuple[int, int] | None) -> str:
    """Ours by its rule next to its own: nothing reused, all shared."""
    if published is None:
        return ""
    alive = Liveness(ordered(g), in_place=AS_MXNET)
    its = [f"{m * MIB:,.0f}" for m in published]
    return f"{mb(alive.total)} / {its[0]}, {mb(alive.peak)} / {its[1]}"


def training_row(name: str) -> str:
    """A network in training."""
    n = NETWORKS[name]
    g = n.graph(training=True)
    cells = sharing(g)
    for setting in SETTINGS:
        r = recomputed(g, setting)
        cells.append(f"{mb(r['bytes'])} (+{r['extra_forward']:.0%})")
    cells.append(as_mxnet(g, n.mxnet and n.mxnet[:2]))
    cells.append(f"{n.memonger * MIB:,.0f}" if n.memonger else "")
    return f"| {n.title}, {n.batch} | " + " | ".join(cells) + " |"


def inference_row(name: str) -> str:
    """A network that only evaluates."""
    n = NETWORKS[name]
    g = n.graph(training=False)
    cells = [*sharing(g), as_mxnet(g, n.mxnet and n.mxnet[2:])]
    return f"| {n.title}, {n.batch} | " + " | ".join(cells) + " |"


TABLES = {"training": (TRAINING, training_row), "inference": (INFERENCE, inference_row)}


def table(kind: str, names: Iterable[str]) -> list[str]:
    """The lines of a table; `kind`: training or inference."""
    head, row = TABLES[kind]
    return [head, rule(head), *(row(name) for name in names)]


def put(text: str, kind: str, lines: Iterable[str]) -> str:
    """A page with a table between its marks."""
    pattern = re.compile(rf"(<!-- table: {kind} -->\n).*?(<!-- end -->)", re.S)
    assert pattern.search(text), f"{PAGE} has no mark for the table of {kind}"
    return pattern.sub(lambda m: m[1] + "".join(line + "\n" for line in lines) + m[2], text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"networks (default: all of {', '.join(NETWORKS)})")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/memory.md")
    given = parser.parse_args()
    names = given.names or list(NETWORKS)
    unknown = [name for name in names if name not in NETWORKS]
    if unknown:
        parser.error(f"no network '{unknown[0]}'; there are {', '.join(NETWORKS)}")
    for kind in TABLES:
        head, row = TABLES[kind]
        lines = [head, rule(head)]
        print("\n".join(lines), flush=True)
        for name in names:
            lines.append(row(name))
            print(lines[-1], flush=True)
        print()
        if given.write:
            PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), kind, lines), encoding="utf-8")


if __name__ == "__main__":
    main()
