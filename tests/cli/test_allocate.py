"""poplar-py allocate."""

from __future__ import annotations

import csv
from typing import Any

import pytest

TABLE = "id,lower,upper,size\na,0,10,400\nb,0,5,100\nc,5,10,100\nd,2,8,300\n"


@pytest.fixture
def table(tmp_path: Any) -> Any:
    path = tmp_path / "problem.csv"
    path.write_text(TABLE)
    return path


def test_a_table_in_addresses_out(cli: Any, table: Any, tmp_path: Any) -> None:
    done = cli("allocate", table, "--capacity", 800, "--json", "-o", tmp_path / "out.csv")
    assert done.code == 0, done.err
    assert done.json["peak"] == done.json["lower_bound"] == 800 and done.json["proven"] and done.json["fits"]
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [r["id"] for r in rows] == list("abcd")
    for p in rows:
        for q in rows:
            if p["id"] < q["id"] and max(int(p["lower"]), int(q["lower"])) < min(int(p["upper"]), int(q["upper"])):
                low, high = sorted((p, q), key=lambda r: int(r["offset"]))
                assert int(low["offset"]) + int(low["size"]) <= int(high["offset"])


def test_people_are_told_ratio_bound_and_time(cli: Any, table: Any) -> None:
    done = cli("allocate", table)
    assert done.code == 0
    for words in ("800 bytes (the least there is)", "lower bound", "ratio", "1.0000", "time"):
        assert words in done.out


def test_too_little_memory_is_said_and_is_the_exit_code(cli: Any, table: Any) -> None:
    done = cli("allocate", table, "--capacity", 700)
    assert done.code == 1
    assert "over by 100; nothing can fit, the lower bound is over by 100" in done.out
    assert "alone is too large" not in done.out
    done = cli("allocate", table, "--capacity", 350)
    assert done.code == 1 and "(a of 400 bytes alone is too large)" in done.out


def test_rows_of_one_id_are_one_thing(cli: Any, tmp_path: Any) -> None:
    (tmp_path / "p.csv").write_text(
        "id,start,end,bytes,alignment\na,0,2,100,64\na,6,8,100,64\nb,3,5,100,64\nc,0,9,8,64\n"
    )
    done = cli("allocate", "p.csv", "--json")
    assert done.code == 0, done.err
    assert done.json["things"] == 3 and done.json["peak"] == 136  # c lies on a multiple of 64 too


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,lower,size\na,0,1\n", "no column upper"),
        ("", "no column lower, upper, size"),
        ("id,lower,upper,size\na,0,x,1\n", "line 2"),
        ("id,lower,upper,size\na,5,3,1\n", "ends at 3, before it begins at 5"),
        ("id,lower,upper,size\na,0,3,1\na,5,6,2\n", "has 2 bytes here and 1 before"),
        ("id,lower,upper,size\na,0,3,-4\n", "negative size"),
        ("id,lower,upper,size\na,0,3\n", "line 2"),
        ("id,lower,upper,size\na,0,3,nan\n", "line 2"),
        ("id,lower,upper,size\na,0,3,99999999999999999999\n", "line 2"),
        ("id,lower,upper,size\na,0,3,1\nb,0,3,999999999999999999999\n", "line 3"),
        ("id,lower,upper,size\na,0,3,576460752303423488\nb,0,3,576460752303423488\n", "2**59 bytes"),
        ("id,lower,upper,size,apart\na,0,3,8,c\nb,0,3,8,a\n", "'c', to lie apart from"),
        ("id,lower,upper,size,region_begin,region_end\na,0,3,8,16,20\n", "larger than the region"),
        ("id,lower,upper,size,alignment\na,0,3,8,0\n", "alignment below 1"),
        ("id,lower,upper,size\n" + "9" * 200_000 + ",0,3,8\n", "no CSV table"),
    ],
)
def test_mistakes_in_a_table_are_named(cli: Any, tmp_path: Any, text: str, words: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    done = cli("allocate", "p.csv")
    assert done.code == 2 and words in done.err and "p.csv" in done.err


def test_bytes_that_are_no_text_are_named(cli: Any, tmp_path: Any) -> None:
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00id,lower")
    done = cli("allocate", "p.csv")
    assert done.code == 2 and "p.csv is no text in UTF-8" in done.err


def test_a_mark_at_the_begin_of_a_file_is_no_part_of_a_name(cli: Any, tmp_path: Any) -> None:
    (tmp_path / "p.csv").write_bytes(b"\xef\xbb\xbfid,lower,upper,size\none,0,3,8\n")
    assert cli("allocate", "p.csv", "-o", "out.csv").code == 0
    assert (tmp_path / "out.csv").read_text() == "id,lower,upper,size,offset\none,0,3,8,0\n"


def test_regions_and_elements_come_from_columns(cli: Any, tmp_path: Any) -> None:
    (tmp_path / "p.csv").write_text(
        "id,lower,upper,size,region_begin,region_end,apart\na,0,1,40,64,256,\nb,0,1,30,,,a c\nc,0,1,8,,,\n"
    )
    done = cli("allocate", "p.csv", "--element", 32, "--json", "-o", "out.csv")
    assert done.code == 0, done.err
    at = {r["id"]: int(r["offset"]) for r in csv.DictReader((tmp_path / "out.csv").open())}
    assert at["a"] >= 64 and at["a"] + 40 <= 256
    elements = {k: set(range(at[k] // 32, (at[k] + n - 1) // 32 + 1)) for k, n in (("a", 40), ("b", 30), ("c", 8))}
    assert not elements["b"] & elements["a"] and not elements["b"] & elements["c"]


def test_several_tables_have_a_geometric_mean(cli: Any, table: Any, tmp_path: Any) -> None:
    (tmp_path / "q.csv").write_text("id,lower,upper,size\na,0,2,4\nb,1,3,4\n")
    done = cli("allocate", table, "q.csv", "--capacity", 700, "--json")
    assert done.code == 1 and not done.json["fits"]
    assert [p["peak"] for p in done.json["problems"]] == [800, 8]
    assert done.json["ratio_geometric_mean"] == done.json["ratio_max"] == 1
    assert "2 tables: ratio 1.0000" in cli("allocate", table, "q.csv").out
    assert "takes the placement of one table" in cli("allocate", table, "q.csv", "-o", "x.csv").err


def test_mistakes_in_options_are_named(cli: Any, table: Any) -> None:
    assert "--time -1" in cli("allocate", table, "--time", -1).err
    assert "nowhere.csv" in cli("allocate", "nowhere.csv").err


@pytest.mark.parametrize(
    ("more", "seconds"), [((), 10.0), (("--capacity", 800), 60.0), (("--capacity", 700), 10.0), (("--time", 3), 3.0)]
)
def test_the_search_is_longer_where_a_capacity_may_be_reached(
    cli: Any, table: Any, more: tuple, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default a minute, unless not even the lower bound fits."""
    from poplar_py.cost import allocate as module

    given: list[float] = []
    real = module.allocate

    def watched(problem: Any, capacity: Any, limit: float, *rest: Any) -> Any:
        given.append(limit)
        return real(problem, capacity, limit, *rest)

    monkeypatch.setattr(module, "allocate", watched)
    cli("allocate", table, *more)
    assert given == [seconds]
