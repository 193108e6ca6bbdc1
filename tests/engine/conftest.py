"""Both engines, and a graph with the test codelets."""

from pathlib import Path

import numpy as np
import pytest

import poplar_py as pp

CODELETS = Path(__file__).with_name("codelets.py")


def engines():
    return {
        "reference": pp.ReferenceEngine,
        "fast": pp.Engine,
        "checked": lambda executable: pp.Engine(executable, check=True),
        "one thread": lambda executable: pp.Engine(executable, threads=1),
    }


@pytest.fixture(params=["reference", "fast", "checked"])
def engine_of(request):
    """Compile, load and return an engine."""

    def make(graph, programs, inputs=None, options=None):
        executable = pp.compile_graph(graph, programs, options)
        engine = engines()[request.param](executable)
        engine.load(pp.Device(graph.target))
        for handle, value in (inputs or {}).items():
            engine.write_tensor(handle, value)
        return engine

    make.kind = request.param
    return make


class Build:
    """A graph with host handles for every variable, for short tests."""

    def __init__(self, num_tiles=4, **figures):
        self.target = pp.Target.tiny(num_tiles, **figures)
        self.graph = pp.Graph(self.target)
        self.graph.add_codelets(CODELETS)

    def variable(self, name, shape, tiles=0, dtype=pp.FLOAT, write=True):
        t = self.graph.add_variable(dtype, shape, name=name)
        self.graph.set_tile_mapping(t, tiles)
        if write:
            self.graph.create_host_write(name, t)
        self.graph.create_host_read(name, t)
        return t

    def execute(self, codelet, tile, **fields):
        cs = self.graph.add_compute_set(codelet.lower())
        cs.add_vertices(codelet, tile=tile, **fields)
        return pp.Execute(cs)


@pytest.fixture
def build():
    return Build


def floats(*shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 8, shape).astype(np.float32)
