"""Drivers: all vertices of a block in one compiled call, cached on disk; and the same code in plain Python.

For a codelet and the element types connected to it a driver file is written: the rewritten `compute` and a loop over
vertices that cuts their windows out of memory. The file is named by the hash of its content and lies in a cache
directory (POPLAR_PY_CACHE, else the user's), where numba's own cache of machine code works across processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import linecache
import os
import pickle
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import BOOL, HALF, DType
from ..errors import GraphConnectionError
from . import convolve, vocabulary
from .codelet import MATRIX, SCALAR, VECTOR, Field
from .joinable import continued
from .kinds import NUMPY_NAME, kind_of
from .rewrite import Rewriter, Rewritten

if TYPE_CHECKING:
    from .library import CodeletInfo

AHEAD = 8  # vertices: by the time one runs, what was asked for then has arrived from memory


class Signature:
    """A codelet with the element types connected to its fields; equal and hashed by content."""

    __slots__ = ("dtypes", "info", "key")

    def __init__(self, info: CodeletInfo, dtypes: Mapping[str, DType]):
        missing = [name for name in info.fields if name not in dtypes]
        if missing:
            raise GraphConnectionError(f"codelet {info.name}: field '{missing[0]}' has no element type")
        self.info = info
        self.dtypes = {name: dtypes[name] for name in info.fields}
        self.key = (info.name, info.hash, *(d.name for d in self.dtypes.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"{self.info.name}({', '.join(f'{n}={d}' for n, d in self.dtypes.items())})"


@cache
def rewritten(signature: Signature) -> Rewritten:
    """The codelet's `compute` with every type written out. Raises CodeletError."""
    return Rewriter(signature.info, signature.dtypes).run()


# --- plain Python ----------------------------------------------------------------------------------------------------


def _names() -> dict[str, Any]:
    """What the rewritten source refers to, by its names there."""
    functions = (
        *vocabulary.SERIES, *vocabulary.LIBRARY, *vocabulary.ROUNDINGS, *vocabulary.WHOLE, *vocabulary.RANDOM,
        vocabulary.to_half, vocabulary.matmul, convolve.convolve_by,
    )  # fmt: skip
    named = {f"__{f.__name__}": f for f in functions}
    named["__power"] = vocabulary.power
    types = {f"__{kind}": getattr(np, name) for kind, name in NUMPY_NAME.items()}
    return named | types | {"__inf": float("inf"), "__nan": float("nan")}


@cache
def interpreted(signature: Signature) -> Callable[..., None]:
    """The rewritten `compute` as a plain Python function of keyword arguments.

    It takes an array of `dtype.compute` for every field (one axis; two for a MATRIX) and a number for every constant,
    and writes output fields in place.
    """
    code = rewritten(signature)
    name = f"<poplar_py {signature!r}>"
    linecache.cache[name] = (len(code.text), None, code.text.splitlines(True), name)
    namespace = _names()
    exec(compile(code.text, name, "exec"), namespace)
    compute = namespace["compute"]
    constants = {
        n: signature.dtypes[n].compute.type for n, f in signature.info.fields.items() if f.direction == "constant"
    }

    def call(**values: Any) -> None:
        arguments = [constants[n](values[n]) if n in constants else values[n] for n in code.arguments]
        with np.errstate(all="ignore"):
            compute(*arguments, 0)

    return call


# --- the driver's source ---------------------------------------------------------------------------------------------


def _storage(element: DType) -> str:
    return "u16" if element is HALF else kind_of(element)


