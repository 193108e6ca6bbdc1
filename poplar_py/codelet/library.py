"""The library of codelets: loads files of codelets by path and prices their vertices.

Ours lie in `codelets/` next to the package (a checkout) or in `poplar_py/_codelets` (a wheel); the user's come by
`add_file`. A file is run as a module of its own in which `from poplar_py import ...` gives the codelet vocabulary, so
that loading needs nothing but this room.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import dtypes as element_types
from ..dtypes import FLOAT, INT, DType
from ..errors import CodeletError, FileLoadError, UnknownVertexType, did_you_mean
from ..target import Target
from . import amp, convolve, cost, vocabulary
from . import codelet as base
from .codelet import Codelet, Field

OURS = "::"  # before a name: our codelet, whatever the user has loaded
_PACKAGE = Path(__file__).resolve().parent.parent


def _exports() -> dict[str, Any]:
    """What `from poplar_py import ...` may name in a codelet file."""
    names = ("Codelet", "Input", "Output", "InOut", "Constant", "SCALAR", "VECTOR", "MATRIX", "WORKER", "MULTI")
    found = {name: getattr(base, name) for name in names}
    found |= {d.name: d for d in element_types.ALL}
    return found | _words()


def _words() -> dict[str, Any]:
    """What is in scope in a codelet file without an import: functions of tile code and words of cycle functions."""
    functions = (*vocabulary.SERIES, *vocabulary.LIBRARY, *vocabulary.ROUNDINGS, *vocabulary.RANDOM)
    found = {f.__name__: f for f in functions if f is not vocabulary.power}
    found |= {f.__name__.replace("_", ""): f for f in (vocabulary.is_nan, vocabulary.is_inf, vocabulary.is_finite)}
    products = {"multiply_accumulate": vocabulary.multiply_accumulate, "convolve": convolve.convolve}
    return found | cost.WORDS | amp.WORDS | {"square": vocabulary.square} | products


class CodeletInfo:
    """A codelet as the graph sees it.

    name, doc; cls: the class; fields: name -> Field in order; kind: WORKER or MULTI; source: text of the whole file it
    stands in; path: that file's name; hash: of name and source; is_user: not one of ours.
    """

    def __init__(self, cls: type[Codelet], source: SourceFile):
        self.cls = cls
        self.name = cls.__name__
        self.doc = (cls.__doc__ or "").strip()
        self.fields: dict[str, Field] = cls.fields
        self.kind = cls.kind
        self.file = source
        self.source = source.text
        self.path = source.path
        self.is_user = source.is_user
        self.hash = hashlib.sha256(f"{self.name}\n{source.text}".encode()).hexdigest()[:32]
        self.compute = source.method(cls, "compute")
        self._cycles = _function(cls, "cycles")
        self._scratch = _function(cls, "scratch")
        self._instructions: int | None = None

    @property
    def line(self) -> int:
        """Line of its file where `compute` starts."""
        return self.compute.lineno

    @property
    def has_cycles(self) -> bool:
        """Whether its author gave `cycles`; else they are derived from the instructions of `compute`."""
        return self._cycles is not None

    @property
    def instructions(self) -> int:
        """Instructions of its tile code, for the size of code on a tile."""
        if self._instructions is None:
            from .derive import count_instructions

            self._instructions = count_instructions(self)
        return self._instructions

    def cycles(
        self, target: Target, sizes: Mapping[str, tuple], constants: Mapping[str, Any], dtypes: Mapping[str, DType]
    ) -> Any:
        """Worker slots (tile cycles where kind is MULTI) of vertices: a number, or an int64 column.

        sizes: (rows, cols) of every field, numbers or int64 columns; constants: values or columns; dtypes: element
        types by field.
        """
        if self._cycles is None:
            from .derive import derived_slots

            return self._price(derived_slots(self), None, "cycles", target, sizes, constants, dtypes)
        return self._price(self._cycles, _names(self._cycles), "cycles", target, sizes, constants, dtypes)

    def scratch(self, target: Target, sizes: Mapping, constants: Mapping, dtypes: Mapping) -> Any:
        """Bytes of temporary memory of vertices: a number or an int64 column; 0 where the codelet has none."""
        if self._scratch is None:
            return 0
        return self._price(self._scratch, _names(self._scratch), "scratch", target, sizes, constants, dtypes)

    def _price(self, function, names, what, target, sizes, constants, dtypes) -> Any:
        arguments: dict[str, Any] = {}
        columns: list[np.ndarray] = []
        for name, field in self.fields.items():
            if field.direction == "constant":
                value = constants.get(name, field.default)
                arguments[name] = value if np.ndim(value) else _plain(value)
                columns += [value] if np.ndim(value) else []
            elif name in sizes:
                rows, cols = (x if np.ndim(x) else _plain(x) for x in sizes[name])
                arguments[name] = cost.Sized(rows, cols, dtypes.get(name) or field.dtype or FLOAT)
                columns += [x for x in (rows, cols) if np.ndim(x)]
        if names is not None:
            missing = [n for n in names if n not in arguments]
            if missing:
                raise CodeletError(f"{what} of {self.name}: no size given for field '{missing[0]}'")
            arguments = {n: arguments[n] for n in names}
        try:
            result = function(target, **arguments)
        except ValueError:
            if not columns:
                raise
            result = self._one_by_one(function, target, arguments, columns)  # it asks `if` of a column
        result = np.asarray(result)
        if result.dtype.kind not in "biuf":
            raise CodeletError(f"{self.path}: codelet {self.name}: {what} gave {result!r}; it returns a number")
        if result.dtype.kind == "f":
            result = np.ceil(result)
        if result.ndim == 0:
            return int(result)
        return result.astype(np.int64)

    @staticmethod
    def _one_by_one(function, target, arguments, columns) -> np.ndarray:
        """The price of every distinct row of size columns, put back in place."""
        length = max(len(c) for c in columns)
        table = np.stack([np.broadcast_to(np.asarray(c, float), length) for c in columns], axis=1)
        _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)

        def at(value: Any, row: int) -> Any:
            if isinstance(value, cost.Sized):
                return cost.Sized(at(value.rows, row), at(value.cols, row), value.dtype)
            return _plain(value[row]) if np.ndim(value) else value

        prices = [function(target, **{k: at(v, row) for k, v in arguments.items()}) for row in first.tolist()]
        return np.asarray(prices)[inverse.reshape(-1)]

    def __repr__(self) -> str:
        return f"<Codelet {self.name}({', '.join(self.fields)})>"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value


def _function(cls: type, name: str) -> Any:
    found = getattr(cls, name, None)
    return found if callable(found) else None


def _names(function: Any) -> tuple[str, ...]:
    return function.__code__.co_varnames[1 : function.__code__.co_argcount]


class SourceFile:
    """A file of codelets: its text, syntax tree and namespace after running it."""

    def __init__(self, text: str, path: str, is_user: bool):
        self.text = text
        self.path = path
        self.is_user = is_user
        try:
            tree = ast.parse(text, filename=path)
        except SyntaxError as error:
            raise CodeletError(f"{path}:{error.lineno}: {error.msg}: {(error.text or '').strip()}") from None
        self.classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
        self.functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
        module = types.ModuleType("poplar_py_codelets_" + hashlib.sha256(f"{path}\n{text}".encode()).hexdigest()[:12])
        self.namespace: dict[str, Any] = module.__dict__
        self.namespace["__file__"] = path
        self.namespace |= _words()
        self._run(tree, module)

    def _run(self, tree: ast.Module, module: types.ModuleType) -> None:
        body = []
        seen: dict[str, int] = {}
        for statement in tree.body:
            if isinstance(statement, ast.ClassDef):
                if statement.name in seen:
                    raise CodeletError(
                        f"{self.path}:{statement.lineno}: codelet {statement.name} is defined twice;"
                        f" first at line {seen[statement.name]}"
                    )
                seen[statement.name] = statement.lineno
            if isinstance(statement, ast.ImportFrom) and statement.module == "poplar_py" and statement.level == 0:
                self._import(statement)
            else:
                body.append(statement)
        tree.body = body
        sys.modules[module.__name__] = module  # dataclasses and pickling of what the file defines look there
        try:
            exec(compile(tree, self.path, "exec"), self.namespace)
        except CodeletError as error:
            raise CodeletError(str(error) if self.path in str(error) else f"{self.path}: {error}") from None
        except Exception as error:
            line = _line_in(error, self.path)
            raise CodeletError(f"{self.path}:{line}: {type(error).__name__}: {error}") from error

    def _import(self, statement: ast.ImportFrom) -> None:
        exports = _exports()
        for alias in statement.names:
            if alias.name == "*":
                self.namespace |= exports
            elif alias.name in exports:
                self.namespace[alias.asname or alias.name] = exports[alias.name]
            else:
                raise CodeletError(
                    f"{self.path}:{statement.lineno}: codelet files cannot import '{alias.name}' from poplar_py."
                    f"{did_you_mean(alias.name, exports)}"
                )

    def codelets(self) -> list[CodeletInfo]:
        """The codelets the file defines, in order; a class with fields and no compute that others inherit is none."""
        found = []
        for name in self.classes:
            cls = self.namespace.get(name)
            if not (isinstance(cls, type) and issubclass(cls, Codelet) and cls is not Codelet):
                continue
            if getattr(cls, "compute", None) is None:
                if any(isinstance(c, type) and issubclass(c, cls) and c is not cls for c in self.namespace.values()):
                    continue
                raise CodeletError(
                    f"{self.path}:{self.classes[name].lineno}: codelet {name} has no compute; write"
                    f" `def compute({', '.join(cls.fields)}):`"
                )
            found.append(CodeletInfo(cls, self))
        return found

    def method(self, cls: type, name: str) -> ast.FunctionDef:
        """The syntax tree of a method, its own or inherited within the file."""
        for holder in cls.__mro__:
            if name in vars(holder) and holder.__name__ in self.classes:
                for statement in self.classes[holder.__name__].body:
                    if isinstance(statement, ast.FunctionDef) and statement.name == name:
                        return statement
        raise CodeletError(
            f"{self.path}:{self.classes[cls.__name__].lineno}: codelet {cls.__name__}: {name} must be written as"
            f" `def {name}` in the class"
        )


def _line_in(error: BaseException, path: str) -> int:
    line, at = 0, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == path:
            line = at.tb_lineno
        at = at.tb_next
    return line


class Library(Mapping[str, CodeletInfo]):
    """Codelets by name. A user's codelet stands in front of ours of the same name, which `::name` still means: that
    is how our own lowerings ask, so a user's `Add` never changes what `popops.add` does."""

    _ours: Library | None = None

    def __init__(self) -> None:
        self._infos: dict[str, CodeletInfo] = {}

    @classmethod
    def builtin(cls) -> Library:
        """Our own codelets, loaded once a process. Use `.copy()` before adding to it."""
        if Library._ours is None:
            library = Library()
            for path in sorted(builtin_folder().glob("*.py")):
                library._add(SourceFile(path.read_text(encoding="utf-8"), str(path), is_user=False))
            Library._ours = library
        return Library._ours

    def copy(self) -> Library:
        """Another library with the same codelets."""
        library = Library()
        library._infos = dict(self._infos)
        return library

    def add_file(self, path: str | Path) -> list[CodeletInfo]:
        """Load a file of codelets and return them. Raises FileLoadError, CodeletError."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FileLoadError(f"cannot read codelet file {path}: {error}") from None
        return self._add(SourceFile(text, str(path), is_user=True))

    def add_source(self, text: str, name: str = "<codelets>") -> list[CodeletInfo]:
        """Load codelets from text; `name` stands for the file in messages. Raises CodeletError."""
        return self._add(SourceFile(text, name, is_user=True))

    def _add(self, file: SourceFile) -> list[CodeletInfo]:
        added = file.codelets()
        if not added:
            raise CodeletError(f"{file.path}: there is no codelet in it; a codelet is a class derived from Codelet")
        for info in added:
            known = self._infos.get(info.name)
            if known is not None and known.hash != info.hash and known.is_user == info.is_user:
                raise CodeletError(
                    f"codelet {info.name} is in {known.path} and in {info.path}; give one of them another name"
                )
        for info in added:
            known = self._infos.get(info.name)
            if known is None or (info.is_user and not known.is_user):
                self._infos[info.name] = info
        return [self._infos[info.name] for info in added]

    def __getitem__(self, name: str) -> CodeletInfo:
        if name.startswith(OURS):
            return Library.builtin()[name[len(OURS) :]]
        try:
            return self._infos[name]
        except KeyError:
            raise UnknownVertexType(
                f"no codelet '{name}'.{did_you_mean(name, self._infos)} Loaded: {len(self._infos)} codelets"
                " (graph.add_codelets(file) loads more)"
            ) from None

    def get(self, name: str, default: Any = None) -> Any:
        return self._infos.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._infos

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)


def builtin_folder() -> Path:
    """Where our codelets lie. Raises FileLoadError where they are missing."""
    for folder in (_PACKAGE / "_codelets", _PACKAGE.parent / "codelets"):
        if folder.is_dir() and any(folder.glob("*.py")):
            return folder
    raise FileLoadError(f"the codelets of poplar_py are missing: neither {_PACKAGE.parent / 'codelets'} nor _codelets")


def constant_dtype(field: Field, value: Any) -> DType:
    """Element type of a constant field's value."""
    if field.dtype is not None:
        return field.dtype
    return FLOAT if np.asarray(value).dtype.kind == "f" else INT
