"""The annotation of one parameter of a plugin's function.

No other annotation has to exist: those for type checkers may be imported under
``TYPE_CHECKING`` alone.
"""

import builtins
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
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
    if parameter not in annotations or getattr(function, "__no_type_check__", False):
        return default
    alone = SimpleNamespace(__annotations__={parameter: annotations[parameter]})
    function = inspect.unwrap(function)
    names = getattr(function, "__globals__", {})
    try:
        return typing.get_type_hints(alone, names, include_extras=True)[parameter]
    except NameError:
        names = _names_around(function) | vars(builtins) | names
        return typing.get_type_hints(alone, names, include_extras=True)[parameter]


def _names_around(function: Callable[..., Any]) -> dict[str, Any]:
    """What an annotation that is a string may name, beside what the module has.

    That is the body of the function's class, and what the function itself uses of a function around
    it: Python keeps nothing else of that.
    """
    function = getattr(function, "__func__", function)
    names = _class_body(function)
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None) or ()
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        with suppress(ValueError):  # not filled yet
            names[name] = cell.cell_contents
    return names


def _class_body(function: Callable[..., Any]) -> dict[str, Any]:
    """The names in the body of the function's class, if a module has that class."""
    found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    for name in getattr(function, "__qualname__", "").split(".")[:-1]:
        found = getattr(found, name, None)
    return dict(vars(found)) if inspect.isclass(found) else {}


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
