"""poplar-py compile: a model description in, an executable file out."""

from __future__ import annotations

import argparse
from typing import Any

from .model import add_model, compile_model, is_executable
from .terminal import emit, progress

SUMMARY = "compile a model description to an executable"
DESCRIPTION = """\
Lower a model description to vertices and edges on tiles, plan exchange and memory, and write an executable.
Says how large the graph is and whether every tile holds its share; a tile that overflows is an error that names it.
With --stop-after the text of one stage is printed instead, to look at what the compiler does."""
EXAMPLES = (
    "poplar-py compile mnist_small --training -o mnist.pop",
    "poplar-py compile my_net.yaml --target tiny --tiles 16 --batch 8 -o my_net.pop",
    "poplar-py compile mnist_small --stop-after opgraph",
    "poplar-py compile resnet50 --set depth=18 --fold-norms --stop-after opgraph",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--weights", metavar="FILE", help="parameters it starts from: .npz or .safetensors")
    parser.add_argument("-o", "--output", metavar="FILE.pop", help="where to write the executable (default: nowhere)")
    parser.add_argument("--check", action="store_true", help="prove that no two live things share a byte of memory")
    parser.add_argument(
        "--stop-after", metavar="STAGE", help="print the text of that stage and stop: opgraph, lower, ..."
    )


def run(args: argparse.Namespace) -> int:
    from ..errors import ModelError

    if is_executable(args.model):
        raise ModelError(f"{args.model} is compiled already; give a model description")
    with progress(args) as line:
        stop = args.stop_after if args.stop_after != "executable" else None  # nothing comes after it
        result = compile_model(args, line, stop_after=stop, weights=args.weights)
        if stop:
            text = stage_text(result)
            emit(args, {"model": args.model, "stage": stop, "text": text}, text)
            return 0
        if args.output:
            line.begin(f"write {args.output}")
            result.save(args.output)
    facts = describe(result)
    facts["file"] = args.output
    emit(args, facts, people(result, args.output))
    return 0


def stage_text(result: Any) -> str:
    """What a stage made, as text: every structure prints itself."""
    text = getattr(result, "text", None)
    return text() if callable(text) else str(result)


def describe(executable: Any) -> dict[str, Any]:
    """The headline figures of an executable."""
    memory = executable.memory
    return {
        "name": executable.name,
        "target": executable.target.name,
        "num_tiles": executable.target.num_tiles,
        "vertices": int(executable.num_vertices),
        "edges": int(executable.num_edges),
        "supersteps": len(executable.steps),
        "max_tile_bytes": int(memory.max_tile_bytes),
        "bytes_per_tile": int(memory.capacity_bytes),
        "fits": bool(memory.max_tile_bytes <= memory.capacity_bytes),
        "compile_seconds": round(sum(executable.info.get("stage_seconds", {}).values()), 3),
    }


def people(executable: Any, output: str | None) -> str:
    from ..report import words
    from ..report.report import Report

    facts = describe(executable)
    lines = [
        f"{executable.name} for {words.machine(executable.target)}",
        f"  {facts['vertices']:,} vertices, {facts['edges']:,} edges, {facts['supersteps']:,} supersteps",
        f"  {words.memory_verdict(Report.of_program(executable))}",
        f"  compiled in {words.duration(facts['compile_seconds'])}",
    ]
    lines += [f"  written to {output}"] if output else ["  (not written; -o FILE.pop keeps it)"]
    return "\n".join(lines)
