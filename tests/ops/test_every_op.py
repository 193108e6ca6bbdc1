"""The walks: what holds for every op of poplar_py/ops on every sample it brings."""

from __future__ import annotations

import json

import numpy as np
import pytest

from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.evaluate import Evaluation, apply_reference
from poplar_py.opgraph.op import Op, load_ops
from poplar_py.opgraph.simplify import simplify

from .op_samples import SEED, every_sample, graph_of, sample_id

walk = pytest.mark.parametrize("cls, sample", every_sample(), ids=sample_id)


@pytest.mark.parametrize("cls", load_ops().values(), ids=sample_id)
def test_an_op_brings_samples_and_says_what_it_is(cls):
    assert cls.samples, f"{cls.kind} has no samples"
    assert cls.__doc__ and cls.__doc__ != Op.__doc__
    assert cls.output_rules or cls.updates
    assert cls.lower is not Op.lower and cls.reference is not Op.reference


@walk
def test_the_inferred_type_is_that_of_the_reference(cls, sample):
    g, inputs = graph_of(cls, sample)
    op, oracle = g.ops[0], Evaluation(g)
    oracle.run(inputs)
    given = inputs | {p.name: p.initial_value() for p in g.parameters}
    wide = [a.astype(np.float32) if a.dtype == np.float16 else a for a in (given[v.name] for v in op.inputs)]
    results = apply_reference(op, op.regroup(wide))
    for value, array in zip(op.updated if op.updates else op.outputs, results, strict=True):
        assert np.shape(array) == value.shape
        kind = np.asarray(array).dtype
        assert kind.kind == value.dtype.np.kind or (kind.kind in "iu" and value.dtype.is_integral)
        assert kind != np.float64, "a reference on float32 stays in float32"


@walk
def test_the_gradient_is_the_slope_of_the_reference(cls, sample):
    if cls.gradient is Op.gradient:
        pytest.skip("has no gradient")
    g, inputs = graph_of(cls, sample)
    op = g.ops[0]
    if not op.outputs[0].dtype.is_floating or not any(v.dtype.is_floating for v in op.inputs):
        pytest.skip("is not differentiable")
    random = np.random.default_rng(SEED + 1)
    weights = random.standard_normal(op.outputs[0].shape)
    arrays = {name: a.astype(np.float64) if a.dtype.kind == "f" else a for name, a in inputs.items()}

    first = next(iter(g.outputs))  # of an op with several outputs, the first is the one losses are taken of

    def slope_by_steps(name, direction, h=1e-6):
        def at(t):
            return float(
                (
                    Evaluation(g, precision=np.float64).run(arrays | {name: arrays[name] + t * direction})[first]
                    * weights
                ).sum()
            )

        return (at(h) - at(-h)) / (2 * h)

    moves = []
    for value in op.inputs:
        if value.dtype.is_floating:
            direction = random.standard_normal(value.shape)
            moves.append((value, direction, slope_by_steps(value.name, direction)))
    seed = g.add_input("seed", op.outputs[0].dtype, op.outputs[0].shape)
    answer = op.gradient(g, seed, *[None] * (len(op.outputs) - 1))
    answer = answer if isinstance(answer, tuple) else (answer,)
    assert len(answer) == len(op.operand_fields)
    flat = [x for group in answer for x in (group if isinstance(group, tuple) else (group,))]
    present = [x for o, group in zip(op.operands, answer, strict=True) if o is not None
               for x in (group if isinstance(group, tuple) else (group,))]  # fmt: skip
    by_value = dict(zip(op.inputs, present, strict=True))
    for i, gradient in enumerate(x for x in flat if x is not None):
        g.set_output(f"gradient{i}", gradient)
    oracle = Evaluation(g, precision=np.float64)
    oracle.run(arrays | {"seed": weights})
    for value, direction, expected in moves:
        gradient = by_value[value]
        found = 0.0 if gradient is None else float((oracle.values[gradient.name] * direction).sum())
        assert gradient is None or gradient.type == value.type
        assert found == pytest.approx(expected, rel=2e-5, abs=2e-6), value.name


@walk
def test_an_op_survives_saving_and_simplifying(cls, sample):
    g, inputs = graph_of(cls, sample)
    again = OpGraph.from_dict(json.loads(json.dumps(g.to_dict())))
    assert again.text() == g.text() or g.parameters
    wanted, found = Evaluation(g).run(inputs), Evaluation(simplify(g)).run(inputs)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])
