"""Rows of convolutional networks at full tile count: compiling, running against onnxruntime and PyTorch, outlining."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from benching import ROOT, THREADS, Row, bench, seconds

_REST = 0.05  # seconds: threads of a runtime watch for more work after a run, on the processors of the other one
FITS = {"recompute": "optimal", "off_chip": "optimiser"}  # what holds batch 4 of training on one gc200


def compiled(model: str, batch: int, **more: Any) -> tuple[Any, float]:
    """(executable, seconds), the codelets compiled and caches warm."""
    import poplar_py as pp

    begin = time.perf_counter()
    target = more.pop("target", None) or pp.Target.gc200()
    executable = pp.compile(model, target, batch=batch, **more)
    return executable, time.perf_counter() - begin


def engine_of(executable: Any, feed: dict[str, np.ndarray]) -> Any:
    """Loaded, with arrays (or zeros) at its streams."""
    import poplar_py as pp

    engine = pp.Engine(executable, threads=THREADS)
    engine.load(pp.Device(executable.target))
    for name, stream in executable.graph.streams.items():
        given = feed.get(name)
        ready = np.zeros(stream.size, stream.dtype.np) if given is None else given.astype(stream.dtype.np).reshape(-1)
        engine.connect_stream(name, ready)
    return engine


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], times: int) -> tuple[float, float]:
    """Medians of two actions timed one after the other, so that the machine's moods meet both."""
    ours(), theirs()
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for action, list_ in zip((ours, theirs), taken, strict=True):
            time.sleep(_REST)
            begin = time.perf_counter()
            action()
            list_.append(time.perf_counter() - begin)
    return statistics.median(taken[0]), statistics.median(taken[1])


@bench("resnet50-inference")
def bench_inference() -> Iterator[Row]:
    """ResNet-50, batch 1, float and half: simulated inference with numbers, clock and profile, against onnxruntime."""
    x = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    compiled("resnet50", 1)
    executable, took = compiled("resnet50", 1)
    yield Row("compile ResNet-50 inference, gc200", took, "s", 20.0, _stages(executable))
    engine = engine_of(executable, {"input": x})
    half = engine_of(compiled("resnet50", 1, dtype="half")[0], {"input": x})
    run = lambda: (engine.run(0), engine.profile())  # noqa: E731
    peer = onnx_session(executable.op_graph, x)
    if peer is None:
        yield Row("ResNet-50 inference", seconds(run, 9) * 1e3, "ms", 378.0, "onnxruntime is not installed")
    else:
        ours, theirs = in_turn(run, peer, 15)
        note = f"{ours * 1e3:.0f} ms against {theirs * 1e3:.0f} ms, {THREADS} threads each; stretch 3"
        yield Row("ResNet-50 inference / onnxruntime", ours / theirs, "x", 6.0, note)
    halves, floats = in_turn(lambda: half.run(0), lambda: engine.run(0), 9)
    note = f"{halves * 1e3:.0f} ms against {floats * 1e3:.0f} ms"
    yield Row("ResNet-50 inference, half / float", halves / floats, "x", 1.5, note)


def onnx_session(g: Any, x: np.ndarray) -> Callable[[], Any] | None:
    """The same network in onnxruntime, or None where it is not installed."""
    try:
        import onnxruntime
        from onnx_of import onnx_of
    except ImportError:
        return None

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(onnx_of(g), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"input": x})


