"""A JSON Schema becomes fields: names with their path, types in words, defaults."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec

from flyte_host.records.schema_field import SchemaField, schema_fields


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Login(msgspec.Struct):
    user: str
    password: str | None = None


class Input(msgspec.Struct):
    """What a command takes."""

    url: Annotated[str, msgspec.Meta(description="Where it is.", min_length=1)]
    login: Login | None = None
    logins: list[Login] = []
    colour: Colour = Colour.RED
    level: Literal[1, 2] = 1
    tries: Annotated[int, msgspec.Meta(ge=1, lt=10)] = 3
    names: dict[str, str] = {}
    at: Annotated[datetime, msgspec.Meta(tz=True)] = datetime.max.replace(tzinfo=UTC)
    size: int | str | None = None
    rest: Any = None


class Plant(msgspec.Struct):
    branches: list["Plant"] = []


def kinds(kind: Any) -> dict[str, str]:
    return {each.name: each.kind for each in schema_fields(msgspec.json.schema(kind))}


def test_fields_have_their_path_and_their_type_in_words() -> None:
    assert kinds(Input) == {
        "url": "string (length ≥ 1)",
        "login": "object or null",
        "login.user": "string",
        "login.password": "string or null",
        "logins": "list of object",
        "logins[].user": "string",
        "logins[].password": "string or null",
        "colour": '"blue" or "red"',
        "level": "1 or 2",
        "tries": "integer (≥ 1, < 10)",
        "names": "object of string",
        "at": 'string (format "date-time")',
        "size": "integer or string or null",
        "rest": "anything",
    }


def test_a_field_says_whether_it_is_needed_and_what_it_is_else() -> None:
    found = {each.name: each for each in schema_fields(msgspec.json.schema(Input))}
    assert found["url"] == SchemaField("url", "string (length ≥ 1)", True, "", "Where it is.")
    assert (found["tries"].is_required, found["tries"].default) == (False, "3")
    assert found["colour"].default == '"red"'


def test_a_document_that_is_not_an_object_is_one_field_without_a_name() -> None:
    assert kinds(str) == {"": "string"}
    assert kinds(list[int]) == {"": "list of integer"}
    assert kinds(dict) == {"": "object"}
    assert kinds(list) == {"": "list"}
    assert kinds(Any) == {"": "anything"}
    assert [each.kind for each in schema_fields({"type": ["string", "null"]})] == ["string or null"]
    assert [each.kind for each in schema_fields({"const": 1})] == ["1"]


def test_a_list_of_objects_tells_their_fields() -> None:
    assert kinds(list[Login]) == {"[].user": "string", "[].password": "string or null"}


def test_a_schema_that_refers_to_itself_ends() -> None:
    assert list(kinds(Plant))[:2] == ["branches", "branches[].branches"]
    assert len(kinds(Plant)) == 8


def test_a_long_value_is_cut() -> None:
    [field] = schema_fields({"properties": {"text": {"type": "string", "default": "x" * 500}}})
    assert len(field.default) == 200


def test_a_reference_to_nothing_is_anything() -> None:
    assert [each.kind for each in schema_fields({"$ref": "#/$defs/Gone"})] == ["anything"]
