"""Plans: the choice against every other plan, and what they expect against what is compiled."""

from __future__ import annotations

import itertools
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

import poplar_py as pp
from poplar_py import poplin
from poplar_py.lower.conv_problem import AXES
from poplar_py.report.plans import compare_plans, plan_table

IT, KT, OT = poplin.InputTransform, poplin.KernelTransform, poplin.OutputTransform
SAME = IT(padding_lower=(1, 1), padding_upper=(1, 1))


def compiled(p: poplin.ConvParams, target: pp.Target, options: dict | None = None) -> tuple[int, dict]:
    """Cycles of a convolution of created operands, and the plans of its graph."""
    graph, program = pp.Graph(target), pp.Sequence()
    x, w = poplin.create_input(graph, p, options=options), poplin.create_weights(graph, p, options=options)
    poplin.convolution(graph, x, w, p, False, program, options=options)
    executable = pp.compile_graph(graph, program, {"allow_out_of_memory": True, "check_races": False})
    return sum(s.cycles for s in executable.steps), executable


SMALL = {
    "3x3": ("half", 1, (8, 8), (3, 3), 32, 32, 1, SAME),
    "1x1": ("float", 2, (6, 6), (1, 1), 48, 32, 1),
    "few channels": ("half", 1, (16, 16), (5, 5), 3, 16, 1),
    "one axis": ("float", 1, (40,), (7,), 16, 48, 1, IT(padding_lower=(3,), padding_upper=(3,)), KT(), OT(stride=(2,))),
    "groups": ("half", 1, (6, 6), (3, 3), 16, 16, 4, SAME),
    "depthwise": ("half", 1, (10, 10), (3, 3), 1, 1, 64, SAME),
}  # fmt: skip


def all_constraints(p: poplin.ConvParams, target: pp.Target) -> list[dict]:
    """Every split of every axis and every method, on as many tiles as there are."""
    problem = poplin.plan_convolution(pp.Graph(target), p).problem
    names = dict(zip(AXES, problem.names, strict=True))
    axes = [a for a, size in zip(AXES, problem.sizes, strict=True) if size > 1]
    sizes = [min(size, target.num_tiles) for size in problem.sizes if size > 1]
    methods = {"": "VMAC" if problem.together else "AMP", "Horizontal": "HMAC", "Slic": "SLIC"}
    found = []
    for counts in itertools.product(*(range(1, n + 1) for n in sizes)):
        cut = dict(zip(axes, counts, strict=True))
        whole = cut.get("kernel", 1) == 1 or cut.get("a", 1) == problem.a_blocks
        if np.prod(counts) <= target.num_tiles and whole:
            for method in problem.methods:
                found.append({names[a]: n for a, n in zip(axes, counts, strict=True)} | {"method": methods[method]})
    return found


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("tiles", [4, pytest.param(12, marks=pytest.mark.slow)])
def test_the_choice_is_near_the_best_of_all_plans(name, tiles):
    """All plans there are, each compiled: the planner's takes at most 5 % longer than the quickest."""
    p, target = poplin.ConvParams(*SMALL[name]), pp.Target.gc200(num_tiles=tiles)
    taken, _ = compiled(p, target)
    every = [compiled(p, target, {"plan_constraints": c})[0] for c in all_constraints(p, target)]
    assert len(every) > 5
    assert taken <= 1.05 * min(every), (taken, min(every), len(every))


@pytest.mark.parametrize("tiles", [4, 16])
def test_the_choice_of_a_matrix_product_is_near_the_best(tiles):
    """Against every cut of m, k and n by the same prices, with passes where memory asks for them."""
    from poplar_py.codelet.library import Library
    from poplar_py.lower.mapping import part_bounds
    from poplar_py.lower.partition import _price, plan_matmul

    target = pp.Target.gc200(num_tiles=tiles)
    for m, k, n in ((64, 64, 64), (16, 256, 32), (200, 32, 96), (7, 100, 90)):
        plan = plan_matmul(target, m, k, n, pp.HALF)
        best = None
        for parts in itertools.product(range(1, tiles + 1), repeat=3):
            if np.prod(parts) <= tiles:
                block = [int(np.diff(part_bounds(s, c)).max()) for s, c in zip((m, k, n), parts, strict=True)]
                counts = tuple(np.array(c) for c in parts)
                prices = _price(
                    target, Library.builtin(), [np.array(b) for b in block], counts, tiles, (pp.HALF, pp.FLOAT), False
                )
                total = int(prices.total)
                best = total if best is None else min(best, total)
        assert sum(plan.cycles.values()) <= 1.05 * best, (m, k, n)


def test_a_large_matrix_product_keeps_the_product_units_busy():
    """4096 x 4096 by 4096 x 4096 in half on a gc200: over half of the peak, as compiled; and as expected."""
    n = 4096
    graph = pp.Graph(pp.Target.gc200())
    plan = poplin.mat_mul_plan(graph, (n, n), (n, n), "half")
    expected = sum(plan.cycles.values())
    assert n**3 / (64 * 1472 * expected) > 0.5
    assert "52" in poplin.report_plan(graph, (n, n), (n, n), "half").split("% of the peak")[0]
    assert plan.temp_bytes < 0.6 * graph.target.bytes_per_tile


