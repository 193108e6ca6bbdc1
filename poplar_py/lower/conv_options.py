"""Options of convolutions, by PopLibs' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InvalidOption, did_you_mean
from ..options import read_options
from .conv_params import ConvParams

PASSES = (
    "none", "none_matmul", "inference_fwd", "training_fwd", "training_bwd", "training_wu",
    "fc_inference_fwd", "fc_training_fwd", "fc_training_bwd", "fc_training_wu",
)  # fmt: skip
CONV_OPTIONS: dict[str, Any] = {
    "available_memory_proportion": 0.6,
    "partials_type": "",
    "pass": "none",
    "plan_constraints": {},
}
COUNTS = ("batch", "field0", "field1", "field2", "groups", "a", "y", "kernel", "passes")  # what constraints fix
METHODS = {"AMP": "", "HMAC": "Horizontal", "VMAC": "", "SLIC": "Slic"}
_PARTITION = {"batch_split": "batch", "conv_group_split": "groups"}
_CHANNELS = {"in_chan_split": {"parallel": "a"}, "out_chan_split": {"parallel": "y", "serial": "passes"}}


def read_conv_options(
    options: Mapping[str, Any] | None, where: str, params: ConvParams | None = None
) -> dict[str, Any]:
    """Check the options of a convolution. Raises InvalidOption."""
    given = dict(options or {})
    constraints = given.pop("plan_constraints", {}) or {}
    names = {k: v for k, v in CONV_OPTIONS.items() if k != "plan_constraints"}
    for name in given:
        if name not in names:
            raise InvalidOption(
                f"{where} has no option '{name}'.{did_you_mean(name, CONV_OPTIONS)} Options:"
                f" {', '.join(sorted(CONV_OPTIONS))}"
            )
    read = read_options(given, names, where)
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
    taps = params.kernel_shape if params is not None else (2, 2, 2)
    found = read_constraints(constraints, taps, f"{where} option 'plan_constraints'")
    return read | {"pass": str(read["pass"]).lower(), "plan_constraints": found}


def read_constraints(given: Any, taps: Sequence[int], where: str) -> dict[str, Any]:
    """What a plan must be like, by names of the planner's AXES, "passes" and "method"; `taps` of every field axis.

    Either numbers of pieces by name, {"batch": 2, "field0": 4, "a": 2}, or PopLibs' tree: {"method": "AMP", "0":
    {"partition": {"batch_split": 2, "field_split": {"0": 4}, "conv_group_split": 1, "kernel_split": {"0": 1},
    "in_chan_split": {"parallel": 2}, "out_chan_split": {"parallel": 4, "serial": 1}}}}, names in either spelling.
    Raises InvalidOption.
    """
    _mapping(given, where)
    found: dict[str, Any] = {}
    for name, value in given.items():
        name = str(name)
        if name == "method":
            found["method"] = _method(value, where)
        elif name == "0":
            for part, rest in _mapping(value, f"{where}.0").items():
                if part != "partition":
                    _transform_or_unknown(part, rest, f"{where}.0")
                    continue
                found |= _partition(_mapping(rest, f"{where}.0.partition"), taps, f"{where}.0.partition")
        elif name in COUNTS:
            found[_axis(name, len(taps), where)] = _count(value, f"{where}: {name}")
        else:
            raise InvalidOption(
                f"{where}: no axis '{name}'.{did_you_mean(name, COUNTS)} There are {', '.join(COUNTS)}, method, and PopLibs' '0'"
            )
    return found


def _partition(given: Mapping[str, Any], taps: Sequence[int], where: str) -> dict[str, int]:
    axes = len(taps)
    cut = next((d for d, n in enumerate(taps) if n > 1), 0)
    found: dict[str, int] = {}
    known = (*_PARTITION, *_CHANNELS, "field_split", "kernel_split")
    for name, value in given.items():
        plain = _snake(str(name))
        if plain in _PARTITION:
            found[_PARTITION[plain]] = _count(value, f"{where}.{name}")
        elif plain in _CHANNELS:
            value = {"parallel": value} if isinstance(value, int) else value
            for how, count in _mapping(value, f"{where}.{name}").items():
                count = _count(count, f"{where}.{name}.{how}")
                if how not in ("parallel", "serial"):
                    raise InvalidOption(f"{where}.{name}: '{how}' is neither 'parallel' nor 'serial'")
                if how in _CHANNELS[plain]:
                    found[_CHANNELS[plain][how]] = count
                elif count != 1:
                    raise InvalidOption(
                        f"{where}.{name}.{how} is {count}; channels in are not split in passes, it is 1"
                    )
        elif plain in ("field_split", "kernel_split"):
            for axis, count in _mapping(value, f"{where}.{name}").items():
                if not str(axis).isdigit() or int(axis) >= axes:
                    raise InvalidOption(f"{where}.{name}: no field axis '{axis}'; there are {axes}, numbered from 0")
                count = _count(count, f"{where}.{name}.{axis}")
                if plain == "field_split":
                    found[_axis(f"field{axis}", axes, where)] = count
                elif int(axis) == cut:
                    found["kernel"] = count
                elif count != 1:
                    raise InvalidOption(
                        f"{where}.{name}.{axis} is {count}; of a kernel the outermost axis of several taps is cut, which"
                        f" is {cut} here; along others it is 1"
                    )
        else:
            raise InvalidOption(f"{where}: no '{name}'.{did_you_mean(plain, known)} There are {', '.join(known)}")
    return found


def _transform_or_unknown(name: str, given: Any, where: str) -> None:
    """Operands are never swapped, expanded or combined by a plan: only constraints that say so can be met."""
    if name != "transform":
        raise InvalidOption(f"{where}: '{name}' is neither 'partition' nor 'transform'")
    for what, value in _mapping(given, f"{where}.transform").items():
        plain = _snake(str(what))
        unchanged = {
            "swap_operands": False,
            "expand_dims": [],
            "out_chan_flatten_dims": [],
            "combine_conv_groups_factor": 1,
        }
        if plain not in unchanged:
            raise InvalidOption(f"{where}.transform: no '{what}'.{did_you_mean(plain, unchanged)}")
        if value not in (unchanged[plain], [unchanged[plain]]):
            raise InvalidOption(
                f"{where}.transform.{what} is {value!r}; operands are read as they are, it is {unchanged[plain]!r}"
            )


def _method(given: Any, where: str) -> str:
    given = given.get("type") if isinstance(given, Mapping) else given
    if str(given).upper() not in METHODS:
        raise InvalidOption(
            f"{where}: no method {given!r}.{did_you_mean(str(given).upper(), METHODS)} There are {', '.join(METHODS)}"
        )
    return str(given).upper()


def _axis(name: str, axes: int, where: str) -> str:
    """A field axis counted from the first of three; others as they are."""
    if not name.startswith("field"):
        return name
    if int(name[5:]) >= axes:
        raise InvalidOption(f"{where}: no axis '{name}'; the field has {axes}, field0 to field{axes - 1}")
    return f"field{int(name[5:]) + 3 - axes}"


def _count(value: Any, where: str) -> int:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidOption(f"{where} is {value!r}; it takes a number of pieces")
    return value


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidOption(f"{where} is {value!r}; it is a dict such as {{'y': 4}}")
    return value


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
