"""Every tutorial runs, and its numbers are right."""

import importlib.util
import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "models" / "tutorials"


def load(name):
    spec = importlib.util.spec_from_file_location(f"tutorial_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_variables(capsys):
    result = load("t1_variables").main()
    expected = np.zeros((4, 4), np.float32)
    expected[:, 1] = [1.0, 1.5, 2.0, 2.5]
    expected[0, 2:4] = expected[2, 0:2]
    np.testing.assert_array_equal(result, expected)
    out = capsys.readouterr().out.replace(" ", "")
    for numbers in (range(10), range(10, 20), range(20, 30)):
        assert f"v4:[{','.join(map(str, numbers))}]" in out
    assert out.count("v4:[0,1,2") == 2  # the stream came around


def test_operations():
    total, again = load("t2_operations").main()
    np.testing.assert_array_equal(total, [[11, 22], [33, 44]])
    np.testing.assert_array_equal(again, [[42, 104], [106, 168]])


def test_vertices():
    y, x, report = load("t3_vertices").main()
    rows = np.arange(20, dtype=np.float32).reshape(4, 5)
    np.testing.assert_array_equal(y, np.flip(np.cumsum(np.flip(rows, 1), 1), 1))
    np.testing.assert_array_equal(x, np.flip(np.cumsum(np.flip(y, 1), 1), 1))
    assert report.cycles > 2 * 6 * (20 + 4 * 5)


def test_profiling(tmp_path, capsys):
    first, second, large = load("t4_profiling").main([str(tmp_path)])
    assert second.cycles < first.cycles
    assert json.loads((tmp_path / "chain.json").read_text()) and "<html" in (tmp_path / "chain.html").read_text()[:2000]
    assert not large.memory.fits and large.num_vertices > 0
    assert "it does not fit: Out of memory on tile" in capsys.readouterr().out


def test_matrix_vector():
    worst, report = load("t5_matrix_vector").main()
    assert worst < 1e-3 and report.cycles > 0


def test_matrix_vector_optimised():
    segments, estimated, worst, report = load("t6_matrix_vector_optimised").main(["10000", "1000"])
    assert segments == 7 and worst < 1e-4
    assert estimated == 3996  # 3696 + 143 + 49 + 108, as the published tutorial's planner says
    assert estimated < report.cycles < 3 * estimated


def test_regression_demo():
    accuracy, report = load("regression_demo").main(["2"])
    assert accuracy > 0.87 and report.cycles > 0
