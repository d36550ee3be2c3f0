"""A plugin's object from its class or factory and the settings of its table.

Owns what a constructor may look like and the words for settings that do not fit. Must not know
hooks or entry points.
"""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any

import msgspec
import msgspec.inspect

from flyte_host.foreign_code import Misbehaved
from flyte_host.model import NotSetUp
from flyte_host.plugins.annotations import annotation_of
from flyte_host.plugins.mismatches import mismatch_words
from flyte_host.text import nearest


class SettingsMissing(Misbehaved):
    """A plugin cannot be made without settings, and has none; the text says which it needs."""


def make(factory: Callable[..., object], settings: dict[str, Any]) -> object:
    """What a class or factory makes of its settings.

    Raises Misbehaved if they do not fit: SettingsMissing if there are none.
    """
    parameter = settings_parameter(factory)
    if parameter is None:
        return without_settings(factory, settings)
    if more := [each.name for each in _required(factory) if each.name != parameter.name]:
        names = ", ".join([parameter.name, *more])
        raise Misbehaved(f"its constructor requires {names}; expected settings alone, or nothing")
    value = _typed_settings(factory, parameter.name, settings)
    try:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            return factory(value)
        return factory(**{parameter.name: value})
    except NotSetUp as error:
        raise SettingsMissing(str(error)) from error


def without_settings(factory: Callable[[], object], settings: dict[str, Any]) -> object:
    """What a factory makes that takes no settings; raises Misbehaved if there are any."""
    if settings:
        keys = ", ".join(settings)
        raise Misbehaved(f"settings: found {keys}, but this plugin takes no settings")
    return factory()


def settings_parameter(factory: Callable[..., object]) -> inspect.Parameter | None:
    """The parameter called ``settings``, else the first that has to be given."""
    named = [each for each in _single(factory) if each.name == "settings"]
    return next(iter([*named, *_required(factory)]), None)


def _single(factory: Callable[..., object]) -> list[inspect.Parameter]:
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(factory).parameters.values()
    return [each for each in parameters if each.kind not in many]


def _required(factory: Callable[..., object]) -> list[inspect.Parameter]:
    return [each for each in _single(factory) if each.default is each.empty]


def _typed_settings(
    factory: Callable[..., object], parameter: str, settings: dict[str, Any]
) -> object:
    wanted = annotation_of(factory, parameter, dict)
    known = _field_names(wanted)
    if known is None:
        return settings
    problems = [f"settings.{key}: unknown{nearest(key, known)}" for key in settings.keys() - known]
    problems += _bad_fields(wanted, settings)
    if problems:
        refused = Misbehaved if settings else SettingsMissing
        raise refused("; ".join(sorted(problems)))
    try:
        return msgspec.convert(settings, wanted)
    except msgspec.ValidationError as error:
        raise Misbehaved(mismatch_words(str(error), "settings", wanted)) from error


def _bad_fields(wanted: Any, settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with each field; msgspec alone stops at the first."""
    problems = []
    for name, kind, is_required in _fields(wanted):
        if name in settings:
            try:
                msgspec.convert(settings[name], kind)
            except msgspec.ValidationError as error:
                problems.append(mismatch_words(str(error), f"settings.{name}", kind))
        elif is_required:
            problems.append(f"settings.{name}: missing")
    return problems


def _fields(wanted: Any) -> list[tuple[str, Any, bool]]:
    """Each field's name, its type, and whether it is required."""
    shape = _shape(wanted)
    info = msgspec.inspect.type_info(shape)
    if not isinstance(info, msgspec.inspect.StructType | msgspec.inspect.DataclassType):
        return []
    hints = typing.get_type_hints(shape, include_extras=True)
    return [(each.encode_name, hints[each.name], each.required) for each in info.fields]


def _shape(wanted: Any) -> Any:
    """The type of settings that may be None, without that."""
    if typing.get_origin(wanted) in (typing.Union, UnionType):
        shapes = [each for each in typing.get_args(wanted) if each is not NoneType]
        return shapes[0] if len(shapes) == 1 else wanted
    return wanted


def _field_names(wanted: Any) -> set[str] | None:
    if typing.get_origin(wanted) in (typing.Union, UnionType):
        shapes = [each for each in typing.get_args(wanted) if each is not NoneType]
        return _field_names(shapes[0]) if len(shapes) == 1 else None
    if dataclasses.is_dataclass(wanted):
        return {field.name for field in dataclasses.fields(wanted)}
    if inspect.isclass(wanted) and issubclass(wanted, msgspec.Struct):
        return {field.encode_name for field in msgspec.structs.fields(wanted)}
    return None
