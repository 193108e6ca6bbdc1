"""The op graph: ops in order, over inputs and parameters, towards named outputs.

    g = OpGraph("mlp")
    x = g.add_input("input", FLOAT, (32, 784))
    with g.scope("fc1"):
        w = g.add_parameter("weights", FLOAT, (784, 10), "he_uniform", seed=1)
        y = g.add("matmul", x, w)                 # the Value fc1/matmul
    g.set_output("output", y)
    print(g.text())

Parameters are state: they keep their contents from one run to the next, and ops with `updates` change them in place.
The order of the ops is the order of effects: an op that stands before an update reads the old contents. Every op is of
a phase, "forward", "backward" or "update", so that the forward part of a training graph can be run alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ModelError, ShapeError, did_you_mean
from .initialise import initial_values
from .op import Op, TensorType, Value, find_op, tensor_type

PHASES = ("forward", "backward", "update")


@dataclass(eq=False)
class Parameter:
    """State of an op graph. `initial` is an array, or the name of an initialiser used with `seed`, or None where a
    loaded op graph has left a large array to the executable.

    `like` is the parameter whose tile mapping this one follows (a velocity follows its weights); `trainable` says
    whether gradients are taken towards it. `fans` are the numbers of inputs of an output and of outputs of an input,
    for initialisers, where the shape alone does not tell them (see initialise.py).
    """

    value: Value
    initial: np.ndarray | str | None
    seed: int = 0
    like: Value | None = None
    trainable: bool = True
    fans: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return self.value.name

    @property
    def type(self) -> TensorType:
        return self.value.type

    def initial_value(self) -> np.ndarray:
        """The contents before the first step: an array of the parameter's shape and numpy type."""
        if self.initial is None:
            raise ModelError(f"the initial contents of parameter '{self.name}' were not saved with the op graph")
        if isinstance(self.initial, str):
            return initial_values(self.initial, self.type, self.seed, self.name, self.fans)
        return self.initial