class _DriverText:
    """Writes the driver of a signature."""

    def __init__(self, signature: Signature, code: Rewritten):
        self.signature = signature
        self.code = code
        self.arguments: list[str] = []
        self.types: list[str] = []
        self.before: list[str] = []
        self.each: list[str] = []
        self.after: list[str] = []
        self.scratch: list[tuple[str, str]] = []  # float32 copies of half windows: name, elements of a vertex
        self.earlier: list[Field] = []  # half InOuts already widened for the vertex

    def write(self) -> str:
        info = self.signature.info
        for field in info.fields.values():
            if field.direction == "constant":
                self._constant(field)
            elif self.signature.dtypes[field.name] is HALF:
                self._half(field)
            else:
                self._plain(field)
        blas = ["__blas"] if self.code.uses_blas else []
        call = f"compute({', '.join([*self.code.arguments, '__blas' if blas else '0'])})"
        body = [*self._ask(), *self.each, call, *self.after]
        signature = ["types.int64"] * len(blas) + ["types.int64", "types.int64", "types.Array(types.uint8, 1, 'C')"]
        lines = [
            f"# {self.signature!r}",
            *self._header("\n".join([self.code.text, *self._allot(), *body])),
            "",
            re.sub(r"^def ", f"@njit({self._options()})\ndef ", self.code.text, flags=re.MULTILINE),
            "",
            f"@njit(types.void({', '.join([*signature, *self.types])}), cache=True, {self._options(False)})",
            f"def driver({', '.join([*blas, '__first', '__last', '__mem', *self.arguments])}):",
            *(f"    {line}" for line in [*self._allot(), *self.before]),
            "    for __v in range(__first, __last):",
            *(f"        {line}" for line in body),
            *(["    __scratch[0] = 0  # alive until here"] if self.scratch else []),
            "",
        ]
        return "\n".join(lines)

    def _options(self, inline: bool = True) -> str:
        options = ["nogil=True", "error_model='numpy'", "boundscheck=False"]
        if inline:
            options.append("forceinline=True")
        if self.signature.info.cls.reassociate:
            options.append("fastmath={'reassoc', 'nsz', 'contract'}")
        return ", ".join(options)

    def _header(self, text: str) -> list[str]:
        used = sorted(set(re.findall(r"\b__[a-z]\w*", text)))
        lines = ["from numba import njit, types", "import numpy as np"]
        named, native = _names(), ("vector", "matrix", "part", "grid", "widen", "narrow", "will_read")
        lines.append("from poplar_py.codelet import native")
        for name in used:
            if name[2:] in native:
                lines.append(f"{name} = native.{name[2:]}")
            elif name in ("__inf", "__nan"):
                lines.append(f"{name} = np.{name[2:]}")
            elif isinstance(named.get(name), type):
                lines.append(f"{name} = np.{named[name].__name__}")
            elif name == "__convolve_by":
                lines.append("from poplar_py.codelet import native_convolve")
                lines.append(f"from poplar_py.codelet.convolve import {name[2:]} as {name}")
            elif name in named:
                lines.append(f"from poplar_py.codelet.vocabulary import {name[2:]} as {name}")
        return lines

    def _column(self, field: Field, part: str, kind: str = "int64") -> str:
        name = f"__{field.name}_{part}"
        self.arguments.append(name)
        self.types.append(f"types.Array(types.{kind}, 1, 'A', readonly=True)")
        return f"{name}[__v]"

    def _constant(self, field: Field) -> None:
        element = self.signature.dtypes[field.name]
        code = self._column(field, "value", "uint8" if element is BOOL else str(element.compute))
        if field.name in self.code.arguments:
            self.each.append(f"{field.name} = {code}{' != 0' if element is BOOL else ''}")

    def _window(self, field: Field) -> tuple[str, str, str, str]:
        """Source of byte address, rows, cols and row stride of a vertex's window."""
        at = self._column(field, "start")
        if field.kind == SCALAR:
            return at, "1", "1", "1"
        if field.kind == MATRIX:
            return at, *(self._column(field, part) for part in ("rows", "cols", "stride"))  # type: ignore[return-value]
        size = self._column(field, "size")
        return at, "1", size, size

    def _ask(self) -> list[str]:
        """Ask for the first lines of vectors and scalars of a vertex to come."""
        asked = [
            f.name
            for f in self.signature.info.fields.values()
            if (f.kind in (SCALAR, VECTOR) or f.name in continued(self.signature.info))
            and f.direction != "constant"
            and f.name in self.code.arguments
        ]
        if not asked:
            return []
        return [
            f"__ahead = min(__v + {AHEAD}, __last - 1)",
            *(f"__will_read(__mem, __{n}_start[__ahead])" for n in asked),
        ]

    def _plain(self, field: Field) -> None:
        at, rows, cols, stride = self._window(field)
        if field.name not in self.code.arguments:
            return
        kind = f"__{_storage(self.signature.dtypes[field.name])}"
        if field.kind == MATRIX:
            self.each.append(f"{field.name} = __matrix(__mem, {at}, {rows}, {cols}, {stride}, {kind})")
        else:
            self.each.append(f"{field.name} = __vector(__mem, {at}, {cols}, {kind})")

    def _half(self, field: Field) -> None:
        parts = self._window(field)
        if field.name not in self.code.arguments:
            return
        name = field.name
        held = [f"__{name}_{p}_" for p in ("at", "rows", "cols", "stride")]
        at, rows, cols, stride = held
        wide = f"__{name}_wide"
        self.scratch.append((wide, " * ".join(p for p in parts[1:3] if p != "1") or "1"))
        fill = f"__widen(__mem, {at}, {wide}, {rows}, {cols}, {stride})"
        if field.direction == "in":  # an operand shared by neighbours is widened once
            self.before += [f"{h} = np.int64(-1)" for h in held]
            new = [f"__n{k} = np.int64({p})" for k, p in enumerate(parts)]
            differs = " or ".join(f"__n{k} != {h}" for k, h in enumerate(held))
            self.each += [*new, f"if {differs}:", *(f"    {h} = __n{k}" for k, h in enumerate(held)), f"    {fill}"]
        else:
            self.each += [f"{h} = np.int64({p})" for h, p in zip(held, parts, strict=True)]
            if field.direction == "inout" or field.partial:
                self.each.append(fill)
            self.after.append(f"__narrow(__mem, {at}, {wide}, {rows}, {cols}, {stride})")
        cut = f"__grid({wide}, {rows}, {cols})" if field.kind == MATRIX else f"__part({wide}, 0, {cols})"
        self.each.append(f"{name} = {cut}")
        if field.direction == "inout":
            self._share(field, held)

    def _allot(self) -> list[str]:
        """One scratch of the size the largest windows need; its parts hold no references, which cost time."""
        if not self.scratch:
            return []
        lines = [f"{wide}_most = 1" for wide, _ in self.scratch]
        varying = [(wide, size) for wide, size in self.scratch if size != "1"]
        if varying:
            lines.append("for __v in range(__first, __last):")
            lines += [f"    {wide}_most = max({wide}_most, {size})" for wide, size in varying]
        lines.append(f"__scratch = np.empty({' + '.join(f'{wide}_most' for wide, _ in self.scratch)}, np.float32)")
        at = "0"
        for wide, _ in self.scratch:
            lines.append(f"{wide} = __part(__scratch, {at}, {wide}_most)")
            at = f"{at} + {wide}_most"
        return lines

    def _share(self, field: Field, held: list[str]) -> None:
        """One region named by two InOut fields is one place: they share the first one's scratch."""
        clashes = []
        for other in self.earlier:
            if (other.kind == MATRIX) == (field.kind == MATRIX):
                pairs = zip(
                    held[:3], [h.replace(f"__{field.name}_", f"__{other.name}_") for h in held[:3]], strict=True
                )
                clashes.append("(" + " and ".join(f"{mine} == {its}" for mine, its in pairs) + ")")
                self.each += [f"if {clashes[-1]}:", f"    {field.name} = {other.name}"]
        if clashes:
            self.after[-1:] = [f"if not ({' or '.join(clashes)}):", f"    {self.after[-1]}"]
        self.earlier.append(field)


