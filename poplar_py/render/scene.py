"""What the computation view draws: vertices and edges of an executable as columns, grouped by layer and phase.

An edge joins a vertex to the fragments of the variable it reads or writes; fragments (a variable's elements on a tile)
have places of their own, so what one compute set writes and another reads meets there. Vertices of a compute set on
neighbouring tiles, and fragments likewise, form chunks: the units of layout. Nothing is left out: every vertex and
every edge is in the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .palette import kind_of, phase_of

MOST_CHUNKS = 1400  # of a group; above it neighbouring tiles share a chunk


@dataclass
class Scene:
    """Groups (cells), chunks within groups, and the vertices and edges of each compute set.

    Columns: chunk_group, chunk_size (vertices; 0 for fragments); vertex_chunk and vertex_kind per vertex;
    edge_vertex, edge_chunk per edge. `group_names`, `group_phase`, `group_vertices`, `group_edges` per group.
    """

    group_names: list[str]
    group_phase: list[str]
    group_vertices: np.ndarray
    group_edges: np.ndarray
    chunk_group: np.ndarray
    chunk_size: np.ndarray
    chunk_kind: np.ndarray
    vertex_chunk: np.ndarray
    vertex_kind: np.ndarray
    edge_vertex: np.ndarray
    edge_chunk: np.ndarray
    edge_element: np.ndarray


KIND_ORDER = ("multiply", "reduce", "elementwise", "update", "loss", "data", "other")


def group_of(name: str) -> tuple[str, str]:
    """(layer, phase) of a compute set or variable by its path."""
    layer = (
        name.split("/")[0] if "/" in name else name.split("-")[0] if "-update" in name or "-gradient" in name else name
    )
    return layer, phase_of(name)


def build_scene(executable: Any, focus: str | None = None) -> Scene:
    """Collect the columns; with `focus` only compute sets whose path starts with it."""
    graph, layout = executable.graph, executable.layout
    sets = [cs for cs in graph.compute_sets if cs.blocks and (not focus or cs.name.startswith(focus))]
    groups: dict[tuple[str, str], int] = {}
    set_group = [groups.setdefault(_cell(cs.name, focus), len(groups)) for cs in sets]
    home = _homes(graph, sets, set_group)
    entities: list[tuple[int, np.ndarray, int]] = []  # group, tiles, kind
    tiles_of: list[np.ndarray] = []
    for g, cs in zip(set_group, sets, strict=True):
        tiles = np.concatenate([b.tile for b in cs.blocks]).astype(np.int64)
        kinds = [KIND_ORDER.index(kind_of(b.codelet)) for b in cs.blocks]
        entities.append((g, np.unique(tiles), kinds[int(np.argmax([b.n for b in cs.blocks]))]))
        tiles_of.append(tiles)
    variables = sorted(home)
    data = KIND_ORDER.index("data")
    for v in variables:
        entities.append((home[v], layout.fragment_tile[layout.fragment_variable == v], data))
    merged = _merging(entities, len(groups))
    chunk_first, chunk_group, chunk_kind, keys = [], [], [], []
    count = 0
    for g, tiles, kind in entities:
        cells = np.unique(tiles // merged[g])
        chunk_first.append(count)
        chunk_group.append(np.full(len(cells), g))
        chunk_kind.append(np.full(len(cells), kind))
        keys.append(cells)
        count += len(cells)
    vertex_chunk, vertex_kind, edge_vertex, edge_chunk, edge_element = [], [], [], [], []
    group_vertices, group_edges = np.zeros(len(groups), np.int64), np.zeros(len(groups), np.int64)
    place = {v: len(sets) + i for i, v in enumerate(variables)}
    base = 0
    for e, (g, cs) in enumerate(zip(set_group, sets, strict=True)):
        vertex_chunk.append(chunk_first[e] + np.searchsorted(keys[e], tiles_of[e] // merged[g]))
        for block in cs.blocks:
            vertex_kind.append(np.full(block.n, KIND_ORDER.index(kind_of(block.codelet)), np.int8))
            group_vertices[g] += block.n
            for edges in block.fields.values():
                vertex, start, _ = edges.runs()
                owner = graph.variable_index(start)
                tile = layout.tile[np.searchsorted(layout.start, start, side="right") - 1]
                target = np.empty(len(start), np.int64)
                for v in np.flatnonzero(np.bincount(owner)) if len(owner) else ():
                    mine = owner == v
                    entity = place[int(v)]
                    target[mine] = chunk_first[entity] + np.searchsorted(
                        keys[entity], tile[mine] // merged[home[int(v)]]
                    )
                edge_vertex.append(vertex + base)
                edge_chunk.append(target)
                edge_element.append(start)
                group_edges[g] += edges.num_edges
            base += block.n
    none = [np.zeros(0, np.int64)]
    vertex_chunk_all = np.concatenate(vertex_chunk or none)
    return Scene(
        [_title(k) for k in groups],
        [phase for _, phase in groups],
        group_vertices,
        group_edges,
        np.concatenate(chunk_group or none),
        np.bincount(vertex_chunk_all, minlength=count),
        np.concatenate(chunk_kind or none),
        vertex_chunk_all,
        np.concatenate(vertex_kind or none),
        np.concatenate(edge_vertex or none),
        np.concatenate(edge_chunk or none),
        np.concatenate(edge_element or none),
    )


def _cell(name: str, focus: str | None) -> tuple[str, str]:
    if focus:
        return name, phase_of(name)
    return group_of(name)


def _title(key: tuple[str, str]) -> str:
    layer, phase = key
    return layer if "/" in layer or phase == "forward" else f"{layer} {phase}"


def _homes(graph: Any, sets: list, set_group: list[int]) -> dict[int, int]:
    """Group each variable is drawn in: of the compute set that writes it first, else of the first that reads it."""
    written: dict[int, int] = {}
    read: dict[int, int] = {}
    for g, cs in zip(set_group, sets, strict=True):
        for block in cs.blocks:
            for name, edges in block.fields.items():
                _, start, _ = edges.runs()
                table = read if block.info.fields[name].direction in ("in", "inout") else written
                for v in np.flatnonzero(np.bincount(graph.variable_index(start))) if len(start) else ():
                    table.setdefault(int(v), g)
    return {**read, **written}


def _merging(entities: list[tuple[int, np.ndarray, int]], groups: int) -> np.ndarray:
    """How many neighbouring tiles make one chunk in each group."""
    total = np.zeros(groups, np.int64)
    for g, tiles, _ in entities:
        total[g] += len(tiles)
    return np.maximum(1, -(-total // MOST_CHUNKS))
