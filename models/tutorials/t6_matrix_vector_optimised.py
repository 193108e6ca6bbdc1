"""Tutorial 6: the matrix and vector again, split by columns as well.

With one vertex a row the whole vector goes to every tile. Cutting the columns into segments sends less of it and makes
the vertices shorter, but leaves partial sums to add up. A small cost model, made of the target's own figures, chooses
how many segments; the simulated run then shows what they cost.

    python models/tutorials/t6_matrix_vector_optimised.py [ROWS COLUMNS]
"""

import math
import sys
from pathlib import Path

import numpy as np

import poplar_py as pp


def estimate(target, rows, columns, segments):
    """(compute, send the vector, send partials, reduce) in tile cycles for a split of the columns."""
    workers, rate = target.num_workers, target.exchange_bytes_per_cycle
    width = math.ceil(columns / segments)
    vertices = math.ceil(rows * segments / target.num_tiles)
    on_a_worker = math.ceil(vertices / workers)
    compute = workers * on_a_worker * (5 + math.ceil(width / 2))
    send = math.ceil(width * 4 / rate)
    reduced = math.ceil(rows / target.num_tiles)
    partials = math.ceil(reduced * segments * 4 / rate) if segments > 1 else 0
    reduce = workers * math.ceil(reduced / workers) * (2 + segments) if segments > 1 else 0
    return compute, send, partials, reduce


def best_split(target, rows, columns):
    """The number of column segments of the least estimated cost."""
    costs = {n: sum(estimate(target, rows, columns, n)) for n in range(1, columns + 1)}
    return min(costs, key=costs.get), costs


def main(argv=()):
    rows, columns = (int(n) for n in argv) if argv else (10_000, 1_000)
    target = pp.Target.gc200()
    segments, costs = best_split(target, rows, columns)
    parts = " + ".join(str(c) for c in estimate(target, rows, columns, segments))
    print(f"{segments} column segments: estimated {parts} = {costs[segments]:,} cycles; worst {max(costs.values()):,}")

    graph = pp.Graph(target)
    graph.add_codelets(Path(__file__).with_name("dot_codelets.py"))
    matrix = graph.add_variable(pp.FLOAT, (rows, columns), name="matrix")
    x = graph.add_variable(pp.FLOAT, (columns,), name="x", mapping="linear")
    y = graph.add_variable(pp.FLOAT, (rows,), name="y")
    partials = graph.add_variable(pp.FLOAT, (rows, segments), name="partials")
    row_tile = np.arange(rows) * target.num_tiles // rows
    graph.set_tile_mapping(y, row_tile)
    bounds = np.arange(segments + 1) * columns // segments
    products, sums = graph.add_compute_set("products"), graph.add_compute_set("sums")
    for s in range(segments):
        # segment s of all rows is one block of vertices, on tiles of its own
        tile = (np.arange(rows) + s * rows) * target.num_tiles // (rows * segments)
        part = slice(int(bounds[s]), int(bounds[s + 1]))
        graph.set_tile_mapping(matrix[:, part], tile)
        graph.set_tile_mapping(partials[:, s], tile)
        products.add_vertices("DotProduct", a=matrix[:, part], b=x[part], out=partials[:, s], tile=tile)
    sums.add_vertices("SumPartials", partials=partials, out=y, tile=row_tile)
    graph.create_host_write("matrix", matrix)
    graph.create_host_write("x", x)
    graph.create_host_read("y", y)

    engine = pp.Engine(pp.compile_graph(graph, pp.Sequence([pp.Execute(products), pp.Execute(sums)])))
    engine.load(pp.Device(target))
    rng = np.random.default_rng(0)
    m, v = rng.random((rows, columns), np.float32), rng.random(columns, np.float32)
    engine.write_tensor("matrix", m)
    engine.write_tensor("x", v)
    engine.run(0)
    worst = float(np.abs(engine.read_tensor("y") / (m @ v) - 1).max())
    report = engine.profile()
    print(f"largest relative difference from numpy {worst:.2g}; simulated {report.cycles:,} cycles")
    return segments, costs[segments], worst, report


if __name__ == "__main__":
    main(sys.argv[1:])
