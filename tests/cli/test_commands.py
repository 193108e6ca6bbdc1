"""The commands doing what they are for, on small targets."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poplar_py.frontends.models import shipped_models

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
SMALL = ("--target", "tiny", "--tiles", 16)


def done_well(done: Any) -> Any:
    assert done.code == 0, done.err
    assert done.err == ""
    return done


@pytest.fixture(scope="module")
def trained_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from poplar_py.__main__ import main

    path = tmp_path_factory.mktemp("cli") / "small.pop"
    assert main(["compile", "mnist_small", "--training", *map(str, SMALL), "-o", str(path), "--json"]) == 0
    return path


def test_the_models_that_ship_are_found() -> None:
    assert {"mnist_small", "mnist_mlp", "autoencoder"} <= set(shipped_models())


def test_compile_says_what_came_out(cli: Any) -> None:
    done = done_well(cli("compile", "mnist_small", *SMALL, "--batch", 8, "-o", "m.pop", "--json")).json
    assert done["num_tiles"] == 16 and done["fits"] and done["vertices"] > 0 and Path("m.pop").is_file()
    text = done_well(cli("compile", "mnist_small", *SMALL, "--batch", 8)).out
    assert "16 tiles" in text and "vertices" in text and "fits" in text


@pytest.mark.parametrize(
    "stage", ["opgraph", "lower", "supersteps", "layout", "races", "exchange", "liveness", "memory"]
)
def test_every_stage_prints(cli: Any, stage: str) -> None:
    text = done_well(cli("compile", "mnist_small", *SMALL, "--training", "--stop-after", stage)).out
    assert text.strip() and "object at 0x" not in text


def test_an_executable_by_another_name(cli: Any, executable_file: Path, tmp_path: Path) -> None:
    (tmp_path / "adding").write_bytes(executable_file.read_bytes())
    assert done_well(cli("report", "adding", "--json")).json["name"] == "adding"


def test_run_trains_and_tests(cli: Any, trained_file: Path) -> None:
    done = done_well(cli("run", trained_file, "--data", "mnist", "--steps", 40, "--json", "--html", "r.html")).json
    assert done["steps"] == 40 and len(done["losses"]) == 40
    assert np.mean(done["losses"][-10:]) < np.mean(done["losses"][:10]) / 2
    assert done["test_samples"] == 1500 and done["test_accuracy"] > 0.8
    assert done["cycles"] > 0 and Path("r.html").is_file()


def test_training_is_the_same_every_time(cli: Any, trained_file: Path) -> None:
    words = ("run", trained_file, "--data", "mnist", "--steps", 5, "--json")
    first, again, other = (done_well(cli(*words, *more)).json for more in ((), (), ("--seed", 9)))
    assert first["losses"] == again["losses"] and first["cycles"] == again["cycles"]
    assert first["losses"] != other["losses"]


def test_a_model_without_training_is_only_tested(cli: Any) -> None:
    done = done_well(cli("run", "mnist_small", *SMALL, "--data", "mnist", "--json")).json
    assert "losses" not in done and 0 < done["test_accuracy"] < 0.4  # its weights are as they were drawn


def test_the_autoencoder_leaves_a_picture(cli: Any) -> None:
    done = done_well(
        cli("run", "autoencoder", "--training", "--data", "mnist", "--steps", 5, "--output", "o", "--json")
    ).json
    assert done["test_accuracy"] is None and done["losses"][-1] < done["losses"][0]
    assert Path(done["picture"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_run_on_files(cli: Any, executable_file: Path, engine: str) -> None:
    a, b = np.arange(8, dtype=np.float32), np.full(8, 0.5, np.float32)
    np.save("a.npy", a)
    np.save("b.npy", b)
    words = ("run", executable_file, "--input", "a=a.npy", "--input", "b=b.npy", "--engine", engine)
    words += ("--check",) if engine == "fast" else ()
    done = done_well(cli(*words, "--output", "out", "--json")).json
    assert (np.load(done["outputs"]["c"]["file"]) == a + b).all()
    assert "c float32[8]" in done_well(cli(*words)).out


def test_report_in_every_form(cli: Any, trained_file: Path) -> None:
    done = done_well(cli("report", trained_file, "--html", "r.html", "--trace", "t.json", "--json")).json
    assert done["format"] == "poplar_py.report" and not done["execution"]["measured"]
    assert done["files"] == {"html": "r.html", "trace": "t.json"}
    assert json.loads(Path("t.json").read_text())["traceEvents"]
    text = done_well(cli("report", trained_file)).out
    assert "Dearest supersteps" in text and "fc1" in text


def test_a_report_read_off_the_program_is_what_a_run_measures(cli: Any, trained_file: Path) -> None:
    expected = done_well(cli("report", trained_file, "--json")).json["execution"]["totalCycles"]
    assert done_well(cli("run", trained_file, "--data", "mnist", "--steps", 1, "--json")).json["cycles"] == expected


@pytest.mark.parametrize("view", ["computation", "operations", "tiles", "timeline"])
def test_render(cli: Any, trained_file: Path, view: str) -> None:
    done = done_well(cli("render", trained_file, "--view", view, "-o", f"{view}.png", "--json")).json
    assert done["file"] == f"{view}.png" and Path(done["file"]).read_bytes().startswith(b"\x89PNG")


def test_demo_in_small(cli: Any) -> None:
    done = done_well(cli("demo", "--json", "--target", "tiny", "--tiles", 32, "--epochs", 0.2, "-o", "shown")).json
    assert done["test_accuracy"] > 0.8 and done["cycles"] > 0 and done["wall_seconds"] > 0
    for path in (done["picture"], done["report"], *done["pictures"].values()):
        assert Path(path).stat().st_size > 1000


@pytest.mark.slow
def test_demo_as_judged(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "poplar_py", "demo", "--json"]
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["num_tiles"] == 1472 and facts["test_accuracy"] >= 0.95
    assert time.perf_counter() - begin < 120


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_stops_with_one_line(tmp_path: Path, trained_file: Path) -> None:
    words = ["run", str(trained_file), "--data", "mnist", "--epochs", "200"]
    running = subprocess.Popen(
        [sys.executable, "-m", "poplar_py", *words],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(4)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (130, "", "poplar-py: stopped\n")


def test_render_animates(cli: Any, trained_file: Path) -> None:
    done = done_well(cli("render", trained_file, "--animate", "run.webp", "--size", "320x180", "--json")).json
    assert done["file"] == "run.webp" and done["frames"] >= 60 and done["cycles"] > 0
    assert Path("run.webp").stat().st_size > 10_000  # commands run in the test's own folder


def test_render_help_says_what_every_view_style_and_theme_is(cli: Any) -> None:
    text = cli("render", "--help").out
    for name in ("computation", "operations", "compute-sets", "program", "exchange", "timeline", "tiles", "memory",
                 "tissue", "nebula", "plate", "dark", "light", "print"):  # fmt: skip
        assert re.search(rf"^  {name} +\S+ \S+ \S+", text, re.M), name
