"""What the computation view draws, as columns: cells, chunks, and the chunk and rank of every vertex.

    cell (layer and phase) > compute set > chunk (vertices of a compute set on neighbouring tiles) > vertex

Variables that no vertex writes (inputs, constants, weights that are only read) are cut into chunks too, by element
number, and live in the cell that reads them most. The coarse graph, chunks and how many edges run between them, is read
off a sample of the edges; the edges themselves stay in `Flow`, which makes them slice by slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from .flow import Flow, program_order
from .hierarchy import MOST_CELLS, PHASES, Cell, find_cells

SAMPLE = 60_000  # edges of a compute set that the coarse graph is read off
WORK = 1.6e7  # pairs of chunks that forces are computed for, all cells together
TURNS = 4.5e9  # pairs of chunks times turns
MOST_DATA = 120  # chunks of a variable


@dataclass
class Scene:
    """Columns per chunk (`chunk_*`; chunks of variables have set -1), per vertex, per variable, and the coarse graph.

    chunk_size: vertices in it. vertex_rank: place of a vertex in its chunk, in order of index. data_first, data_pieces:
    first chunk of each variable (-1 without) and how many. link_from, link_to, link_weight: the coarse graph in edges.
    traffic: edges between cells, from row to column. exact_edges: edges drawn, read off the executable.
    """

    executable: Any
    cells: list[Cell]
    flow: Flow
    cell_of_set: dict[int, int]
    chunk_cell: np.ndarray
    chunk_set: np.ndarray
    chunk_size: np.ndarray
    vertex_chunk: np.ndarray
    vertex_rank: np.ndarray
    data_first: np.ndarray
    data_pieces: np.ndarray
    link_from: np.ndarray
    link_to: np.ndarray
    link_weight: np.ndarray
    traffic: np.ndarray
    cell_edges: np.ndarray

    @property
    def turns(self) -> int:
        """Turns of the forces: more where there is less to do."""
        work = float((np.bincount(self.chunk_cell).astype(float) ** 2).sum())
        return int(np.clip(TURNS / max(work, 1.0), 150, 420))

    @property
    def num_vertices(self) -> int:
        return self.flow.num_vertices

    @property
    def num_edges(self) -> int:
        return self.flow.num_edges

    def set_range(self, index: int) -> tuple[int, int]:
        """First and last + 1 vertex of a compute set."""
        first = self.flow.base[index]
        return first, first + sum(int(b.n) for b in self.executable.graph.compute_sets[index].blocks)


def chosen_sets(executable: Any, focus: str | None) -> list[Any]:
    """The compute sets that a focus names: by the beginning of their path, or a layer and its phase (`conv4/forward`)."""
    sets = [cs for cs in executable.graph.compute_sets if cs.blocks and any(b.n for b in cs.blocks)]
    if not focus:
        return sets
    focus = focus.rstrip("/")
    named = [cs for cs in sets if cs.name == focus or cs.name.startswith(focus + "/")]
    path, _, phase = focus.rpartition("/")
    if not named and (phase in PHASES or focus in PHASES):
        order = program_order(executable)
        for most in (MOST_CELLS, 4000):
            cells = find_cells(executable, sets, most, order)
            inside = {
                i
                for c in cells
                if c.phase == phase and (not path or (c.path + "/").startswith(path + "/"))
                for i in c.sets
            }
            if inside:
                return [cs for cs in sets if cs.index in inside]
    return named or [cs for cs in sets if cs.name.startswith(focus)]


def build_scene(executable: Any, focus: str | None = None, most: int = MOST_CELLS) -> Scene:
    """Collect the columns of what `focus` names, all without one."""
    sets = chosen_sets(executable, focus)
    order = program_order(executable)
    cells = find_cells(executable, sets, most, order)
    cell_of = {index: i for i, cell in enumerate(cells) for index in cell.sets}
    sets = [executable.graph.compute_sets[i] for cell in cells for i in cell.sets]
    flow = Flow(executable, sets)
    chunk_cell, chunk_set, vertex_chunk, vertex_rank, size = _vertex_chunks(sets, cell_of, len(cells), flow)
    count = _calls(executable)
    for cell in cells:
        of_calls: dict[int, int] = {}
        for i in cell.sets:
            n = sum(int(b.n) for b in executable.graph.compute_sets[i].blocks)
            of_calls[count.get(i, 1)] = of_calls.get(count.get(i, 1), 0) + n
        cell.calls = max(of_calls, key=lambda calls: (of_calls[calls], calls))  # of most of its vertices
    ends = _sample(flow, sets)
    first, pieces, data_cell = _data_chunks(executable.graph, ends, chunk_cell[vertex_chunk[ends[1]]], len(chunk_cell))
    chunk_cell = np.concatenate([chunk_cell, data_cell])
    chunk_set = np.concatenate([chunk_set, np.full(len(data_cell), -1)])
    size = np.concatenate([size, np.zeros(len(data_cell), np.int64)])
    a = _source_chunk(executable.graph, ends, vertex_chunk, first, pieces)
    b, weight = vertex_chunk[ends[1]].astype(np.int64), ends[3]
    keep = a >= 0
    key, inverse = np.unique(a[keep] * len(chunk_cell) + b[keep], return_inverse=True)
    total = np.bincount(inverse, weight[keep], minlength=len(key)) if len(key) else np.zeros(0)
    a, b = key // max(len(chunk_cell), 1), key % max(len(chunk_cell), 1)
    n = len(cells)
    traffic = np.bincount(chunk_cell[a] * n + chunk_cell[b], total, minlength=n * n).reshape(n, n)
    edges = np.zeros(n, np.int64)
    for cs in sets:
        edges[cell_of[cs.index]] += sum(int(block.num_edges) for block in cs.blocks)
    return Scene(executable, cells, flow, cell_of, chunk_cell, chunk_set, size, vertex_chunk, vertex_rank, first, pieces,
                 a, b, total, traffic, edges)  # fmt: skip


def _vertex_chunks(sets: list, cell_of: dict[int, int], cells: int, flow: Flow) -> tuple:
    """Chunks of each compute set: its tiles, neighbours together where a cell has too many for its forces."""
    tiles = [np.unique(np.concatenate([b.tile for b in cs.blocks])) for cs in sets]
    per_cell = np.zeros(cells, np.int64)
    for cs, used in zip(sets, tiles, strict=True):
        per_cell[cell_of[cs.index]] += len(used)
    most = _chunks_a_cell(per_cell)
    merge = np.maximum(1, -(-per_cell // most))
    vertex_chunk = np.empty(flow.num_vertices, np.int32)
    chunk_cell, chunk_set, count = [], [], 0
    for cs, used in zip(sets, tiles, strict=True):
        cell = cell_of[cs.index]
        pieces = -(-len(used) // merge[cell])
        table = np.zeros(int(used[-1]) + 1, np.int32)
        table[used] = count + np.arange(len(used)) * pieces // len(used)
        at = flow.base[cs.index]
        for block in cs.blocks:
            vertex_chunk[at : at + block.n] = table[block.tile]
            at += block.n
        chunk_cell.append(np.full(pieces, cell))
        chunk_set.append(np.full(pieces, cs.index))
        count += pieces
    rank = np.empty(flow.num_vertices, np.int32)
    size = np.zeros(count, np.int64)
    _ranks(vertex_chunk, rank, size)
    none = [np.zeros(0, np.int64)]
    return np.concatenate(chunk_cell or none), np.concatenate(chunk_set or none), vertex_chunk, rank, size


def _chunks_a_cell(wanted: np.ndarray) -> int:
    """The most chunks a cell may have so that the forces of all cells stay within WORK pairs."""
    most = 2600
    while most > 500 and (np.minimum(wanted, most).astype(float) ** 2).sum() > WORK:
        most = int(most * 0.9)
    return most


@njit(cache=True)
def _ranks(chunk, rank, size):
    for i in range(chunk.size):
        rank[i] = size[chunk[i]]
        size[chunk[i]] += 1


def _calls(executable: Any) -> dict[int, int]:
    """How often each compute set is executed where loops count once: more than once inside functions called often."""
    schedule = executable.schedule
    best: dict[int, int] = {}

    def walk(tree: list, times: int, found: dict[int, int]) -> None:
        kind = tree[0]
        if kind == "step":
            cs = schedule.steps[tree[1]].compute_set
            if cs >= 0:
                found[cs] = found.get(cs, 0) + times
        elif kind == "seq":
            for child in tree[1]:
                walk(child, times, found)
        elif kind == "repeat":
            walk(tree[2], times, found)
        elif kind == "while":
            walk(tree[2], times, found)
            walk(tree[4], times, found)
        elif kind == "call":
            walk(schedule.functions[tree[1]], times, found)
        elif kind == "if":
            walk(tree[2], times, found)
            walk(tree[3], times, found)
        elif kind == "switch":
            for _, child in tree[2]:
                walk(child, times, found)
            walk(tree[3], times, found)

    for program in schedule.programs:
        found: dict[int, int] = {}
        walk(program, 1, found)
        for cs, times in found.items():
            best[cs] = max(best.get(cs, 0), times)
    return best


def _sample(flow: Flow, sets: list) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Some reading edges: (vertex at the other end or -1, vertex, place, edges that each stands for)."""
    other, vertex, place, weight = [], [], [], []
    for cs in sets:
        total = sum(int(b.num_edges) for b in cs.blocks)
        every = max(1, -(-total // SAMPLE)) | 1
        for part in flow.edges_of(cs, writes=False, every=every):
            other.append(part.other)
            vertex.append(part.vertex)
            place.append(part.place)
            weight.append(np.full(len(part.vertex), float(every)))
    none = np.zeros(0, np.int64)
    return tuple(np.concatenate(c) if c else none for c in (other, vertex, place, weight))  # type: ignore[return-value]


def _data_chunks(graph: Any, ends: tuple, reader_cell: np.ndarray, first_free: int) -> tuple:
    """Chunks of variables nobody writes: about one a dozen edges that read them, in the cell that reads them most."""
    first = np.full(len(graph.variables), -1, np.int64)
    pieces = np.ones(len(graph.variables), np.int64)
    cells: list[np.ndarray] = []
    alone = np.flatnonzero(ends[0] < 0)
    owner = graph.variable_index(ends[2][alone]) if len(alone) else np.zeros(0, np.int64)
    for v in np.unique(owner):
        mine = owner == v
        cell = int(np.bincount(reader_cell[alone[mine]].astype(np.int64), ends[3][alone[mine]]).argmax())
        distinct = len(np.unique(ends[2][alone[mine]]))
        size = graph.variables[int(v)].size
        pieces[v] = max(1, min(MOST_DATA, distinct // 3, size))
        first[v] = first_free
        first_free += int(pieces[v])
        cells.append(np.full(int(pieces[v]), cell))
    return first, pieces, np.concatenate(cells or [np.zeros(0, np.int64)])


def _source_chunk(
    graph: Any, ends: tuple, vertex_chunk: np.ndarray, first: np.ndarray, pieces: np.ndarray
) -> np.ndarray:
    other, place = ends[0], ends[2]
    chunk = np.where(other >= 0, vertex_chunk[np.maximum(other, 0)] if len(vertex_chunk) else -1, -1).astype(np.int64)
    alone = np.flatnonzero(other < 0)
    if len(alone):
        owner = graph.variable_index(place[alone])
        base = np.array([v.base for v in graph.variables], np.int64)[owner]
        size = np.maximum(np.array([v.size for v in graph.variables], np.int64)[owner], 1)
        at = np.minimum((place[alone] - base) * pieces[owner] // size, pieces[owner] - 1)
        chunk[alone] = np.where(first[owner] >= 0, first[owner] + at, -1)
    return chunk
