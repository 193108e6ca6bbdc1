"""Structure of a description: entries of `layers:` that hold layers, and how lists of entries are read.

repeat: {times: 3, layers: [...]}            or {times: 3, use: BLOCK, set: {...}}; scopes NAME/0, NAME/1, ...
block: {use: BLOCK, set: {...}}              the layers of a block; scope NAME, none where it is ''
residual: {layers: [...], shortcut: [...], activation: relu}
                                             both on the same input, and the sum of their results; without
                                             `shortcut` the input itself is added; scope NAME, or none without one
branches: {merge: concat, lists: {left: [...], right: [...]}}
                                             lists of layers on the same input, an empty one being the input
                                             itself, and their results added or put one behind the other along the
                                             channels; scopes NAME/left, NAME/right
"""

# ruff: noqa: RUF009 (schema.field is dataclasses.field with limits)
from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from ..errors import PoplarError, did_you_mean
from ..opgraph.op import Value
from .layers import ACTIVATIONS, LAYERS, Builder, Layer, merged
from .located import Located
from .schema import field, read_as
from .settings import Settings, mapping_of, resolve, substitute

MERGES = ("add", "concat")


def _as_is(located: Located) -> Located:
    return located


@dataclass(frozen=True, kw_only=True)
class Group:
    """An entry that holds layers. `lists` are the layers it holds, by name."""

    where: Located
    name: str | None = field(None)
    lists: dict[str, tuple[Any, ...]] = field(None, read=lambda located: {})

    @property
    def entries(self) -> tuple[Any, ...]:
        """All entries inside."""
        return tuple(entry for entries in self.lists.values() for entry in entries)


@dataclass(frozen=True, kw_only=True)
class Repeat(Group):
    """`repeat:`: the same layers several times, each time with parameters of its own."""

    times: int = field(at_least=1)
    layers: Any = field(None, read=_as_is)
    use: str | None = field(None)
    set: Any = field(None, read=_as_is)


@dataclass(frozen=True, kw_only=True)
class Block(Group):
    """`block:`: the layers listed under that name in `blocks:`, with parameters of their own."""

    use: str = field()
    set: Any = field(None, read=_as_is)


@dataclass(frozen=True, kw_only=True)
class Residual(Group):
    """`residual:`: layers, and past them a shortcut whose result is added."""

    layers: Any = field(read=_as_is)
    shortcut: Any = field(None, read=_as_is)
    activation: str | None = field(None, choices=ACTIVATIONS)


@dataclass(frozen=True, kw_only=True)
class Branches(Group):
    """`branches:`: lists of layers on one input, merged."""

    merge: str = field("concat", choices=MERGES)
    lists: Any = field(read=_as_is)
    activation: str | None = field(None, choices=ACTIVATIONS)


GROUPS: dict[str, type[Group]] = {"repeat": Repeat, "block": Block, "residual": Residual, "branches": Branches}


# reading ---------------------------------------------------------------------------------------------------------------


