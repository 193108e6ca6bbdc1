"""The driver cache: one file per content, machine code found again by other processes, safe for many at once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from poplar_py.codelet.batch import Signature, driver, driver_source
from poplar_py.dtypes import FLOAT, HALF

SCRIPT = """
import sys, time
import numpy as np
from poplar_py.codelet import Library, native
from poplar_py.codelet.batch import Signature, driver
from poplar_py.dtypes import FLOAT
library = Library()
library.add_source('''from poplar_py import *
class Scale(Codelet):
    x = InOut(VECTOR)
    k = Constant(FLOAT)
    def compute(x, k):
        for i in range(x.size):
            x[i] = k * x[i] + SHIFT
SHIFT = 1
class Warm(Codelet):
    x = InOut(VECTOR)
    def compute(x):
        x[0] = 0
''')
driver(Signature(library["Warm"], {"x": FLOAT}))  # the first one of a process waits for numba to wake up
begin = time.perf_counter()
call = driver(Signature(library["Scale"], {"x": FLOAT, "k": FLOAT}))
took = time.perf_counter() - begin
memory = np.arange(4, dtype=np.float32).view(np.uint8)
call(0, 1, memory, np.array([0]), np.array([4]), np.array([2], np.float32))
assert memory.view(np.float32).tolist() == [1, 3, 5, 7]
print(took, sum(call.stats.cache_hits.values()))
"""
ROOT = Path(__file__).resolve().parents[2]


def start(folder):
    environment = {**os.environ, "POPLAR_PY_CACHE": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, text=True)


def finish(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    seconds, hits = out.split()
    return float(seconds), int(hits)


def test_a_second_process_loads_from_the_cache(tmp_path):
    first = finish(start(tmp_path))
    assert first[1] == 0
    second = finish(start(tmp_path))
    assert second[1] == 1 and second[0] < first[0] / 4 and second[0] < 0.1


def test_processes_may_compile_at_once(tmp_path):
    for process in [start(tmp_path) for _ in range(3)]:
        finish(process)
    assert len(list(tmp_path.glob("scale_*.py"))) == 1
    assert finish(start(tmp_path))[1] == 1


def test_a_damaged_cache_is_made_anew(tmp_path):
    finish(start(tmp_path))
    for file in (tmp_path / "__pycache__").glob("*.nb?"):
        file.write_bytes(b"\x80garbage")
    finish(start(tmp_path))


def test_drivers_are_named_by_content(load, both):
    text = "class C(Codelet):\n    x = InOut(VECTOR)\n    def compute(x):\n        for i in range(x.size):\n            x[i] += {}\n"
    one, two = (Signature(load(text.format(k))["C"], {"x": FLOAT}) for k in (1, 2))
    assert one != two and driver_source(one) != driver_source(two)
    again = Signature(load(text.format(1))["C"], {"x": FLOAT})
    assert again == one and driver(again) is driver(one)


def test_threads_run_ranges_of_vertices_side_by_side(load):
    text = "class D(Codelet):\n    x = InOut(VECTOR)\n    def compute(x):\n        for i in range(x.size):\n            x[i] = sqrt(x[i])\n"
    call = driver(Signature(load(text)["D"], {"x": HALF}))
    n, size = 4000, 33
    values = np.random.default_rng(0).random(n * size).astype(np.float16)
    start_at, length = np.arange(n) * size * 2, np.broadcast_to(np.int64(size), n)
    memory = values.view(np.uint8).copy()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda cut: call(cut[0], cut[1], memory, start_at, length), [(0, 1999), (1999, n)]))
    expected = np.sqrt(values.astype(np.float32)).astype(np.float16)
    assert np.array_equal(memory.view(np.float16), expected)
