"""Random training graphs, a memory that really overwrites, and the networks of tools/."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np

from poplar_py.dtypes import FLOAT, UNSIGNED_INT
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.evaluate import apply_reference
from poplar_py.opgraph.gradients import add_gradients
from poplar_py.opgraph.liveness import Liveness, arrange

TOOLS = Path(__file__).resolve().parent.parent.parent / "tools"


def tool(name: str) -> Any:
    """A module of tools/."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
        assert spec and spec.loader
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


ELEMENTWISE = ("relu", "tanh", "sigmoid", "square", "neg")


def random_graph(seed: int, size: int = 12, training: bool = True) -> OpGraph:
    """Values of (rows, 4), in a random web of products, elementwise ops, views, dropout and batch norms."""
    random = np.random.default_rng(seed)
    g = OpGraph("random")
    rows = int(random.integers(2, 5))
    values = [g.add_input("input", FLOAT, (rows, 4))]
    weights = [g.add_parameter(f"w{i}", FLOAT, (4, 4), "he_uniform", seed=i) for i in range(3)]
    step = g.add_parameter("step", UNSIGNED_INT, (), trainable=False)

    def pick() -> Any:
        return values[int(random.integers(max(0, len(values) - 5), len(values)))]

    for _ in range(size):
        what = int(random.integers(9))
        x = pick()
        if what <= 1:
            x = g.add(ELEMENTWISE[int(random.integers(len(ELEMENTWISE)))], x)
        elif what <= 3:
            x = g.add(("add", "mul", "sub")[int(random.integers(3))], x, pick())
        elif what == 4:
            x = g.add("matmul", x, weights[int(random.integers(3))])
        elif what == 5:
            both = g.add("concat", (x, pick()), axis=1)
            x = g.add("slice", both, begin=(0, 2), end=(rows, 6))
            values.append(g.add("add", both, g.add("relu", both)))
            values[-1] = g.add("slice", values[-1], begin=(0, 0), end=(rows, 8), step=(1, 2))
        elif what == 6:
            x = g.add("reshape", g.add("transpose", g.add("reshape", x, shape=(2, -1))), shape=(rows, 4))
        elif what == 7:
            x = g.add("dropout", x, step, rate=0.25, path=len(g.ops))
        else:
            gamma, beta = (g.add_parameter(n, FLOAT, (4,), 1.0) for n in ("gamma", "beta"))
            mean, variance = (g.add_parameter(n, FLOAT, (4,), 1.0, trainable=False) for n in ("mean", "variance"))
            x, now, _spread = g.add("batch_norm", x, gamma, beta, mean, variance, step)
            g.add("running_average", mean, now, step)
        values.append(x)
    last = g.add("tanh", g.add("matmul", g.add("add", values[-1], values[-2]), weights[0]))
    if not training:
        g.set_output("output", last)
        return g
    labels = g.add_input("labels", FLOAT, last.shape)
    loss = g.add("mean_squared_error", last, labels, name="loss")
    g.set_output("loss", loss)
    g.set_output("output", last)
    reached = {loss}
    for op in reversed(g.ops):
        if reached.intersection(op.outputs):
            reached.update(op.inputs)
    gradients = add_gradients(g, loss, [p.value for p in g.parameters if p.trainable and p.value in reached])
    rate = g.add_parameter("rate", FLOAT, (), 0.01, trainable=False)
    with g.phase("update"):
        g.add("increment", step)
        for value, gradient in gradients.items():
            g.add("sgd", value, gradient, rate)
    return g


def arrays_for(g: OpGraph, seed: int = 0) -> dict[str, np.ndarray]:
    """Contents for the inputs."""
    random = np.random.default_rng(seed)
    return {
        v.name: random.standard_normal(v.shape).astype("f4") if v.dtype.is_floating else random.integers(0, 2, v.shape)
        for v in g.inputs
    }


def joining_graph(seed: int, size: int = 10) -> OpGraph:
    """Values of (rows, columns) joined along either axis, in one another and beside inputs, and what reads and writes over
    the parts and the joined."""
    random = np.random.default_rng(seed)
    g = OpGraph("joining")
    values = [g.add_input(f"input{i}", FLOAT, (3, 4)) for i in range(2)]
    for _ in range(size):
        x = values[int(random.integers(max(0, len(values) - 4), len(values)))]
        what = int(random.integers(6))
        if what <= 1:
            x = g.add(ELEMENTWISE[int(random.integers(len(ELEMENTWISE)))], x)
        elif what == 2:
            x = g.add("mul", x, g.add("tanh", x))
        elif what <= 4:
            axis = int(random.integers(2))
            like = [v for v in values[-8:] if v.shape[1 - axis] == x.shape[1 - axis]]
            others = [like[int(random.integers(len(like)))] for _ in range(int(random.integers(1, 3)))]
            x = g.add("concat", tuple([x, *others] if random.integers(2) else [*others, x]), axis=axis)
        else:
            x = g.add("slice", x, begin=(0, 0), end=(min(x.shape[0], 3), min(x.shape[1], 4)))
        values.append(x)
    for i in range(int(random.integers(1, 3))):
        g.set_output(f"output{i}", values[-1 - i])
    return g


