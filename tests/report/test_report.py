"""The record of a run adds up, and every form of it can be read."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poplar_py.errors import FileLoadError
from poplar_py.report import Report, words
from poplar_py.report.estimate import static_counts
from poplar_py.report.plots import fold_stack


def test_cycles_are_counts_times_prices(report: Report) -> None:
    assert report.cycles == 60 + 3 * 45 + 3 * 17
    assert report.num_supersteps == 7
    assert report.seconds == pytest.approx(report.cycles / report.target.tile_clock_hz)


def test_phases_add_up_to_the_total(report: Report) -> None:
    assert report.cycles_by_phase == {"compute": 90, "exchange": 15 + 21, "sync": 70, "host": 50}
    assert sum(report.cycles_by_phase.values()) == report.cycles


def test_balance_is_the_mean_over_the_slowest(report: Report) -> None:
    assert report.tile_balance == pytest.approx((30 * 3 + 15) / 4 / 30)


def test_counts_read_off_the_program_are_those_of_the_run(executable: Any, report: Report) -> None:
    counts, guessed = static_counts(executable)
    assert counts.tolist() == report.counts.tolist() and not guessed
    assert Report.of_program(executable).cycles == report.cycles


def test_what_depends_on_data_is_said_to_be_guessed(executable: Any) -> None:
    tree = ["seq", [["if", 0, ["step", 1], ["step", 2]], ["while", 1, ["step", 2], 0, ["step", 1]]]]
    executable.schedule.programs = [["switch", 0, [[1, tree], [2, ["step", 1]]], ["seq", []]]]
    counts, guessed = static_counts(executable)
    assert guessed
    assert counts.tolist() == [1 + 1 + 2, 1 + 1, 2]  # the dearer ways; the loop's body once, its condition twice


def test_summary_names_the_machine_the_memory_and_the_costs(report: Report, golden: Any) -> None:
    golden.check("report", "summary", report.summary())


def test_a_tile_that_overflows_is_named(executable: Any) -> None:
    executable.memory.capacity_bytes = 110
    report = Report(executable, [1, 1, 1])
    assert not report.fits
    assert "does not fit: tile 1 needs 120 B of 110 B" in words.memory_verdict(report)
    assert "Does not fit" in report.to_html()


def test_json_has_the_names_people_know(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert report.to_json(path) == path.read_text()
    found = json.loads(path.read_text())
    assert found["format"] == "poplar_py.report" and found["version"] == 1
    assert found["compilation"]["target"]["numTiles"] == 4
    assert found["compilation"]["graph"]["numEdges"] == 8
    assert found["compilation"]["tiles"]["memory"]["total"]["includingGaps"] == [100, 120, 90, 60]
    assert found["compilation"]["tiles"]["memory"]["total"]["excludingGaps"] == [90, 110, 80, 50]
    assert found["execution"]["totalCycles"] == report.cycles
    assert found["execution"]["steps"][1]["count"] == 3
    assert [s["program"]["type"] for s in found["execution"]["steps"]] == ["stream_in", "execute", "copy"]


def test_trace_is_in_order_and_without_holes(report: Report) -> None:
    events = [e for e in json.loads(report.to_trace())["traceEvents"] if e["ph"] == "X"]
    for thread in (1, 2):
        row = [e for e in events if e["tid"] == thread]
        ends = [e["ts"] + e["dur"] for e in row]
        assert [e["ts"] for e in row] == pytest.approx([0.0, *ends[:-1]])
    assert len([e for e in events if e["tid"] == 1]) == 7


class _Page(HTMLParser):
    VOID = ("meta", "line", "path", "rect", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        assert not [v for k, v in attrs if k in ("src", "href")], "the page refers to something outside itself"

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        assert tag in self.VOID or tag in ("line", "rect", "path")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_page_is_whole_and_needs_nothing_else(report: Report, tmp_path: Path) -> None:
    text = report.to_html(tmp_path / "report.html")
    page = _Page()
    page.feed(text)
    assert page.open == []
    shown = " ".join(page.text)
    assert "Fits" in shown and "fc1/dots" in shown and "tile memory 1000 B" in shown
    assert not re.search(r"https?://|@import|url\(", text)


def test_names_are_escaped_on_the_page(executable: Any) -> None:
    executable.name = "<script>alert(1)</script>"
    executable.steps[1].name = "<b>"
    text = Report(executable, [1, 1, 1], [0, 1, 2]).to_html()
    assert "<script>alert" not in text and "<b></code>" not in text


def test_nothing_run_is_a_report_too(executable: Any) -> None:
    report = Report(executable, [0, 0, 0])
    assert report.cycles == 0 and report.tile_balance == 0
    assert "Nothing has run" in report.summary() and "Nothing" in report.to_html()
    assert json.loads(report.to_trace())["otherData"]["written"] == 0


def test_a_place_that_cannot_be_written_is_named(report: Report, tmp_path: Path) -> None:
    with pytest.raises(FileLoadError, match="nowhere"):
        report.to_html(tmp_path / "nowhere" / "report.html")


def test_folding_keeps_the_fullest_place() -> None:
    stack = np.array([[1, 5, 1, 1], [1, 1, 9, 2]])
    assert fold_stack(stack, 2).tolist() == [[5, 1], [1, 9]]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (624 * 1024, "624.0 KiB"), (3 << 30, "3.0 GiB")],
)
def test_sizes_in_words(count: int, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (5e-9, "5 ns"), (4.13e-5, "41.3 us"), (2.7e-3, "2.7 ms"), (61.04, "61 s"), (3e-7, "300 ns")],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text
