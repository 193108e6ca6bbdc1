"""The cell of an LSTM: what follows the products of a step. The gradient makes the gates' functions again, so that of a
step only the gates before their functions and the state before are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from poplar_py.errors import ShapeError
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    TensorType,
    Value,
    computed,
    describe,
    floats,
    halfs,
    like,
    require_floating,
    same_dtype,
    sample,
)

GATES = 4


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _check(op: Any) -> None:
    require_floating(op, "gates")
    same_dtype(op, "gates", "c_before")
    if op.c_before.ndim != 2 or op.gates.shape != (op.c_before.shape[0], GATES * op.c_before.shape[1]):
        raise ShapeError(
            f"{op}: {describe(op.gates, op.c_before)}: it takes (batch, {GATES} * units) and (batch, units)"
        )


def _parts(op: Any, gates: Any) -> dict[str, Any]:
    """The four gates of (batch, 4 * units), by name."""
    units = op.c_before.shape[1]
    return {name: gates[:, n * units : (n + 1) * units] for n, name in enumerate("ifgo")}


class LstmCell(Op):
    """c = sigmoid(f) * c_before + sigmoid(i) * tanh(g); h = sigmoid(o) * tanh(c), where i, f, g, o are the columns of
    `gates` (batch, 4 * units)"""

    gates: Value
    c_before: Value
    h = like("c_before")
    c = like("c_before")
    laid_by = ()
    samples = (
        sample(floats(3, 20), floats(3, 5)),
        sample(floats(1, 4), floats(1, 1)),
        sample(halfs(4, 32), halfs(4, 8)),
        sample(floats(0, 8), floats(0, 2)),
    )

    def infer(self) -> Any:
        _check(self)
        return super().infer()

    def reference(self, gates: Any, c_before: Any) -> Any:
        part = _parts(self, gates)
        c = _sigmoid(part["f"]) * c_before + _sigmoid(part["i"]) * np.tanh(part["g"])
        return _sigmoid(part["o"]) * np.tanh(c), c

    def gradient(self, g: Any, dh: Value | None, dc: Value | None) -> Any:
        made = g.add("lstm_cell_grad", self.gates, self.c_before, dh, dc, name=gradient_name(self.gates))
        return made[0], made[1]

    def lower(self, at: Any, gates: Any, c_before: Any) -> Any:
        kind, shape = self.c_before.dtype, self.c_before.shape
        h = at.variable(kind, shape, f"{self.leaf}/h")
        c = at.variable_like(h, f"{self.leaf}/c")
        at.elementwise("LstmCell", h, self.leaf, c=c, c_before=c_before, **_parts(self, gates))
        return h, c


class LstmCellGrad(Op):
    """Gradients of gates and of c_before, given those of h and c (absent: none)"""

    gates: Value
    c_before: Value
    dh: Value | None = None
    dc: Value | None = None
    dgates = computed()
    dc_before = computed()
    laid_by = ()
    in_place = ("gates",)
    samples = (
        sample(floats(3, 20), floats(3, 5), floats(3, 5), floats(3, 5)),
        sample(floats(3, 20), floats(3, 5), floats(3, 5), None),
        sample(floats(2, 8), floats(2, 2), None, floats(2, 2)),
        sample(halfs(4, 32), halfs(4, 8), halfs(4, 8), halfs(4, 8)),
    )

    def infer(self) -> tuple[TensorType, ...]:
        _check(self)
        for value in (self.dh, self.dc):
            if value is not None and value.type != self.c_before.type:
                raise ShapeError(f"{self}: {describe(self.c_before, value)} differ")
        return self.gates.type, self.c_before.type

    def reference(self, gates: Any, c_before: Any, dh: Any, dc: Any) -> Any:
        part = _parts(self, gates)
        i, f, g, o = _sigmoid(part["i"]), _sigmoid(part["f"]), np.tanh(part["g"]), _sigmoid(part["o"])
        state = np.tanh(f * c_before + i * g)
        dh, dc = np.zeros_like(c_before) if dh is None else dh, np.zeros_like(c_before) if dc is None else dc
        through = dc + dh * o * (1 - state * state)
        parts = [
            through * g * i * (1 - i),
            through * c_before * f * (1 - f),
            through * i * (1 - g * g),
            dh * state * o * (1 - o),
        ]
        return np.concatenate(parts, axis=1), through * f

    def lower(self, at: Any, gates: Any, c_before: Any, dh: Any, dc: Any) -> Any:
        kind, shape = self.c_before.dtype, self.c_before.shape
        dc_before = at.variable(kind, shape, f"{self.leaf}/dc_before")
        dgates = at.variable(kind, self.gates.shape, f"{self.leaf}/dgates")
        given = {"dh": dh, "dc": dc}
        for name in [name for name, tensor in given.items() if tensor is None]:
            given[name] = at.variable_like(dc_before, f"{self.leaf}/no-{name}")
            at.fill(given[name], 0, f"{self.leaf}/no-{name}")
        made = {f"d{name}": tensor for name, tensor in _parts(self, dgates).items()}
        fields = _parts(self, gates) | given | made
        at.elementwise("LstmCellGrad", dc_before, self.leaf, c_before=c_before, **fields)
        return dgates, dc_before
