"""Options of convolutions, by PopLibs' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidOption, did_you_mean
from ..options import read_options
from .conv_plan import AXES

PASSES = (
    "none", "inference_fwd", "training_fwd", "training_bwd", "training_wu",
    "fc_inference_fwd", "fc_training_fwd", "fc_training_bwd", "fc_training_wu",
)  # fmt: skip
CONV_OPTIONS: dict[str, Any] = {
    "available_memory_proportion": 0.6,
    "partials_type": "",
    "pass": "none",
    "plan_constraints": {},
}


def read_conv_options(options: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """Check the options of a convolution. Raises InvalidOption."""
    given = dict(options or {})
    constraints = given.pop("plan_constraints", {}) or {}
    read = read_options(given, {k: v for k, v in CONV_OPTIONS.items() if k != "plan_constraints"}, where)
    if not 0 < read["available_memory_proportion"] <= 1:
        raise InvalidOption(
            f"{where} option 'available_memory_proportion' is {read['available_memory_proportion']}; it lies in (0, 1]"
        )
    if read["partials_type"] not in ("", "half", "float"):
        raise InvalidOption(f"{where} option 'partials_type' is {read['partials_type']!r}; it is 'half' or 'float'")
    if str(read["pass"]).lower() not in PASSES:
        raise InvalidOption(
            f"{where} option 'pass' is {read['pass']!r}.{did_you_mean(str(read['pass']), PASSES)} It is one of {', '.join(PASSES)}"
        )
    if not isinstance(constraints, Mapping):
        raise InvalidOption(f"{where} option 'plan_constraints' is {constraints!r}; it is a dict such as {{'y': 4}}")
    for name, count in constraints.items():
        if name not in AXES:
            raise InvalidOption(
                f"{where} option 'plan_constraints': no axis '{name}'.{did_you_mean(name, AXES)} Axes: {', '.join(AXES)}"
            )
        if not isinstance(count, int) or count < 1:
            raise InvalidOption(f"{where} option 'plan_constraints': {name} is {count!r}; it takes a number of pieces")
    return read | {"pass": str(read["pass"]).lower(), "plan_constraints": dict(constraints)}
