"""Help: quick, and enough to start from."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from poplar_py.commands import COMMANDS

HEAVY = ("numba", "scipy", "networkx", "graphviz", "yaml", "rich", "PIL", "msgspec", "numpy")


def test_help_shows_every_command(cli: Any) -> None:
    done = cli("--help")
    assert done.code == 0
    for name, module in COMMANDS.items():
        assert name in done.out and module.SUMMARY.split()[0] in done.out


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_a_command_teaches(cli: Any, command: str) -> None:
    done = cli(command, "--help")
    assert done.code == 0
    assert "examples:" in done.out and f"poplar-py {command}" in done.out and "--json" in done.out


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['poplar-py', '--help']\n"
        "from poplar_py.__main__ import main; main()\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - begin)
        assert done.stderr.strip() == "[]"
    assert min(times) < 0.3


def test_import_is_quick() -> None:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import poplar_py"], check=True)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.5


def test_version(cli: Any) -> None:
    import poplar_py

    assert cli("--version").out.strip() == f"poplar-py {poplar_py.__version__}"


def test_nothing_said_is_answered_with_help(cli: Any) -> None:
    done = cli()
    assert done.code == 2 and "Start here" in done.err
