"""Bytes and text ⇄ plain values, the way flyte reads and writes them.

Owns JSON and YAML in and out, the limits on what is read, and RFC 3339 times. Must not know what
the documents mean.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml

MAX_DEPTH = 100
"""As deep as MongoDB, the Go server's store, lets documents nest."""
MAX_VALUES = 500_000
MAX_YAML_BYTES = 1_000_000
"""YAML is slow to read and its aliases multiply; flows are far smaller."""
MAX_EXACT_FLOAT = 2**53
MAX_INTEGER_BITS = 1023

ZERO_TIME = "0001-01-01T00:00:00Z"

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)


class BadDocument(ValueError):
    """A body or file cannot be read; the text says what was found where."""


class _Loader(yaml.CSafeLoader):
    """YAML as go-yaml resolves it: no sexagesimal numbers, dates stay text, `1e3` is a number."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (the base class declares it so)
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag.rpartition(":")[2] not in {"timestamp", "int", "float"}
        ]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def _construct_int(_: yaml.CSafeLoader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "")
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567":
        text = text.replace("0", "0o", 1)
    return int(text, 0)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def read_json(body: bytes) -> Any:
    """The first JSON value of ``body``; what follows it is ignored, as the Go server does."""
    try:
        return _plain(msgspec.json.decode(body), body.count(b"[") + body.count(b"{"))
    except RecursionError:
        raise BadDocument(_too_deep()) from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _read_json_slowly(body)


def _read_json_slowly(body: bytes) -> Any:
    """What msgspec refuses may still be fine for Go: bad UTF-8, lone surrogates, a tail."""
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise BadDocument("the body is empty, expected JSON")
    try:
        value, _ = _JSON.raw_decode(text)
        return _plain(value, MAX_DEPTH + 1)
    except json.JSONDecodeError as error:
        found = text[error.pos : error.pos + 20] or "the end"
        raise BadDocument(
            f"the body is no JSON: {error.msg}, line {error.lineno} column {error.colno}, "
            f"found {found!r}"
        ) from None
    except RecursionError:
        raise BadDocument(_too_deep()) from None
    except ValueError as error:
        raise BadDocument(f"the body is no JSON that can be kept: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


_JSON = json.JSONDecoder(parse_constant=_no_constant)


def read_yaml(text: bytes | str) -> Any:
    """The one document of ``text`` as JSON has it: keys are text, dates are text."""
    if len(text) > MAX_YAML_BYTES:
        raise BadDocument(f"{len(text)} bytes of YAML, at most {MAX_YAML_BYTES} are read")
    try:
        _check_nesting(text)
        loader = _Loader(text)
        try:
            return _plain(loader.get_single_data(), MAX_DEPTH + 1)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise BadDocument(f"no YAML: {_one_line(error)}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise BadDocument(str(error)) from None


def read_text(text: str) -> Any:
    """The one document of a file: JSON if it begins with ``{``, else YAML."""
    return read_json(text.encode()) if text.lstrip().startswith("{") else read_yaml(text)


def _check_nesting(text: bytes | str) -> None:
    # The composer recurses in C; the parser does not, so it may look first.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BadDocument(_too_deep())


def yaml_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """The line of each key path of ``text``, which :func:`read_yaml` could read."""
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return {}
    return dict(_node_lines((), root)) if root else {}


def _node_lines(
    path: tuple[str | int, ...], node: yaml.Node, depth: int = 0
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    yield path, node.start_mark.line + 1
    if depth > MAX_DEPTH:
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _node_lines((*path, str(key.value)), value, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _node_lines((*path, number), value, depth + 1)


def fold(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """``document`` with keys that are ``names`` but for their case renamed: Go takes them too."""
    known = {name.lower(): name for name in names}
    folded = {known.get(key.lower(), key): value for key, value in document.items()}
    return folded | {name: document[name] for name in known.values() if name in document}


def _plain(value: Any, brackets: int) -> Any:
    """``value`` with text keys in sorted order and whole floats as integers, as Go prints them.

    ``brackets`` is an upper bound of the depth; it saves flat documents the recount.
    """
    budget = [MAX_VALUES]
    return _plain_value(value, 0 if brackets > MAX_DEPTH else -MAX_DEPTH, budget)


def _plain_value(value: Any, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if budget[0] < 0:
        raise BadDocument(f"more than {MAX_VALUES} values in one document")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return _number(value)
    if value is None or isinstance(value, int):
        return _integer(value)
    if depth >= MAX_DEPTH:
        raise BadDocument(_too_deep())
    if isinstance(value, list):
        return [_plain_value(item, depth + 1, budget) for item in value]
    if isinstance(value, dict):
        items = {_key(key): item for key, item in value.items()}
        return {key: _plain_value(items[key], depth + 1, budget) for key in sorted(items)}
    raise BadDocument(f"a {type(value).__name__} has no place in JSON")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return clean(key)
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    raise BadDocument(f"the key {key!r} is no text")


def clean(text: str) -> str:
    """``text`` with what UTF-8 cannot carry (lone surrogates) replaced, as Go replaces it."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(value: float) -> float | int:
    if not math.isfinite(value):
        raise BadDocument(f"{value} is not a JSON number")
    return int(value) if value.is_integer() and abs(value) < MAX_EXACT_FLOAT else value


def _integer(value: int | None) -> int | None:
    # Integers keep their digits, but only those that a float could have come near.
    if value is not None and value.bit_length() > MAX_INTEGER_BITS:
        raise BadDocument("a number is out of range")
    return value


def _too_deep() -> str:
    return f"nested more than {MAX_DEPTH} levels deep"


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())


def write_json(value: Any) -> bytes:
    """Compact JSON with ``<``, ``>`` and ``&`` escaped, as Go writes it."""
    return (
        msgspec.json.encode(value)
        .replace(b"<", b"\\u003c")
        .replace(b">", b"\\u003e")
        .replace(b"&", b"\\u0026")
    )


def write_yaml(value: Any) -> bytes:
    plain = msgspec.json.decode(msgspec.json.encode(value))
    text: str = yaml.safe_dump(plain, allow_unicode=True, default_flow_style=False)
    return text.encode()


def read_time(text: str) -> datetime | None:
    """The RFC 3339 time ``text``; ``None`` for Go's zero time. Raises :class:`BadDocument`."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadDocument(
            f"{text!r} is no RFC 3339 time with a zone, such as 2026-11-23T21:00:00.5Z"
        )
    try:
        seconds, fraction, zone = match.groups()
        time = datetime.fromisoformat(f"{seconds}.{(fraction or '0')[:6]:0<6}{zone}")
        utc = time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadDocument(f"{text!r} is no time: {error}") from None
    return None if utc == datetime.min.replace(tzinfo=UTC) else utc


def write_time(time: datetime) -> str:
    """RFC 3339 in UTC, the zeros at the end of the fraction dropped, as Go does."""
    text = time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".") + "Z"
