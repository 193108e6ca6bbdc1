"""poplar-py render: a picture of the graph."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import InvalidOption
from ..render import check_moving, check_names
from .model import add_model, open_executable
from .terminal import emit, progress

SUMMARY = "draw the graph of a model or an executable"
DESCRIPTION = """\
Draw an executable, or a model, which is compiled first.

views:
  computation   every vertex and every edge of the compiled graph, as light (default)
  operations    what the model says: operations and the values between them, repeated blocks once
  compute-sets  compute sets and the variables that pass between them
  program       the control program: supersteps in order, with cycles and bytes
  exchange      bytes from tile to tile, and along the program
  timeline      compute, exchange, sync and idleness of every tile over a run
  tiles         memory, work and traffic as maps of the chip
  memory        what is alive along the program, and how full every tile is
styles of the computation view:
  tissue        layers packed as cells of a body: sizes by vertices, neighbours by traffic (default)
  nebula        layers float free, near those they exchange with
  plate         a table: a column for each layer, a row for each phase
themes:
  dark          light on a dark ground (default)
  light         a dark body on a white page; of other views and styles, ink on paper
  print         ink on white paper throughout

A name that ends in .html gives a page to pan, zoom and search."""
EXAMPLES = (
    "poplar-py render mnist.pop -o graph.png",
    "poplar-py render mnist_small --view operations -o operations.svg",
    "poplar-py render mnist.pop --focus fc1/forward --size 2048 --theme light -o fc1.png",
    "poplar-py render mnist.pop --animate run.webp",
    "poplar-py render resnet50 --style plate --color kind --palette safe --size 8k -o resnet50.png",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser, "what to draw")
    parser.add_argument("-o", "--output", metavar="IMAGE", help="file to write: .png, .svg or .html")
    parser.add_argument(
        "--animate",
        metavar="MOVIE",
        help="a run in time instead of a picture: .webp, .gif, or .mp4 (with imageio-ffmpeg)",
    )
    parser.add_argument(
        "--view", metavar="VIEW", default="computation", help="what to look at, see above (default computation)"
    )
    parser.add_argument(
        "--focus", metavar="PATH", help="only the part below that path (conv4), or a phase of it (conv4/forward)"
    )
    parser.add_argument("--theme", metavar="THEME", help="ground of the picture: dark (default), light or print")
    how = parser.add_argument_group("of the computation view")
    how.add_argument("--size", type=_size, metavar="SIZE", help="4k (default), 8k, a width, or WxH in pixels")
    how.add_argument("--style", metavar="STYLE", help="how cells are arranged, see above (default tissue)")
    how.add_argument("--color", metavar="BY", help="what colours mean: layer (default), kind, phase, tile or cycles")
    how.add_argument(
        "--palette", metavar="NAME", help="vivid (default), or safe: told apart by colour-deficient sight too"
    )
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
    if (args.output is None) == (args.animate is None):
        raise InvalidOption("give the file to write: -o IMAGE for a picture, or --animate MOVIE for a run in time")
    options = {
        name: getattr(args, name)
        for name in ("focus", "size", "theme", "seed", "style", "color", "palette", "detail")
        if getattr(args, name) is not None
    } | ({"bare": True} if args.bare else {})
    if args.animate is not None:
        return _animate(args, options)
    check_names(args.output, args.view, **options)
    with progress(args) as line:
        executable = open_executable(args, line)
        line.begin(f"draw {args.output}")
        facts: dict[str, Any] = executable.render(args.output, view=args.view, **options) or {}
    result = {"view": args.view, "file": args.output, **_plain(facts)}
    emit(args, result, f"{args.view} of {executable.name}: {args.output}")
    return 0


def _animate(args: argparse.Namespace, options: dict[str, Any]) -> int:
    odd = sorted(options.keys() - {"focus", "size", "theme", "seed"}) + (["view"] if args.view != "computation" else [])
    if odd:
        raise InvalidOption(f"--{odd[0]}: not of --animate, which takes --focus, --size, --theme and --seed")
    check_moving(args.animate, options.get("theme", "dark"))
    with progress(args) as line:
        executable = open_executable(args, line)
        line.begin(f"draw {args.animate}")
        facts = executable.animate(args.animate, **options)
    words = f"{facts['supersteps']:,} supersteps of {executable.name} in {facts['frames']} frames: {args.animate}"
    emit(args, {"file": args.animate, **_plain(facts)}, words)
    return 0


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in facts.items() if isinstance(v, (str, int, float, bool, list, dict, type(None)))}
