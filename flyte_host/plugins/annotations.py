"""The annotation of one parameter of a plugin's function.

No other annotation has to exist: those for type checkers may be imported under
``TYPE_CHECKING`` alone.
"""

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any


def is_protocol(kind: object) -> bool:
    """Whether it is a protocol, which may refuse to be asked for its subclasses."""
    return bool(getattr(kind, "_is_protocol", False))


def annotation_of(function: Callable[..., Any], parameter: str, default: Any) -> Any:
    """What the parameter is annotated with, resolved; raises what its evaluation raises."""
    function = without_partials(function)
    if inspect.isclass(function):
        function = function.__init__
    elif not inspect.isroutine(function):
        function = type(function).__call__
    annotations = _annotations(function)
    if parameter not in annotations:
        return default
    alone = SimpleNamespace(__annotations__={parameter: annotations[parameter]})
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    return typing.get_type_hints(alone, globalns=scope, include_extras=True)[parameter]


def without_partials(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that is called in the end, as far as that is visible."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _annotations(function: Callable[..., Any]) -> Mapping[str, Any]:
    """As they are written: from Python 3.14 on they are evaluated only when they are read."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format  # noqa: PLC0415  not there before

        return inspect.get_annotations(function, format=Format.FORWARDREF)
    return inspect.get_annotations(function)
