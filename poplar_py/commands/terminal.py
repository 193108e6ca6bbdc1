"""What people see while a command works: a line of progress on standard error, and nothing where nobody watches."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """One line that says what is going on. `Progress()` shows nothing."""

    def __init__(self, bar: Any = None):
        self._bar = bar
        self._task = bar.add_task("", total=None) if bar else None

    def begin(self, text: str, total: float | None = None) -> None:
        """Start something: `total` pieces of work, or work of unknown length."""
        if self._bar:
            self._bar.reset(self._task, description=text, total=total, completed=0)

    def update(self, done: float, text: str | None = None) -> None:
        """`done` pieces are done."""
        if self._bar:
            self._bar.update(self._task, completed=done, **({"description": text} if text else {}))


@contextmanager
def progress(args: argparse.Namespace) -> Iterator[Progress]:
    """A progress line on standard error; silent with --json or where that is not a terminal."""
    if args.json or not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=32), TimeElapsedColumn()
    told_here = sys.stdout.isatty()  # else what is printed belongs to whoever reads our output
    with Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=told_here) as bar:
        yield Progress(bar)


def emit(args: argparse.Namespace, result: dict[str, Any], text: str) -> None:
    """The outcome of a command: `result` as JSON with --json, else `text` for people."""
    print(json.dumps(result) if args.json else text.rstrip("\n"), flush=True)
