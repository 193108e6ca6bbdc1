"""Whatever is wrong with the input: exit code 2 and one line that names the culprit, never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poplar_py import __main__
from poplar_py.errors import InternalError


def check(done: Any, *words: str) -> None:
    assert done.code == 2, done.err
    assert done.out == ""
    assert done.err.count("\n") == 1 and done.err.startswith("poplar-py: error: "), done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err, done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rnu"], ["no command 'rnu'", "Did you mean 'run'?", "compile"]),
        (["compile"], ["MODEL"]),
        (["compile", "mnist_small", "--traning"], ["--traning", "Did you mean '--training'?"]),
        (["compile", "mnist_small", "--batch", "0"], ["--batch", "'0'", "at least 1"]),
        (["compile", "mnist_small", "--dtype", "double"], ["double"]),
        (["compile", "mnist_smal"], ["no model 'mnist_smal'", "Did you mean 'mnist_small'?"]),
        (["compile", "nowhere.yaml"], ["nowhere.yaml"]),
        (["compile", "nowhere/net.yaml"], ["nowhere/net.yaml"]),
        (["compile", "."], ["folder"]),
        (["compile", "net.onnx"], ["net.onnx", "YAML"]),
        (["compile", "torchvision.models:resnet50"], ["torchvision.models:resnet50", "YAML"]),
        (["report", "mising.pop"], ["mising.pop"]),
        (["compile", "mnist_small", "--target", "gc20"], ["no target 'gc20'", "Did you mean 'gc2"]),
        (["compile", "mnist_small", "--stop-after", "lowr"], ["no stage 'lowr'", "Did you mean 'lower'?"]),
        (["run", "missing.pop"], ["missing.pop"]),
        (["run", "mnist_small", "--data", "mnits", "--training"], ["mnits", "Did you mean 'mnist'?"]),
        (["run", "mnist_small", "--data", "idx:/nowhere"], ["/nowhere"]),
        (["render", "mnist_small", "-o", "x.png", "--view", "operation"], ["operation"]),
        (["render", "mnist_small"], ["-o"]),
        (["render", "mnist_small", "-o", "x.gif"], ["x.gif", ".png"]),
        (["render", "mnist_small", "-o", "x.png", "--size", "10x"], ["10x", "2560x1440"]),
        (["render", "mnist_small", "-o", "x.png", "--focus", "fc9"], ["fc9", "Did you mean 'fc"]),
        (["render", "mnist_small", "-o", "nowhere/x.png"], ["nowhere/x.png"]),
        (["render", "mnist_small", "-o", "x.png", "--style", "tisue"], ["tisue", "Did you mean 'tissue'?"]),
        (["render", "mnist_small", "-o", "x.png", "--theme", "drak"], ["drak", "Did you mean 'dark'?"]),
        (["render", "mnist_small", "-o", "x.png", "--animate", "x.webp"], ["-o", "--animate"]),
        (["render", "mnist_small", "--animate", "x.mpg4"], ["x.mpg4", "Did you mean '.mp4'?"]),
        (["render", "mnist_small", "--animate", "x.gif", "--style", "plate"], ["--style"]),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) and len(words) < 7 else None,
)
def test_wrong_words(cli: Any, words: list[str], says: list[str]) -> None:
    check(cli(*words), *says)


# descriptions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", []),
        ("input: [784\nlayers: {", []),
        ("just words", []),
        ("- a\n- b\n", []),
        ("\x00\x01\x02", []),
    ],
    ids=["empty", "cut off", "words", "a list", "binary"],
)
def test_damaged_description(cli: Any, tmp_path: Path, text: str, says: list[str]) -> None:
    (tmp_path / "net.yaml").write_bytes(text.encode("latin-1"))
    check(cli("compile", "net.yaml"), "net.yaml", *says)


GOOD = """\
name: net
input: {shape: [16]}
layers:
  - dense: {units: 8, activation: relu, name: fc1}
  - dense: {units: 4, name: fc2}
