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
    ],
)
def test_mistakes_in_a_table_are_named(cli: Any, tmp_path: Any, text: str, words: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    done = cli("allocate", "p.csv")
    assert done.code == 2 and words in done.err


def test_mistakes_in_options_are_named(cli: Any, table: Any) -> None:
    assert "--time -1" in cli("allocate", table, "--time", -1).err
    assert "nowhere.csv" in cli("allocate", "nowhere.csv").err
