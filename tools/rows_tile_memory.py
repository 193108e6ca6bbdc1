"""Rows of tile memory: what work in place and streaming memory save, what checking a plan and explaining an error cost."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benching import Row, bench


def fullest(model: str, tiles: int, training: bool = True, **options: object) -> int:
    """Bytes of the fullest tile."""
    import poplar_py as pp

    target = pp.Target.gc200(num_tiles=tiles)
    given = {"allow_out_of_memory": True, **options}
    return pp.compile(model, target, training=training, options=given).memory.max_tile_bytes


@bench("in_place")
def bench_in_place() -> Iterator[Row]:
    for training in (True, False):
        apart, over = (fullest("lenet5", 64, training, in_place=wanted) for wanted in (False, True))
        name = "training" if training else "inference"
        yield Row(f"LeNet-5 {name} in place / apart", over / apart, "x", 0.97, f"{over:,} of {apart:,} B")


@bench("off_chip")
def bench_off_chip() -> Iterator[Row]:
    whole = fullest("mnist_mlp", 64)
    for kinds, goal in (("optimiser", 0.92), ("optimiser,activations", 0.75), ("optimiser,activations,weights", 0.65)):
        left = fullest("mnist_mlp", 64, off_chip=kinds)
        yield Row(f"mnist_mlp off chip: {kinds}", left / whole, "x", goal, f"{left:,} of {whole:,} B")


@bench("check")
def bench_check() -> Iterator[Row]:
    import poplar_py as pp
    from poplar_py.memory.check import check_memory

    options = {"allow_out_of_memory": True}
    settings = {"depth": 18}
    begin = time.process_time()
    executable = pp.compile("resnet50", pp.Target.gc200(), batch=1, training=True, settings=settings, options=options)
    compiled = time.process_time() - begin
    begin = time.process_time()
    pairs = check_memory(executable)
    taken = time.process_time() - begin
    yield Row(
        "check ResNet-18 training, 1472 tiles", taken, "s", 10.0, f"{pairs:,} pairs; compiled in {compiled:.1f} s"
    )


@bench("remedies")
def bench_remedies() -> Iterator[Row]:
    import poplar_py as pp

    taken = {}
    for wanted in (False, True):
        begin = time.process_time()
        try:
            target = pp.Target.gc200(num_tiles=32)
            pp.compile("lenet5", target, batch=256, training=True, options={"remedies": wanted})
        except pp.GraphMemoryAllocationError as error:
            taken[wanted], fits = time.process_time() - begin, sum(r.fits for r in error.remedies)
    yield Row(
        "explain LeNet-5 that does not fit / refuse it", taken[True] / taken[False], "x", 12.0, f"{fits} remedies fit"
    )
