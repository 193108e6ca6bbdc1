"""MODEL on the command line, and how it becomes an executable."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import ModelError
from .terminal import Progress

_MAGIC = b"poplar_py executable"


def add_model(parser: argparse.ArgumentParser, what: str = "what to compile") -> None:
    """The MODEL argument and the options that say how it is compiled."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=f"{what}: an executable (.pop), a YAML description, the name of a model that ships with poplar_py"
        " (mnist_small), an .onnx file, or package.module:function returning a PyTorch module",
    )
    group = parser.add_argument_group("how it is compiled (not for a .pop file, which is compiled)")
    group.add_argument("--target", metavar="NAME", help="gc200 (default), gc2, bow, c600 or tiny")
    group.add_argument("--tiles", type=_positive, metavar="N", help="so many tiles on each IPU instead of the target's")
    group.add_argument("--ipus", type=_positive, metavar="N", help="number of IPUs (default 1)")
    group.add_argument("--batch", type=_positive, metavar="N", help="samples in a batch (default: as the model says)")
    group.add_argument("--training", action="store_true", help="with gradients and weight updates")
    group.add_argument("--dtype", choices=("float", "half"), help="element type of values (default: as the model says)")
    group.add_argument(
        "--recompute",
        metavar="SETTING",
        help="repeat parts of the forward phase in the backward phase to save memory: none, standard, sqrt, optimal or"
        " budget:BYTES; auto (default): none where the model fits, else what repeats least",
    )
    group.add_argument(
        "--grain",
        choices=("row", "worker", "tile"),
        help="how finely work is cut into vertices: one a row, a worker's share (default) or a tile",
    )
    group.add_argument(
        "--no-outline",
        dest="outline",
        default=None,
        action="store_false",
        help="lower repeated blocks each time, instead of calling one",
    )
    group.add_argument(
        "--off-chip",
        metavar="KINDS",
        help="keep in streaming memory what the chip does not need all the time: optimiser, activations, weights, or"
        " several with commas between",
    )
    group.add_argument(
        "--no-in-place",
        dest="in_place",
        default=None,
        action="store_false",
        help="give every result memory of its own",
    )
    group.add_argument(
        "--available-memory-proportion",
        type=float,
        metavar="P",
        help="share of a tile's memory that a product may take for the time it runs (default 0.6)",
    )
    group.add_argument("--optimise", choices=("speed", "memory"), help="memory: put ops in an order of least peak")
    group.add_argument(
        "--allow-out-of-memory", action="store_true", help="compile even if a tile overflows, to see by how much"
    )
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the description: --set depth=18"
    )
    group.add_argument(
        "--fold-norms", action="store_true", help="for inference: batch norms become part of the weights before them"
    )
    codelets = parser.add_argument_group("codelets of your own")
    codelets.add_argument(
        "--codelets", action="append", default=[], metavar="FILE", help="file of the codelets that a .pop file uses"
    )
    codelets.add_argument("--trust", action="store_true", help="run the codelets that a .pop file carries")


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return number


def is_executable(model: str) -> bool:
    """Whether MODEL is a compiled executable, by its name or by its first bytes."""
    if model.lower().endswith(".pop"):
        return True
    try:
        with open(model, "rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def open_executable(args: argparse.Namespace, progress: Progress, **settings: Any) -> Any:
    """The executable that MODEL is or compiles to. `settings` replace what the arguments say."""
    if is_executable(args.model):
        from ..session import Executable

        given = [f"--{name.replace('_', '-')}" for name in _COMPILE_ARGUMENTS if getattr(args, name)]
        given += [f"--no-{name.replace('_', '-')}" for name in _SWITCHES if getattr(args, name) is False]
        if given:
            raise ModelError(f"{args.model} is compiled already; {', '.join(given)} cannot change it any more")
        progress.begin(f"load {args.model}")
        return Executable.load(args.model, trust=args.trust, codelets=args.codelets)
    return compile_model(args, progress, **settings)


_COMPILE_ARGUMENTS = (
    "target",
    "tiles",
    "ipus",
    "batch",
    "training",
    "dtype",
    "recompute",
    "optimise",
    "grain",
    "off_chip",
    "available_memory_proportion",
    "allow_out_of_memory",
    "set",
    "fold_norms",
)
_SWITCHES = ("outline", "in_place")  # on unless told


def make_target(args: argparse.Namespace) -> Any:
    """The machine that --target, --tiles and --ipus name."""
    from ..target import Target

    figures: dict[str, int] = {}
    if args.tiles:
        figures["num_tiles"] = args.tiles
    if args.ipus:
        figures["num_ipus"] = args.ipus
    return Target.named(args.target or "gc200", **figures)


def _settings(given: list[str]) -> dict[str, str]:
    """What `--set NAME=VALUE` says."""
    settings = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not name or not mark:
            raise ModelError(f"--set takes NAME=VALUE, as in --set depth=18; found '{text}'")
        settings[name] = value
    return settings


def compile_model(args: argparse.Namespace, progress: Progress, **settings: Any) -> Any:
    """Compile MODEL as the arguments say; with `stop_after`, what that stage makes."""
    from .. import pipeline

    target = make_target(args)

    stages = pipeline.MODEL_STAGES
    options: dict[str, Any] = {"training": args.training}
    for name in ("batch", "dtype"):
        if getattr(args, name):
            options[name] = getattr(args, name)
    named = (
        "recompute",
        "optimise",
        "grain",
        "off_chip",
        "allow_out_of_memory",
        "fold_norms",
        "available_memory_proportion",
    )
    flags = {name: getattr(args, name, None) for name in named}
    flags = {name: value for name, value in flags.items() if value}
    flags |= {name: False for name in _SWITCHES if getattr(args, name, None) is False}
    if getattr(args, "check", False):
        flags["check_memory"] = True
    if flags:
        options["options"] = flags
    if args.set:
        options["settings"] = _settings(args.set)
    options |= settings
    progress.begin("compile: reading the description", len(stages))

    def note(stage: str, _: float) -> None:
        if stage not in stages:
            return progress.update(len(stages), stage)
        done = stages.index(stage) + 1
        progress.update(done, "compile: " + (stages[done] if done < len(stages) else "done"))

    return pipeline.compile(args.model, target, progress=note, **options)
