"""poplar-py memory: how much memory a model needs, by what may be shared and repeated. No target, no compilation."""

from __future__ import annotations

import argparse

from .model import _positive, _settings
from .terminal import emit, progress

SUMMARY = "say how much memory a model needs, before compiling it"
DESCRIPTION = """\
Count the bytes of a model's values on its op graph: with nothing shared, with operations in place, with memory used again,
with both, and with parts of the forward phase repeated in the backward phase. Parameters, optimiser state and
constants are always alive and counted apart. Prints the fullest step and the largest values alive there."""
EXAMPLES = (
    "poplar-py memory mnist_mlp --training",
    "poplar-py memory mnist_mlp --training --batch 4096 --recompute sqrt",
    "poplar-py memory lstm --training --batch 64 --set steps=50 --set units=1024",
    "poplar-py memory my_net.yaml --batch 32 --training --recompute budget:2GB --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a YAML description, or the name of a model that ships")
    parser.add_argument("--batch", type=_positive, metavar="N", help="samples in a batch (default: as the model says)")
    parser.add_argument("--training", action="store_true", help="with gradients and weight updates")
    parser.add_argument(
        "--dtype", choices=("float", "half"), help="element type of values (default: as the model says)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the description: --set depth=18"
    )
    parser.add_argument(
        "--recompute",
        metavar="SETTING",
        help="only this setting, and the peak it leaves: none, standard, sqrt, optimal or budget:BYTES (default: all)",
    )
    parser.add_argument(
        "--optimise", choices=("speed", "memory"), default="speed", help="memory: search for an order of least peak"
    )
    parser.add_argument("--top", type=_positive, default=8, metavar="N", help="largest values to print (default 8)")


def run(args: argparse.Namespace) -> int:
    from ..frontends.models import read_model
    from ..opgraph.order import optimised, ordered
    from ..opgraph.recompute import read_setting, recompute
    from ..report import opgraph_memory

    if args.recompute:
        read_setting(args.recompute)
    with progress(args) as line:
        line.begin("read the model")
        g = read_model(
            args.model, batch=args.batch, training=args.training, dtype=args.dtype, settings=_settings(args.set)
        )
        line.begin("count its memory")
        chosen = recompute(g, args.recompute) if args.recompute else ordered(g)
        chosen = optimised(chosen) if args.optimise == "memory" else chosen
        settings = (args.recompute,) if args.recompute else opgraph_memory.SETTINGS
        data = opgraph_memory.figures(g, chosen, settings, args.top)
    data |= {"batch": g.info.get("batch"), "optimise": args.optimise, "setting": args.recompute or "none"}
    emit(args, data, opgraph_memory.text(data))
    return 0
