"""What a handler's signature has to look like: ``(input)`` or ``(input, action)``.

Owns the words for one that does not: they name the author's function. Must not know how it is
called.
"""

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from flyte_host.foreign_code import Misbehaved
from flyte_host.model import Action
from flyte_host.plugins.annotations import annotation_of, is_protocol, without_partials

EXPECTED = "expected (input) or (input, action)"
RETURNS = "expected a function that returns its event: none of its lines would run"

Handler = Callable[..., Any]


def input_parameter(handler: Handler) -> str:
    """The name of the parameter that gets the input."""
    return _positional(handler)[0].name


def wants_action(handler: Handler) -> bool:
    """Whether it takes the Action after the input; raises Misbehaved if it can't take an input."""
    positional = _positional(handler)
    if positional and positional[0].name in {"self", "cls"}:
        raise Misbehaved(_function_of_class(handler, positional[0].name))
    if _yields(handler):
        raise Misbehaved(f"is {_name_of(handler)}, which yields; {RETURNS}")
    required = [each for each in positional if each.default is each.empty]
    if not positional and _takes_any(handler):
        raise Misbehaved(_wrapper(handler))
    if not positional or len(required) > 2:
        raise Misbehaved(f"takes {len(required)} arguments; {EXPECTED}")
    gets_action = len(required) == 2 or (len(positional) > 1 and positional[1].name == "action")
    _check_order(handler, [each.name for each in positional], gets_action=gets_action)
    return gets_action


def _positional(handler: Handler) -> list[inspect.Parameter]:
    parameters = _parameters(handler)
    named = [each.name for each in parameters if _must_be_named(each)]
    if named:
        raise Misbehaved(f"requires the keyword {named[0]!r}; {EXPECTED}")
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each for each in parameters if each.kind in kinds]


def _parameters(handler: Handler) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(handler).parameters.values())
    except (TypeError, ValueError) as error:
        raise Misbehaved(f"has a signature that cannot be read: {error}") from error


def _must_be_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty


def _takes_any(handler: Handler) -> bool:
    return any(each.kind is each.VAR_POSITIONAL for each in _parameters(handler))


def _yields(handler: Handler) -> bool:
    called = (handler, getattr(handler, "__call__", None))  # noqa: B004
    return any(map(inspect.isgeneratorfunction, called)) or any(
        map(inspect.isasyncgenfunction, called)
    )


def _function_of_class(handler: Handler, parameter: str) -> str:
    name = _name_of(handler)
    if hasattr(handler, "register") and hasattr(handler, "__wrapped__"):
        return (
            f"is {name}, a functools.singledispatchmethod, whose parameters do not show; pass a "
            "method that takes the input and calls it"
        )
    return (
        f"is {name}, a function of a class: its first parameter is {parameter!r}; "
        f"pass the method of an object, such as self.{name.rpartition('.')[2]}"
    )


def _wrapper(handler: Handler) -> str:
    """As the function of a decorator that passes everything on."""
    said = f"is {_name_of(handler)}, which takes any arguments; {EXPECTED}"
    wrapped = next(_wrapped_by(handler), None)
    if wrapped is None:
        return said
    name = _name_of(wrapped)
    return f"{said}: it hides {name}, so its decorator needs functools.wraps({wrapped.__name__})"


def _wrapped_by(handler: Handler) -> Iterator[types.FunctionType]:
    """Functions that it holds: in its closure, or as attributes of an object."""
    function = without_partials(handler)
    held: list[object] = []
    for cell in getattr(function, "__closure__", None) or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    held += getattr(function, "__dict__", {}).values()
    yield from (each for each in held if isinstance(each, types.FunctionType))


def _name_of(handler: object) -> str:
    function = without_partials(handler) if callable(handler) else handler
    name: str = getattr(function, "__qualname__", "") or type(function).__qualname__
    return name


def _check_order(handler: Handler, names: list[str], *, gets_action: bool) -> None:
    """Refuse what would get the one in place of the other."""
    first, second = names[0], names[1] if gets_action else ""
    if _is_action(_annotation(handler, first)) or (first == "action" and gets_action):
        raise Misbehaved(f"takes the Action first, as {first!r}; {EXPECTED}")
    if second == "input":
        raise Misbehaved(f"takes the input second, after {first!r}; {EXPECTED}")
    if gets_action and not _takes_action(kind := _annotation(handler, second)):
        words = kind.__name__ if isinstance(kind, type) else str(kind)
        raise Misbehaved(
            f"has the second parameter {second!r} of the type {words}, but would be given the "
            f"Action there; {EXPECTED}"
        )


def _annotation(handler: Handler, parameter: str) -> Any:
    try:
        return annotation_of(handler, parameter, Any)
    except Exception:  # it may exist for type checkers alone
        return Any


def _choices(kind: Any) -> list[Any]:
    """The types of a union, and the type that Annotated adds something to."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return [plain for each in typing.get_args(kind) for plain in _choices(each)]
    return _choices(typing.get_args(kind)[0]) if origin is typing.Annotated else [kind]


def _is_action(kind: Any) -> bool:
    return Action in _choices(kind)


def _takes_action(kind: Any) -> bool:
    """Whether an Action may be passed for it; anything but a class is the author's to know."""
    for each in _choices(kind):
        plain = typing.get_origin(each) or each
        is_plain_class = isinstance(plain, type) and not is_protocol(plain)
        if plain is Any or not is_plain_class or issubclass(Action, plain):
            return True
    return False
