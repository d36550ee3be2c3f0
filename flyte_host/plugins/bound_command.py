"""A command's handler, made ready to be called: its signature and the type of its input.

Owns what a handler may look like and the words for an input that does not fit. Must not know
threads, timeouts or flyte.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from flyte_host import forks
from flyte_host.foreign_code import Misbehaved, headline
from flyte_host.isolation.isolated_handler import IsolatedHandler
from flyte_host.json_decoding import NotJson, decode_json
from flyte_host.model import Action, Command
from flyte_host.plugins.annotations import annotation_of
from flyte_host.plugins.defaults import has_dataclass, set_defaults
from flyte_host.plugins.docstrings import docstring_of
from flyte_host.plugins.handler_shape import input_parameter, wants_action
from flyte_host.plugins.mismatches import mismatch_words
from flyte_host.plugins.schemas import Schema, schema_of
from flyte_host.type_caches import fill_type_caches

_ADVICE = (
    "the input is decoded into this type: define it in the module or the class, and import it "
    "outside of TYPE_CHECKING"
)


class InputMismatch(ValueError):
    """The input does not fit the handler's annotation; the text says where and how."""


@dataclass(frozen=True, slots=True)
class BoundCommand:
    """A command of a pack, the plugin that gave it, and how its handler is called.

    ``input_schema`` is the JSON Schema of its input; an empty one takes anything.
    """

    command: Command
    owner: str
    input_type: Any
    wants_action: bool
    input_schema: Schema = field(compare=False)
    has_defaults: bool = False
    """Whether a decoded input may lack defaults, see :mod:`flyte_host.plugins.defaults`."""
    is_async: bool = False
    """Whether the handler is a coroutine function, or an object whose ``__call__`` is one."""

    @property
    def description(self) -> str:
        """The docstring of the handler."""
        handler: object = self.command.handler
        if isinstance(handler, IsolatedHandler):
            return handler.description
        return docstring_of(self.command.handler)

    def decode(self, document: bytes) -> Any:
        """The handler's input; raises InputMismatch."""
        try:
            value = decode_json(document, self.input_type)
        except msgspec.ValidationError as error:
            words = mismatch_words(str(error), "input", self.input_type)
            raise InputMismatch(words) from error
        except NotJson as error:
            raise InputMismatch(f"input: found invalid JSON ({error})") from error
        if self.has_defaults:
            set_defaults(value)
        return value

    def call(self, document: bytes, action: Action) -> Any:
        """What the handler returns: by contract an Event, an awaitable of one or a call elsewhere.

        Raises InputMismatch before the handler is called.
        """
        value = self.decode(document)
        handler: Callable[..., Any] = self.command.handler
        with forks.end_children():
            return handler(value, action) if self.wants_action else handler(value)


def bind(command: Command, owner: str) -> BoundCommand:
    """Check the handler's signature; raises Misbehaved if it can't take an input."""
    try:
        gets_action = wants_action(command.handler)
        input_type = _input_type(command.handler)
        schema = _input_schema(command.handler, input_type)
    except Misbehaved as error:
        raise Misbehaved(f"handler of command {command.name!r} {error}") from error
    return BoundCommand(
        command,
        owner,
        input_type,
        gets_action,
        schema,
        has_dataclass(input_type),
        _is_async(command.handler),
    )


def _is_async(handler: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004
    )


def _input_type(handler: Callable[..., Any]) -> Any:
    name = input_parameter(handler)
    try:
        return annotation_of(handler, name, Any)
    except Exception as error:  # an annotation is foreign code too
        advice = f"; {_ADVICE}" if isinstance(error, NameError) else ""
        raise Misbehaved(
            f"has an annotation of {name!r} that cannot be resolved: {headline(error)}{advice}"
        ) from error


def _input_schema(handler: object, input_type: Any) -> Schema:
    """Find a type that msgspec cannot decode into now, not at the first action."""
    if isinstance(handler, IsolatedHandler):
        return handler.input_schema
    try:
        # A decoder takes any class, and complains only when the first document comes.
        schema = schema_of(input_type)
        fill_type_caches(input_type)
    except Exception as error:  # it resolves annotations too, those of fields
        problem = headline(error) if not isinstance(error, TypeError) else str(error)
        raise Misbehaved(f"has an input type that JSON cannot fill: {problem}") from error
    return schema
