"""Every op with every sample of its own, as op graphs to run."""

from __future__ import annotations

import numpy as np

from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.op import Operand, load_ops

SEED = 7


def every_sample():
    """(op class, sample) of all ops, in a stable order."""
    return [(cls, sample) for cls in load_ops().values() for sample in cls.samples]


def sample_id(value):
    return value.kind if isinstance(value, type) else str(value)


def graph_of(cls, sample):
    """An op graph of one op, and arrays for its inputs. Operands that are updated are parameters."""
    random = np.random.default_rng(SEED)
    g, inputs, operands = OpGraph(cls.kind), {}, []

    def make(name, wanted):
        array = wanted.draw(random)
        if name in cls.updates:
            return g.add_parameter(name, wanted.type.dtype, wanted.type.shape, array)
        inputs[name] = array
        return g.add_input(name, wanted.type.dtype, wanted.type.shape)

    for field, operand in zip(cls.operand_fields, sample.operands, strict=True):
        if isinstance(operand, tuple):
            operands.append(tuple(make(f"{field}{i}", o) for i, o in enumerate(operand)))
        else:
            operands.append(make(field, operand) if isinstance(operand, Operand) else None)
    g.add(cls, *operands, name="op", **sample.attributes)
    for value in g.ops[0].outputs:
        g.set_output(value.leaf if len(g.ops[0].outputs) > 1 else "result", value)
    return g, inputs
