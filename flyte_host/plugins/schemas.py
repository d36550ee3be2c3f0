"""JSON Schemas of what plugins take: their settings, and the inputs of their commands.

Owns how a type becomes a schema. Must not know plugins or how a schema is shown.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from flyte_host.plugins.annotations import annotation_of, is_protocol
from flyte_host.plugins.settings import settings_parameter
from flyte_host.text import with_article

Schema = Mapping[str, Any]

ANYTHING: Schema = {}
"""The schema that every document fits."""


def schema_of(kind: Any) -> dict[str, Any]:
    """The schema of an input; raises TypeError if no JSON is one, and what annotations raise."""
    return msgspec.json.schema(kind, schema_hook=_schema_of_custom)


def settings_schema(target: Callable[..., object]) -> Schema | None:
    """The schema of the settings that a class or factory takes; None if it takes none.

    :data:`ANYTHING` if its annotation does not say, or cannot be written as a schema.
    """
    if (parameter := settings_parameter(target)) is None:
        return None
    try:
        wanted = annotation_of(target, parameter.name, Any)
        return msgspec.json.schema(wanted, schema_hook=_schema_of_setting)
    except Exception:  # an annotation is foreign code; the constructor call says what is wrong
        return ANYTHING


def _schema_of_setting(custom: type) -> dict[str, Any]:
    """Settings may be paths."""
    if issubclass(custom, PurePath):
        return {"type": "string", "format": "path"}
    return _schema_of_custom(custom)


def _schema_of_custom(custom: type) -> dict[str, Any]:
    """A schema for a class that JSON values are instances of, such as ``object``."""
    kinds = () if is_protocol(custom) else (dict, list, str, int, float, bool)
    if any(issubclass(kind, custom) for kind in kinds):
        return {"description": custom.__name__}
    raise TypeError(f"JSON cannot be converted to {with_article(custom.__name__)}")
