"""The products of a convolution as the planner sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dtypes import DType
from .reach import Reach

FORWARD, INPUT_GRADIENT, WEIGHTS_GRADIENT = "forward", "input_gradient", "weights_gradient"
CODELETS = {FORWARD: "ConvPartial", INPUT_GRADIENT: "ConvInputGradient", WEIGHTS_GRADIENT: "ConvWeightsGradient"}
AXES = ("batch", "field0", "field1", "field2", "groups", "a", "y", "kernel")


@dataclass(frozen=True)
class Problem:
    """One product of a convolution. `y` is the result, or for the gradient of weights the other value; blocks and widths
    are those of a group's channels, or of all where `held` groups share a block (`groups` then counts blocks)."""

    kind: str
    batch: int
    groups: int
    a_blocks: int
    a_width: int
    y_blocks: int
    y_width: int
    held: int
    reaches: tuple[Reach, Reach, Reach]  # from the places of y to those of a
    in_dtype: DType
    out_dtype: DType
    partials: DType
    axes: int = 3  # of the field; the first of reaches stand still where there are fewer

    @property
    def names(self) -> tuple[str, ...]:
        """AXES by the names people know them by: field axes numbered from 0."""
        still = 3 - self.axes
        return tuple(f"field{int(n[5:]) - still}" if n.startswith("field") and int(n[5:]) >= still else n for n in AXES)

    @property
    def taps(self) -> int:
        return int(np.prod([r.taps for r in self.reaches]))

    @property
    def kernel_axis(self) -> int:
        """The field axis whose taps are cut: the outermost that has several."""
        return next((d for d, r in enumerate(self.reaches) if r.taps > 1), 0)

    @property
    def taps_beside(self) -> int:
        """Taps that no cut of the kernel parts: those of one place on its axis."""
        return self.taps // self.reaches[self.kernel_axis].taps

    @property
    def together(self) -> bool:
        """Whether blocks hold the channels of several groups."""
        return self.held > 1

    @property
    def methods(self) -> tuple[str, ...]:
        """Ways to do a tile's piece: the product units first, then what suits few channels better."""
        if self.kind != FORWARD:
            return ("",)
        return (
            ("", "Slic")
            if self.together and self.a_width // self.held in (1, 2, 4)
            else ("",)
            if self.together
            else ("", "Horizontal")
        )

    def codelet(self, method: str = "") -> str:
        """Name of the codelet that does a tile's piece."""
        return CODELETS[self.kind] + method + ("Together" if self.together else "")

    @property
    def tap_elements(self) -> int:
        """Weights of a tap between a block of a and a block of y."""
        return self.a_width * self.y_width // self.held

    @property
    def sizes(self) -> tuple[int, ...]:
        """What each of AXES has to cut."""
        taps = self.reaches[self.kernel_axis].taps
        return (self.batch, *(r.windows for r in self.reaches), self.groups, self.a_blocks, self.y_blocks, taps)

    @property
    def macs(self) -> int:
        """Products of elements summed."""
        met = int(np.prod([r.count for r in self.reaches]))
        return self.batch * self.groups * self.a_blocks * self.y_blocks * self.tap_elements * met

    def __str__(self) -> str:
        fields = [[getattr(r, n) for r in self.reaches if r != Reach(1, 1, 1)] for n in ("size", "windows", "taps")]
        a, y, taps = ("x".join(map(str, f)) or "1" for f in fields)
        channels = (self.a_blocks * self.a_width // self.held, self.y_blocks * self.y_width // self.held)
        text = f"{self.kind.replace('_', ' ')} convolution {channels[0]} x {a} -> {channels[1]} x {y}, {taps} taps"
        groups = self.groups * self.held
        return f"{text}, batch {self.batch}{f', {groups} groups' if groups > 1 else ''}, {self.in_dtype}"
