"""Where the computation view's arrangement and light are borrowed by pages, animations and thumbnails: one place that
knows how `computation` draws, without its title and labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from .scene import KIND_ORDER, build_scene

__all__ = ["KIND_ORDER", "Field"]

_MARGIN = 0.045  # of the height, free around the cells


class Field:
    """The arrangement of an executable's vertices in a frame of `size` pixels.

    scene: the columns drawn; sets: its compute sets in the order of the vertices; centre, radius: of cells; chunks,
    vertices: places (n, 2) in pixels; spread: radius of each chunk; dot: radius of a vertex.
    """

    def __init__(self, executable: Any, focus: str | None, size: tuple[int, int], seed: int):
        from . import arrange
        from .computation import _into_frame, _spread

        self.size = size
        self.sets = [
            cs for cs in executable.graph.compute_sets if cs.blocks and (not focus or cs.name.startswith(focus))
        ]
        self.scene = scene = build_scene(executable, focus)
        width, height = size
        margin = _MARGIN * height
        frame = (margin, margin * 2.2, width - margin, height - margin)
        aspect = (frame[2] - frame[0]) / (frame[3] - frame[1])
        centre, radius = arrange.place_cells(scene.group_vertices, arrange.traffic_between(scene), aspect)
        scale, shift = _into_frame(centre, radius, frame)
        self.centre, self.radius = centre * scale + shift, radius * scale
        self.chunks = arrange.place_chunks(scene, self.centre, self.radius, seed)
        self.spread = _spread(scene, self.radius)
        self.vertices = arrange.place_vertices(scene, self.chunks, self.spread)
        each = np.sqrt((self.radius**2 * np.pi).sum() / max(len(self.vertices), 1)) if len(self.radius) else 1.0
        unit = height / 1080
        self.dot = float(np.clip(each * 0.16, 0.55 * unit, 9 * unit))

    def picture(self, theme: Any) -> np.ndarray:
        """The light of vertices and edges over the ground, (height, width, 3) uint8."""
        from .computation import _light

        return _light(self.scene, self.vertices, self.chunks, self.spread, self.centre, self.radius, self.size, theme)