class OpGraph:
    """Ops in order; see the module's text. `info` is JSON-able data that travels along (training settings, sources)."""

    def __init__(self, name: str = "model"):
        self.name = name
        self.ops: list[Op] = []
        self.inputs: list[Value] = []
        self.parameters: list[Parameter] = []
        self.outputs: dict[str, Value] = {}
        self.info: dict[str, Any] = {}
        self._scope: list[str] = []
        self._phase = "forward"
        self._names: dict[str, int] = {}

    # building ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def scope(self, path: str) -> Iterator[None]:
        """Names made inside start with `path/`; an empty path changes nothing."""
        parts = [p for p in path.split("/") if p]
        self._scope += parts
        try:
            yield
        finally:
            del self._scope[len(self._scope) - len(parts) :]

    @contextmanager
    def top_scope(self, path: str = "") -> Iterator[None]:
        """Like `scope`, but counted from the top."""
        outside, self._scope = self._scope, [p for p in path.split("/") if p]
        try:
            yield
        finally:
            self._scope = outside

    @contextmanager
    def phase(self, phase: str) -> Iterator[None]:
        """Ops added inside are of that phase."""
        before, self._phase = self._phase, phase
        try:
            yield
        finally:
            self._phase = before

    def path_here(self, name: str) -> str:
        """The full path of `name` in the open scope."""
        return "/".join([*self._scope, name])

    def path(self, name: str) -> str:
        """The full path of something new called `name`; a number is added where the path is taken."""
        path = first = self.path_here(name)
        while path in self._names:
            self._names[first] += 1
            path = f"{first}_{self._names[first]}"
        self._names[path] = 0
        return path

    def add(self, kind: str | type[Op], *operands: Any, name: str = "", **fields: Any) -> Any:
        """Add an op and return its output (a tuple of several, None of none), named `name` or by its kind.

        Raises ModelError, ShapeError and TypeMismatch, naming the op by its path.
        """
        cls = find_op(kind) if isinstance(kind, str) else kind
        op = cls(*operands, name=self.path(name or cls.kind), phase=self._phase, **fields)
        self.ops.append(op)
        return None if not op.outputs else op.outputs[0] if len(op.outputs) == 1 else op.outputs

    def add_input(self, name: str, element_type: Any, shape: Any) -> Value:
        """An array that every run is given."""
        self.inputs.append(Value(self.path(name), tensor_type(element_type, shape)))
        return self.inputs[-1]

    def add_parameter(
        self,
        name: str,
        element_type: Any,
        shape: Any,
        initial: Any = "zeros",
        *,
        seed: int = 0,
        like: Value | None = None,
        trainable: bool = True,
        fans: tuple[int, int] | None = None,
    ) -> Value:
        """State with initial contents: an array or number, or the name of an initialiser (see initialise.py)."""
        value = Value(self.path(name), tensor_type(element_type, shape))
        if not isinstance(initial, str):
            initial = np.asarray(initial)
            if initial.shape not in ((), value.shape):
                raise ShapeError(f"parameter '{value.name}' {value.type}: its initial value is {list(initial.shape)}")
            initial = np.broadcast_to(initial, value.shape).astype(value.dtype.np)
        self.parameters.append(Parameter(value, initial, seed, like, trainable, fans))
        return value

    def constant(self, value: Any, element_type: Any = None, name: str = "constant") -> Value:
        """A value known when compiled: an array or number."""
        array = np.asarray(value)
        if element_type is None and array.dtype.kind == "f":
            element_type = np.float32
        type_ = tensor_type(element_type or (np.int32 if array.dtype.kind in "iu" else array.dtype), array.shape)
        return self.add("constant", name=name, value=array.astype(type_.dtype.np))

    def set_output(self, name: str, value: Value) -> None:
        """Let the value be readable under that name after a run."""
        if name in self.outputs:
            raise ModelError(f"op graph '{self.name}' has two outputs called '{name}'")
        self.outputs[name] = value

    # looking -----------------------------------------------------------------------------------------------------------

    def values(self) -> dict[str, Value]:
        """Every value by name: inputs, parameters, outputs of ops in order."""
        found = {v.name: v for v in self.inputs} | {p.name: p.value for p in self.parameters}
        return found | {v.name: v for op in self.ops for v in op.outputs}

    def parameter(self, name: str) -> Parameter:
        """The parameter of that path name. Raises ModelError with the nearest known name."""
        known = {p.name: p for p in self.parameters}
        if name not in known:
            raise ModelError(f"op graph '{self.name}' has no parameter '{name}'.{did_you_mean(name, known)}")
        return known[name]

    def with_values(self, arrays: Mapping[str, np.ndarray]) -> OpGraph:
        """The same op graph (its ops shared) with other initial contents of the parameters called so.

        Raises ModelError for a name that is no parameter's, ShapeError for an array of another shape.
        """
        other = copy(self)
        changed = {}
        for name, array in arrays.items():
            parameter, array = self.parameter(name), np.asarray(array)
            if array.shape != parameter.type.shape:
                raise ShapeError(f"parameter '{name}' is {parameter.type}; the array given is {list(array.shape)}")
            with np.errstate(over="ignore"):
                changed[name] = replace(parameter, initial=array.astype(parameter.type.dtype.np))
        other.parameters = [changed.get(p.name, p) for p in self.parameters]
        return other

    def updated(self) -> set[Value]:
        """The parameters that some op changes."""
        return {value for op in self.ops for value in op.updated}

    def text(self) -> str:
        """The printed form, one op a line."""
        from .text import text

        return text(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form for saving and drawing; see text.py."""
        from .text import to_dict

        return to_dict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> OpGraph:
        """The op graph that `to_dict` wrote."""
        from .text import from_dict

        return from_dict(data)

    def to_networkx(self) -> Any:
        """A networkx.DiGraph with ops and values both as its points; see text.py."""
        from .text import to_networkx

        return to_networkx(self)

    def __repr__(self) -> str:
        return f"<OpGraph {self.name}: {len(self.ops)} ops, {len(self.parameters)} parameters>"
