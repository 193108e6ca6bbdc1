"""Tutorial 1: variables.

A graph holds *variables*; every element of a variable lives on a *tile*. A *program* says what happens: here only
copies and prints. The host reaches variables by *handles* outside of runs and by *streams* inside them.

    python models/tutorials/t1_variables.py
"""

import sys

import numpy as np

import poplar_py as pp


def main(argv=()):
    # A target is the facts about a machine; this one is a Mk2 with four tiles.
    target = pp.Target.tiny(num_tiles=4)
    graph = pp.Graph(target)

    # Storage: a type, a shape, a name. Nothing has a tile yet.
    v1 = graph.add_variable(pp.FLOAT, (4,), name="v1")
    v2 = graph.add_variable(pp.FLOAT, (4,), name="v2")
    v3 = graph.add_variable(pp.FLOAT, (4, 4), name="v3")
    v4 = graph.add_variable(pp.INT, (10,), name="v4")

    # The tile mapping: a whole tensor, a slice, one element, or many by an array.
    for i in range(4):
        graph.set_tile_mapping(v1[i], i)
    graph.set_tile_mapping(v2, 3)
    graph.set_tile_mapping(v3, np.arange(4))  # row i on tile i
    graph.set_tile_mapping(v4, 1)

    # Contents known before anything runs: a constant, copied into v1.
    c1 = graph.add_constant(pp.FLOAT, (4,), [1.0, 1.5, 2.0, 2.5], name="c1")
    graph.set_tile_mapping(c1, 0)

    # Host access by handles, and a stream of whole numbers in.
    graph.create_host_write("v3-write", v3)
    graph.create_host_read("v3-read", v3)
    stream = graph.add_host_to_device_fifo("numbers", pp.INT, 10)

    program = pp.Sequence()
    program.add(pp.Copy(c1, v1))
    program.add(pp.PrintTensor("v1", v1))
    program.add(pp.Copy(v1, v2))
    program.add(pp.PrintTensor("v2", v2))
    # Views on both sides: the second column takes the third row.
    program.add(pp.Copy(v1, v3[:, 1]))
    program.add(pp.Copy(v3[2, 0:2], v3[0, 2:4]))
    for _ in range(2):  # each copy takes the next ten numbers of the stream
        program.add(pp.Copy(stream, v4))
        program.add(pp.PrintTensor("v4", v4))

    engine = pp.Engine(pp.compile_graph(graph, program))
    engine.set_print_stream(sys.stdout)
    engine.load(pp.Device(target))

    engine.write_tensor("v3-write", np.zeros((4, 4), np.float32))
    engine.connect_stream("numbers", np.arange(30, dtype=np.int32))  # starts over after thirty
    print("first run")
    engine.run(0)
    print("second run: the stream goes on where it was, and around its end")
    engine.run(0)
    result = engine.read_tensor("v3-read")
    print("v3 at the host:", result, sep="\n")
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
