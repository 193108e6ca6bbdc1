"""Every op on tiles against its reference: the walk over the lowerings."""

from __future__ import annotations

import numpy as np
import pytest

from poplar_py.dtypes import HALF
from poplar_py.opgraph.evaluate import Evaluation

from .op_samples import every_sample, graph_of, sample_id

pp = pytest.importorskip("poplar_py")
walk = pytest.importorskip("poplar_py.lower.walk")
pipeline = pytest.importorskip("poplar_py.pipeline")


@pytest.mark.parametrize("num_tiles", [4, 13])
@pytest.mark.parametrize("cls, sample", every_sample(), ids=sample_id)
def test_lowered_op_matches_its_reference(cls, sample, num_tiles):
    g, inputs = graph_of(cls, sample)
    lowered = walk.lower(g, pp.Target.tiny(num_tiles), {"streams": False})
    executable = pp.compile_graph(lowered.graph, list(lowered.programs.values()))
    engine = pp.Engine(executable)
    engine.load(pp.Device(executable.target))
    for name, array in inputs.items():
        engine.write_tensor(name, array)
    engine.run(0)
    oracle = Evaluation(g)
    wanted = oracle.run(inputs) | {p.name: oracle.state[p.name] for p in g.parameters}
    half = HALF in {v.dtype for v in g.values().values()}
    for name, expected in wanted.items():
        found = engine.read_tensor(name)
        assert found.shape == expected.shape and found.dtype == expected.dtype
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found, expected, rtol=2e-3 if half else 2e-5, atol=2e-3 if half else 2e-6)
        else:
            np.testing.assert_array_equal(found, expected)
