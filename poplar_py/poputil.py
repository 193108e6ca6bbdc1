"""Tile mapping of tensors made by hand, by the names of PopLibs' poputil."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .errors import ShapeError
from .graph import Graph, Tensor
from .lower.expression import common_shape
from .lower.mapping import LINEAR_GRAIN, linear_bounds, map_linearly


def map_tensor_linearly(
    graph: Graph, tensor: Tensor, min_elements_per_tile: int = 1, grain_size: int = LINEAR_GRAIN
) -> None:
    """Spread the elements, in row-major order, evenly over the tiles, in whole grains."""
    if tensor.size:
        map_linearly(graph, tensor, min_elements=min_elements_per_tile, grain=grain_size)


def calc_linear_tile_mapping(
    graph: Graph, shape: Sequence[int] | Tensor, min_elements_per_tile: int = 1, grain_size: int = LINEAR_GRAIN
) -> list[list[tuple[int, int]]]:
    """That spread in Poplar's form: for every tile its (begin, end) intervals."""
    size = 1
    for n in shape.shape if isinstance(shape, Tensor) else shape:
        size *= int(n)
    bounds = linear_bounds(size, graph.target.num_tiles, grain_size, min_elements_per_tile).tolist()
    intervals = [[(b, e)] for b, e in pairwise(bounds) if e > b]
    return intervals + [[] for _ in range(graph.target.num_tiles - len(intervals))]


def broadcast_to_match(a: Tensor, b: Tensor | Sequence[int]) -> tuple[Tensor, Tensor] | Tensor:
    """Two tensors broadcast to their common shape; or one tensor broadcast to a shape."""
    if isinstance(b, Tensor):
        shape = common_shape([a, b], "broadcast_to_match")
        return a.broadcast_to(shape), b.broadcast_to(shape)
    return a.broadcast_to(tuple(b))


def duplicate(graph: Graph, source: Tensor, program: object, name: str = "") -> Tensor:
    """A copy of a tensor in a variable of its own, mapped as it is."""
    from .lower import Lowering
    from .program import Sequence as Program

    if not isinstance(program, Program):
        raise ShapeError("duplicate takes the Sequence to add the copy to")
    return Lowering(graph, program).duplicate(source, name or "duplicate")
