"""Random graphs and programs: numpy, the reference engine, and the fast engine with poisoned memory agree.

The numpy side keeps one array over the element space and applies each program to it by element numbers, so it shares
nothing with either engine but the element numbers themselves.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poplar_py as pp
from poplar_py.memory.check import check_memory

from .conftest import Build


class World:
    """A graph being built at random, with what numpy does for each program beside it."""

    def __init__(self, data):
        self.draw = data.draw
        self.tiles = self.draw(st.integers(1, 6))
        self.build = Build(self.tiles)
        self.graph = self.build.graph
        self.variables = []
        for i in range(self.draw(st.integers(2, 4))):
            shape = self.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
            t = self.graph.add_variable(pp.FLOAT, shape, name=f"v{i}")
            tiles = self.draw(st.lists(st.integers(0, self.tiles - 1), min_size=t.size, max_size=t.size))
            if self.draw(st.booleans()):
                tiles = sorted(tiles)
            self.graph.set_tile_mapping(t.flatten(), np.array(tiles))
            self.variables.append(t)
            if i < 2:  # the others are free to share memory by liveness
                self.graph.create_host_write(f"v{i}", t)
                self.graph.create_host_read(f"v{i}", t)
        self.flag = self.build.variable("flag", (), self.draw(st.integers(0, self.tiles - 1)), dtype=pp.BOOL)
        self.functions = []

    def tile(self, n):
        return np.array(self.draw(st.lists(st.integers(0, self.tiles - 1), min_size=n, max_size=n)))

    def view(self, writeable=False):
        """A random view of rank 2, rows x columns."""
        t = self.draw(st.sampled_from(self.variables))
        if t.ndim > 1 and self.draw(st.booleans()):
            t = t.dim_shuffle(self.draw(st.permutations(range(t.ndim))))
        if self.draw(st.booleans()):
            t = t.reverse(self.draw(st.integers(0, t.ndim - 1)))
        if self.draw(st.booleans()):
            axis = self.draw(st.integers(0, t.ndim - 1))
            lo = self.draw(st.integers(0, t.shape[axis] - 1))
            t = t[(slice(None),) * axis + (slice(lo, None, self.draw(st.sampled_from([1, 1, 2]))),)]
        if not writeable and self.draw(st.integers(0, 4)) == 0 and t.size < 60:
            t = t.broadcast(2, 0)
        rows = self.draw(st.sampled_from([r for r in range(1, t.size + 1) if t.size % r == 0]))
        return t.reshape(rows, t.size // rows)

    def like(self, shape, writeable=False):
        """A random view with at least that many elements, cut to `shape`."""
        for _ in range(8):
            t = self.view(writeable).flatten()
            n = shape[0] * shape[1]
            if t.size >= n:
                at = self.draw(st.integers(0, t.size - n))
                return t[at : at + n].reshape(shape)
        return None

    def copy(self):
        destination = self.view(writeable=True)
        source = self.like(destination.shape)
        if source is None:
            return self.nothing()

        def effect(memory):
            memory[destination.index] = memory[source.index].copy()

        return pp.Copy(source, destination), effect

    def add_constant(self):
        a = self.view(writeable=True)
        k = float(self.draw(st.integers(-3, 3)))
        program = self.build.execute("AddConstant", self.tile(a.shape[0]), a=a, k=k)

        def effect(memory):
            memory[a.index] += np.float32(k)

        return program, effect

    def sum(self):
        out = self.view(writeable=True)
        a, b = self.like(out.shape), self.like(out.shape)
        if a is None or b is None:
            return self.nothing()
        written = set(out.index.ravel().tolist())
        if written & (set(a.index.ravel().tolist()) | set(b.index.ravel().tolist())):
            return self.nothing()  # would be a race

        partly = self.draw(st.booleans())
        if partly:
            program = self.build.execute("FirstOnly", self.tile(out.shape[0]), a=a, out=out)
        else:
            program = self.build.execute("Sum", self.tile(out.shape[0]), a=a, b=b, out=out)

        def effect(memory):
            if partly:
                memory[out.index[:, 0]] = memory[a.index[:, 0]]
            else:
                memory[out.index] = memory[a.index] + memory[b.index]

        return program, effect

    def swap(self):
        m = self.view(writeable=True)
        program = self.build.execute("Swap", self.tile(1), m=m.expand(0))

        def effect(memory):
            memory[m.index] = memory[m.index][::-1].copy()

        return program, effect

    def fresh(self):
        """Give the variables the host does not see their values: from here on their lives begin and end."""
        parts = pp.Sequence()
        for t in self.variables[2:]:
            value = self.graph.add_constant(pp.FLOAT, t.shape, starting_values(t), name=f"{t.name}.start")
            self.graph.set_tile_mapping(value, 0)
            parts.add(pp.Copy(value, t))

        def effect(memory):
            for t in self.variables[2:]:
                memory[t.index] = starting_values(t)

        return parts, effect

    def nothing(self):
        return pp.Sequence(), lambda memory: None

    def program(self, depth):
        kinds = ["copy", "add_constant", "sum", "sum", "swap"]
        if depth:
            kinds += ["sequence", "sequence", "repeat", "if", "call"]
        kind = self.draw(st.sampled_from(kinds))
        if kind in ("copy", "add_constant", "sum", "swap"):
            return getattr(self, kind)()
        if kind == "sequence":
            parts = [self.program(depth - 1) for _ in range(self.draw(st.integers(1, 4)))]
            return pp.Sequence([p for p, _ in parts]), lambda m: [e(m) for _, e in parts]
        if kind == "repeat":
            n = self.draw(st.integers(0, 3))
            body, effect = self.program(depth - 1)
            return pp.Repeat(n, body), lambda m: [effect(m) for _ in range(n)]
        if kind == "if":
            (yes, did), (no, didnt) = self.program(depth - 1), self.program(depth - 1)
            return pp.If(self.flag, yes, no), lambda m: did(m) if self.flag_value else didnt(m)
        if self.functions and self.draw(st.booleans()):
            function, effect = self.draw(st.sampled_from(self.functions))
        else:
            body, effect = self.program(depth - 1)
            function = self.graph.add_function(body)
            self.functions.append((function, effect))
        return pp.Call(function), effect


def starting_values(tensor):
    return np.random.default_rng(tensor.size).integers(-4, 4, tensor.shape).astype(np.float32)


def check_one(data):
    world = World(data)
    programs = []
    for _ in range(data.draw(st.integers(1, 2))):
        (first, begin), (rest, go_on) = world.fresh(), world.program(3)
        programs.append((pp.Sequence([first, rest]), lambda m, begin=begin, go_on=go_on: (begin(m), go_on(m))))
    world.flag_value = data.draw(st.booleans())
    executable = pp.compile_graph(world.graph, [p for p, _ in programs])
    check_memory(executable)
    size = sum(v.size for v in world.graph.variables)
    memory = np.zeros(size, np.float32)
    engines = [pp.ReferenceEngine(executable), pp.Engine(executable, threads=1), pp.Engine(executable, check=True)]
    for engine in engines:
        engine.load(world.graph.target)
        engine.write_tensor("flag", np.bool_(world.flag_value))
        for t in world.variables[:2]:
            engine.write_tensor(t.name, starting_values(t))
    for t in world.variables[:2]:
        memory[t.index] = starting_values(t)
    with np.errstate(all="ignore"):
        for i, (_, effect) in enumerate(programs):
            effect(memory)
            for engine in engines:
                engine.run(i)
    for t in world.variables[:2]:
        for engine in engines:
            np.testing.assert_array_equal(engine.read_tensor(t.name), memory[t.index])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_programs(data):
    check_one(data)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_ten_thousand_random_programs(data):
    check_one(data)
