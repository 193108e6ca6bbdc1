"""Tutorial 2: operations.

`popops` adds whole operations to a graph and a program: it makes the output, cuts the work over tiles and workers, and
adds the vertices. Operands may be views.

    python models/tutorials/t2_operations.py
"""

import sys

import numpy as np

import poplar_py as pp
from poplar_py import popops, poputil


def main(argv=()):
    target = pp.Target.tiny(num_tiles=4)
    graph = pp.Graph(target)
    v1 = graph.add_variable(pp.FLOAT, (2, 2), name="v1")
    v2 = graph.add_variable(pp.FLOAT, (2, 2), name="v2")
    for v in (v1, v2):
        poputil.map_tensor_linearly(graph, v)
    graph.create_host_write("v1", v1)
    graph.create_host_write("v2", v2)

    program = pp.Sequence()
    total = popops.add(graph, v1, v2, program, name="total")
    # A transposed view costs nothing to make; what it costs to read is planned by the compiler.
    again = popops.add(graph, total, v2.transpose(), program, name="again")
    popops.mul_in_place(graph, again, 2.0, program, name="double")
    graph.create_host_read("total", total)
    graph.create_host_read("again", again)

    engine = pp.Engine(pp.compile_graph(graph, program))
    engine.load(pp.Device(target))
    a, b = np.array([[1, 2], [3, 4]], np.float32), np.array([[10, 20], [30, 40]], np.float32)
    engine.write_tensor("v1", a)
    engine.write_tensor("v2", b)
    engine.run(0)
    results = engine.read_tensor("total"), engine.read_tensor("again")
    print("v1 + v2", results[0], "(v1 + v2 + v2 transposed) * 2", results[1], sep="\n")
    return results


if __name__ == "__main__":
    main(sys.argv[1:])