training: {loss: softmax_cross_entropy, optimiser: {sgd: {learning_rate: 0.1}}}
batch: 4
"""


@pytest.mark.parametrize(
    ("found", "instead", "says"),
    [
        ("dense: {units: 8", "dens: {units: 8", ["net.yaml:4", "dens", "Did you mean 'dense'?"]),
        ("units: 8", "unit: 8", ["net.yaml:4", "unit", "Did you mean 'units'?"]),
        ("units: 8", "units: eight", ["net.yaml:4", "units", "whole number"]),
        ("units: 8", "units: 0", ["net.yaml:4", "units"]),
        ("relu", "rellu", ["net.yaml:4", "Did you mean 'relu'?"]),
        ("shape: [16]", "shape: [16, 4, 4]", ["net.yaml"]),
        ("sgd", "sdg", ["net.yaml", "Did you mean 'sgd'?"]),
        ("name: fc2", "name: fc1", ["net.yaml:5", "fc1"]),
        ("batch: 4", "batch: four", ["net.yaml:7", "batch"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_wrong_description(cli: Any, tmp_path: Path, found: str, instead: str, says: list[str]) -> None:
    (tmp_path / "net.yaml").write_text(GOOD.replace(found, instead, 1))
    check(cli("compile", "net.yaml", "--target", "tiny", "--training"), *says)


def test_training_that_is_not_described(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("\n".join(line for line in GOOD.splitlines() if "training" not in line))
    check(cli("compile", "net.yaml", "--target", "tiny", "--training"), "net.yaml", "training")


def test_data_of_another_size(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(GOOD)
    check(cli("run", "net.yaml", "--target", "tiny", "--training", "--data", "mnist"), "[16]", "[28, 28]")


def test_memory_too_small(cli: Any, tmp_path: Path) -> None:
    words = ("compile", "mnist_mlp", "--target", "tiny", "--training")
    check(cli(*words), "tile", "bytes of memory", "fc")
    done = cli(*words, "--allow-out-of-memory", "--json", "-o", "big.pop")
    assert done.code == 0 and done.json["fits"] is False
    check(cli("run", "big.pop", "--data", "mnist", "--steps", 1), "does not fit")


# executables ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 10, 40, 200, 0.5, -1])
def test_truncated_executable(cli: Any, tmp_path: Path, executable_file: Path, kept: float) -> None:
    raw = executable_file.read_bytes()
    length = int(len(raw) * kept) if isinstance(kept, float) else kept if kept >= 0 else len(raw) + kept
    (tmp_path / "cut.pop").write_bytes(raw[:length])
    check(cli("report", "cut.pop"), "cut.pop")


def test_foreign_executable(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "photo.pop").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    check(cli("run", "photo.pop"), "photo.pop", "not a poplar_py executable")


def test_flipped_bit_in_the_header(cli: Any, tmp_path: Path, executable_file: Path) -> None:
    raw = bytearray(executable_file.read_bytes())
    raw[100] ^= 1
    (tmp_path / "bent.pop").write_bytes(raw)
    check(cli("report", "bent.pop"), "bent.pop", "damaged")


def test_an_executable_is_not_compiled_again(cli: Any, executable_file: Path) -> None:
    check(cli("compile", executable_file), "compiled already")
    check(cli("report", executable_file, "--batch", 4), "--batch")


def test_program_number(cli: Any, executable_file: Path) -> None:
    check(cli("report", executable_file, "--program", 7), "--program 7", "has 1")


# inputs of a run -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros(7, np.float32), ["a", "8", "7"]),
        (np.zeros(8, np.float64), ["float64"]),
        (np.zeros((2, 3), np.float32), ["[2, 3]"]),
        (np.array(["x"] * 8), ["'a'"]),
    ],
    ids=["size", "dtype", "shape", "strings"],
)
def test_an_input_that_does_not_fit(
    cli: Any, tmp_path: Path, executable_file: Path, array: Any, says: list[str]
) -> None:
    np.save(tmp_path / "a.npy", array)
    np.save(tmp_path / "b.npy", np.zeros(8, np.float32))
    check(cli("run", executable_file, "--input", "a=a.npy", "--input", "b=b.npy"), *says)


def test_inputs_by_wrong_name_or_file(cli: Any, tmp_path: Path, executable_file: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(8, np.float32))
    check(cli("run", executable_file, "--input", "aa=a.npy"), "aa", "Did you mean 'a'?")
    check(cli("run", executable_file, "--input", "a=b.npy"), "b.npy")
    check(cli("run", executable_file, "--input", "a"), "NAME=FILE.npy")
    (tmp_path / "text.npy").write_text("hello")
    check(cli("run", executable_file, "--input", "a=text.npy"), "text.npy")
    (tmp_path / "object.npy").write_bytes(
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" + b" " * 60 + b"\n"
    )
    check(cli("run", executable_file, "--input", "a=object.npy"), "object.npy")


def test_data_for_a_graph_without_labels(cli: Any, executable_file: Path) -> None:
    check(cli("run", executable_file, "--data", "mnist"), "--input")


def test_a_place_that_cannot_be_written(cli: Any, tmp_path: Path, executable_file: Path) -> None:
    check(cli("report", executable_file, "--html", "nowhere/x.html"), "nowhere/x.html")
    (tmp_path / "file").write_text("")
    np.save(tmp_path / "a.npy", np.zeros(8, np.float32))
    check(cli("run", executable_file, "--input", "a=a.npy", "--output", "file"), "file")


# ours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (InternalError("lost a tile"), 70, "internal error: lost a tile"),
        (ZeroDivisionError("division by zero"), 70, "POPLAR_PY_TRACEBACK=1"),
        (KeyboardInterrupt(), 130, "stopped"),
        (PermissionError(13, "Permission denied", "x.pop"), 2, "x.pop: Permission denied"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_whatever_happens_is_one_line(
    cli: Any, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, says: str
) -> None:
    def fail(args: Any) -> int:
        raise raised

    monkeypatch.setattr(__main__.COMMANDS["report"], "run", fail)
    done = cli("report", "x")
    assert done.code == code and says in done.err and done.err.count("\n") == 1 and not done.out


def test_the_traceback_can_be_had(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__main__.COMMANDS["report"], "run", lambda args: 1 / 0)
    monkeypatch.setenv("POPLAR_PY_TRACEBACK", "1")
    assert "Traceback" in cli("report", "x").err
