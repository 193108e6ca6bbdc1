"""The import arrows: who may know whom. Walks the source; nothing is imported."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "poplar_py"

LEAVES = {"errors", "dtypes", "target", "options"}
WAIST = LEAVES | {"cost", "codelet", "graph", "program"}
FRONT = WAIST | {"opgraph", "lower", "ops", "frontends"}
BACK = WAIST | {"exchange", "memory", "engine"}
ROOMS = FRONT | BACK | {"pipeline", "session", "training"}
# room -> rooms it may import (itself always); errors, dtypes, target, options come for free
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "dtypes": {"errors"},
    "target": {"errors"},
    "options": {"errors"},
    "cost": LEAVES,
    "codelet": LEAVES | {"cost"},
    "graph": LEAVES | {"cost", "codelet"},
    "program": LEAVES | {"cost", "codelet", "graph"},
    "opgraph": WAIST | {"opgraph"},
    "lower": WAIST | {"opgraph"},
    "ops": WAIST | {"opgraph", "lower"},
    "frontends": FRONT,
    "exchange": WAIST,
    "memory": WAIST | {"exchange"},
    "engine": WAIST | {"exchange", "memory"},
    # the PopLibs names are thin lists over the front half
    **{name: FRONT | {"popops", "poputil"} for name in ("popops", "poplin", "popnn", "poprand", "poputil")},
    "weights": LEAVES
    | {"opgraph"},  # files of weights with the norms they were trained with are folded as op graphs are
    # these read anything
    "report": ROOMS | {"report"},
    "render": ROOMS | {"render", "report"},
}
SEES_ALL = {"pipeline", "automatic", "remedies", "session", "training", "commands", "__main__", "__init__"}
READERS_OF_PRINTING = {"session", "commands", "__main__", "__init__", "training"}


def room_of(path: Path) -> str:
    """`graph` for poplar_py/graph/tensor.py, `target` for poplar_py/target.py."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> list[tuple[int, str]]:
    """(line, room) of everything a module imports from poplar_py, imports inside functions included."""
    inside = path.relative_to(PACKAGE).parts[:-1]
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.dump(test.test)
        for inner in ast.walk(test)
    }
    for leaf in ast.walk(tree):
        if id(leaf) in typing_only:
            continue
        if isinstance(leaf, ast.ImportFrom) and leaf.level:
            above = list(inside[: len(inside) - leaf.level + 1])
            full = above + (leaf.module.split(".") if leaf.module else [])
            found += [(leaf.lineno, full[0])] if full else [(leaf.lineno, alias.name) for alias in leaf.names]
        elif isinstance(leaf, ast.ImportFrom) and leaf.module and leaf.module.split(".")[0] == "poplar_py":
            full = leaf.module.split(".")[1:]
            found += [(leaf.lineno, full[0])] if full else [(leaf.lineno, alias.name) for alias in leaf.names]
        elif isinstance(leaf, ast.Import):
            found += [(leaf.lineno, a.name.split(".")[1]) for a in leaf.names if a.name.startswith("poplar_py.")]
    return found


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if not {"_codelets", "_models"} & set(p.parts))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may_know(path: Path) -> None:
    room = room_of(path)
    wrong = []
    for line, other in imports_of(path):
        known = (PACKAGE / other).is_dir() or (PACKAGE / f"{other}.py").is_file()
        if not known or other == room:
            continue  # a public name of the package, or a sibling
        if room in SEES_ALL:
            if other in ("report", "render") and room not in READERS_OF_PRINTING:
                wrong.append(f"line {line} imports {other}")
        elif other not in ALLOWED.get(room, set()):
            wrong.append(f"line {line} imports {other}")
    assert not wrong, f"{path.relative_to(ROOT)}: {'; '.join(wrong)}"


def test_every_room_has_an_arrow() -> None:
    rooms = {room_of(p) for p in modules()}
    assert rooms <= set(ALLOWED) | SEES_ALL, f"rooms without a rule: {rooms - set(ALLOWED) - SEES_ALL}"


def test_front_and_back_never_meet() -> None:
    for front in FRONT - WAIST:
        assert not ALLOWED[front] & (BACK - WAIST)
    for back in BACK - WAIST:
        assert not ALLOWED[back] & (FRONT - WAIST)


@pytest.mark.parametrize("path", sorted((ROOT / "codelets").glob("*.py")), ids=lambda p: p.name)
def test_a_codelet_file_imports_only_the_public_package(path: Path) -> None:
    allowed = {"poplar_py", "__future__", "math", "typing"}
    for leaf in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(leaf, ast.ImportFrom):
            assert not leaf.level, f"{path.name}: a codelet file stands alone"
            names = [leaf.module or ""]
        elif isinstance(leaf, ast.Import):
            names = [alias.name for alias in leaf.names]
        assert set(names) <= allowed, f"{path.name} line {leaf.lineno} imports {names}"


def test_nothing_imports_the_codelets_folder() -> None:
    for path in modules():
        for leaf in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [leaf.module or ""] if isinstance(leaf, ast.ImportFrom) else []
            names += [a.name for a in leaf.names] if isinstance(leaf, ast.Import) else []
            assert not [n for n in names if n.split(".")[0] == "codelets"], f"{path}: codelets are loaded by path"


HEAVY = {"numba", "networkx", "graphviz", "yaml", "rich", "PIL", "scipy", "torch", "onnx", "msgspec", "sklearn"}


def test_no_module_on_the_way_to_help_imports_something_heavy() -> None:
    for path in [
        PACKAGE / "__init__.py",
        PACKAGE / "__main__.py",
        PACKAGE / "errors.py",
        *sorted((PACKAGE / "commands").glob("*.py")),
    ]:
        for leaf in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [leaf.module or ""] if isinstance(leaf, ast.ImportFrom) and not leaf.level else []
            names += [a.name for a in leaf.names] if isinstance(leaf, ast.Import) else []
            heavy = {n.split(".")[0] for n in names} & (HEAVY | {"numpy"})
            assert not heavy, f"{path.relative_to(ROOT)} imports {heavy} at its top"
