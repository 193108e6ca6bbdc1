"""Convolutions and matrix products on a graph made by hand, by the names of PopLibs' poplin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .graph import Graph
from .lower.conv_gradients import gradient_params, weight_update_params
from .lower.conv_params import ConvParams, InputTransform, KernelTransform, OutputTransform
from .lower.conv_plan import ConvPlan, PlanningCache
from .lower.hand_conv import (
    add_bias,
    bwd_flops,
    calculate_weight_deltas,
    convolution,
    convolution_bias_update,
    convolution_weight_update,
    convolution_with_output,
    create_biases,
    create_conv_output,
    create_input,
    create_weights,
    fwd_flops,
    perfect_cycle_count,
    plan_convolution,
    plan_estimated_costs,
    weights_transpose_chans_flip_xy,
    wu_flops,
)
from .lower.hand_matmul import (
    create_mat_mul_grouped_input_lhs,
    create_mat_mul_grouped_input_rhs,
    create_mat_mul_input_lhs,
    create_mat_mul_input_rhs,
    mat_mul,
    mat_mul_acc,
    mat_mul_grouped,
    mat_mul_grouped_acc,
    mat_mul_grouped_plan,
    mat_mul_grouped_with_output,
    mat_mul_plan,
    mat_mul_with_output,
    transpose_grouped_matrix,
)
from .lower.partition import Plan

get_gradient_params, get_weight_update_params = gradient_params, weight_update_params  # as PopLibs spells them

__all__ = [
    "ConvParams",
    "ConvPlan",
    "InputTransform",
    "KernelTransform",
    "OutputTransform",
    "Plan",
    "PlanningCache",
    "add_bias",
    "bwd_flops",
    "calculate_weight_deltas",
    "convolution",
    "convolution_bias_update",
    "convolution_weight_update",
    "convolution_with_output",
    "create_biases",
    "create_conv_output",
    "create_input",
    "create_mat_mul_grouped_input_lhs",
    "create_mat_mul_grouped_input_rhs",
    "create_mat_mul_input_lhs",
    "create_mat_mul_input_rhs",
    "create_weights",
    "fwd_flops",
    "get_gradient_params",
    "get_weight_update_params",
    "gradient_params",
    "mat_mul",
    "mat_mul_acc",
    "mat_mul_grouped",
    "mat_mul_grouped_acc",
    "mat_mul_grouped_plan",
    "mat_mul_grouped_with_output",
    "mat_mul_plan",
    "mat_mul_with_output",
    "perfect_cycle_count",
    "plan_convolution",
    "plan_estimated_costs",
    "report_plan",
    "transpose_grouped_matrix",
    "weight_update_params",
    "weights_transpose_chans_flip_xy",
    "wu_flops",
]


def report_plan(graph: Graph, *problem: Any, options: Mapping[str, Any] | None = None) -> str:
    """A plan in words: the split, the piece of a tile, and a table of what it costs by part (cycles and bytes).

    problem: ConvParams of a convolution, or the shapes of both operands and the element type of a matrix product
    (grouped where shapes have three axes); options may also follow as the last argument.
    """
    *problem_, last = problem or (None,)
    if isinstance(last, Mapping):
        problem, options = tuple(problem_), last
    if problem and isinstance(problem[0], ConvParams):
        return plan_convolution(graph, problem[0], options).report()
    grouped = len(problem) == 3 and len(tuple(problem[0])) == 3
    return (mat_mul_grouped_plan if grouped else mat_mul_plan)(graph, *problem, options).report()  # type: ignore[call-arg]
