"""Tutorial 3: vertices.

What runs on tiles is written as a *codelet* (sum_codelet.py): fields, what it computes, what it costs. Instances of it,
*vertices*, are put in a *compute set*, connected to tensors and mapped to tiles; `Execute` runs the set.

    python models/tutorials/t3_vertices.py
"""

import sys
from pathlib import Path

import numpy as np

import poplar_py as pp


def main(argv=()):
    target = pp.Target.tiny(num_tiles=4)
    graph = pp.Graph(target)
    graph.add_codelets(Path(__file__).with_name("sum_codelet.py"))

    x = graph.add_variable(pp.FLOAT, (4, 5), name="x")
    y = graph.add_variable(pp.FLOAT, (4, 5), name="y")
    graph.set_tile_mapping(x, np.arange(4))
    graph.set_tile_mapping(y, np.arange(4))

    # One vertex at a time, as in Poplar ...
    sums = graph.add_compute_set("sums")
    for i in range(4):
        vertex = graph.add_vertex(sums, "SumVertex")
        graph.connect(vertex["input"], x[i])
        graph.connect(vertex["out"], y[i])
        graph.set_tile_mapping(vertex, i)
    # ... or all by one call: the leading axis of x and y counts the vertices.
    again = graph.add_compute_set("sums-of-sums")
    again.add_vertices("SumVertex", input=y, out=x, tile=np.arange(4))

    graph.create_host_write("x", x)
    graph.create_host_read("y", y)
    graph.create_host_read("x", x)
    executable = pp.compile_graph(graph, pp.Sequence([pp.Execute(sums), pp.Execute(again)]))
    engine = pp.Engine(executable)
    engine.load(pp.Device(target))
    engine.write_tensor("x", np.arange(20, dtype=np.float32).reshape(4, 5))
    engine.run(0)
    results = engine.read_tensor("y"), engine.read_tensor("x")
    print("sums from the end", results[0], "and again", results[1], sep="\n")
    print(graph.vertices[2])
    report = engine.profile()
    print(f"{report.cycles} tile cycles, {executable.num_vertices} vertices, {executable.num_edges} edges")
    return *results, report


if __name__ == "__main__":
    main(sys.argv[1:])
