"""What is written on the computation view: room for labels, and title, counts, labels, legends and corner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .colours import Colours
from .hierarchy import PHASES
from .labels import cell_labels, set_labels, write_codelets, write_frame, write_labels, write_panels
from .light import View, ground_of
from .pen import Pen
from .sides import Label, place_labels

if TYPE_CHECKING:
    from .computation import Picture

MOST_SIDES = 0.36  # of the width, for labels on each side
CLOSE = 3  # cells up to which compute sets are named instead
NAMED = 250  # vertices up to which each of those is named by its codelet


def counts_of(executable: Any, vertices: int, edges: int) -> str:
    """The counts as they stand under the title: true to the last one."""
    tiles = executable.target.num_tiles
    return (
        f"{vertices:,} {'vertex' if vertices == 1 else 'vertices'}    {edges:,} {'edge' if edges == 1 else 'edges'}"
        f"    {tiles:,} tiles"
    )


def _labels(picture: Picture, view: View, colours: Colours) -> tuple[list[Label], tuple[float, float, float, float]]:
    """Labels of cells, or of compute sets where the cells are few, and the room (left, top, right, bottom) they have."""
    scene, unit = picture.scene, view.unit
    below = max(150, 60 + 26 * len(colours.legend)) * unit
    room = (0.008 * view.width, 112 * unit, 0.992 * view.width, view.height - below)
    if len(scene.cells) <= CLOSE:
        return set_labels(picture, view, colours), room
    return cell_labels(scene, picture.bodies, view, colours.label), room


def view_with_labels(picture: Picture, size: tuple[int, int], colours: Colours) -> View:
    """The whole picture with room at its sides for the longest label."""
    view = picture.view(size)
    if picture.style == "plate":
        return view
    for _ in range(4):
        labels, room = _labels(picture, view, colours)
        place_labels(labels, picture.bodies, view, room)
        over = max((max(room[0] - b.box[0], b.box[2] - room[2]) for b in labels), default=0.0)
        taken = view.ox / view.width - view.scale * picture.bodies.half[0] / view.width
        if over <= 0 or taken > MOST_SIDES:
            break
        view = picture.view(size, taken + 1.02 * over / view.width)
    return view


def write_words(image: Any, picture: Picture, view: View, theme: str, colours: Colours, title: str) -> None:
    """Title, counts, labels, legends and the corner that says what the picture is."""
    from .. import __version__

    scene, unit = picture.scene, view.unit
    pen = Pen(image, ground_of(theme, picture.style), unit)
    if picture.style == "plate":
        write_panels(pen, scene, cell_labels(scene, picture.bodies, view, colours.label), picture.bodies, view)
    else:
        if len(scene.cells) <= CLOSE and scene.num_vertices <= NAMED:
            write_codelets(pen, picture, view, colours)
        labels, room = _labels(picture, view, colours)
        size = place_labels(labels, picture.bodies, view, room)
        write_labels(pen, labels, size, theme == "dark")
    off = scene.traffic - np.diag(np.diag(scene.traffic))
    phases = [p for i, p in enumerate(PHASES) if any(off[k].any() for k, c in enumerate(scene.cells) if c.phase == p)]
    corner = f"{picture.mode}    {picture.executable.target.name}    seed {picture.seed}    poplar_py {__version__}"
    counts = counts_of(picture.executable, scene.num_vertices, scene.num_edges)
    write_frame(pen, view, title, counts, corner, colours.legend, phases)
