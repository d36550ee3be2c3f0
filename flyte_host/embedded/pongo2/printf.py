"""Go's ``fmt.Sprintf`` with one argument, for pongo2's ``stringformat``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.limits import MAX_ITEMS, MAX_TEXT, MAX_WIDTH, check_size
from flyte_host.embedded.pongo2.values import (
    CycleValue,
    GoStruct,
    kind_of,
    take_out,
    to_text,
    type_of,
)
from flyte_host.embedded.pongo2.verbs import (
    Verb,
    format_bool,
    format_float,
    format_int,
    format_text,
)

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\d*)(?:\.(?P<precision>\d*))?(?P<letter>.|$)", re.DOTALL
)
_FINEST = 1000
_DEEPEST = 20
_MOST_PARTS = 4 * MAX_ITEMS
_PLAIN = Verb("v")


def sprintf(form: str, value: Any) -> str:
    """Fill the first verb of ``form`` with ``value``; a mismatch shows as in Go."""
    used = False

    def fill(found: re.Match[str]) -> str:
        nonlocal used
        if found["letter"] == "%":
            return "%"
        if not found["letter"]:
            return "%!(NOVERB)"
        if used:
            return f"%!{found['letter']}(MISSING)"
        used = True
        return _print(_read_verb(found), value)

    written = _VERB.sub(fill, form)
    if used:
        return written
    extra = "<nil>" if value is None else f"{type_of(value)}={_print(_PLAIN, value)}"
    return f"{written}%!(EXTRA {extra})"


def _read_verb(found: re.Match[str]) -> Verb:
    precision = found["precision"]
    verb = Verb(
        found["letter"],
        found["flags"],
        _read_bounded(found["width"] or "0", MAX_WIDTH, "width"),
        None if precision is None else _read_bounded(precision or "0", _FINEST, "precision"),
    )
    if verb.letter != "v":
        return verb
    # Here these two flags do not mean what they mean to other verbs.
    return replace(
        verb,
        flags=verb.flags.translate({ord("+"): "", ord("#"): ""}),
        in_go_syntax="#" in verb.flags,
        with_names=not {"+", "#"}.isdisjoint(verb.flags),
    )


def _read_bounded(digits: str, limit: int, what: str) -> int:
    if len(digits) > len(str(limit)) or int(digits) > limit:
        raise TemplateFault(f"a {what} of {digits[:20]} is more than {limit:,}")
    return int(digits)


def _print(verb: Verb, value: Any) -> str:
    if value is None:
        return verb.pad("<nil>") if verb.letter in "Tv" else f"%!{verb.letter}(<nil>)"
    if verb.letter == "T":
        return verb.pad(type_of(value)[: verb.precision])
    writer = _ValueWriter(verb)
    writer.write(value)
    return "".join(writer.parts)


class _ValueWriter:
    """Collects the parts of a printed value, and fails when there are too many.

    A verb goes down to the items of lists and maps, width and all.
    """

    def __init__(self, verb: Verb) -> None:
        self.parts: list[str] = []
        self._verb = verb
        self._characters = 0

    def write(self, value: Any, depth: int = 0) -> None:
        if depth > _DEEPEST:
            raise TemplateFault(f"a value nested deeper than {_DEEPEST} cannot be printed")
        match value:
            case Mapping():
                check_size(value, what="stringformat")
                self._write_all("map", self._entries(value), value, depth)
            case GoStruct():
                self._write_struct(value, depth)
            case list() | tuple():
                check_size(value, what="stringformat")
                self._write_all("", (("", item) for item in value), value, depth)
            case None:
                self._add("interface {}(nil)" if self._verb.in_go_syntax else "<nil>")
            case _:
                self._add(self._scalar(value))

    def _entries(self, value: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
        for key in sorted(value, key=str):
            yield f"{self._scalar(str(key))}:", value[key]

    def _write_all(
        self, name: str, entries: Iterator[tuple[str, Any]], value: Any, depth: int
    ) -> None:
        opening, separator, closing = (
            (f"{type_of(value)}{{", ", ", "}")
            if self._verb.in_go_syntax
            else (f"{name}[", " ", "]")
        )
        self._add(opening)
        for place, (key, item) in enumerate(entries):
            self._add(f"{separator if place else ''}{key}")
            self.write(take_out(item), depth + 1)
        self._add(closing)

    def _write_struct(self, value: GoStruct, depth: int) -> None:
        in_go_syntax, with_names = self._verb.in_go_syntax, self._verb.with_names
        self._add(f"{value.type_name}{{" if in_go_syntax else "{")
        for place, (name, item) in enumerate(value.fields.items()):
            separator = (", " if in_go_syntax else " ") if place else ""
            self._add(f"{separator}{name}:" if with_names else separator)
            self.write(take_out(item), depth + 1)
        self._add("}")

    def _scalar(self, value: Any) -> str:
        """The value as the verb prints it, or Go's words for a verb that does not take it."""
        written = _format(self._verb, value)
        if written is None:
            plain = _format(replace(self._verb, letter="v"), value) or ""
            written = f"%!{self._verb.letter}({type_of(value)}={plain})"
        return written

    def _add(self, part: str) -> None:
        self.parts.append(part)
        self._characters += len(part)
        if self._characters > MAX_TEXT or len(self.parts) > _MOST_PARTS:
            raise TemplateFault("the value is too large to be printed by stringformat")


def _format(verb: Verb, value: Any) -> str | None:
    """Format a value without items; None if the verb does not take it."""
    match kind_of(value):
        case "bool":
            return format_bool(verb, value)
        case "int":
            return format_int(verb, value)
        case "float64":
            return format_float(verb, value)
        case "string":
            return format_text(verb, value)
        case _ if isinstance(value, datetime | CycleValue):
            return format_text(replace(verb, in_go_syntax=False), to_text(value))
        case _:
            return verb.pad(to_text(value)) if verb.letter == "v" else None