class Reader:
    """Reads lists of layers, following blocks."""

    def __init__(self, blocks: dict[str, Located], settings: Settings):
        self.blocks = blocks
        self.settings = settings
        self.kinds = [*sorted(LAYERS), *GROUPS]

    def read(self, located: Located, inside: tuple[str, ...] = (), *, empty: bool = False) -> tuple[Any, ...]:
        """The records of a list, which may be empty where told; `inside` are the blocks it stands in."""
        if not isinstance(located.value, list) or not (located.value or empty):
            raise located.error(f"found {located.found()}; it takes a list of layers")
        return tuple(self.entry(entry, inside) for entry in located.value)

    def entry(self, located: Located, inside: tuple[str, ...]) -> Any:
        """The record of one entry."""
        value = located.value
        if isinstance(value, str):  # `- softmax` for `- softmax: {}`
            kind, settings = value, Located(None, located.file, located.line, located.path)
        elif isinstance(value, dict) and len(value) == 1:
            ((kind, settings),) = located.items()
        else:
            raise located.error(f"found {located.found()}; a layer is one name with its settings in braces")
        if kind not in self.kinds:
            raise settings.error(
                f"unknown layer '{kind}'.{did_you_mean(kind, self.kinds)} Allowed: {', '.join(self.kinds)}"
            )
        if kind not in GROUPS:
            return read_as(LAYERS[kind], settings)
        group = read_as(GROUPS[kind], settings, hidden=() if kind == "branches" else ("lists",))
        return replace(group, lists=self.lists(group, inside))

    def lists(self, group: Any, inside: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        """The lists of layers that a group holds."""
        if isinstance(group, Branches):
            lists = mapping_of(group.lists, "names of branches, each with a list of layers")
            if not lists:
                raise group.where.error("there is no branch; `lists` takes names, each with a list of layers")
            return {name: self.read(entries, inside, empty=True) for name, entries in lists.items()}
        if isinstance(group, Residual):
            shortcut = () if group.shortcut is None else self.read(group.shortcut, inside, empty=True)
            return {"layers": self.read(group.layers, inside), "shortcut": shortcut}
        if group.use is not None:
            if getattr(group, "layers", None) is not None:
                raise group.where.error("it has `layers` and `use`; it takes one of them")
            return {"layers": self.block(group, inside)}
        if group.layers is None:
            raise group.where.error("'layers' is missing; it takes a list of layers (or `use`, the name of a block)")
        if group.set is not None:
            raise group.set.error("`set` gives the settings of the block that `use` names; there is none")
        return {"layers": self.read(group.layers, inside)}

    def block(self, group: Any, inside: tuple[str, ...]) -> tuple[Any, ...]:
        """The layers of the block that a group uses, with its settings."""
        if group.use not in self.blocks:
            known = ", ".join(self.blocks) or "none"
            raise group.where.error(f"no block '{group.use}'.{did_you_mean(group.use, self.blocks)} Blocks: {known}")
        if group.use in inside:
            raise group.where.error(f"block '{group.use}' contains itself: {' -> '.join((*inside, group.use))}")
        return self.layers_of(group.use, inside, mapping_of(group.set, "settings of the block"))

    def layers_of(self, name: str, inside: tuple[str, ...] = (), given: Settings | None = None) -> tuple[Any, ...]:
        """The layers of a block; its settings are those `given` over its own."""
        located, own = self.blocks[name], {}
        if isinstance(located.value, dict):
            record = read_as(_BlockText, located)
            declared = None if record.settings is None else substitute(record.settings, self.settings)
            own, located = resolve(declared, None, located.file), record.layers
        for key, value in (given or {}).items():
            if key not in own:
                known = ", ".join(own) or "none"
                raise value.error(f"block '{name}' has no setting '{key}'.{did_you_mean(key, own)} Settings: {known}")
            own[key] = value
        settings = {**self.settings, **own}
        return self.read(substitute(located, settings), (*inside, name), empty=True)


@dataclass(frozen=True, kw_only=True)
class _BlockText:
    settings: Any = field(None, read=_as_is)
    layers: Any = field(read=_as_is)


# building --------------------------------------------------------------------------------------------------------------


def build_all(b: Builder, entries: tuple[Any, ...], x: Value) -> Value:
    """The result of entries one after another on x."""
    _check_names(entries)
    for entry in entries:
        if isinstance(entry, Layer):
            x = _located(entry, lambda: entry.build(b, x))  # noqa: B023 (called at once)
        else:
            x = _BUILD[type(entry)](b, entry, x)
        if entry.name:
            b.results[b.g.path_here(entry.name)] = x
    return x


def _names(entries: tuple[Any, ...]) -> Iterator[Any]:
    """The entries whose names stand in the scope of a list: its own, and those of groups that open no scope."""
    for entry in entries:
        if (isinstance(entry, Residual) and not entry.name) or (isinstance(entry, Block) and entry.name == ""):
            yield from _names(entry.lists["layers"])
        elif entry.name:
            yield entry


def _check_names(entries: tuple[Any, ...]) -> None:
    names: dict[str, int] = {}
    for entry in _names(entries):
        if entry.name in names:
            raise entry.where.error(f"two layers are called '{entry.name}' (first in line {names[entry.name]})")
        if "/" in entry.name:
            raise entry.where.error(f"found '{entry.name}'; a name has no '/', which separates the parts of paths")
        names[entry.name] = entry.where.line


def _located(entry: Any, build: Any) -> Value:
    """One entry; errors of its ops get its place in the file."""
    try:
        return build()
    except PoplarError as error:
        if str(error).startswith(f"{entry.where.file}:"):
            raise
        raise type(error)(f"{entry.where.file}:{entry.where.line}: {entry.where.path}: {error}") from None


def _repeat(b: Builder, entry: Repeat, x: Value) -> Value:
    with b.g.scope(entry.name or b.numbered("repeat")):
        for i in range(entry.times):
            with b.g.scope(str(i)):
                x = build_all(b, entry.lists["layers"], x)
    return x


def _block(b: Builder, entry: Block, x: Value) -> Value:
    with b.g.scope(b.numbered(entry.use) if entry.name is None else entry.name):
        return build_all(b, entry.lists["layers"], x)


def _residual(b: Builder, entry: Residual, x: Value) -> Value:
    with b.g.scope(entry.name) if entry.name else nullcontext():
        main = build_all(b, entry.lists["layers"], x)
        with b.g.scope("shortcut"):
            past = build_all(b, entry.lists["shortcut"], x)
        return _located(entry, lambda: merged(b, "add", (main, past), entry.activation))


def _branches(b: Builder, entry: Branches, x: Value) -> Value:
    with b.g.scope(entry.name or b.numbered("branches")):
        results = []
        for name, entries in entry.lists.items():
            with b.g.scope(name):
                results.append(build_all(b, entries, x))
        return _located(entry, lambda: merged(b, entry.merge, tuple(results), entry.activation))


_BUILD: dict[type, Any] = {Repeat: _repeat, Block: _block, Residual: _residual, Branches: _branches}
