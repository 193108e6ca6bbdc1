"""Ops: what is computed, in one class each. Values: what flows between them.

An op class names its operands and attributes as typed fields, its outputs as shape rules, and says what it means:

    class Relu(Op):
        '''y = max(x, 0)'''

        x: Value
        y = like("x")

        def reference(op, x): ...             # the meaning in numpy
        def gradient(op, g, dy): ...          # a value (or None) per operand, made with g.add
        def lower(op, at, x): ...             # tensors in, tensor out: lower/lowering.py is the vocabulary
        samples = (sample(floats(7)), ...)    # the tests walk them

Fields typed `Value`, `Value | None` or `tuple[Value, ...]` are operands, in order; every other typed field is an
attribute. An op that changes operands in place names them in `updates` and has no outputs; the order of the ops of a
graph is then part of its meaning. The registry holds every class of poplar_py/ops/*.py under its `kind`, the class
name in snake case; there is no list to extend.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..dtypes import FLOAT, DType, dtype
from ..errors import InternalError, ModelError, ShapeError, TypeMismatch, did_you_mean

if TYPE_CHECKING:
    from ..graph import Tensor
    from ..lower.lowering import Lowering


@dataclass(frozen=True)
class TensorType:
    """Element type and shape of a value."""

    dtype: DType
    shape: tuple[int, ...]

    @cached_property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.size

    def __str__(self) -> str:
        return f"{self.dtype.name.lower()}{list(self.shape)}"


def tensor_type(element_type: Any, shape: Any) -> TensorType:
    """A TensorType of anything that names an element type and a shape."""
    return TensorType(dtype(element_type), tuple(int(n) for n in shape))


@dataclass(eq=False)
class Value:
    """An array that flows through an op graph: an input, a parameter, or an output of `op`. Compared by identity."""

    name: str
    type: TensorType
    op: Op | None = None

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def size(self) -> int:
        return self.type.size

    @property
    def leaf(self) -> str:
        """The last part of the path name."""
        return self.name.rpartition("/")[2]

    def __repr__(self) -> str:
        return f"<Value {self.name} {self.type}>"


# shape rules: the vocabulary of one-line `infer`s ----------------------------------------------------------------------


class Rule:
    """How the type of an output follows from the op."""

    def __init__(self, infer: Callable[[Op], TensorType]):
        self.infer = infer


def like(operand: str, dtype: DType | None = None) -> Any:
    """The type of an operand, or its shape in another element type."""
    return Rule(lambda op: TensorType(dtype or getattr(op, operand).dtype, getattr(op, operand).shape))


def broadcast(*operands: str, dtype: DType | None = None) -> Any:
    """The shape operands of one element type broadcast to, as numpy does."""

    def infer(op: Op) -> TensorType:
        values = [getattr(op, name) for name in operands]
        same_dtype(op, *operands)
        try:
            shape = np.broadcast_shapes(*(v.shape for v in values))
        except ValueError:
            raise ShapeError(f"{op}: {describe(*values)} do not broadcast to one shape") from None
        return TensorType(dtype or values[0].dtype, shape)

    return Rule(infer)


def rows_of(operand: str, dtype: DType | None = None) -> Any:
    """One element for every row: the shape of an operand without its last axis."""

    def infer(op: Op) -> TensorType:
        value = getattr(op, operand)
        if not value.ndim:
            raise ShapeError(f"{op}: {describe(value)} is a single element; it takes at least one axis")
        return TensorType(dtype or value.dtype, value.shape[:-1])

    return Rule(infer)


def scalar(dtype: DType = FLOAT) -> Any:
    """One element."""
    return Rule(lambda op: TensorType(dtype, ()))


def computed() -> Any:
    """An output whose type the op's own `infer` returns."""

    def infer(op: Op) -> TensorType:
        raise InternalError(f"op {op.kind} has a computed output and no infer")

    return Rule(infer)


# checks, in the words that errors use ----------------------------------------------------------------------------------


def describe(*values: Value) -> str:
    """Values with their types, for messages."""
    return " and ".join(f"'{v.name}' {v.type}" for v in values)


def same_dtype(op: Op, *operands: str) -> DType:
    """The element type that the named operands share. Raises TypeMismatch where they differ."""
    values = [getattr(op, name) for name in operands]
    for value in values[1:]:
        if value.dtype != values[0].dtype:
            raise TypeMismatch(f"{op}: {describe(values[0], value)} differ in element type; cast one")
    return values[0].dtype


def require_floating(op: Op, *operands: str) -> None:
    """Raise TypeMismatch unless the named operands are FLOAT or HALF."""
    for name in operands:
        value = getattr(op, name)
        if not value.dtype.is_floating:
            raise TypeMismatch(f"{op}: {describe(value)} is not FLOAT or HALF; cast it")


