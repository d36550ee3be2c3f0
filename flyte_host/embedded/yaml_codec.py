"""YAML ⇄ plain values, read as the Go server's library reads it.

Owns how YAML is resolved, and its limits: values are counted while the text is parsed, and an alias
counts as much as what it stands for. Must not know what the documents mean.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import yaml

from flyte_host.embedded.codec import (
    JSON_DECODER,
    MAX_DEPTH,
    BadDocument,
    plain,
    read_json,
    too_deep,
)
from flyte_host.embedded.yaml_scalars import MERGE, line_of, resolve_scalar, text_of_key

MAX_YAML_BYTES = 1_000_000
"""YAML is slow to read; flows are far smaller."""
MAX_YAML_VALUES = 100_000
MAX_DIRECTIVES = 100
"""libyaml compares each ``%TAG`` with all before it, which blocks the whole process."""
MAX_TAG_CHARACTERS = 100
"""What comes free with a value: with a ``%TAG``, a few characters stand for a long tag."""
MAX_BLOCK_BYTES = 1_000_000
"""Block style is slow to write: longer answers are in flow style, which looks like JSON."""

_DIRECTIVE = re.compile(r"(?:^|[\r\n\x85\u2028\u2029])%")


def read_yaml(text: bytes | str) -> Any:
    """The one document in ``text`` as JSON values: keys and dates are text."""
    if len(text) > MAX_YAML_BYTES:
        raise BadDocument(f"found {len(text)} bytes of YAML, expected at most {MAX_YAML_BYTES}")
    try:
        return plain(_YamlReader().read(_events(text)), MAX_DEPTH + 1)
    except yaml.YAMLError as error:
        raise BadDocument(f"found invalid YAML: {_one_line(error)}") from None


def _check_directives(text: bytes | str) -> None:
    """Count them before they are read, and with them all other lines that begin with %."""
    signs = text.count(b"%") if isinstance(text, bytes) else text.count("%")
    if signs > MAX_DIRECTIVES and len(_directives(text)) > MAX_DIRECTIVES:
        raise BadDocument(f"found more than {MAX_DIRECTIVES} lines that begin with %")


def _directives(text: bytes | str) -> list[str]:
    if isinstance(text, bytes):
        is_utf_16 = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = text.decode("utf-16" if is_utf_16 else "utf-8", "replace")
    return _DIRECTIVE.findall(text)


def read_text(text: str) -> Any:
    """The one document of a file: JSON if it begins with ``{``, else YAML."""
    try:
        body = text.encode()
    except UnicodeEncodeError:
        raise BadDocument("found characters that UTF-8 cannot carry (lone surrogates)") from None
    return read_json(body) if text.lstrip().startswith("{") else read_yaml(text)


def _events(text: bytes | str) -> Iterator[yaml.Event]:
    _check_directives(text)
    # libyaml's parser does not recurse and is asked for one event at a time.
    return yaml.parse(text, Loader=yaml.CSafeLoader)


@dataclass(slots=True)
class _YamlValue:
    """A value, how many values it holds and how deep it is."""

    value: Any
    size: int = 1
    depth: int = 0


@dataclass(slots=True)
class _YamlCollection:
    """A list or an object that is being read; ``key`` waits for its value."""

    start: yaml.CollectionStartEvent
    items: list[Any] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    merged: list[dict[str, Any]] = field(default_factory=list)
    key: _YamlValue | None = None
    size: int = 1
    depth: int = 1

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.start, yaml.MappingStartEvent)


class _YamlReader:
    """Builds the document from parser events without recursion; every value is paid for first."""

    def __init__(self) -> None:
        self._left = MAX_YAML_VALUES
        self._open: list[_YamlCollection] = []
        self._anchors: dict[str, _YamlValue | None] = {}
        self._documents: list[Any] = []

    def read(self, events: Iterator[yaml.Event]) -> Any:
        for event in events:
            match event:
                case yaml.DocumentStartEvent() if self._documents:
                    raise BadDocument("found a second document, expected a single document")
                case yaml.ScalarEvent():
                    self._pay(event)
                    self._add(event.anchor, _YamlValue(resolve_scalar(event, self._expects_key)))
                case yaml.AliasEvent():
                    self._add(None, self._find(event))
                case yaml.CollectionStartEvent():
                    self._begin(event)
                case yaml.CollectionEndEvent():
                    self._end()
        return self._documents[0] if self._documents else None

    @property
    def _expects_key(self) -> bool:
        return bool(self._open) and self._open[-1].is_mapping and self._open[-1].key is None

    def _pay(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self._spend(1 + len(event.tag or "") // MAX_TAG_CHARACTERS)

    def _spend(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise BadDocument(f"more than {MAX_YAML_VALUES} values in one YAML document")

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        self._pay(event)
        if len(self._open) >= MAX_DEPTH:
            raise BadDocument(too_deep())
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_YamlCollection(event))

    def _end(self) -> None:
        done = self._open.pop()
        value: Any = done.items
        if done.is_mapping:
            value = {}
            for merged in reversed(done.merged):
                value |= merged
            value |= done.fields
        self._add(done.start.anchor, _YamlValue(value, done.size, done.depth))

    def _find(self, event: yaml.AliasEvent) -> _YamlValue:
        name = str(event.anchor)[:60]
        if event.anchor not in self._anchors:
            raise BadDocument(f"found the alias *{name}, but no anchor &{name}")
        found = self._anchors[event.anchor]
        if found is None:
            raise BadDocument(f"the anchor &{name} contains itself")
        if len(self._open) + found.depth > MAX_DEPTH:
            raise BadDocument(too_deep())
        self._spend(found.size)
        return found

    def _add(self, anchor: str | None, found: _YamlValue) -> None:
        if anchor:
            self._anchors[anchor] = found
        if not self._open:
            self._documents.append(found.value)
            return
        around = self._open[-1]
        around.size += found.size
        around.depth = max(around.depth, found.depth + 1)
        if not around.is_mapping:
            around.items.append(found.value)
        elif around.key is None:
            around.key = found
        else:
            key, around.key = around.key.value, None
            if key is MERGE:
                self._merge(around, found.value)
            else:
                around.fields[text_of_key(key)] = found.value

    def _merge(self, into: _YamlCollection, value: Any) -> None:
        """``<<``: the fields of an object, or of each object of a list, the first one wins."""
        objects = value if isinstance(value, list) else [value]
        for each in objects:
            if not isinstance(each, dict):
                raise BadDocument("found << with a value that is not an object, expected one")
            self._spend(len(each))
            into.size += len(each)
            into.merged.append(each)


def yaml_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """The line of each key path in ``text``; empty if it is not one YAML document.

    What an alias stands for does not have its own lines.
    """
    if len(text) > MAX_YAML_BYTES:
        return {}
    try:
        return dict(_path_lines(_events(text)))
    except (yaml.YAMLError, UnicodeEncodeError, BadDocument):
        return {}


def duplicate_keys(text: str) -> list[tuple[tuple[str | int, ...], int]]:
    """Repeated keys of one object in ``text``, as paths, with the line of the first."""
    lines: dict[tuple[str | int, ...], int] = {}
    found = []
    if len(text) > MAX_YAML_BYTES:
        return []
    try:
        for path, line in _path_lines(_events(text)):
            if path in lines and path[-1] not in ("<<", ""):
                found.append((path, lines[path]))
                lines = {each: at for each, at in lines.items() if each[: len(path)] != path}
            lines[path] = line
    except (yaml.YAMLError, UnicodeEncodeError, BadDocument):
        return []
    return found


def _path_lines(
    events: Iterator[yaml.Event],
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    path: list[str | int | None] = []
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            path.pop()
            _advance(path)
        elif isinstance(event, yaml.NodeEvent):
            is_key = bool(path) and path[-1] is None
            if is_key and isinstance(event, yaml.ScalarEvent):
                path[-1] = str(event.value)
                continue
            if is_key:
                path[-1] = ""
            if len(path) > MAX_DEPTH:
                return
            yield tuple(part for part in path if part is not None), line_of(event)
            if isinstance(event, yaml.CollectionStartEvent):
                path.append(0 if isinstance(event, yaml.SequenceStartEvent) else None)
            else:
                _advance(path)


def _advance(path: list[str | int | None]) -> None:
    """To the next item of a list, or the next key of an object."""
    if path:
        path[-1] = path[-1] + 1 if isinstance(path[-1], int) else None


def _one_line(error: yaml.YAMLError) -> str:
    """The error without the name of the text, which only the reader knows."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return " ".join(str(error).split())
    words = ": ".join(filter(None, [error.context, error.problem]))
    return f"{words}, line {mark.line + 1}, column {mark.column + 1}"


_UNPRINTABLE = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")
"""Characters that JSON may have as they are and YAML may not."""


def _escape(found: re.Match[bytes]) -> bytes:
    return f"\\u{ord(found[0].decode()):04x}".encode()


def write_yaml(value: Any) -> bytes:
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_BLOCK_BYTES:
        return _UNPRINTABLE.sub(_escape, encoded) + b"\n"
    dump: Callable[..., str] = yaml.dump
    return dump(
        JSON_DECODER.decode(encoded),
        Dumper=yaml.CSafeDumper,
        allow_unicode=True,
        default_flow_style=False,
    ).encode()
