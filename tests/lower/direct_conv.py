"""A convolution and its gradients in numpy, by the words of PopLibs' ConvParams and nothing of poplar_py's: what the tests
of convolutions hold results against.

Every transform is a matrix, made by doing its steps to an identity; a convolution is then y = N (Mx x * Mw w), its
gradients the transposes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import poplar_py as pp
from poplar_py import poplin


def transform_matrix(t: Any, axis: int, size: int) -> np.ndarray:
    """(places after, size): truncate, dilate, pad, flip."""
    m = np.eye(size)[t.truncation_lower[axis] : size - t.truncation_upper[axis]]
    if len(m):
        wide = np.zeros(((len(m) - 1) * t.dilation[axis] + 1, size))
        wide[:: t.dilation[axis]] = m
        m = wide
    m = np.concatenate([np.zeros((t.padding_lower[axis], size)), m, np.zeros((t.padding_upper[axis], size))])
    return m[::-1] if t.flip[axis] else m


def output_matrix(t: Any, axis: int, size: int) -> np.ndarray:
    """(places after, size): truncate, stride, pad."""
    m = np.eye(size)[t.truncation_lower[axis] : size - t.truncation_upper[axis]][:: t.stride[axis]]
    return np.concatenate([np.zeros((t.padding_lower[axis], size)), m, np.zeros((t.padding_upper[axis], size))])


def apply(a: np.ndarray, matrices: list[np.ndarray], transposed: bool = False) -> np.ndarray:
    """Matrices to the last axes of a."""
    for d, m in enumerate(matrices):
        axis = a.ndim - len(matrices) + d
        a = np.moveaxis(np.tensordot(a, m.T if transposed else m, axes=([axis], [1])), -1, axis)
    return a


class Direct:
    """One convolution; arrays are (batch, channels, *field) and (groups, out, in, *kernel), sums float64."""

    def __init__(self, p: poplin.ConvParams):
        self.p = p
        axes = range(len(p.kernel_shape))
        self.mx = [transform_matrix(p.input_transform, a, p.input_field_shape[a]) for a in axes]
        self.mk = [transform_matrix(p.kernel_transform, a, p.kernel_shape[a]) for a in axes]
        self.sizes = [len(x) - len(k) + 1 for x, k in zip(self.mx, self.mk, strict=True)]
        self.n = [output_matrix(p.output_transform, a, self.sizes[a]) for a in axes]

    @property
    def output_field_shape(self) -> tuple[int, ...]:
        return tuple(len(m) for m in self.n)

    def _taps(self) -> Any:
        for tap in np.ndindex(*(len(m) for m in self.mk)):
            yield tap, tuple(slice(t, t + n) for t, n in zip(tap, self.sizes, strict=True))

    def _split(self, a: np.ndarray) -> np.ndarray:
        groups = self.p.num_conv_groups
        return np.asarray(a, np.float64).reshape(a.shape[0], groups, a.shape[1] // groups, *a.shape[2:])

    def forward(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        x, w = apply(self._split(x), self.mx), apply(np.asarray(w, np.float64), self.mk)
        y = np.zeros((x.shape[0], x.shape[1], w.shape[1], *self.sizes))
        for tap, seen in self._taps():
            y += np.einsum("ngc...,goc->ngo...", x[(..., *seen)], w[(..., *tap)])
        y = apply(y, self.n)
        return y.reshape(y.shape[0], -1, *y.shape[3:]) if y.size else np.zeros(self.p.output_shape)

    def input_gradient(self, dy: np.ndarray, w: np.ndarray) -> np.ndarray:
        dy, w = apply(self._split(dy), self.n, True), apply(np.asarray(w, np.float64), self.mk)
        dx = np.zeros((*dy.shape[:2], w.shape[2], *(len(m) for m in self.mx)))
        for tap, seen in self._taps():
            dx[(..., *seen)] += np.einsum("ngo...,goc->ngc...", dy, w[(..., *tap)])
        return apply(dx, self.mx, True).reshape(self.p.input_shape)

    def weights_gradient(self, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        dy, x = apply(self._split(dy), self.n, True), apply(self._split(x), self.mx)
        dw = np.zeros((dy.shape[1], dy.shape[2], x.shape[2], *(len(m) for m in self.mk)))
        places = "xyz"[: len(self.sizes)]
        for tap, seen in self._taps():
            dw[(..., *tap)] = np.einsum(f"ngc{places},ngo{places}->goc", x[(..., *seen)], dy)
        return apply(dw, self.mk, True)


ROUNDING = {pp.FLOAT: 2.0**-24, pp.HALF: 2.0**-11}


def close(
    found: np.ndarray, wanted: np.ndarray, size: np.ndarray, kind: Any, partials: Any = None, sums: int = 1
) -> None:
    """Hold a result against the exact one. `size`: the sum of the absolute products of every element; sums in float32 may
    be off by some roundings of it, and the result by one of its own type (or `sums` of the type of partial results)."""
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    slack = 16 * ROUNDING[pp.FLOAT] * size + 1.01 * ROUNDING[kind] * np.abs(wanted) + 6e-8 * (kind == pp.HALF) + 1e-30
    if partials is not None:
        slack = slack + sums * ROUNDING[partials] * size
    off = np.abs(found.astype(np.float64) - wanted)
    worst = np.unravel_index(int(np.argmax(off - slack)), off.shape) if off.size else ()
    assert np.all(off <= slack), (
        f"at {worst}: {found[worst]} for {wanted[worst]}, {int((off > slack).sum())} of {off.size} off"
    )


def run_all(
    p: poplin.ConvParams, target: pp.Target, *, made: bool = True, seed: int = 0, check: bool = False,
    options: dict[str, Any] | None = None, gradients: bool = True,
) -> None:  # fmt: skip
    """Build the forward product and both gradients in one program, run it, and hold all of them against `Direct`."""
    graph, program = pp.Graph(target), pp.Sequence()
    direct, kind, out_kind = Direct(p), p.input_type, p.output_type
    assert p.output_field_shape == direct.output_field_shape
    r = np.random.default_rng(seed)
    given = {n: r.normal(size=s).astype(kind.np) for n, s in
             (("x", p.input_shape), ("w", p.weights_shape), ("dy", p.output_shape))}  # fmt: skip

    def operand(name: str, create: Any = None) -> pp.Tensor:
        if made and create is not None:
            return create(graph, p, name, options=options)
        return graph.add_variable(kind, given[name].shape, name=name, mapping="linear")

    tensors = {"x": operand("x", poplin.create_input), "w": operand("w", poplin.create_weights), "dy": operand("dy")}
    assert all(t.shape == given[n].shape for n, t in tensors.items())
    found = {"y": poplin.convolution(graph, tensors["x"], tensors["w"], p, False, program, "forward", options=options)}
    if gradients:
        back = poplin.gradient_params(p)
        back = poplin.ConvParams(kind, *(getattr(back, n) for n in (
            "batch_size", "input_field_shape", "kernel_shape", "input_channels_per_conv_group",
            "output_channels_per_conv_group", "num_conv_groups", "input_transform", "kernel_transform", "output_transform",
        )))  # fmt: skip
        assert back.input_shape == p.output_shape and back.output_shape == p.input_shape
        turned = poplin.create_weights(graph, back, "turned", options=options)
        poplin.weights_transpose_chans_flip_xy(graph, tensors["w"], turned, program)
        x, w, dy = (tensors[n] for n in ("x", "w", "dy"))
        found["dx"] = poplin.convolution(graph, dy, turned, back, False, program, "backward", options=options)
        found["dx2"] = poplin.convolution(graph, dy, w, back, True, program, "backward2", options=options)
        found["dw"] = poplin.calculate_weight_deltas(graph, dy, x, p, program, "update", options=options)
    for name, t in tensors.items():
        graph.create_host_write(name, t)
    for name, t in found.items():
        graph.create_host_read(name, t)
    engine = pp.Engine(pp.compile_graph(graph, program), check=check)
    engine.load(pp.Device(target))
    for name, array in given.items():
        engine.write_tensor(name, array)
    engine.run(0)
    x, w, dy = (given[n].astype(np.float64) for n in ("x", "w", "dy"))
    partials = pp.HALF if (options or {}).get("partials_type") == "half" else None

    def hold(name: str, wanted: Any, size: Any, of: Any, sums: int) -> None:
        try:
            close(engine.read_tensor(name), wanted, size, of, partials, sums)
        except AssertionError as problem:
            raise AssertionError(f"{name} of {p} on {target.num_tiles} tiles, {options}: {problem}") from None

    ins, outs = p.input_channels_per_conv_group, p.output_channels_per_conv_group
    places = int(np.prod(p.output_field_shape)) * p.batch_size
    hold("y", direct.forward(x, w), direct.forward(abs(x), abs(w)), out_kind, ins + 2)
    if gradients:
        for name in ("dx", "dx2"):
            hold(name, direct.input_gradient(dy, w), direct.input_gradient(abs(dy), abs(w)), kind, outs + 2)
        hold("dw", direct.weights_gradient(x, dy), direct.weights_gradient(abs(x), abs(dy)), kind, places + 2)


def random_params(seed: int, element_type: Any = "float", tame: bool = False) -> poplin.ConvParams:
    """Parameters that fit each other, of any kind; `tame`: no sizes of nothing."""
    r = np.random.default_rng(seed)
    while True:
        axes = int(r.integers(1, 4))
        most = (30, 12, 7)[axes - 1]

        def some(low: int, high: int, odds: float = 0.5) -> tuple[int, ...]:
            return tuple(int(n) for n in np.where(r.random(axes) < odds, r.integers(low, high, axes), low))

        rare = float(r.choice([0.0, 0.2, 0.5]))
        groups = int(r.choice([1, 1, 1, 2, 3, 5, 8, 16, 33]))
        ins, outs = int(r.choice([1, 2, 3, 4, 7, 8, 16, 20, 32, 48])), int(r.choice([1, 2, 4, 5, 8, 16, 24, 31, 48]))
        if groups > 5:
            ins, outs = min(ins, 4), min(outs, 5)
        try:
            p = poplin.ConvParams(
                element_type, int(r.integers(1, 4)), r.integers(1, most, axes).tolist(), r.integers(1, 6, axes).tolist(),
                ins, outs, groups,
                poplin.InputTransform(some(0, 4, rare), some(0, 4, rare), some(1, 4, rare), some(0, 5), some(0, 5), some(0, 2, rare)),
                poplin.KernelTransform(some(0, 3, rare), some(0, 3, rare), some(1, 4, rare), some(0, 3, rare), some(0, 3, rare), some(0, 2, rare)),
                poplin.OutputTransform(some(0, 3, rare), some(0, 3, rare), some(1, 5, 0.4), some(0, 3, rare), some(0, 3, rare)),
            )  # fmt: skip
        except pp.PoplarError:
            continue
        if np.prod(p.output_shape) > 60_000 or p.macs > 20_000_000:
            continue
        if tame and (0 in p.output_shape or any(r.count == 0 for r in p.reaches)):
            continue
        return p
