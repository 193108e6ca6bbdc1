"""YAML with line numbers: text in; plain values that remember their line out.

PyYAML composes the tree, the checking and the conversion of scalars are ours: `Located` keeps where each thing stands
so that an error can say `model.yaml:12: layers[3].dense.units: ...`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileLoadError, ModelError, ParseError

MAX_DEPTH = 64


@dataclass(frozen=True)
class Located:
    """A scalar (None, bool, int, float, str), a list of Located, or a dict {str: Located}, with where it stands."""

    value: Any
    file: str
    line: int
    path: str = ""

    def error(self, message: str, kind: type[ModelError] = ModelError) -> ModelError:
        """An error about this thing: `file:line: path: message`."""
        return kind(f"{self.file}:{self.line}: {self.path + ': ' if self.path else ''}{message}")

    def found(self) -> str:
        """The thing in words, for `found ...`."""
        if isinstance(self.value, dict):
            return "a mapping" + (f" with {', '.join(list(self.value)[:4])}" if self.value else " without keys")
        if isinstance(self.value, list):
            return f"a list of {len(self.value)}"
        return "nothing" if self.value is None else repr(self.value)

    def items(self) -> Iterator[tuple[str, Located]]:
        return iter(self.value.items())


def read_yaml(path: str | Path) -> Located:
    """The YAML document in a file. Raises FileLoadError where it cannot be read, ParseError where it is damaged."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"{path}: not text: byte {error.start} is not UTF-8") from None
    except OSError as error:
        raise FileLoadError(f"{path}: {error.strerror or error}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str = "<text>") -> Located:
    """The YAML document in `text`, called `file` in errors. Raises ParseError."""
    import yaml

    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        column = f", column {mark.column + 1}" if mark else ""
        raise ParseError(f"{where}: damaged YAML: {error.problem or error.context}{column}") from None
    except yaml.YAMLError as error:
        raise ParseError(f"{file}: damaged YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ParseError(f"{file}: damaged YAML: nested too deeply") from None
    if tree is None:
        raise ParseError(f"{file}: the file is empty")
    return _locate(tree, file, "", 0)


def _locate(tree: Any, file: str, path: str, depth: int) -> Located:
    import yaml

    line = tree.start_mark.line + 1
    if depth > MAX_DEPTH:
        raise ParseError(f"{file}:{line}: nested deeper than {MAX_DEPTH} (does an alias contain itself?)")
    if isinstance(tree, yaml.SequenceNode):
        entries = [_locate(child, file, f"{path}[{i}]", depth + 1) for i, child in enumerate(tree.value)]
        return Located(entries, file, line, path)
    if isinstance(tree, yaml.MappingNode):
        found: dict[str, Located] = {}
        for key_tree, child in tree.value:
            key = _scalar(key_tree, file)
            if not isinstance(key, str):
                key = str(key_tree.value)
            if key in found:
                raise ParseError(
                    f"{file}:{key_tree.start_mark.line + 1}: key '{key}' stands twice (first in line {found[key].line})"
                )
            found[key] = _locate(child, file, f"{path}.{key}" if path else key, depth + 1)
        return Located(found, file, line, path)
    return Located(_scalar(tree, file), file, line, path)


def _scalar(tree: Any, file: str) -> Any:
    import yaml

    line = tree.start_mark.line + 1
    if not isinstance(tree, yaml.ScalarNode):
        raise ParseError(f"{file}:{line}: a key must be a word, not a list or mapping")
    kind, text = tree.tag.rpartition(":")[2], tree.value
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("true", "yes", "on")
        if kind == "int":
            return yaml.SafeLoader("").construct_yaml_int(tree)
        if kind == "float":
            return yaml.SafeLoader("").construct_yaml_float(tree)
    except ValueError:
        raise ParseError(f"{file}:{line}: {text!r} is not a number") from None
    if kind == "str" and tree.style is None and _looks_like_number(text):
        return float(text)  # YAML 1.1 reads 1e-3 as a word; nobody means one
    return text


def _looks_like_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower().lstrip("+-") not in ("nan", "inf", "infinity") and "_" not in text
