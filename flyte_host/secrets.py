"""Secrets: references that are safe to show, and a scrubber that keeps values out of outputs.

Owns what a secret reference is and that no output of the host shows a secret. The lowest
layer: everything may use it.
"""

import base64
import ctypes
import json
import math
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

from flyte_host.given_file import read_file
from flyte_host.text import escape_html, reason

LARGEST_BYTES = 1_000_000
SHORTEST_LEARNT = 4
STARS = "***"
PR_SET_DUMPABLE = 4


_GO_ESCAPES = {ord(each): f"\\u{ord(each):04x}" for each in "&<>\u2028\u2029"}
"""What Go writes for these in JSON, so that no browser takes them for HTML."""


_SAFE_IN_URLS = ("/", "", "!*'()", "$&+=:@")
"""What Python leaves as it is, in a path and elsewhere; then JavaScript, and Go in a path."""
_SHELL_QUOTE = "'\"'\"'"
"""What shlex makes of an apostrophe."""


class SecretMissing(ValueError):
    """A reference leads to no value; the text names the variable or file and what was found."""


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is: in the environment variable ``env`` or in the file ``file``.

    Holds no value, so it may be shown, logged and compared.
    """

    env: str | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret reference has exactly one of env and file")

    def read(self, environ: Mapping[str, str]) -> str:
        """The value as it is now: a file is read again, without the newline that ends it.

        Raises SecretMissing if there is none, or if it is empty.
        """
        if self.file is not None:
            value, place = _read_file(self.file), f"the file {self.file}"
        else:
            value, place = _read_variable(str(self.env), environ), _variable(self.env)
        if not value:
            raise SecretMissing(f"{place} is empty, expected a secret")
        return value


def _variable(name: str | None) -> str:
    return f"the environment variable {name}"


def _read_variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None:
        raise SecretMissing(f"{_variable(name)} is not set, expected a secret")
    if not _is_unicode(value):
        raise SecretMissing(f"{_variable(name)} is not UTF-8, expected a secret as text")
    return value.removesuffix("\r")  # of an --env-file with Windows' ends of lines


def _read_file(path: Path) -> str:
    try:
        content = read_file(path, LARGEST_BYTES)
    except (OSError, ValueError) as error:
        raise SecretMissing(f"the file {path} cannot be read: {reason(error)}") from None
    if len(content) > LARGEST_BYTES:
        raise SecretMissing(f"the file {path} is larger than 1 MB, expected a secret")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SecretMissing(f"the file {path} is not UTF-8, expected a secret as text") from None
    return re.sub(r"\r?\n\Z", "", text)


def _is_unicode(text: str) -> bool:
    """Whether no byte of an environment variable had to be smuggled in as a surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def hide_memory() -> bool:
    """Hide the environment and memory of this process from the same user's other processes.

    Linux then gives ``/proc/PID/environ`` and ``mem`` to root alone. False where that cannot be
    done. The price: no core dumps, and no debugger without root.
    """
    try:
        status: int = ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):  # a system without prctl
        return False
    return status == 0


class Scrubber:
    """Replaces the secrets that it learnt by ``***``, wherever they are; safe from any thread.

    It goes by value: no name of a key or header has to look secret. Values of fewer than 4
    characters are not learnt, since they would eat ordinary text.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: tuple[str, ...] = ()

    def learn(self, value: str) -> None:
        """Hide ``value`` from now on, plain and in the forms in which it travels."""
        if len(value) < SHORTEST_LEARNT:
            return
        forms = {form for form in _travel_forms(value) if len(form) >= SHORTEST_LEARNT}
        with self._lock:
            self._forms = tuple(
                sorted(forms.union(self._forms), key=lambda form: (-len(form), form))
            )

    def scrub(self, text: str) -> str:
        """``text`` with ``***`` for each form of a secret."""
        for form in self._forms:
            text = text.replace(form, STARS)
        return text


class Secrets:
    """Reads references; no output shows what it read."""

    def __init__(self, environ: Mapping[str, str], scrubber: Scrubber) -> None:
        self._environ = environ
        self._scrubber = scrubber

    def read(self, reference: SecretRef) -> str:
        """The value as it is now; raises SecretMissing."""
        value = reference.read(self._environ)
        self._scrubber.learn(value)
        return value


def _travel_forms(value: str) -> Iterator[str]:
    """``value`` as written in URLs, JSON, HTML, hex, Python's repr and headers of Basic auth."""
    raw = value.encode(errors="surrogatepass")
    yield from _quoted(value)
    for text in set(_quoted(value)):  # an answer that a program quotes in its own
        yield from _quoted(text)
    yield value.replace("'", _SHELL_QUOTE)
    for escaped in (quote_plus(raw), *(quote(raw, safe=safe) for safe in _SAFE_IN_URLS)):
        yield escaped
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), escaped)
    in_html = escape_html(value)
    yield in_html
    yield in_html.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    yield in_html.replace("&quot;", '"').replace("&#x27;", "'")
    yield repr(raw)[2:-1]
    yield raw.hex()
    yield raw.hex().upper()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode()
        yield from (_inside_base64(encode(bytes(skip) + raw), skip, len(raw)) for skip in range(3))


def _quoted(value: str) -> Iterator[str]:
    """``value``, and as JSON's encoders and Python's repr write it."""
    yield value
    for text in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield text
        yield text.translate(_GO_ESCAPES)
        yield text.replace("/", r"\/")
        yield re.sub(r"\\u[0-9a-f]{4}", lambda found: r"\u" + found[0][2:].upper(), text)
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]
    yield repr(value + "'\"")[1:-4]  # within a text that has both quotes


def _inside_base64(encoded: bytes, skip: int, length: int) -> str:
    """The characters that depend only on the ``length`` bytes after the first ``skip``.

    They occur in the base64 of any longer text around the value: ``user:password``.
    """
    first, last = math.ceil(skip * 8 / 6), (skip + length) * 8 // 6
    return encoded[first:last].decode()
