"""Tables of TOML → frozen dataclasses, with every problem collected and worded.

Owns how a field is declared to be a key (``Annotated`` with a ``msgspec.Meta`` that describes it),
how a value is read by that declaration, and the words for what is wrong with it. Must not know
which keys there are; that is ``schema``.
"""

import dataclasses
import operator
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar

import msgspec

from flyte_host.text import nearest, quoted, shown, type_of

T = TypeVar("T")


NOUNS: Mapping[Any, str] = {
    bool: "a boolean (true or false, without quotes)",
    int: "a whole number",
    float: "a number",
    str: "a string",
}
KINDS: tuple[tuple[type | UnionType, str], ...] = (
    (bool, "a boolean"),
    (str, "a string"),
    (int, "an integer"),
    (float, "a float"),
    (dict, "a table"),
    (list, "an array"),
    (date | time, "a date or time"),
)
BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("gt", ">", operator.gt),
    ("ge", ">=", operator.ge),
    ("lt", "<", operator.lt),
    ("le", "<=", operator.le),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is: its key path, the folder of relative paths, and where problems go."""

    path: str
    folder: Path
    problems: list[str]

    def key(self, key: str) -> "Place":
        name = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quoted(key)
        return dataclasses.replace(self, path=f"{self.path}.{name}" if self.path else name)

    def item(self, index: int) -> "Place":
        return dataclasses.replace(self, path=f"{self.path}[{index}]")

    def problem(self, text: str) -> None:
        self.problems.append(f"{self.path}: {text}")

    def absolute(self, text: str) -> Path:
        """``text`` as a path from the folder, ``~`` expanded; raises ValueError."""
        if not text or "\0" in text:
            raise ValueError("found a path that is empty or has a NUL in it, expected a path")
        try:
            return self.folder / Path(text).expanduser()
        except RuntimeError:
            raise ValueError("found a path below ~ of an unknown user, expected a path") from None


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What a declaration asks for beyond types and bounds; goes into ``Annotated``.

    ``read`` gets the value that the type let through and returns what the field holds, or raises
    ValueError("found …, expected …"). ``words`` replace the type's in the reference.
    """

    read: Callable[[Any, Place], Any]
    words: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """An annotation taken apart; types that TOML does not have are left to the checks."""

    kind: Any
    meta: msgspec.Meta
    checks: tuple[KeyCheck, ...]


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """A key of a table, as the dataclass declares it; ``default`` is a value of the field."""

    name: str
    declared: Any
    default: Any

    @property
    def meaning(self) -> str:
        return _take_apart(self.declared).meta.description or ""

    @property
    def words(self) -> str:
        return words_of(self.declared)


def keys_of(table: type) -> dict[str, ConfigKey]:
    """The keys of a table by name: the fields that have a description."""
    hints = typing.get_type_hints(table, include_extras=True)
    return {
        field.name: ConfigKey(field.name, hints[field.name], _default(field))
        for field in dataclasses.fields(table)
        if _take_apart(hints[field.name]).meta.description
    }


def read_table(
    table: type[T],
    raw: Any,
    at: Place,
    *,
    given: Mapping[str, Any] | None = None,
    elsewhere: Iterable[str] = (),
    hint: str = "",
) -> T:
    """The dataclass ``table`` made of the keys in ``raw``.

    What cannot be read becomes a problem of ``at`` and keeps its default, so that the rest is read
    too. ``given`` are fields that are not keys; the caller reads the keys ``elsewhere``.
    """
    values = dict(given or {})
    if not isinstance(raw, dict):
        at.problem(f"found {kind_of(raw)}, expected a table ([{at.path}])")
        return table(**values)
    keys = keys_of(table)
    refuse_unknown(raw, (*keys, *elsewhere), at, hint)
    for name, key in keys.items():
        if name in raw:
            values[name] = read_value(key.declared, raw[name], at.key(name))
        elif isinstance(key.default, Path):
            values[name] = at.absolute(str(key.default))
    return table(**values)


def refuse_unknown(raw: Mapping[str, Any], known: Iterable[str], at: Place, hint: str = "") -> None:
    known = tuple(known)
    for name in raw:
        if name not in known:
            meant = nearest(name, known) or f"; the keys here are {', '.join(known)}{hint}"
            at.key(name).problem(f"unknown key{meant}")