@pytest.mark.slow
def test_a_large_matrix_product_as_compiled():
    n = 4096
    graph, program = pp.Graph(pp.Target.gc200()), pp.Sequence()
    a, b = (graph.add_variable(pp.HALF, (n, n), name=name, mapping="linear") for name in "ab")
    poplin.mat_mul(graph, a, b, program)
    executable = pp.compile_graph(graph, program)
    found = sum(s.cycles for s in executable.steps)
    assert n**3 / (64 * 1472 * found) > 0.5
    assert found == pytest.approx(sum(poplin.mat_mul_plan(graph, (n, n), (n, n), "half").cycles.values()), rel=0.02)


def rows_of(model: str, **more):
    lowered = pp.compile(model, pp.Target.gc200(), stop_after="lower", **more)
    programs = list(lowered.programs.values())
    executable = pp.compile_graph(lowered.graph, programs, {"allow_out_of_memory": True, "check_races": False})
    return compare_plans(lowered.plans, executable)


@pytest.mark.parametrize(
    ("model", "more", "least"),
    [
        ("lenet5", {"batch": 1}, 5),
        ("resnet8_digits", {"batch": 1}, 10),
        ("resnet8_digits", {"batch": 1, "dtype": "half"}, 10),
        ("mnist_mlp", {"batch": 32, "training": True}, 8),
        pytest.param("alexnet", {"batch": 1}, 8, marks=pytest.mark.slow),
        pytest.param("alexnet", {"batch": 4, "training": True}, 23, marks=pytest.mark.slow),
        pytest.param("alexnet", {"batch": 4, "training": True, "dtype": "half"}, 23, marks=pytest.mark.slow),
        pytest.param("resnet50", {"batch": 1}, 28, marks=pytest.mark.slow),
        pytest.param("resnet50", {"batch": 1, "dtype": "half"}, 28, marks=pytest.mark.slow),
        pytest.param("resnet50", {"batch": 4, "training": True}, 80, marks=pytest.mark.slow),
        pytest.param("resnet50", {"batch": 4, "training": True, "dtype": "half"}, 80, marks=pytest.mark.slow),
        pytest.param("vgg16", {"batch": 1}, 12, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_what_plans_expect_is_what_is_compiled(model, more, least):
    """Cycles, bytes received and memory of every layer within 10 %."""
    rows = rows_of(model, **more)
    assert len(rows) >= least
    off = [row for row in rows if row.worst > 0.1]
    assert not off, "\n" + plan_table(off)


@pytest.mark.parametrize("kind", ["forward", "training_bwd", "training_wu"])
def test_reports_without_a_graph_expect_the_same(kind):
    """`report_plan` of a convolution alone against one of created operands."""
    for name, arguments in SMALL.items():
        for tiles in (16, 1472):
            p, target = poplin.ConvParams(*arguments), pp.Target.gc200(num_tiles=tiles)
            graph = pp.Graph(target)
            costs = poplin.plan_estimated_costs(graph, p, {} if kind == "forward" else {"pass": kind})
            x, w, program = poplin.create_input(graph, p), poplin.create_weights(graph, p), pp.Sequence()
            dy = poplin.create_conv_output(graph, p)
            if kind == "forward":
                poplin.convolution(graph, x, w, p, False, program)
            elif kind == "training_bwd":
                poplin.convolution(graph, dy, w, poplin.gradient_params(p), True, program)
            else:
                poplin.calculate_weight_deltas(graph, dy, x, p, program)
            steps = pp.compile_graph(graph, program).steps
            found = sum(s.cycles for s in steps), sum(int(s.bytes_received.max()) for s in steps)
            assert costs["total"]["cycles"] == pytest.approx(found[0], rel=0.1, abs=330), (name, tiles)
            assert costs["total"]["bytes"] == pytest.approx(found[1], rel=0.1, abs=64), (name, tiles)


def test_the_table_of_a_report():
    text = poplin.report_plan(
        pp.Graph(pp.Target.gc200()), poplin.ConvParams("half", 1, (28, 28), (3, 3), 64, 64, 1, SAME)
    )
    for part in ("broadcast", "rearrangement", "transform", "exchange", "compute", "reduction", "total", "of the peak"):
        assert part in text
    costs = poplin.plan_estimated_costs(pp.Graph(pp.Target.gc200()), poplin.ConvParams(*SMALL["3x3"]))
    assert costs["total"]["cycles"] == sum(c["cycles"] for part, c in costs.items() if part != "total")


def test_the_table_in_the_documentation_is_what_the_tool_prints():
    root = Path(__file__).resolve().parents[2]
    tool = run_path(str(root / "tools" / "utilisation.py"))
    text = (root / "docs" / "convolution.md").read_text(encoding="utf-8")
    for kind in ("half", "float"):
        assert "\n".join(tool["table"](kind)) in text
