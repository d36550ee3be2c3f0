"""What a command answered, compared with what a test expects of it.

Owns the words of the difference.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from flyte_host.text import type_of

LONGEST_SHOWN = 500


class _Anything:
    """Stands for no expectation."""

    def __repr__(self) -> str:
        return "…"


ANYTHING: Any = _Anything()


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """An event, what the host said about it, and what the handler raised."""

    event: str
    payload: Any
    log: Sequence[str]
    error: BaseException | None

    def expect(self, event: str, payload: Any) -> None:
        """Raise an AssertionError with all that is known, unless it is this event and payload."""
        __tracebackhide__ = True
        if not isinstance(event, str):
            raise TypeError(f"expect takes the name of an event, found {type_of(event)}")
        if self.event != event:
            words = self._told(f"expected the event {event}, got {self.event}")
            raise AssertionError(words) from self.error
        if payload is ANYTHING:
            return
        differing = list(differences(plain(payload), self.payload, "payload"))
        if differing:
            raise AssertionError(self._told(f"{event} came with another payload", differing))

    def _told(self, head: str, differing: Sequence[str] = ()) -> str:
        lines = [head, f"  payload: {show(self.payload)}", *(f"  {each}" for each in differing)]
        return "\n".join([*lines, *(f"  host's log: {each}" for each in self.log)])


def differences(expected: Any, found: Any, place: str) -> Iterator[str]:
    """Where two JSON values differ, a sentence each."""
    match expected, found:
        case Mapping(), Mapping():
            for key in [*expected, *(each for each in found if each not in expected)]:
                where = f"{place}.{key}"
                if key not in found:
                    yield f"{where}: expected {show(expected[key])}, found nothing"
                elif key not in expected:
                    yield f"{where}: expected nothing, found {show(found[key])}"
                else:
                    yield from differences(expected[key], found[key], where)
        case list() | tuple(), list():
            if len(expected) != len(found):
                yield f"{place}: expected {len(expected)} items, found {len(found)}"
            for number, (one, other) in enumerate(zip(expected, found, strict=False)):
                yield from differences(one, other, f"{place}[{number}]")
        case _:
            is_number = isinstance(expected, bool) == isinstance(found, bool)
            if expected != found or not is_number:
                yield f"{place}: expected {show(expected)}, found {show(found)}"


def plain(value: Any) -> Any:
    """A payload as JSON has it; one with matchers, such as ``mock.ANY``, stays as it is."""
    try:
        return msgspec.to_builtins(value)
    except TypeError:
        return value


def show(value: Any) -> str:
    """A value on one line, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]} …"
