"""Benchmarks with goals: every speed and memory goal of the project is a row, measured against its goal.

    python tools/bench.py                 all rows
    python tools/bench.py million repeat  rows of groups whose name contains one of the words
    python tools/bench.py --json

A row prints what was measured, its goal, and their ratio (below 1 is within the goal, marked `<--` where it is not).
Peers are measured in the same run on the same threads, and the row is a ratio. Rows live in tools/rows_*.py.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from dataclasses import asdict

from benching import BENCHES, ROOT, THREADS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"parts of row groups to run: {', '.join(BENCHES)}")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    given = parser.parse_args(arguments)
    chosen = [n for n in BENCHES if not given.names or any(word in n for word in given.names)]
    if not chosen:
        parser.error(f"no rows match; groups: {', '.join(BENCHES)}")
    rows = []
    for name in chosen:
        for row in BENCHES[name]():
            rows.append(row)
            if not given.json:
                print(row, flush=True)
    if given.json:
        print(json.dumps([asdict(r) for r in rows], indent=1))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("POPLAR_PY_THREADS", str(THREADS))
    sys.path.insert(0, str(ROOT))
    for rows in sorted((ROOT / "tools").glob("rows_*.py")):
        importlib.import_module(rows.stem)
    raise SystemExit(main())
