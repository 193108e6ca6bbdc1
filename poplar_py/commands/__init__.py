"""The commands, one file each: SUMMARY, DESCRIPTION, EXAMPLES, add_arguments(parser), run(args) -> exit code.

These modules are imported to print help, so they import nothing heavy at their top.
"""

from __future__ import annotations

from types import ModuleType

from . import allocate as _allocate
from . import compile as _compile
from . import demo, memory, render, report, run

COMMANDS: dict[str, ModuleType] = {
    "compile": _compile,
    "run": run,
    "render": render,
    "report": report,
    "allocate": _allocate,
    "memory": memory,
    "demo": demo,
}
