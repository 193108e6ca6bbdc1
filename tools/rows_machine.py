"""Rows of the machine itself: building graphs by hand, running them, starting, and the smallest models."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
from benching import ROOT, THREADS, Row, bench, seconds

CODELETS = """
from poplar_py import VECTOR, Codelet, InOut, Input, Output

class BenchDot(Codelet):
    a = Input(VECTOR); b = Input(VECTOR); out = Output()
    def compute(a, b, out):
        total = 0.0
        for i in range(a.size):
            total += a[i] * b[i]
        out[0] = total

class BenchIncrement(Codelet):
    x = InOut(VECTOR)
    def compute(x):
        for i in range(x.size):
            x[i] += 1
"""


def graph_with_codelets():
    import poplar_py as pp

    graph = pp.Graph(pp.Target.gc200())
    with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as file:
        file.write(CODELETS)
    graph.add_codelets(file.name)
    os.unlink(file.name)
    return pp, graph


def million(permuted: bool) -> tuple[float, float]:
    """Seconds to add and to compile a million vertices of two operands of four elements."""
    pp, graph = graph_with_codelets()
    n = 1_000_000
    tiles = np.arange(n) * graph.target.num_tiles // n
    a, b = (graph.add_variable(pp.FLOAT, (n, 4), name) for name in "ab")
    out = graph.add_variable(pp.FLOAT, (n,), "out")
    for t in (a, b, out):
        graph.set_tile_mapping(t, tiles)
    cs = graph.add_compute_set("dots")
    if permuted:
        order = np.random.default_rng(0).permutation(n)
        a, b = a[order], b[order]
    begin = time.perf_counter()
    cs.add_vertices("BenchDot", a=a, b=b, out=out, tile=tiles)
    added = time.perf_counter() - begin
    begin = time.perf_counter()
    pp.compile_graph(graph, pp.Execute(cs))
    return added, time.perf_counter() - begin


@bench("million")
def bench_million() -> Iterator[Row]:
    million(True)
    for permuted in (False, True):
        runs = [million(permuted) for _ in range(3)]
        name = "permuted, all remote" if permuted else "in order, all local"
        yield Row(f"add 1M vertices, {name}", statistics.median(r[0] for r in runs), "s", 0.5)
        yield Row(f"compile 1M vertices, {name}", statistics.median(r[1] for r in runs), "s", 1.0, "all stages")


@bench("singles")
def bench_singles() -> Iterator[Row]:
    pp, graph = graph_with_codelets()
    n = graph.target.num_tiles * 6
    x = graph.add_variable(pp.FLOAT, (n, 8), "x")
    y = graph.add_variable(pp.FLOAT, (n,), "y")
    tiles = np.arange(n) // 6
    graph.set_tile_mapping(x, tiles)
    graph.set_tile_mapping(y, tiles)
    graph.create_host_write("x", x)
    graph.create_host_read("y", y)
    cs = graph.add_compute_set("dots")
    begin = time.perf_counter()
    for i in range(n):
        graph.add_vertex(cs, "BenchDot", {"a": x[i], "b": x[i], "out": y[i]}, tile=int(tiles[i]))
    added = time.perf_counter() - begin
    begin = time.perf_counter()
    executable = pp.compile_graph(graph, pp.Execute(cs))
    compiled = time.perf_counter() - begin
    engine = pp.Engine(executable)
    engine.load(graph.target)
    a = np.random.default_rng(0).random((n, 8), np.float32)
    engine.write_tensor("x", a)
    engine.run()
    assert np.allclose(engine.read_tensor("y"), (a * a).sum(1)), "8,832 single vertices gave wrong numbers"
    yield Row("add 8,832 single vertices", added, "s", 2.0)
    yield Row("compile 8,832 single vertices", compiled, "s", 1.5, f"{len(cs.blocks)} merged block")


@bench("repeat")
def bench_repeat() -> Iterator[Row]:
    pp, graph = graph_with_codelets()
    x = graph.add_variable(pp.FLOAT, (4, 4), "x")
    graph.set_tile_mapping(x, np.arange(4))
    graph.create_host_write("x", x)
    graph.create_host_read("x", x)
    cs = graph.add_compute_set("increment")
    cs.add_vertices("BenchIncrement", x=x, tile=np.arange(4))
    engine = pp.Engine(pp.compile_graph(graph, pp.Repeat(100_000, pp.Execute(cs))))
    engine.load(graph.target)
    engine.write_tensor("x", np.zeros((4, 4), "f4"))
    begin = time.perf_counter()
    engine.run()
    each = (time.perf_counter() - begin) / 100_000 * 1e6
    assert (engine.read_tensor("x") == 100_000).all(), "100,000 increments did not add up"
    yield Row("a superstep of Repeat(100,000)", each, "us", 50.0)


@bench("mlp")
def bench_mlp() -> Iterator[Row]:
    """mnist_mlp, batch 32: one simulated training step, and the same step in PyTorch, in turn."""
    import poplar_py as pp

    begin = time.perf_counter()
    executable = pp.compile(str(ROOT / "models/mnist_mlp.yaml"), pp.Target.gc200(), batch=32, training=True)
    compiled = time.perf_counter() - begin
    from poplar_py.frontends.data import load_data

    digits = load_data("mnist")
    x = digits.train_x[:32].reshape(32, 784).astype(np.float32) / np.float32(255)
    labels = digits.train_y[:32].astype(np.int32)
    engine = pp.Engine(executable, threads=THREADS)
    engine.load(pp.Device(executable.target))
    for name, stream in executable.graph.streams.items():
        ready = {"input": x, "labels": labels}.get(name, np.zeros(stream.size, stream.dtype.np))
        engine.connect_stream(name, ready)
    ours, theirs = [], []
    step = torch_mlp(x, labels)
    engine.run(0)
    for _ in range(15):
        for action, taken in ((lambda: engine.run(0), ours), (step, theirs)):
            if action is None:
                continue
            begin = time.perf_counter()
            action()
            taken.append(time.perf_counter() - begin)
    yield Row("compile mnist_mlp, training, gc200", compiled, "s", 20.0)
    mine = statistics.median(ours)
    if step is None:
        yield Row("mnist_mlp training step", mine * 1e3, "ms", 136.0, "torch is not installed")
        return
    peer = statistics.median(theirs)
    note = f"{mine * 1e3:.1f} ms against torch {peer * 1e3:.1f} ms, {THREADS} threads each; stretch 3"
    yield Row("mnist_mlp training step / torch", mine / peer, "x", 10.0, note)


def torch_mlp(x: np.ndarray, labels: np.ndarray) -> Callable[[], object] | None:
    """The same step in PyTorch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None

    torch.set_num_threads(THREADS)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 1500),
        torch.nn.ReLU(),
        torch.nn.Linear(1500, 1500),
        torch.nn.ReLU(),
        torch.nn.Linear(1500, 10),
    )
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    loss = torch.nn.CrossEntropyLoss()
    tx, ty = torch.from_numpy(x), torch.from_numpy(labels.astype(np.int64))

    def step() -> None:
        optimiser.zero_grad()
        loss(model(tx), ty).backward()
        optimiser.step()

    step()
    return step


@bench("start")
def bench_start() -> Iterator[Row]:
    def run(*command: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)

    yield Row("poplar-py --help, warm", seconds(run("-m", "poplar_py", "--help"), 7), "s", 0.3)
    yield Row("import poplar_py, warm", seconds(run("-c", "import poplar_py"), 7), "s", 0.5)


@bench("demo")
def bench_demo() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        out = subprocess.run(
            [sys.executable, "-m", "poplar_py", "demo", "--json", "-o", folder],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        taken = time.perf_counter() - begin
    result = json.loads(out.stdout)
    yield Row("poplar-py demo", taken, "s", 120.0)
    yield Row("demo: error on held-out real digits", 1 - result["test_accuracy"], "share", 0.05)
