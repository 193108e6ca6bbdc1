"""Colours: one per kind of work, phase and layer, on three grounds.

The kinds' colours keep apart under normal and colour-deficient sight (smallest OKLab distance 0.127 in simulations of
protan, deutan and tritan vision); layers, of which there can be many, are told apart by place and label as well.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

KINDS = {
    "multiply": "#fbd100",
    "reduce": "#66d4da",
    "elementwise": "#46b246",
    "update": "#d42a8e",
    "loss": "#bf7dfa",
    "data": "#7d8cff",
    "other": "#c06a10",
}
KIND_NAMES = {
    "multiply": "multiply-accumulate",
    "reduce": "reduce",
    "elementwise": "element-wise",
    "update": "weight update",
    "loss": "softmax and loss",
    "data": "variables",
    "other": "other vertices",
}
PHASES = {"forward": "#3fa9ff", "backward": "#ff4f6d", "update": "#ffb03b"}
SPANS = {"compute": "#46b246", "exchange": "#3fa9ff", "sync": "#8a8f9c", "host": "#bf7dfa", "idle": "#23283a"}
CATEGORIES = {
    "variables": "#3fa9ff",
    "constants": "#66d4da",
    "exchange": "#fbd100",
    "rearrangements": "#b8860b",
    "vertex_state": "#d42a8e",
    "vertex_code": "#bf7dfa",
    "control_code": "#8a8f9c",
    "exchange_code": "#ff8a3c",
    "stacks": "#46b246",
    "gaps": "#3a4152",
}


@dataclass(frozen=True)
class Theme:
    """Ground, text and lines of a picture."""

    ground: str
    panel: str
    text: str
    faint: str
    line: str
    additive: bool


THEMES = {
    "dark": Theme("#07090f", "#0f1420", "#eef2fa", "#93a0b8", "#2c3750", True),
    "light": Theme("#fbfbf8", "#ffffff", "#1b2130", "#5d6880", "#cfd5e0", False),
    "print": Theme("#ffffff", "#ffffff", "#000000", "#444444", "#bbbbbb", False),
}


def rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mix(a: str, b: str, share: float) -> str:
    """`share` of b in a."""
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in zip(rgb(a), rgb(b), strict=True))


def layer_colour(number: int, count: int) -> str:
    """Colours around the wheel, neighbours far enough apart to be told from each other."""
    hue = (0.58 + number / max(count, 1) * 0.93) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.66 if number % 2 else 0.58, 0.85)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def kind_of(codelet: str) -> str:
    """Kind of work a codelet does, by its name."""
    rules = (
        ("update", ("Update", "ScaledAdd", "Decay")),
        ("multiply", ("MatMul", "Conv", "Dot")),
        ("reduce", ("Reduce", "Sum")),
        ("loss", ("Softmax", "Loss", "Entropy", "MeanSquared", "Correct", "ArgMax")),
    )
    for kind, words in rules:
        if any(word in codelet for word in words):
            return kind
    return "elementwise"


def phase_of(path: str) -> str:
    """Phase of a compute set by its path: forward, backward (gradients) or update."""
    if "update" in path:
        return "update"
    return "backward" if "gradient" in path else "forward"