@bench("resnet50-training")
def bench_training() -> Iterator[Row]:
    """ResNet-50, batch 4: a training step on one gc200, which it fits with recomputation, against PyTorch eager."""
    x = np.random.default_rng(0).standard_normal((4, 3, 224, 224)).astype(np.float32)
    labels = np.arange(4, dtype=np.int32)
    executable, took = compiled("resnet50", 4, training=True, options={"allow_out_of_memory": True})
    yield Row("compile ResNet-50 training, batch 4", took, "s", 60.0, _stages(executable))
    executable, took = compiled("resnet50", 4, training=True, options=FITS)
    fullest = executable.memory.max_tile_bytes
    yield Row("compile it to fit one gc200", took, "s", 60.0, f"fullest tile {fullest:,} bytes; {_stages(executable)}")
    engine = engine_of(executable, {"input": x, "labels": labels})
    step = torch_step(x, labels)
    run = lambda: engine.run(0)  # noqa: E731
    if step is None:
        yield Row("ResNet-50 training step", seconds(run, 3), "s", 12.0, "torch is not installed")
        return
    ours, theirs = in_turn(run, step, 5)
    note = f"{ours:.2f} s against {theirs:.2f} s, {THREADS} threads each; ours repeats the forward phase; stretch 3"
    yield Row("ResNet-50 training step / torch", ours / theirs, "x", 6.0, note)


def torch_step(x: np.ndarray, labels: np.ndarray) -> Callable[[], object] | None:
    """The same step in PyTorch eager, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None

    sys.path.insert(0, str(ROOT / "tests" / "models"))
    from torch_networks import NETWORKS

    torch.set_num_threads(THREADS)
    net = NETWORKS["resnet50"][0]().train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    tx, ty = torch.from_numpy(x), torch.from_numpy(labels.astype(np.int64))

    def step() -> None:
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(tx), ty).backward()
        optimiser.step()

    return step


@bench("outlining")
def bench_outlining() -> Iterator[Row]:
    """What calling repeated parts of ResNet-50 saves, its copies counted."""
    counts = {}
    for outline in (True, False):
        executable, _ = compiled("resnet50", 1, options={"outline": outline})
        sizes = executable.memory.by_category
        code = sum(int(sizes[k].sum()) for k in ("vertex_code", "vertex_state", "control_code", "exchange_code"))
        counts[outline] = executable.num_vertices, code
    for number, what in enumerate(("vertices", "bytes of code and vertex state")):
        a, b = counts[True][number], counts[False][number]
        yield Row(f"ResNet-50 outlined, {what}", a / b, "share", 0.6, f"{a:,} of {b:,}; stretch 0.4")


@bench("alexnet-scale")
def bench_scale() -> Iterator[Row]:
    """AlexNet's training graph at the published size, and growth with the number of vertices; a process each."""
    from counts import ALEXNET, PUBLISHED

    for batch in (ALEXNET["batch"] // 8, ALEXNET["batch"] // 4, ALEXNET["batch"] // 2, ALEXNET["batch"]):
        found = compiled_alone("alexnet", batch, {"grain": "row", "allow_out_of_memory": True, "remedies": False})
        vertices, edges, took = found["vertices"], found["edges"], found["seconds"]
        note = f"batch {batch}, {took / vertices * 1e6:.2f} us a vertex; {edges:,} edges; {found['gigabytes']:.1f} GB"
        yield Row(f"compile AlexNet training, {vertices:,} vertices", took, "s", 120.0, note)
    yield Row("resident while compiling it", found["gigabytes"], "GB", 12.0, found["stages"])
    for what in ("vertices", "edges"):
        away = abs(found[what] / PUBLISHED["alexnet"][what] - 1)
        yield Row(f"its {what}, away from the published", away, "share", 0.1, f"{found[what]:,}")


def compiled_alone(model: str, batch: int, options: dict[str, Any]) -> dict[str, Any]:
    """Compile for training in a process of its own: seconds, counts, most resident memory, seconds of stages."""
    code = f"""
import json, resource, time
import poplar_py as pp
begin = time.perf_counter()
e = pp.compile({model!r}, pp.Target.gc200(), batch={batch}, training=True, options={options!r})
print(json.dumps({{
    "seconds": time.perf_counter() - begin,
    "vertices": e.num_vertices,
    "edges": e.num_edges,
    "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    "stages": " ".join(f"{{k}} {{s:.1f}}" for k, s in e.info["stage_seconds"].items() if s > 0.05),
}}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _stages(executable: Any) -> str:
    return " ".join(f"{name} {took:.1f}" for name, took in executable.info["stage_seconds"].items() if took > 0.05)
