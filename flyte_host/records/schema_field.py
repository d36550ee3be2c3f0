"""A JSON Schema as a list of fields for people.

Owns the words for types. Pure. Must not know where a schema comes from.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_VALUE = 200
DEEPEST = 8


Place = tuple[str, Mapping[str, Any]]
"""Where an object is in the document, and its fields."""


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One field: ``name`` includes its parents, ``a.b``, ``a[].b`` or ``a.*.b``.

    An empty ``name`` is the whole document. ``kind`` is its type in words; ``default`` is JSON,
    empty if there is none; ``owner`` is the class that has it.
    """

    name: str
    kind: str
    is_required: bool
    default: str = ""
    description: str = ""
    owner: str = ""


def schema_fields(schema: Mapping[str, Any]) -> list[SchemaField]:
    """The fields of a document and of the objects in it, in the schema's order.

    First comes the document itself, a field without a name, unless it is an object with fields.
    """
    read = _Reader(schema)
    fields, kind = list(read.fields("", schema, ())), read.kind(schema)
    if fields and kind in {"object", "anything"}:
        return fields
    whole = SchemaField("", kind, True, "", read.resolve(schema).get("description", ""))
    return [whole, *fields]


class _Reader:
    """Reads one schema, which has the definitions that its parts refer to."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = root.get("$defs", {})

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a reference stands for, with the keys beside the reference."""
        target = schema.get("$ref")
        if target is None:
            return schema
        found = self._definitions.get(target.removeprefix("#/$defs/"), {})
        return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}

    def fields(
        self, place: str, schema: Mapping[str, Any], above: tuple[Place, ...]
    ) -> Iterator[SchemaField]:
        """The fields of the objects at ``place``, without those that are ``above`` it too."""
        place, objects = self._objects(place, schema)
        known = [properties for _, properties in above]
        new = [each for each in objects if not _is_one_of(each["properties"], known)]
        if not new or len(above) >= DEEPEST:
            return
        tag = _tag(objects)
        if tag:
            values = [self.kind(each["properties"][tag]) for each in objects]
            yield SchemaField(_path(place, tag), " or ".join(values), True)
        above = (*above, *((place, each["properties"]) for each in new))
        for each in new:
            yield from self._fields_of(place, each, tag, above)

    def _fields_of(
        self, place: str, owner: Mapping[str, Any], tag: str, above: tuple[Place, ...]
    ) -> Iterator[SchemaField]:
        properties = owner["properties"]
        only = f", if {tag} is {self.kind(properties[tag])}" if tag else ""
        for name, each in properties.items():
            if name == tag:
                continue
            field = self.resolve(each)
            yield SchemaField(
                _path(place, name),
                self.kind(each) + self._again(each, above) + only,
                name in owner.get("required", ()),
                _json(field["default"]) if "default" in field else "",
                field.get("description", ""),
                owner.get("title", "").partition("[")[0],
            )
            yield from self.fields(_path(place, name), each, above)

    def _again(self, schema: Mapping[str, Any], above: tuple[Place, ...]) -> str:
        """Where the fields are already, of an object that is in one of its kind."""
        found = [each["properties"] for each in self._objects("", schema)[1]]
        places = [place for place, properties in above if _is_one_of(properties, found)]
        return f" (as {places[0] or 'the whole'})" if places else ""

    def _objects(
        self, place: str, schema: Mapping[str, Any]
    ) -> tuple[str, Sequence[Mapping[str, Any]]]:
        """The objects with fields that may be there, or that a list or dict there may have."""
        plain = self.resolve(schema)
        if choices := plain.get("anyOf"):
            found = [each for choice in choices if (each := self._objects(place, choice))[1]]
            is_one_place = len({place for place, _ in found}) == 1
            return found[0][0] if is_one_place else place, [
                each for _, objects in found for each in objects if is_one_place
            ]
        if isinstance(items := plain.get("items"), Mapping):
            return self._objects(f"{place}[]", items)
        if plain.get("properties"):
            return place, [plain]
        if isinstance(values := plain.get("additionalProperties"), Mapping):
            return self._objects(_path(place, "*"), values)
        return place, []

    def kind(self, schema: Mapping[str, Any]) -> str:
        """Its type in words."""
        plain = self.resolve(schema)
        if "enum" in plain or "const" in plain:
            values: Sequence[Any] = plain.get("enum") or [plain.get("const")]
            return " or ".join(_json(each) for each in values)
        if choices := plain.get("anyOf"):
            return " or ".join(dict.fromkeys(self.kind(each) for each in choices))
        return self._of_type(plain) + _limits(plain)

    def _of_type(self, plain: Mapping[str, Any]) -> str:
        match plain.get("type", "anything"):
            case "array" if isinstance(items := plain.get("items"), Mapping):
                return f"list of {self.kind(items)}"
            case "array":
                return "list"
            case "object" if (values := plain.get("additionalProperties")) and not (
                "properties" in plain or isinstance(values, bool)
            ):
                return f"object of {self.kind(values)}"
            case str() as name:
                return name
            case names:
                return " or ".join(names)


def _limits(plain: Mapping[str, Any]) -> str:
    words = [
        f"{sign} {_json(plain[key])}"
        for key, sign in (
            ("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"),
            ("exclusiveMaximum", "<"), ("minLength", "length ≥"), ("maxLength", "length ≤"),
            ("pattern", "matching"), ("format", "format"),
        ) if key in plain
    ]  # fmt: skip
    return f" ({', '.join(words)})" if words else ""


def _path(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _is_one_of(one: object, others: Sequence[object]) -> bool:
    return any(one is each for each in others)


def _tag(objects: Sequence[Mapping[str, Any]]) -> str:
    """The field that tells several objects apart: each of them allows a value of its own."""
    first = objects[0]["properties"] if len(objects) > 1 else ()
    for name in first:
        values = [each["properties"].get(name, {}).get("enum", ()) for each in objects]
        if all(len(each) == 1 for each in values):
            return str(name)
    return ""


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
