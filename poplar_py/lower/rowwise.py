"""Elementwise work of a value stored in blocks of channels with one vector of channels: a bias, a scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..graph import StoredView, Tensor
from .channels import cut_blocks
from .stored import blocks_of

if TYPE_CHECKING:
    from .lowering import Lowering


def add_vectors(
    at: Lowering, codelet: str, out: StoredView, name: str, constants: Mapping[str, Any], operands: Mapping[str, Tensor]
) -> bool:
    """Run the form of `codelet` that takes rows and one vector, where there is one and `operands` are the value (or,
    in place, nothing else) and a vector of its channels. Whether that was so."""
    in_place = codelet.endswith("InPlace")
    form = f"{codelet.removesuffix('InPlace')}Rows{'InPlace' if in_place else ''}"
    vector, value = operands.get("b"), operands.get("a")
    stored = blocks_of(out)
    if vector is None or constants or set(operands) - {"a", "b"} or form not in at.library or stored is None:
        return False
    shape = (1,) * (out.ndim - vector.ndim) + vector.shape
    if (
        vector.size != out.shape[1]
        or shape[1] != vector.size
        or (value is None) != in_place
        or (value is not None and not out.same_as(value))
    ):
        return False
    batch, blocks, *_, width = stored.shape
    shares = cut_blocks(at, stored.reshape(batch, blocks, -1, width), line=stored.shape[-2], uneven=True)
    if shares is None:
        return False
    flat = shares.rows(stored.flatten())
    fields: dict[str, Any] = {"a": flat}
    if isinstance(value, StoredView):
        fields = {"a": shares.rows(value.stored.flatten()), "out": flat}
    at.execute(form, name, shares.tile, b=shares.vectors(vector.flatten()), **fields)
    return True
