"""YAML ⇄ plain values, read as the Go server's library reads it.

Owns how YAML is resolved and the limits on it. Must not know what the documents mean.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from flyte_host.embedded.codec import MAX_DEPTH, BadDocument, plain, read_json, too_deep

MAX_YAML_BYTES = 1_000_000
"""YAML is slow to read and its aliases multiply; flows are far smaller."""


class _Loader(yaml.CSafeLoader):
    """YAML as go-yaml resolves it: no sexagesimal numbers, dates are text, `1e3` is a number."""

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


def read_yaml(text: bytes | str) -> Any:
    """The one document in ``text`` as JSON values: keys and dates are text."""
    if len(text) > MAX_YAML_BYTES:
        raise BadDocument(f"found {len(text)} bytes of YAML, expected at most {MAX_YAML_BYTES}")
    try:
        _check_nesting(text)
        loader = _Loader(text)
        try:
            return plain(loader.get_single_data(), MAX_DEPTH + 1)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise BadDocument(f"found invalid YAML: {_one_line(error)}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise BadDocument(str(error)) from None


def read_text(text: str) -> Any:
    """The one document of a file: JSON if it begins with ``{``, else YAML."""
    return read_json(text.encode()) if text.lstrip().startswith("{") else read_yaml(text)


def _check_nesting(text: bytes | str) -> None:
    # The composer recurses in C. The parser does not, so it checks the depth first.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise BadDocument(too_deep())


def yaml_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """The line of each key path in ``text``, which :func:`read_yaml` has accepted."""
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


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())


def write_yaml(value: Any) -> bytes:
    plain = msgspec.json.decode(msgspec.json.encode(value))
    text: str = yaml.safe_dump(plain, allow_unicode=True, default_flow_style=False)
    return text.encode()