@lru_cache(maxsize=1)
def _machinery_hash() -> str:
    """Hash of the sources whose machine code ends up in drivers: numba does not notice edits in imported files."""
    import numba

    digest = hashlib.sha256(f"{numba.__version__} {sys.version_info[:2]}".encode())
    here = Path(__file__).parent
    for path in (here / "vocabulary.py", here / "convolve.py", *sorted(here.glob("native*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def driver_source(signature: Signature) -> str:
    """Text of the driver module of a signature."""
    return _DriverText(signature, rewritten(signature)).write()


# --- the cache ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _cache_directory(given: str) -> Path:
    candidates = [Path(given)] if given else []
    if sys.platform == "win32":
        candidates.append(Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "poplar_py" / "Cache")
    elif sys.platform == "darwin":
        candidates.append(Path.home() / "Library/Caches/poplar_py")
    else:
        candidates.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poplar_py")
    for folder in candidates:
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
    return Path(tempfile.mkdtemp(prefix="poplar_py-"))


def cache_directory() -> Path:
    """Where driver files lie: POPLAR_PY_CACHE, else the user's cache directory, else a temporary one."""
    return _cache_directory(os.environ.get("POPLAR_PY_CACHE", ""))


def _written(name: str, text: str) -> Path:
    """The driver file, written once: a second writer leaves it alone, since numba's cache goes by its time stamp."""
    path = cache_directory() / f"{name}.py"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        try:
            os.link(temporary, path)  # fails where another process was quicker
            os.unlink(temporary)
        except FileExistsError:
            os.unlink(temporary)
        except OSError:  # no hard links here
            os.replace(temporary, path)
    return path


def _import(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_drivers: dict[tuple, Callable[..., None]] = {}
_lock = threading.Lock()


def driver(signature: Signature) -> Callable[..., None]:
    """The compiled driver fn(first, last, mem, *columns): runs vertices [first, last) in memory; see package notes.

    mem: uint8[::1], addresses are byte offsets into it aligned to the element size. Columns, in field order, int64 of
    any layout: SCALAR start; VECTOR start, size; MATRIX start, rows, cols, row stride in elements; a constant its
    values in its `compute` type (BOOL: uint8). It frees the interpreter lock and may run in several threads at once.
    Raises CodeletError.
    """
    with _lock:
        if signature.key not in _drivers:
            _drivers[signature.key] = _load(signature)
        return _drivers[signature.key]


def _load(signature: Signature) -> Callable[..., None]:
    text = driver_source(signature)
    name = f"{signature.info.name.lower()}_{hashlib.sha256((_machinery_hash() + text).encode()).hexdigest()[:24]}"
    path = _written(name, text)
    try:
        module = _import(name, path)
    except (pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError):  # a damaged cache: compile anew
        for stale in (path.parent / "__pycache__").glob(f"{name}.driver-*.nb?"):
            stale.unlink(missing_ok=True)
        module = _import(name, path)
    if not rewritten(signature).uses_blas:
        return module.driver
    from .native import sgemm_address

    return partial(module.driver, _sgemm(sgemm_address))


@lru_cache(maxsize=1)
def _sgemm(find: Callable[[], int]) -> int:
    return find()
