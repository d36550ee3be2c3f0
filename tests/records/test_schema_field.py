"""A JSON Schema becomes fields: names with their path, types in words, defaults."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from flyte_host.records.schema_field import SchemaField, schema_fields

T = TypeVar("T")


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
    doors: dict[str, Login] = {}
    at: Annotated[datetime, msgspec.Meta(tz=True)] = datetime.max.replace(tzinfo=UTC)
    size: int | str | None = None
    rest: Any = None


class Box(msgspec.Struct, Generic[T]):
    content: T


class Plant(msgspec.Struct):
    branches: list["Plant"] = []


class Garden(msgspec.Struct):
    tree: Plant


class Tabby(msgspec.Struct, tag="Cat"):
    lives: int


class Hound(msgspec.Struct, tag="Dog"):
    chases: "Tabby | Hound | None" = None


class House(msgspec.Struct):
    pet: Tabby | Hound


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
        "doors": "object of object",
        "doors.*.user": "string",
        "doors.*.password": "string or null",
        "at": 'string (format "date-time")',
        "size": "integer or string or null",
        "rest": "anything",
    }


def test_a_field_says_whether_it_is_needed_and_what_it_is_else() -> None:
    found = {each.name: each for each in schema_fields(msgspec.json.schema(Input))}
    assert found["url"] == SchemaField(
        "url", "string (length ≥ 1)", True, "", "Where it is.", "Input"
    )
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


def test_a_field_names_the_class_that_has_it() -> None:
    schema = msgspec.json.schema(Box[Login])
    assert {each.name: each.owner for each in schema_fields(schema)} == {
        "content": "Box", "content.user": "Login", "content.password": "Login",
    }  # fmt: skip


def test_a_list_of_objects_tells_their_fields() -> None:
    assert kinds(list[Login]) == {
        "": "list of object", "[].user": "string", "[].password": "string or null",
    }  # fmt: skip
    assert kinds(dict[str, Tabby]) == {
        "": "object of object",
        "*.type": '"Cat"',
        "*.lives": "integer",
    }


def test_an_object_that_may_be_something_else_says_so() -> None:
    assert kinds(Tabby | None) == {"": "object or null", "type": '"Cat"', "lives": "integer"}
    assert kinds(Tabby | str)[""] == "string or object"
    assert kinds(Login | list[Login]) == {"": "list of object or object"}


def test_objects_with_a_tag_tell_when_they_have_a_field() -> None:
    assert kinds(House) == {
        "pet": "object",
        "pet.type": '"Cat" or "Dog"',
        "pet.lives": 'integer, if type is "Cat"',
        "pet.chases": 'object or null (as pet), if type is "Dog"',
    }
    assert kinds(Hound | Tabby) == {
        "type": '"Dog" or "Cat"',
        "lives": 'integer, if type is "Cat"',
        "chases": 'object or null (as the whole), if type is "Dog"',
    }


def test_objects_without_a_tag_are_told_as_they_are() -> None:
    one, other = ({"type": "object", "properties": {name: {"enum": [1, 2]}}} for name in "ab")
    assert [each.name for each in schema_fields({"anyOf": [one, other]})] == ["a", "b"]


def test_an_object_in_one_of_its_kind_is_told_once() -> None:
    assert kinds(Plant) == {"branches": "list of object (as the whole)"}
    assert kinds(Garden)["tree.branches"] == "list of object (as tree)"


def test_what_is_too_deep_is_left_out() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(20):
        schema = {"type": "object", "properties": {"a": schema}}
    assert [each.name for each in schema_fields(schema)][-1] == "a.a.a.a.a.a.a.a"


def test_a_long_value_is_cut() -> None:
    [field] = schema_fields({"properties": {"text": {"type": "string", "default": "x" * 500}}})
    assert len(field.default) == 200


def test_a_reference_to_nothing_is_anything() -> None:
    assert [each.kind for each in schema_fields({"$ref": "#/$defs/Gone"})] == ["anything"]