def check_axis(op: Op, axis: int, ndim: int) -> int:
    """`axis` counted from the front. Raises ShapeError where there is none."""
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{op}: axis {axis} is outside a value of {ndim} axes")
    return axis % ndim


# samples: what the tests run every op on -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operand:
    """A random operand of a sample: its type and the range its elements are drawn from."""

    type: TensorType
    low: float = -2.0
    high: float = 2.0
    distinct: bool = False

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """An array of this type. `distinct`: no two elements nearer than a finite difference can step."""
        kind, shape = self.type.dtype, self.type.shape
        if kind.np.kind == "b":
            return random.integers(0, 2, shape).astype(bool)
        if not kind.is_floating:
            return random.integers(int(self.low), max(int(self.high), int(self.low) + 1), shape).astype(kind.np)
        if self.distinct:
            steps = random.permutation(self.type.size) + 0.25
            array = self.low + (self.high - self.low) * steps / max(self.type.size, 1)
            return array.reshape(shape).astype(kind.np)
        return random.uniform(self.low, self.high, shape).astype(kind.np)


def floats(*shape: int, low: float = -2.0, high: float = 2.0, distinct: bool = False) -> Operand:
    """A FLOAT operand of that shape."""
    return Operand(tensor_type("FLOAT", shape), low, high, distinct)


def halfs(*shape: int, low: float = -2.0, high: float = 2.0) -> Operand:
    """A HALF operand of that shape."""
    return Operand(tensor_type("HALF", shape), low, high)


def ints(*shape: int, low: int = -9, high: int = 10) -> Operand:
    """An INT operand of that shape, elements in [low, high)."""
    return Operand(tensor_type("INT", shape), low, high)


def bools(*shape: int) -> Operand:
    """A BOOL operand of that shape."""
    return Operand(tensor_type("BOOL", shape))


