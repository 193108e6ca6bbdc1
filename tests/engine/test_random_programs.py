"""Random graphs and programs: numpy, the reference engine, and the fast engine with poisoned memory agree.

Loops (counted and tested), branches, switches, calls with and without arguments, copies, work in place, rows of streaming
memory. The numpy side keeps one array over the element space and applies each program to it by element numbers, so it
shares nothing with either engine but the element numbers themselves.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poplar_py as pp
from poplar_py import popops
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
        self.case = self.build.variable("case", (), self.draw(st.integers(0, self.tiles - 1)), dtype=pp.INT)
        self.functions = []
        self.row = self.draw(st.integers(1, 4))
        self.rows = np.random.default_rng(self.row).integers(-4, 4, (self.draw(st.integers(1, 4)), self.row))
        self.rows = self.rows.astype(np.float32)
        how = self.draw(st.booleans())
        self.remote = self.graph.add_remote_buffer("remote", pp.FLOAT, *self.rows.shape[::-1], rearrange_on_host=how)

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

    def in_place(self):
        a = self.view(writeable=True)
        b = self.like(a.shape)
        if b is None or set(a.index.ravel().tolist()) & set(b.index.ravel().tolist()):
            b = None
        parts = pp.Sequence()
        popops.add_in_place(self.graph, a, 2.0 if b is None else b, parts)

        def effect(memory):
            memory[a.index] += np.float32(2.0) if b is None else memory[b.index]

        return parts, effect

    def transfer(self):
        """Rows of streaming memory come or go, the first ones or those that offsets name, in any order."""
        count = self.draw(st.integers(1, len(self.rows)))
        t = self.like((count, self.row), writeable=True)
        if t is None:
            return self.nothing()
        named = self.draw(st.booleans())
        rows = self.draw(st.lists(st.integers(0, len(self.rows) - 1), min_size=count, max_size=count))
        rows, offset = np.array(rows) if named else np.arange(count), None
        if named:
            kind = self.draw(st.sampled_from([pp.INT, pp.UNSIGNED_INT]))
            offset = self.graph.add_constant(kind, (count,), rows)
            self.graph.set_tile_mapping(offset, self.draw(st.integers(0, self.tiles - 1)))
        if self.draw(st.booleans()):

            def arrive(memory):
                memory[t.index] = self.rows[rows]

            return pp.Copy(self.remote, t, offset), arrive

        def leave(memory):
            self.rows[rows] = memory[t.index]

        return pp.Copy(t, self.remote, offset), leave

    def loop(self, depth):
        """A loop that ends when what it counts on the device says so."""
        count = self.graph.add_variable(pp.INT, (), mapping=self.draw(st.integers(0, self.tiles - 1)))
        below = self.graph.add_variable(pp.BOOL, (), mapping=self.draw(st.integers(0, self.tiles - 1)))
        turns, downward = self.draw(st.integers(0, 3)), self.draw(st.booleans())
        ends = [self.graph.add_constant(pp.INT, (), n) for n in (0, turns - downward)]
        for end in ends:
            self.graph.set_tile_mapping(end, 0)
        a, b = (ends[1], count) if downward else (count, ends[1])  # until turns - 1 < count, or while count < turns
        test = self.build.execute("Less", 0, a=a, b=b, out=below)
        body, effect = self.program(depth - 1)
        body = pp.Sequence([body, self.build.execute("Increment", 0, x=count)])
        kind = pp.RepeatWhileFalse if downward else pp.RepeatWhileTrue
        return (
            pp.Sequence([pp.Copy(ends[0], count), kind(test, below, body)]),
            lambda m: [effect(m) for _ in range(turns)],
        )

    def call(self, depth):
        """A function of an argument, which is bound by copies before and after."""
        actual = self.view(writeable=True)
        known = [f for f in self.functions if f[2] is not None and f[2].size == actual.size]
        if known and self.draw(st.booleans()):
            function, effect, formal = self.draw(st.sampled_from(known))
        else:
            formal = self.graph.add_variable(pp.FLOAT, (actual.size,))
            self.graph.set_tile_mapping(formal, self.tile(actual.size))
            k = float(self.draw(st.integers(-3, 3)))
            first = self.build.execute("AddConstant", self.tile(1), a=formal.expand(0), k=k)
            rest, then = self.program(depth - 1)

            def effect(memory, formal=formal):
                memory[formal.index] += np.float32(k)
                then(memory)

            function = self.graph.add_function(pp.Sequence([first, rest]))
            self.functions.append((function, effect, formal))

        def bound(memory):
            memory[formal.index] = memory[actual.index].ravel()
            effect(memory)
            memory[actual.index] = memory[formal.index].reshape(actual.shape)

        flat = actual.flatten()
        return pp.Sequence([pp.Copy(flat, formal), pp.Call(function), pp.Copy(formal, flat)]), bound

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
        simple = ["copy", "add_constant", "sum", "sum", "swap", "in_place", "transfer"]
        kinds = [*simple, *["sequence", "sequence", "repeat", "loop", "if", "switch", "call", "bound"] * (depth > 0)]
        kind = self.draw(st.sampled_from(kinds))
        if kind in simple:
            return getattr(self, kind)()
        if kind == "loop":
            return self.loop(depth)
        if kind == "bound":
            return self.call(depth)
        if kind == "switch":
            cases = [(n, *self.program(depth - 1)) for n in range(self.draw(st.integers(0, 2)))]
            other, otherwise = self.program(depth - 1)
            effects = {n: effect for n, _, effect in cases}
            return (
                pp.Switch(self.case, [(n, p) for n, p, _ in cases], other),
                lambda m: effects.get(self.case_value, otherwise)(m),
            )
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
        known = [f for f in self.functions if f[2] is None]
        if known and self.draw(st.booleans()):
            function, effect, _ = self.draw(st.sampled_from(known))
        else:
            body, effect = self.program(depth - 1)
            function = self.graph.add_function(body)
            self.functions.append((function, effect, None))
        return pp.Call(function), effect


def starting_values(tensor):
    return np.random.default_rng(tensor.size).integers(-4, 4, tensor.shape).astype(np.float32)


def check_one(data):
    world = World(data)
    programs = []
    for _ in range(data.draw(st.integers(1, 2))):
        (first, begin), (rest, go_on) = world.fresh(), world.program(data.draw(st.integers(2, 4)))
        programs.append((pp.Sequence([first, rest]), lambda m, begin=begin, go_on=go_on: (begin(m), go_on(m))))
    world.flag_value, world.case_value = data.draw(st.booleans()), data.draw(st.integers(0, 3))
    executable = pp.compile_graph(world.graph, [p for p, _ in programs])
    check_memory(executable)
    size = sum(v.size + 1 for v in world.graph.variables)
    memory = np.zeros(size, np.float32)
    engines = [pp.ReferenceEngine(executable), pp.Engine(executable, threads=1), pp.Engine(executable, check=True)]
    for engine in engines:
        engine.load(world.graph.target)
        engine.write_tensor("flag", np.bool_(world.flag_value))
        engine.write_tensor("case", np.int32(world.case_value))
        for i, row in enumerate(world.rows):
            engine.copy_to_remote_buffer(row, "remote", i)
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
    for engine in engines:
        for i, row in enumerate(world.rows):
            np.testing.assert_array_equal(engine.copy_from_remote_buffer("remote", repeat_index=i), row)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_programs(data):
    check_one(data)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_ten_thousand_random_programs(data):
    check_one(data)
