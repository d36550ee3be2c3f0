"""Where a JSON value does not fit a JSON Schema.

Says it in the words of a decoder's mismatch. Pure. Knows the parts of a schema that Python types
turn into, and ignores the others.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,),
    "null": (type(None),), "array": (list,), "object": (dict,),
}  # fmt: skip
WORDS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
LIMITS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": (">=", lambda value, limit: value >= limit),
    "maximum": ("<=", lambda value, limit: value <= limit),
    "exclusiveMinimum": (">", lambda value, limit: value > limit),
    "exclusiveMaximum": ("<", lambda value, limit: value < limit),
}
LENGTHS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minLength": ("length >=", lambda value, limit: len(value) >= limit),
    "maxLength": ("length <=", lambda value, limit: len(value) <= limit),
    "minItems": ("length >=", lambda value, limit: len(value) >= limit),
    "maxItems": ("length <=", lambda value, limit: len(value) <= limit),
    "pattern": ("matching", lambda value, limit: re.search(limit, value) is not None),
}


def mismatch(schema: Mapping[str, Any], value: Any) -> str:
    """The first mismatch as ``input.a[0]: expected int, got str``; empty if the value fits."""
    return next(_Check(schema.get("$defs", {})).mismatches(schema, value, "input"), "")


class _Check:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def mismatches(self, schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
        plain = self._resolve(schema)
        if "anyOf" in plain:
            yield from self._of_choices(list(self._choices(plain, value)), value, place)
            return
        kind: str = plain.get("type", "")
        if kind in TYPES and not _is_a(kind, value):
            yield f"{place}: expected {_word(kind)}, got {_word_of(value)}"
            return
        allowed = plain.get("enum", [plain["const"]] if "const" in plain else None)
        if allowed is not None and not _is_among(value, allowed):
            known = ", ".join(map(repr, allowed))
            yield f"{place}: invalid enum value {value!r}, expected one of {known}"
            return
        yield from _limits(plain, value, place)
        match value:
            case dict():
                yield from self._of_object(plain, value, place)
            case list():
                yield from self._of_array(plain, value, place)

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        target = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        return self._definitions.get(target, {}) if target else schema

    def _choices(self, schema: Mapping[str, Any], value: Any) -> Iterator[Mapping[str, Any]]:
        """What the value may be, without the objects that its tag rules out."""
        plain = self._resolve(schema)
        if "anyOf" not in plain:
            yield plain
            return
        for each in _by_tag(plain.get("discriminator"), value) or plain["anyOf"]:
            yield from self._choices(each, value)

    def _of_choices(
        self, choices: list[Mapping[str, Any]], value: Any, place: str
    ) -> Iterator[str]:
        """What is wrong with the value by the only choice that has its type."""
        found = [next(self.mismatches(each, value, place), "") for each in choices]
        if not all(found):
            return
        kinds = [each.get("type", "") for each in choices]
        fitting = [why for kind, why in zip(kinds, found, strict=True) if _is_a(kind, value)]
        if fitting:
            yield fitting[0]
            return
        expected = " | ".join(dict.fromkeys(_word(each) for each in kinds))
        yield f"{place}: expected {expected}, got {_word_of(value)}"

    def _of_object(self, plain: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
        for name in plain.get("required", ()):
            if name not in value:
                yield f"{place}: object missing required field {name}"
        known, others = plain.get("properties", {}), plain.get("additionalProperties", {})
        for name, each in value.items():
            if name in known:
                yield from self.mismatches(known[name], each, f"{place}.{name}")
            elif others is False:
                yield f"{place}: object contains unknown field {name}"
            elif isinstance(others, Mapping):
                yield from self.mismatches(others, each, f"{place}.{name}")

    def _of_array(self, plain: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
        first, items = plain.get("prefixItems", ()), plain.get("items")
        for number, each in enumerate(value):
            of_each = first[number] if number < len(first) else items
            if isinstance(of_each, Mapping):
                yield from self.mismatches(of_each, each, f"{place}[{number}]")


def _by_tag(discriminator: Mapping[str, Any] | None, value: Any) -> Sequence[Mapping[str, Any]]:
    """The object that the tag of this one stands for; without a known tag, one that has some."""
    if discriminator is None or not isinstance(value, dict):
        return []
    name, objects = discriminator["propertyName"], discriminator["mapping"]
    tag = value.get(name)
    meant = [{"$ref": objects[each]} for each in objects if str(each) == str(tag)]
    return meant or [
        {"type": "object", "properties": {name: {"enum": [*objects]}}, "required": [name]}
    ]


def _limits(plain: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    of_value = LIMITS if number else LENGTHS if isinstance(value, str | list) else {}
    for key, (sign, holds) in of_value.items():
        if key in plain and not holds(value, plain[key]):
            yield f"{place}: expected {sign} {plain[key]}"


def _is_a(kind: str, value: Any) -> bool:
    if kind in {"integer", "number"} and isinstance(value, bool):
        return False
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES.get(kind, ()))


def _is_among(value: Any, allowed: Iterable[Any]) -> bool:
    """In Python, True equals 1."""
    return any(each == value and type(each) is type(value) for each in allowed)


def _word(kind: str) -> str:
    return WORDS.get(kind, kind)


def _word_of(value: Any) -> str:
    kinds = (each for each in TYPES if isinstance(value, TYPES[each]))
    return "bool" if isinstance(value, bool) else _word(next(kinds, "float"))