@dataclass(frozen=True)
class Sample:
    """Operands (an Operand, None, or a tuple of Operands per operand field) and attributes to try an op with."""

    operands: tuple[Any, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        def word(o: Any) -> str:
            return "(" + ",".join(map(word, o)) + ")" if isinstance(o, tuple) else str(getattr(o, "type", o))

        return ",".join([*map(word, self.operands), *(f"{k}={v}" for k, v in self.attributes.items())])


def sample(*operands: Any, **attributes: Any) -> Sample:
    """One sample of an op."""
    return Sample(operands, attributes)


# the op ----------------------------------------------------------------------------------------------------------------

_OPERAND = re.compile(r"Value(\s*\|\s*None)?|tuple\[Value,\s*\.\.\.\]")
_registry: dict[str, type[Op]] = {}


class Op:
    """Base of all ops; see the module's text. Instances are made by `OpGraph.add`, which names and checks them."""

    kind: ClassVar[str] = ""
    operand_fields: ClassVar[tuple[str, ...]] = ()
    attribute_fields: ClassVar[tuple[str, ...]] = ()
    output_rules: ClassVar[dict[str, Rule]] = {}
    updates: ClassVar[tuple[str, ...]] = ()
    samples: ClassVar[tuple[Sample, ...]] = ()
    when_evaluating: ClassVar[dict[str, Any]] = {}  # operand -> what it holds in programs that train nothing
    only_evaluating: ClassVar[tuple[str, ...]] = ()  # operands that count only then; what is computed again has none
    view_of: ClassVar[str] = ""  # the operand (or operands) whose memory the output is a view of
    in_place: ClassVar[tuple[str, ...]] = ()  # operands whose memory the first output may take, element by element
    laid_by: ClassVar[tuple[str, ...] | None] = None  # operands by whose places outputs lie and sums go; None: all
    sums: ClassVar[bool] = False  # whether it adds up in an order that depends on where `laid_by` lie
    signature: ClassVar[inspect.Signature]

    name: str
    phase: str
    outputs: tuple[Value, ...]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        operands, attributes, parameters = list(cls.operand_fields), list(cls.attribute_fields), []
        for name, annotation in inspect.get_annotations(cls).items():
            words = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
            if words.startswith("ClassVar"):
                continue
            group = operands if _OPERAND.fullmatch(words) else attributes
            if name not in group:
                group.append(name)
        for name in (*operands, *attributes):
            default = getattr(cls, name, inspect.Parameter.empty)
            parameters.append(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default))
        cls.operand_fields, cls.attribute_fields = tuple(operands), tuple(attributes)
        parameters.sort(key=lambda p: p.default is not inspect.Parameter.empty)
        cls.signature = inspect.Signature(parameters)
        rules = {n: r for n, r in cls.__dict__.items() if isinstance(r, Rule)}
        cls.output_rules = {**cls.output_rules, **rules}
        if cls.__module__.startswith("poplar_py.ops.") and not cls.__name__.startswith("_"):
            _registry[cls.kind] = cls

    def __init__(self, *args: Any, name: str = "", phase: str = "forward", **fields: Any):
        self.name = name or self.kind
        self.phase = phase
        try:
            bound = self.signature.bind(*args, **fields)
        except TypeError as error:
            raise ModelError(f"{self}: {error}; it takes {self.kind}{self.signature}") from None
        bound.apply_defaults()
        for field, value in bound.arguments.items():
            setattr(self, field, tuple(value) if isinstance(value, list) else value)
        for field in self.operand_fields:
            operand = getattr(self, field)
            for value in operand if isinstance(operand, tuple) else (operand,):
                if not isinstance(value, Value) and not (value is None and self._may_be_absent(field)):
                    raise ModelError(f"{self}: operand '{field}' is {value!r}; it takes a value of the op graph")
        names = tuple(self.output_rules)
        paths = [self.name] if len(names) == 1 else [f"{self.name}/{n}" for n in names]
        types = self.infer()
        types = (types,) if isinstance(types, TensorType) else tuple(types)
        self.outputs = tuple(Value(path, type_, self) for path, type_ in zip(paths, types, strict=True))

    def _may_be_absent(self, field: str) -> bool:
        return self.signature.parameters[field].default is None

    @property
    def scope(self) -> str:
        """The path without its last part."""
        return self.name.rpartition("/")[0]

    @property
    def leaf(self) -> str:
        """The last part of the path: what `lower` calls its variables and compute sets, inside the op's scope."""
        return self.name.rpartition("/")[2]

    @cached_property
    def operands(self) -> tuple[Any, ...]:
        """A Value, None or tuple of Values for every operand field, in order."""
        return tuple(getattr(self, field) for field in self.operand_fields)

    @cached_property
    def inputs(self) -> tuple[Value, ...]:
        """The values among the operands, in order."""
        flat: list[Value] = []
        for operand in self.operands:
            flat += operand if isinstance(operand, tuple) else [operand] if operand is not None else []
        return tuple(flat)

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes by name."""
        return {field: getattr(self, field) for field in self.attribute_fields}

    @property
    def updated(self) -> tuple[Value, ...]:
        """The operands that are changed in place."""
        return tuple(getattr(self, field) for field in self.updates)

    @property
    def macs(self) -> int:
        """Products summed by a matrix product or convolution; 0 for ops that are not made of them."""
        return 0

    def regroup(self, flat: list[Any] | tuple[Any, ...]) -> tuple[Any, ...]:
        """Things given one for each of `inputs`, grouped as the operand fields are."""
        queue = iter(flat)
        grouped: list[Any] = []
        for operand in self.operands:
            if isinstance(operand, tuple):
                grouped.append(tuple(next(queue) for _ in operand))
            else:
                grouped.append(None if operand is None else next(queue))
        return tuple(grouped)

    def infer(self) -> TensorType | tuple[TensorType, ...]:
        """Types of the outputs. Raises ShapeError and TypeMismatch."""
        return tuple(rule.infer(self) for rule in self.output_rules.values())

    def reference(self, *arrays: Any, **_: Any) -> Any:
        """The meaning in numpy: arrays (None, tuples of arrays) for the operands in, arrays for the outputs out.

        Half operands arrive as float32, as in a codelet; the caller rounds results to the outputs' types. An op with
        `updates` returns the new contents of those operands.
        """
        raise InternalError(f"op {self.kind} has no reference")

    def gradient(self, *given: Any, **_: Any) -> Any:
        """Given the op graph to add to and the gradients of the outputs, gradients by operand field (None where none)."""
        raise ModelError(f"'{self.name}': {self.kind} has no gradient")

    def lower(self, *given: Any, **_: Any) -> Any:
        """Put the op on tiles: the Lowering `at` and tensors by operand field in; a tensor, a tuple of them, or None out."""
        raise InternalError(f"op {self.kind} has no lowering")

    def create_operand(self, at: Lowering, field: str, name: str, **known: Tensor) -> Tensor | None:
        """A variable for an operand that has no place yet, laid out as this op wants it; None: no wish.

        `known` are the tensors of other operands, by field, as far as they have a place.
        """
        return None

    def __str__(self) -> str:
        return f"op '{self.name}' ({self.kind})" if self.name != self.kind else f"op {self.kind}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def load_ops() -> dict[str, type[Op]]:
    """All op classes by kind: imports every file of poplar_py/ops, in sorted order, the first time."""
    import importlib
    import pkgutil

    package = importlib.import_module("poplar_py.ops")
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"poplar_py.ops.{module}")
    return dict(sorted(_registry.items()))


def find_op(kind: str) -> type[Op]:
    """The op class of that kind. Raises ModelError with the nearest known kind."""
    if kind not in _registry:
        load_ops()
    if kind not in _registry:
        raise ModelError(f"no op '{kind}'.{did_you_mean(kind, _registry)} There are {len(_registry)} in poplar_py/ops")
    return _registry[kind]