def run_in_memory(
    g: OpGraph, inputs: dict[str, np.ndarray], joins: Any = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(outputs, state) of a run in which every value lies where `Liveness` (with `joins`) and `arrange` put it, in one
    memory; the result of a concatenation that has a home is that home, a part that does not lie there is copied.

    Memory is poisoned before anything is born there and after it dies. Elements must be of four bytes.
    """
    alive = Liveness(g, joins=joins)
    storages = alive.places.storages
    offset, top = arrange(storages)
    assert all(s.bytes % 4 == 0 for s in storages) and all(o % 4 == 0 for o in offset)
    memory = np.full(top // 4, np.nan)
    base = {id(s): int(o) // 4 for s, o in zip(storages, offset, strict=True)}
    for home, part in alive.places.parts.items():
        along = home.whole.op.axis % home.whole.ndim
        each = home.whole.size // home.whole.shape[along]
        base[id(part)] = base[id(alive.places.wholes[home.whole])] + home.begin * each
    where: dict[Any, np.ndarray] = {}
    state = {p.name: p.initial_value().copy() for p in g.parameters}
    fixed: dict[Any, np.ndarray] = {}
    takers = dict(alive.places.overwrites)

    def fresh(value: Any) -> np.ndarray:
        (storage,) = alive.places.of[value]
        return base[id(storage)] + np.arange(value.size).reshape(value.shape)

    def join(op: Any) -> np.ndarray:
        """Where the result of a concatenation lies, its parts copied unless they are there."""
        y, along, begin, places = op.outputs[0], op.axis % op.outputs[0].ndim, 0, []
        home = joins.get(y) if any(s in alive.places.parts.values() for s in alive.places.of[y]) else None
        layout = None if home else fresh(y)
        for part in op.inputs:
            size, mine = part.shape[along], where.get(part)
            if layout is not None:
                place = np.take(layout, range(begin, begin + size), axis=along)
            else:
                whole = base[id(alive.places.wholes[home.whole])]
                first = whole + (home.begin + begin) * (home.whole.size // home.whole.shape[along])
                there = mine is not None and mine.min() == first and mine.max() == first + part.size - 1
                place = mine if there else first + np.arange(part.size).reshape(part.shape)
            if place is not mine:
                memory[place] = read(part)
            places.append(place)
            begin += size
        return np.concatenate(places, axis=along)

    def read(value: Any) -> np.ndarray:
        if value.op is None and value.name in state:
            return state[value.name]
        return fixed[value] if value in fixed else memory[where[value]].astype(value.dtype.np)

    for value in g.inputs:
        if value in alive.places.of:
            where[value] = fresh(value)
            memory[where[value]] = inputs[value.name]
    for i, op in enumerate(g.ops):
        for s in storages:
            if s.last == i - 1:
                memory[base[id(s)] : base[id(s)] + s.bytes // 4] = np.nan
        if op.kind == "constant":
            fixed[op.outputs[0]] = apply_reference(op, ())[0]
            continue
        if joins is not None and op.kind == "concat":
            where[op.outputs[0]] = join(op)
            continue
        if op.view_of:
            layouts = [where[v] for v in op.inputs if v in where]
            if len(layouts) == len(op.inputs):
                where[op.outputs[0]] = apply_reference(op, op.regroup(layouts))[0]
            else:
                fixed[op.outputs[0]] = apply_reference(op, op.regroup([read(v) for v in op.inputs]))[0]
            continue
        results = apply_reference(op, op.regroup([read(v) for v in op.inputs]))
        if op.updates:
            for value, array in zip(op.updated, results, strict=True):
                state[value.name] = np.asarray(array).astype(value.dtype.np)
            continue
        for number, (value, array) in enumerate(zip(op.outputs, results, strict=True)):
            taken = takers.get(op) if number == 0 else None
            where[value] = fresh(value) if taken is None else where[taken].reshape(value.shape)
            memory[where[value]] = np.asarray(array).astype(value.dtype.np)
    return {name: read(v) for name, v in g.outputs.items()}, state
