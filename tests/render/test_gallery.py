"""docs/gallery.md: its pictures are there and small; the commands of the large ones draw the counts it names (slow)."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GALLERY = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
SECTIONS = [s for s in re.split(r"^#{2,3} ", GALLERY, flags=re.M)[1:] if "```text" in s]


def test_pictures_are_there_and_the_repository_stays_small():
    shown = set(re.findall(r"\(images/([^)]+)\)", GALLERY))
    assert len(shown) >= 12
    sizes = {p.name: p.stat().st_size for p in (ROOT / "docs" / "images").iterdir()}
    assert shown <= sizes.keys() and max(sizes.values()) <= 420_000 and sum(sizes.values()) <= 4_200_000


def test_counts_beside_a_picture_are_those_of_its_text():
    for section in re.split(r"^#{2,3} ", GALLERY, flags=re.M):
        for vertices, edges in re.findall(r"!\[[^\]]*?([\d,]+) vertices and ([\d,]+) edges\]", section):
            assert f"{vertices} vertices, {edges} edges" in section


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.split("\n", 1)[0])
def test_the_commands_of_large_pictures(section, tmp_path):
    for block in re.findall(r"```text\n(.*?)```", section, re.S):
        for line in block.strip().splitlines():
            command = [sys.executable, "-m", "poplar_py", *shlex.split(line)[1:], "--json"]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-2000:]
        facts = json.loads(done.stdout)
        named = re.search(r"^([\d,]+) vertices, ([\d,]+) edges", section, re.M)
        if named and "drawn_vertices" in facts and "--animate" not in block:
            assert (facts["drawn_vertices"], facts["drawn_edges"]) == tuple(
                int(n.replace(",", "")) for n in named.groups()
            )
