"""poplar-py render: a picture of the graph."""

from __future__ import annotations

import argparse
from typing import Any

from .model import add_model, open_executable
from .terminal import emit, progress

VIEWS = ("computation", "operations", "program", "tiles", "timeline")
SUMMARY = "draw the graph of a model or an executable"
DESCRIPTION = """\
Draw an executable. Views: computation (vertices and edges), operations (what the model says, by Graphviz), program
(the control program), tiles (memory by tile), timeline (compute, exchange and sync of every tile)."""
EXAMPLES = (
    "poplar-py render mnist.pop -o graph.png",
    "poplar-py render mnist_small --view operations -o operations.svg",
    "poplar-py render mnist.pop --focus fc1 --size 2048 --theme light -o fc1.png",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser, "what to draw")
    parser.add_argument("-o", "--output", metavar="IMAGE", required=True, help="file to write: .png, .svg or .html")
    parser.add_argument("--view", choices=VIEWS, default="computation", help="what to look at (default computation)")
    parser.add_argument("--focus", metavar="PATH", help="only the part of the graph below that path")
    parser.add_argument(
        "--size", type=_size, metavar="W[xH]", help="pixels, of the computation view (default 2560x1440)"
    )
    parser.add_argument("--theme", choices=("dark", "light", "print"), help="ground of the picture (default dark)")
    parser.add_argument("--seed", type=int, metavar="N", help="another arrangement of the same graph")


def _size(text: str) -> int | tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not width.isdigit() or (cross and not height.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 2048 or 2560x1440")
    return (int(width), int(height)) if cross else int(width)


def run(args: argparse.Namespace) -> int:
    options = {
        name: getattr(args, name) for name in ("focus", "size", "theme", "seed") if getattr(args, name) is not None
    }
    with progress(args) as line:
        executable = open_executable(args, line)
        line.begin(f"draw {args.output}")
        facts: dict[str, Any] = executable.render(args.output, view=args.view, **options) or {}
    result = {"view": args.view, "file": args.output, **_plain(facts)}
    emit(args, result, f"{args.view} of {executable.name}: {args.output}")
    return 0


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in facts.items() if isinstance(v, (str, int, float, bool, list, dict, type(None)))}
