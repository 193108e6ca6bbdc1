"""poplar-py render: a picture of the graph."""

from __future__ import annotations

import argparse
from typing import Any

from .model import add_model, open_executable
from .terminal import emit, progress

VIEWS = ("computation", "operations", "compute-sets", "program", "exchange", "timeline", "tiles", "memory")
STYLES = ("tissue", "nebula", "plate")
COLOURS = ("layer", "kind", "phase", "tile", "cycles")
SUMMARY = "draw the graph of a model or an executable"
DESCRIPTION = """\
Draw an executable. Views: computation (every vertex and edge), operations (what the model says, by Graphviz),
compute-sets, program (the control program), exchange (traffic between tiles), timeline (compute, exchange and sync of
every tile), tiles and memory. A name that ends in .html gives a page to pan, zoom and search."""
EXAMPLES = (
    "poplar-py render mnist.pop -o graph.png",
    "poplar-py render mnist_small --view operations -o operations.svg",
    "poplar-py render mnist.pop --focus fc1/forward --size 2048 --theme light -o fc1.png",
    "poplar-py render resnet50 --style plate --color kind --palette safe --size 8k -o resnet50.png",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser, "what to draw")
    parser.add_argument("-o", "--output", metavar="IMAGE", required=True, help="file to write: .png, .svg or .html")
    parser.add_argument("--view", choices=VIEWS, default="computation", help="what to look at (default computation)")
    parser.add_argument(
        "--focus", metavar="PATH", help="only the part below that path (conv4), or a phase of it (conv4/forward)"
    )
    parser.add_argument("--theme", choices=("dark", "light", "print"), help="ground of the picture (default dark)")
    how = parser.add_argument_group("of the computation view")
    how.add_argument("--size", type=_size, metavar="SIZE", help="4k (default), 8k, a width, or WxH in pixels")
    how.add_argument(
        "--style", choices=STYLES, help="cells packed in a body (tissue, default), free (nebula), a table (plate)"
    )
    how.add_argument("--color", choices=COLOURS, help="what colours mean (default layer)")
    how.add_argument("--palette", choices=("vivid", "safe"), help="safe: told apart by colour-deficient sight too")
    how.add_argument("--seed", type=int, metavar="N", help="another arrangement of the same graph")
    how.add_argument("--bare", action="store_true", help="no title, labels or legends")
    how.add_argument("--detail", type=int, metavar="W", help="width in pixels of the deepest level of a page")


def _size(text: str) -> int | str | tuple[int, int]:
    if text.lower() in ("4k", "8k"):
        return text.lower()
    width, cross, height = text.lower().partition("x")
    if not width.isdigit() or (cross and not height.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 4k, 2048 or 2560x1440")
    return (int(width), int(height)) if cross else int(width)


def run(args: argparse.Namespace) -> int:
    options = {
        name: getattr(args, name)
        for name in ("focus", "size", "theme", "seed", "style", "color", "palette", "detail")
        if getattr(args, name) is not None
    } | ({"bare": True} if args.bare else {})
    with progress(args) as line:
        executable = open_executable(args, line)
        line.begin(f"draw {args.output}")
        facts: dict[str, Any] = executable.render(args.output, view=args.view, **options) or {}
    result = {"view": args.view, "file": args.output, **_plain(facts)}
    emit(args, result, f"{args.view} of {executable.name}: {args.output}")
    return 0


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in facts.items() if isinstance(v, (str, int, float, bool, list, dict, type(None)))}
