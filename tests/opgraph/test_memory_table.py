"""The tables of docs/memory.md are what tools/memory_table.py computes."""

from __future__ import annotations

import pytest

from .graphs import tool

memory_table = tool("memory_table")
QUICK = ("alexnet", "resnet50", "unet", "mlp100")  # a few seconds each at most


def rows(kind: str) -> dict[str, str]:
    """The lines of a table of the page, by title."""
    page = memory_table.PAGE.read_text(encoding="utf-8")
    table = page.split(f"<!-- table: {kind} -->\n")[1].split("<!-- end -->")[0].splitlines()
    assert table[0] == memory_table.TABLES[kind][0]
    return {line.split("|")[1].strip(): line for line in table[2:]}


@pytest.mark.parametrize("kind", ["training", "inference"])
@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in memory_table.NETWORKS],
)
def test_the_page_has_what_is_computed(name: str, kind: str) -> None:
    n = memory_table.NETWORKS[name]
    head, row = memory_table.TABLES[kind]
    assert rows(kind)[f"{n.title}, {n.batch}"] == row(name)
    assert row(name).count("|") == head.count("|")


@pytest.mark.parametrize("kind", ["training", "inference"])
def test_the_page_has_every_network_once(kind: str) -> None:
    assert list(rows(kind)) == [f"{n.title}, {n.batch}" for n in memory_table.NETWORKS.values()]


def test_a_table_goes_between_its_marks() -> None:
    page = "a\n<!-- table: one -->\n<!-- end -->\nb\n<!-- table: two -->\nold\n<!-- end -->\n"
    once = memory_table.put(memory_table.put(page, "one", ["|x|", "|y|"]), "two", ["|z|"])
    assert once == "a\n<!-- table: one -->\n|x|\n|y|\n<!-- end -->\nb\n<!-- table: two -->\n|z|\n<!-- end -->\n"
    assert memory_table.put(once, "two", ["|z|"]) == once
