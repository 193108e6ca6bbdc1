"""Tutorial 4: profiling.

Three matrix products in a row, and where their time and memory go: as text, as JSON, as a page. Then the same with one
product changed, compared; and a product that is too large, whose profile still exists.

    python models/tutorials/t4_profiling.py [FOLDER]
"""

import sys
from pathlib import Path

import poplar_py as pp
from poplar_py import poplin


def build(middle=300, target=None):
    """(900 x 600) . (600 x middle) . (middle x 200), compiled for one IPU."""
    graph = pp.Graph(target or pp.Target.gc200(), name=f"chain {middle}")
    program = pp.Sequence()
    m1, m2, m3 = (
        graph.add_variable(pp.FLOAT, shape, name=name, mapping="linear")
        for name, shape in (("m1", (900, 600)), ("m2", (600, middle)), ("m3", (middle, 200)))
    )
    m4 = poplin.mat_mul(graph, m1, m2, program, name="m4")
    m5 = poplin.mat_mul(graph, m4, m3, program, name="m5")
    graph.create_host_read("m5", m5)
    for name, m in (("m1", m1), ("m2", m2), ("m3", m3)):
        graph.create_host_write(name, m)
    return graph, program


def run(graph, program):
    engine = pp.Engine(pp.compile_graph(graph, program))
    engine.load(pp.Device(graph.target))
    engine.run(0)
    return engine.profile()


def too_large():
    """A product of 9000 x 7500 that no tile of a small machine can hold its share of."""
    target = pp.Target.gc200(num_tiles=64)
    graph = pp.Graph(target, name="too large")
    program = pp.Sequence()
    a = graph.add_variable(pp.FLOAT, (9000, 7500), name="a", mapping="linear")
    b = graph.add_variable(pp.FLOAT, (7500, 8), name="b", mapping="linear")
    graph.create_host_write("a", a)
    graph.create_host_read("c", poplin.mat_mul(graph, a, b, program, name="c"))
    try:
        pp.compile_graph(graph, program)
    except pp.GraphMemoryAllocationError as error:
        print("it does not fit:", error)
    # With allow_out_of_memory the compiler goes on, so that one sees by how much and where.
    executable = pp.compile_graph(graph, program, {"allow_out_of_memory": True})
    worst = int(executable.memory.tile_bytes.argmax())
    print(f"fullest tile {worst}: {executable.memory.max_tile_bytes:,} of {executable.memory.capacity_bytes:,} bytes")
    for name, size, first, last in executable.memory.largest(worst, 3):
        print(f"  {name}: {size:,} bytes, live {first}..{last}")
    return executable


def main(argv=()):
    folder = Path(argv[0]) if argv else Path(".")
    first, second = run(*build(300)), run(*build(100))
    print(first.summary())
    (folder / "chain.json").write_text(str(first.to_json()))
    first.to_html(folder / "chain.html")
    print(f"\nthe middle 300 wide: {first.cycles:,} cycles; 100 wide: {second.cycles:,} cycles\n")
    return first, second, too_large()


if __name__ == "__main__":
    main(sys.argv[1:])