def read_value(declared: Any, value: Any, at: Place) -> Any:
    """``value`` as ``declared`` asks; ``None`` after a problem."""
    wanted = _take_apart(declared)
    try:
        result = _read_kind(wanted, value, at)
        for check in wanted.checks:
            result = check.read(result, at)
    except ValueError as error:
        at.problem(str(error))
        return None
    return result


def _read_kind(wanted: Declared, value: Any, at: Place) -> Any:
    origin = typing.get_origin(wanted.kind)
    if origin is tuple:
        return _read_array(typing.get_args(wanted.kind)[0], value, at)
    if origin is Mapping:
        key, item = typing.get_args(wanted.kind)
        return _read_mapping(key, item, value, at)
    if wanted.kind is Path:
        return at.absolute(_convert(str, wanted.meta, value))
    if wanted.kind in NOUNS:
        return _convert(wanted.kind, wanted.meta, value)
    return value


def _read_array(item: Any, value: Any, at: Place) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"found {describe(value)}, expected an array ([…])")  # noqa: TRY004 - not ours
    return tuple(read_value(item, each, at.item(index)) for index, each in enumerate(value))


def _read_mapping(key: Any, item: Any, value: Any, at: Place) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"found {kind_of(value)}, expected a table ({{ … }})")  # noqa: TRY004 - not ours
    return {
        read_value(key, name, at.key(name)): read_value(item, each, at.key(name))
        for name, each in value.items()
    }


def _convert(kind: Any, meta: msgspec.Meta, value: Any) -> Any:
    try:
        return msgspec.convert(value, Annotated[kind, meta], strict=True)
    except msgspec.ValidationError:
        raise ValueError(_mismatch(kind, meta, value)) from None


def _mismatch(kind: Any, meta: msgspec.Meta, value: Any) -> str:
    if type(value) is not kind and (kind, type(value)) != (float, int):
        unquoted = " (without quotes)" if kind in (int, float) and isinstance(value, str) else ""
        return f"found {describe(value)}, expected {NOUNS[kind]}{unquoted}"
    if kind is str:
        return f"found {shown(value)}, expected a string that is not empty"
    sign, limit = next(
        (sign, limit)
        for name, sign, holds in BOUNDS
        if (limit := getattr(meta, name)) is not None and not holds(value, limit)
    )
    return f"found {shown(value)}, expected {NOUNS[kind]} {sign} {limit:g}"


def kind_of(value: Any) -> str:
    """What kind of value TOML has here, or what a test gives instead."""
    return next((words for kind, words in KINDS if isinstance(value, kind)), type_of(value))


def describe(value: Any) -> str:
    """A value and its kind; for values that hold no secret."""
    if isinstance(value, dict | list):
        return kind_of(value)
    return f"{shown(value)} ({kind_of(value)})"


def words_of(declared: Any) -> str:
    """The type of a key for the reference: ``number >= 0``."""
    wanted = _take_apart(declared)
    for check in wanted.checks:
        if check.words:
            return check.words
    origin, inner = typing.get_origin(wanted.kind), typing.get_args(wanted.kind)
    if origin is Mapping:
        return "table"
    if origin is tuple:
        return f"array of {words_of(inner[0])}s"
    noun = "path" if wanted.kind is Path else NOUNS[wanted.kind].split(" (")[0].split(" ", 1)[1]
    limits = [(sign, getattr(wanted.meta, name)) for name, sign, _ in BOUNDS]
    bounds = ", ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)
    return f"{noun} {bounds}".strip()


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _take_apart(declared: Any) -> Declared:
    inner, *notes = (
        typing.get_args(declared) if typing.get_origin(declared) is Annotated else (declared,)
    )
    options = [each for each in typing.get_args(inner) if each is not NoneType]
    optional = NoneType in typing.get_args(inner)
    return Declared(
        kind=options[0] if optional else inner,
        meta=next((note for note in notes if isinstance(note, msgspec.Meta)), msgspec.Meta()),
        checks=tuple(note for note in notes if isinstance(note, KeyCheck)),
    )
