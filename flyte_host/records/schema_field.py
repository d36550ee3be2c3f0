"""A JSON Schema as a list of fields for people.

Owns the words for types. Pure. Must not know where a schema comes from.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_VALUE = 200
DEEPEST = 8


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One field: ``name`` includes its parents, ``a.b`` or ``a[].b``; empty: the whole document.

    ``kind`` is its type in words; ``default`` is JSON, empty if there is none.
    """

    name: str
    kind: str
    is_required: bool
    default: str = ""
    description: str = ""


def schema_fields(schema: Mapping[str, Any]) -> list[SchemaField]:
    """The fields of a document and of the objects in it, in the schema's order.

    A document that is not an object is one field without a name.
    """
    read = _Reader(schema)
    return list(read.fields("", schema, 0)) or [
        SchemaField("", read.kind(schema), True, "", read.resolve(schema).get("description", ""))
    ]


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

    def fields(self, prefix: str, schema: Mapping[str, Any], depth: int) -> Iterator[SchemaField]:
        """The fields of the object, or of the list's objects, that the schema describes."""
        prefix, plain = self._object(prefix, schema)
        required = plain.get("required", ())
        for name, each in plain.get("properties", {}).items() if depth < DEEPEST else ():
            field = self.resolve(each)
            yield SchemaField(
                prefix + name,
                self.kind(each),
                name in required,
                _json(field["default"]) if "default" in field else "",
                field.get("description", ""),
            )
            yield from self.fields(f"{prefix}{name}", each, depth + 1)

    def _object(self, prefix: str, schema: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The object itself, the only choice, or the items of a list."""
        plain = self.resolve(schema)
        choices = [each for each in plain.get("anyOf", ()) if not _is_null(each)]
        if len(choices) == 1:
            return self._object(prefix, choices[0])
        if isinstance(items := plain.get("items"), Mapping):
            return self._object(f"{prefix}[]", items)
        return f"{prefix}." if prefix else "", plain

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


def _is_null(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "null"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
