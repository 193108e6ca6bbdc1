"""Tutorial 5: a matrix times a vector with codelets of our own.

One vertex a row, rows spread over the tiles, the vectors too; the numbers come and go by streams.

    python models/tutorials/t5_matrix_vector.py [ROWS COLUMNS]
"""

import sys
from pathlib import Path

import numpy as np

import poplar_py as pp
from poplar_py import poputil


def main(argv=()):
    rows, columns = (int(n) for n in argv) if argv else (400, 300)
    target = pp.Target.gc200()
    graph = pp.Graph(target)
    graph.add_codelets(Path(__file__).with_name("dot_codelets.py"))

    matrix = graph.add_variable(pp.FLOAT, (rows, columns), name="matrix")
    x = graph.add_variable(pp.FLOAT, (columns,), name="x")
    y = graph.add_variable(pp.FLOAT, (rows,), name="y")
    tile = np.arange(rows) * target.num_tiles // rows  # whole rows, spread evenly
    graph.set_tile_mapping(matrix, tile)
    graph.set_tile_mapping(y, tile)
    poputil.map_tensor_linearly(graph, x)

    products = graph.add_compute_set("products")
    products.add_vertices("DotProduct", a=matrix, b=x, out=y, tile=tile)

    to_matrix = graph.add_host_to_device_fifo("matrix", pp.FLOAT, rows * columns)
    to_x = graph.add_host_to_device_fifo("x", pp.FLOAT, columns)
    from_y = graph.add_device_to_host_fifo("y", pp.FLOAT, rows)
    program = pp.Sequence([pp.Copy(to_matrix, matrix), pp.Copy(to_x, x), pp.Execute(products), pp.Copy(y, from_y)])
    engine = pp.Engine(pp.compile_graph(graph, program))
    engine.load(pp.Device(target))
    rng = np.random.default_rng(0)
    m, v, result = rng.random((rows, columns), np.float32), rng.random(columns, np.float32), np.zeros(rows, np.float32)
    engine.connect_stream("matrix", m)
    engine.connect_stream("x", v)
    engine.connect_stream("y", result)
    engine.run(0)
    worst = float(np.abs(result - m @ v).max())
    report = engine.profile()
    print(f"{rows} x {columns}: largest difference from numpy {worst:.2g}; {report.cycles:,} cycles")
    return worst, report


if __name__ == "__main__":
    main(sys.argv[1:])
