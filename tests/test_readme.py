"""README.md and docs/*.md: every Python block runs, every poplar-py line works, every link leads somewhere.

Blocks marked `sh` hold commands, run in order in one folder; the two that install are run by .ci/run. Python blocks run
in the same folder. Other blocks (`text`, `yaml` without a name) are shown only.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"^# (\S+\.(?:ya?ml|py))$")


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(kind, text) for kind, text in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def execute(command: list[str], folder: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_what_a_page_shows_works(page: Path, tmp_path: Path) -> None:
    for number, (kind, text) in enumerate(blocks(page)):
        first = text.split("\n", 1)[0]
        if _FILE.match(first):  # a file that later blocks use
            (tmp_path / _FILE.match(first)[1]).write_text(text, encoding="utf-8")
        elif kind == "python":
            script = tmp_path / f"block{number}.py"
            script.write_text(text, encoding="utf-8")
            execute([sys.executable, script.name], tmp_path)
        elif kind == "sh" and "pip install" not in text:
            for line in text.strip().splitlines():
                words = shlex.split(line, comments=True)
                if words and words[:2] != ["poplar-py", "demo"]:  # the demo: tests/cli, and .ci/run
                    assert words[0] == "poplar-py", f"{page.name}: {line}"
                    execute([sys.executable, "-m", "poplar_py", *words[1:]], tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_readme_has_one_command_for_the_demo_and_one_for_the_tests() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for part, end in (("demo", "poplar-py demo"), ("tests", "pytest -n auto")):
        block = re.search(rf"<!-- {part} -->\n```sh\n(.*?)\n```\n<!-- end -->", text, re.S)
        assert block and "\n" not in block[1] and block[1].endswith(end)


def test_every_layer_is_on_the_page_of_models() -> None:
    from poplar_py.frontends.layers import LAYERS

    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert not [name for name in LAYERS if f"`{name}`" not in text]
