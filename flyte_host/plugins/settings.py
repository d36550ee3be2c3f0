"""A plugin's object from its class or factory and the settings of its table.

Owns what a constructor may look like and the words for settings that do not fit. Must not know
hooks or entry points.
"""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import isclass
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any

import msgspec
import msgspec.inspect

from flyte_host.foreign_code import Misbehaved
from flyte_host.model import NotSetUp
from flyte_host.plugins.annotations import annotation_of, is_protocol
from flyte_host.plugins.mismatches import mismatch_words
from flyte_host.plugins.unknown_keys import unknown_keys


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
    if _takes_nothing(factory):
        return []
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(factory).parameters.values()
    return [each for each in parameters if each.kind not in many]


def _takes_nothing(factory: Callable[..., object]) -> bool:
    """Whether it is a plain class without a constructor, as most are.

    Python parses the text of ``object``'s signature each time it is asked for, and copies all of
    ``sys.modules`` for it.
    """
    makers = ("__init__", "__new__")
    return type(factory) is type and all(
        getattr(factory, each) is getattr(object, each) for each in makers
    )


def _required(factory: Callable[..., object]) -> list[inspect.Parameter]:
    return [each for each in _single(factory) if each.default is each.empty]


def _typed_settings(
    factory: Callable[..., object], parameter: str, settings: dict[str, Any]
) -> object:
    wanted = annotation_of(factory, parameter, dict)
    shapes = list(_shapes(wanted))
    if not _become_objects(shapes):
        _refuse_class(shapes)
        return settings
    problems = [*unknown_keys(settings, _type_info(wanted), "settings")]
    problems += _bad_fields(shapes[0], settings) if len(shapes) == 1 else []
    if problems:
        refused = Misbehaved if settings else SettingsMissing
        raise refused("; ".join(sorted(problems)))
    try:
        return convert_settings(settings, wanted)
    except msgspec.ValidationError as error:
        needs_tag = not settings and len(shapes) > 1
        refused = SettingsMissing if needs_tag else Misbehaved
        raise refused(mismatch_words(str(error), "settings", wanted)) from error


def convert_settings(settings: Any, kind: Any) -> Any:
    """A value of the type; raises msgspec.ValidationError. A text becomes a path."""
    return msgspec.convert(settings, kind, dec_hook=_path_of_text)


def _path_of_text(kind: type, value: object) -> object:
    is_path = issubclass(kind, PurePath) and isinstance(value, str)
    return kind(value) if is_path else value  # msgspec says what it expected


def _shapes(wanted: Any) -> Iterator[Any]:
    """The types that an annotation allows, without None and what Annotated and NewType add."""
    if typing.get_origin(wanted) in (typing.Union, UnionType):
        for each in typing.get_args(wanted):
            yield from _shapes(each)
    elif typing.get_origin(wanted) is typing.Annotated:
        yield from _shapes(wanted.__origin__)
    elif isinstance(wanted, typing.NewType):
        yield from _shapes(wanted.__supertype__)
    elif wanted is not NoneType:
        yield wanted


def _become_objects(shapes: Sequence[Any]) -> bool:
    """Whether a table is validated into one of them: a dataclass, or Structs that a tag names."""
    classes = [typing.get_origin(each) or each for each in shapes]
    structs = [each for each in classes if isclass(each) and issubclass(each, msgspec.Struct)]
    return (len(structs) == len(classes) > 0) or (
        len(classes) == 1 and dataclasses.is_dataclass(classes[0])
    )


def _refuse_class(shapes: Sequence[Any]) -> None:
    """Rather than give a dict to a constructor that relies on something else."""
    classes = [typing.get_origin(each) or each for each in shapes]
    if not all(isclass(each) for each in classes) or any(map(_may_be_a_dict, classes)):
        return
    names = " or ".join(each.__name__ for each in classes)
    raise Misbehaved(
        f"its settings are annotated with {names}, which no table can be converted to; "
        "expected a dataclass, a msgspec Struct or a dict"
    )


def _may_be_a_dict(kind: Any) -> bool:
    return is_protocol(kind) or kind is Any or typing.is_typeddict(kind) or issubclass(dict, kind)


def _type_info(kind: Any) -> msgspec.inspect.Type:
    try:
        return msgspec.inspect.type_info(kind)
    except TypeError as error:
        raise Misbehaved(
            f"its settings have a type that no table can be converted to: {error}"
        ) from error


def _bad_fields(wanted: Any, settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with each field; msgspec alone stops at the first."""
    problems = []
    for name, kind, is_required in _fields(wanted):
        if name in settings:
            try:
                convert_settings(settings[name], kind)
            except msgspec.ValidationError as error:
                problems.append(mismatch_words(str(error), f"settings.{name}", kind))
        elif is_required:
            problems.append(f"settings.{name}: missing")
    return problems


def _fields(wanted: Any) -> list[tuple[str, Any, bool]]:
    """Each field's name, its type, and whether it is required."""
    info: Any = _type_info(wanted)  # of a class with fields
    hints = typing.get_type_hints(typing.get_origin(wanted) or wanted, include_extras=True)
    return [(each.encode_name, hints[each.name], each.required) for each in info.fields]
