"""Costs of the product codelets: measured points, columns against single calls, and no cost that falls with size."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.codelet.library import Library

LIBRARY = Library.builtin()
# on-tile products [N, 16] x [16, 16] of half on one Bow tile, cycles measured on hardware (hardware notes 4.1, V1-V15)
MEASURED = {
    16: 402, 32: 461.3, 48: 524, 64: 584, 96: 716, 192: 1100, 384: 1868, 768: 3404, 1024: 4424, 1280: 5453, 1792: 7496,
}  # fmt: skip


@pytest.mark.parametrize("rows", MEASURED)
def test_product_unit_as_measured(rows):
    types = {"a": pp.HALF, "b": pp.HALF, "out": pp.FLOAT}
    sizes = {"a": (rows, 16), "b": (16, 16), "out": (rows, 16)}
    assert LIBRARY["MatMulPartial"].cycles(pp.Target.bow(), sizes, {}, types) == pytest.approx(MEASURED[rows], rel=0.04)


def test_transposed_operands_cost_the_same():
    shape = {"a": (37, 50), "b": (50, 20), "out": (37, 20)}
    types = dict.fromkeys(shape, pp.FLOAT)
    want = LIBRARY["MatMulPartial"].cycles(pp.Target.gc200(), shape, {}, types)
    for suffix in ("A", "B", "AB"):
        sizes = {f: s[::-1] if f.upper() in suffix else s for f, s in shape.items()}
        assert LIBRARY[f"MatMulPartialTransposed{suffix}"].cycles(pp.Target.gc200(), sizes, {}, types) == want


def test_matrix_vector_of_tutorial_6():
    """The compiled scalar float dot product is another matter; ours costs less than its 4 slots an element (V22)."""
    types = {"x": pp.FLOAT, "out": pp.FLOAT}
    slots = LIBRARY["ReduceAddVector"].cycles(pp.Target.gc200(), {"x": (1, 143), "out": (1, 1)}, {}, types)
    assert 143 / 2 <= slots < 4 * 143


def sizes_at(info, n):
    """Sizes of every field for a vertex of about n elements: numbers or columns."""
    one = np.ones_like(n) if np.ndim(n) else 1
    return {
        name: (n, n) if f.kind == "MATRIX" else (one, n) if f.kind == "VECTOR" else (one, one)
        for name, f in info.fields.items()
        if f.direction != "constant"
    }


def types_of(info, element):
    return {name: f.dtype or element for name, f in info.fields.items()}


def constants_of(info):
    return {
        name: f.default if f.default is not None else 1 for name, f in info.fields.items() if f.direction == "constant"
    }


@pytest.mark.parametrize("element", [pp.FLOAT, pp.HALF, pp.INT], ids=str)
@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_costs_of_columns_and_of_growing_sizes(name, element):
    info, target = LIBRARY[name], pp.Target.gc200()
    n = np.arange(1, 70)
    constants, types = constants_of(info), types_of(info, element)
    column = np.broadcast_to(info.cycles(target, sizes_at(info, n), constants, types), n.shape)
    single = [info.cycles(target, sizes_at(info, int(k)), constants, types) for k in n]
    np.testing.assert_array_equal(column, single)
    assert (np.diff(column) >= 0).all()
    assert column.min() > 0


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_every_codelet_says_what_it_does(name):
    assert LIBRARY[name].doc
    assert LIBRARY[name].has_cycles


def test_binary_codelets_have_their_scalar_forms():
    for name, info in LIBRARY.items():
        mirror = getattr(info.cls, "mirror", None)
        if mirror:
            assert f"{name}Scalar" in LIBRARY
            assert mirror in LIBRARY or f"{mirror}Scalar" in LIBRARY
