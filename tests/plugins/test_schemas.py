"""A plugin's settings and each command's input are described by JSON Schemas."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from flyte_host import Command, Event, EventDef
from flyte_host.plugins.bound_command import bind
from flyte_host.plugins.schemas import ANYTHING, schema_of, settings_schema

DONE = EventDef("Done")


class Order(msgspec.Struct):
    item: str
    count: int = 1


@dataclass(frozen=True)
class ShopSettings:
    url: str


class WithSettings:
    def __init__(self, settings: ShopSettings) -> None: ...


class WithoutType:
    def __init__(self, settings) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


class WithUnknownType:
    def __init__(self, settings: "Gone") -> None: ...  # type: ignore[name-defined]  # noqa: F821


class WithPath:
    def __init__(self, settings: Path) -> None: ...


class HasItem(Protocol):
    item: str


class WithoutSettings:
    pass


def handler(input: Order) -> Event:
    return DONE(input.item)


def test_the_schema_of_an_input_is_there_once_a_command_is_bound() -> None:
    schema = bind(Command("Order", handler, [DONE]), "shop").input_schema
    assert schema["$defs"]["Order"]["required"] == ["item"]


def test_the_schema_of_settings_comes_from_the_constructor() -> None:
    schema = settings_schema(WithSettings)
    assert schema is not None
    assert schema["$defs"]["ShopSettings"]["required"] == ["url"]


@pytest.mark.parametrize("target", [WithoutType, WithUnknownType])
def test_settings_whose_type_is_not_known_may_be_anything(target: Any) -> None:
    assert settings_schema(target) == ANYTHING


def test_a_plugin_without_settings_has_no_schema() -> None:
    assert settings_schema(WithoutSettings) is None


def test_a_class_that_json_cannot_be_converted_to_has_no_schema() -> None:
    with pytest.raises(TypeError, match="JSON cannot be converted to a complex"):
        schema_of(complex)
    with pytest.raises(TypeError, match="JSON cannot be converted to a HasItem"):
        schema_of(HasItem)
    with pytest.raises(TypeError, match="JSON cannot be converted to a Path"):
        schema_of(Path)
    assert schema_of(object) == {"description": "object"}


def test_settings_may_have_paths() -> None:
    schema = settings_schema(WithPath)
    assert schema == {"type": "string", "format": "path"}
