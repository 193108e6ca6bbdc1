"""What users hold: executables that save and show themselves, engines that report.

Thin public classes over the engine room, placed here because they know both halves and the printing rooms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .engine.engine import Engine as _Engine
from .engine.executable import Executable as _Executable
from .engine.reference import ReferenceEngine as _ReferenceEngine
from .report.report import Report as _Report


class Executable(_Executable):
    """A compiled graph with its programs: `save`, `load`, and the counts users ask for."""

    def save(self, path: str | Path) -> None:
        """Write to one file without pickle. Raises FileLoadError where that cannot be done."""
        from .engine.file import save

        save(self, path)

    @classmethod
    def load(cls, path: str | Path, trust: bool = False, codelets: Any = ()) -> Executable:
        """Read a saved executable; see `poplar_py.engine.file.load` for `trust` and `codelets`."""
        from .engine.file import load

        return cls.of(load(path, trust, codelets))

    serialize, deserialize = save, load  # Poplar's names

    @classmethod
    def of(cls, plain: _Executable) -> Executable:
        """The same executable as this class."""
        plain.__class__ = cls
        return plain  # type: ignore[return-value]

    def __repr__(self) -> str:
        return (
            f"<Executable {self.name} for {self.target.name}: {self.num_vertices:,} vertices, {self.num_edges:,} edges,"
            f" fullest tile {self.memory.max_tile_bytes:,} of {self.memory.capacity_bytes:,} bytes>"
        )

    def render(self, path: str | Path, view: str = "computation", **options: Any) -> dict[str, Any]:
        """Draw the executable; see `poplar_py.render.render`."""
        from .render import render

        return render(self, path, view=view, **options)

    def animate(self, path: str | Path, **options: Any) -> dict[str, Any]:
        """Draw a run in time as .mp4, .webp or .gif; see `poplar_py.render.animate`."""
        from .render import animate

        return animate(self, path, **options)

    def _repr_png_(self) -> bytes | None:
        """A picture of the graph, for notebooks; none of graphs that would keep a notebook waiting."""
        from .render import thumbnail

        return thumbnail(self)

    def _repr_html_(self) -> str:
        """The counts, and the picture, for notebooks."""
        from .render.notebook import executable_html

        return executable_html(self)


class Report(_Report):
    __doc__ = _Report.__doc__

    def render(self, path: str | Path, view: str = "timeline", **options: Any) -> dict[str, Any]:
        """Draw what was run: timeline, exchange or tiles; see `poplar_py.render.render`."""
        from .render import render

        return render(self.executable, path, view=view, profile=self, **options)

    def animate(self, path: str | Path, **options: Any) -> dict[str, Any]:
        """Draw what was run, in the order it ran, as .mp4, .webp or .gif; see `poplar_py.render.animate`."""
        from .render import animate

        return animate(self.executable, path, profile=self, **options)

    def _repr_png_(self) -> bytes | None:
        """The timeline, for notebooks."""
        from .render.notebook import report_bytes

        return report_bytes(self)

    def _repr_html_(self) -> str:
        """The summary and the timeline, for notebooks."""
        from .render.notebook import report_html

        return report_html(self)


class _Reporting:
    def profile(self) -> Report:
        """What has been run so far, priced: a `poplar_py.report.Report` that shows itself."""
        return Report.of_engine(self)  # type: ignore[return-value]

    get_report = profile

    def print_profile_summary(self, stream: Any = None) -> None:
        """Print the profile's summary, to standard output unless a stream is given."""
        print(self.profile().summary(), file=stream)


class Engine(_Reporting, _Engine):
    __doc__ = _Engine.__doc__


class ReferenceEngine(_Reporting, _ReferenceEngine):
    __doc__ = _ReferenceEngine.__doc__
