"""What a value must be beyond its type: addresses, files, names, references to secrets.

Owns each rule, what it makes of the value and its words. Must not know which keys have it; that is
``schema``. A rule is called with the value and its place and raises ValueError("found …,
expected …"), without the value where that may be a secret.
"""

import glob
import ipaddress
import math
import os.path
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from flyte_host.config.parser import Place, kind_of
from flyte_host.given_file import read_file
from flyte_host.model import LONGEST_NAME
from flyte_host.origin import is_secure, read_host
from flyte_host.postgres_address import has_password, is_postgres
from flyte_host.secrets import SecretRef
from flyte_host.text import quoted, reason

DEEPEST_SETTING = 64
LONGEST_WAIT_SECONDS = 1_000_000_000
"""For settings of packs: some 30 years, which every kind of wait accepts."""
MEMORY = ":memory:"
_END_OF_API = re.compile(
    r"/v1(?:/(?:audit(?:/flows)?|datastore|flows|packs|swagger))?$", re.IGNORECASE
)


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[::1]:port``; raises ValueError. Port 0: any free one."""
    match = re.fullmatch(r"(?:\[([^\]]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
    if not match or int(match[3]) > 65535 or (match[1] and not _is_ipv6(match[1])):
        raise ValueError(
            f"found {quoted(text)}, expected host:port, for instance 127.0.0.1:8090, [::1]:8090 "
            "or 0.0.0.0:8090 for every address"
        )
    return match[1] or match[2], int(match[3])


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def listen(text: str, _: Place) -> str:
    parse_listen(text)
    return text


def host_name(text: str, _: Place) -> str:
    """A name or address as a ``Host`` header has it, without a port."""
    bare = f"[{text}]" if _is_ipv6(text) else text
    found = read_host(bare)
    if found is None or found[1] is not None:
        raise ValueError(
            f"found {quoted(text)}, expected a host name or an IP address alone, "
            'for instance "flyte.example.com"'
        )
    return found[0]


def base_url(text: str, _: Place) -> str:
    """The address of flyte: a URL to which ``/v1`` is added."""
    url = plain_url(text, "use flyte.token")
    if end := _END_OF_API.search(url):
        raise ValueError(
            f"found a URL that ends in {end[0]}, expected the address before it: the host adds /v1"
        )
    return url


def plain_url(text: str, credentials: str) -> str:
    """A URL without a slash at its end; what may hold a password is never shown.

    ``credentials`` says where these belong instead of the URL.
    """
    parts = _split_url(text)
    for wrong, what in _wrong_in_url(text, parts, credentials):
        if wrong:
            raise ValueError(f"found a URL {what}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _split_url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        (parts.hostname or "").encode("idna")
        if text.isprintable() and not re.search(r"[\s\\]", text) and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise ValueError(
        "found something that is not a URL, or has an impossible host or port, "
        "expected http(s)://host, http(s)://host:port or the same with a path"
    )


def _wrong_in_url(text: str, parts: SplitResult, credentials: str) -> Iterator[tuple[bool, str]]:
    yield parts.scheme not in ("http", "https"), "that starts with neither http:// nor https://"
    yield "@" in parts.netloc, f"with a user name or password, expected none: {credentials}"
    yield not parts.hostname, "without a host, expected http(s)://host"
    yield "?" in text or "#" in text, "with a query (?) or fragment (#), expected none"


def issuer_url(text: str, _: Place) -> str:
    """The address of an issuer as it is written: tokens name it with or without a slash."""
    plain_url(text, "the URL of an issuer has none")
    if not is_secure(text):
        raise ValueError("found http:// to another machine, expected https://")
    return text


def collector_url(text: str, _: Place) -> str:
    """The address of a collector of traces: a URL to which ``/v1/traces`` is added."""
    url = plain_url(text, "use headers")
    if url.endswith("/v1/traces"):
        raise ValueError(
            "found a URL that ends in /v1/traces, expected the address before it: the host adds it"
        )
    return url


def header_name(text: str, _: Place) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", text):
        raise ValueError(f"found {quoted(text)}, expected the name of an HTTP header")
    return text


def secret_ref(value: Any, at: Place) -> SecretRef:
    match value:
        case {"env": str(name), **rest} if name and not rest:
            return SecretRef(env=name)
        case {"file": str(text), **rest} if text and not rest:
            return SecretRef(file=at.absolute(text))
    name = at.path.rpartition(".")[2]
    raise ValueError(
        f"found {kind_of(value)}; a secret is a reference: "
        f'{name} = {{ env = "FLYTE_JWT" }} or {{ file = "…" }}'
    )


def readable(path: Path, _: Place) -> Path:
    try:
        read_file(path, 1)
    except OSError as error:
        raise ValueError(
            f"found {quoted(str(path))} ({reason(error)}), expected a file that can be read"
        ) from None
    return path


def store(text: str, at: Place) -> Path | str | None:
    """A file, the URL of a PostgreSQL database, or None: in memory."""
    if text == MEMORY:
        return None
    if is_postgres(text):
        return _postgres_url(text)
    scheme, colon, _ = text.partition("://")
    if colon:
        raise ValueError(
            f"found a URL that begins with {quoted(scheme)[1:-1]}://, expected the path of a file, "
            f"{MEMORY} or postgresql://user@host:port/database"
        )
    return at.absolute(text)


def _postgres_url(text: str) -> str:
    """What may hold a password is never shown."""
    try:
        has = has_password(text)
    except ValueError:
        raise ValueError(
            "found something that is not a URL, expected postgresql://user@host:port/database"
        ) from None
    if has:
        raise ValueError(
            "found a URL with a password, expected none: use store_password, or the file ~/.pgpass"
        )
    return text


def pattern(text: str, at: Place) -> str:
    """A glob pattern made absolute: special characters count in the pattern, not in the folder."""
    at.absolute(text)
    first, slash, rest = text.partition("/")
    if first.startswith("~"):
        return glob.escape(str(at.absolute(first))) + slash + rest
    return os.path.join(glob.escape(str(at.absolute("."))), text)  # noqa: PTH118 - no Path: keeps the pattern as written


def addressable(text: str, _: Place) -> str:
    if len(text) > LONGEST_NAME:
        raise ValueError(f"found {len(text)} characters, expected at most {LONGEST_NAME}")
    if "/" in text or not text.isprintable():
        raise ValueError(
            f'found {quoted(text)}, expected printable text without "/": it becomes a part of the '
            "pack's URL, which flyte does not escape"
        )
    return text


def isolation(text: str, _: Place) -> str:
    if text != "process":
        raise ValueError(f'found {quoted(text)}, expected "process", or no such key')
    return text


def settings(raw: Mapping[str, Any], at: Place) -> dict[str, Any]:
    """Settings whose references name absolute paths; none is read."""

    def absolute(reference: Mapping[str, str], at: Place) -> dict[str, str]:
        ref = secret_ref(reference, at)
        return {"env": str(ref.env)} if ref.file is None else {"file": str(ref.file)}

    return replace_references(raw, at, absolute)


def replace_references(
    raw: Mapping[str, Any], at: Place, replace: Callable[[Mapping[str, str], Place], Any]
) -> dict[str, Any]:
    """A copy of ``raw`` with ``replace(reference, at)`` for every secret reference inside.

    A reference is a table with the one key ``env`` or ``file``; ``raw`` itself never is one,
    whatever its keys are. A ValueError of ``replace`` becomes a problem.
    """

    def copy(value: Any, at: Place, depth: int) -> Any:
        if depth > DEEPEST_SETTING:
            at.problem(f"found a value below {DEEPEST_SETTING} tables or arrays, expected fewer")
        elif _is_reference(value):
            try:
                return replace(value, at)
            except ValueError as error:
                at.problem(str(error))
        elif isinstance(value, Mapping):
            return copy_table(value, at, depth)
        elif isinstance(value, list):
            return [copy(each, at.item(index), depth + 1) for index, each in enumerate(value)]
        elif isinstance(value, float) and not math.isfinite(value):
            # nan passes every comparison, and nobody can wait for inf seconds.
            at.problem(f"found {value}, expected a number; leave out what has no limit")
        else:
            return value
        return None

    def copy_table(table: Mapping[str, Any], at: Place, depth: int) -> dict[str, Any]:
        _check_waits(table, at)
        return {key: copy(each, at.key(key), depth + 1) for key, each in table.items()}

    return copy_table(raw, at, 0)


def _check_waits(table: Mapping[str, Any], at: Place) -> None:
    """Sockets and threads would refuse a longer wait, but only when it begins."""
    for key, value in table.items():
        is_wait = key.endswith("_seconds") and isinstance(value, int | float)
        if is_wait and LONGEST_WAIT_SECONDS < value < math.inf:
            most = f"{LONGEST_WAIT_SECONDS:,}"
            at.key(key).problem(
                f"found {value}, expected at most {most}; leave out what has no limit"
            )


def _is_reference(value: Any) -> bool:
    match value:
        case {"env": str(), **rest} | {"file": str(), **rest}:
            return not rest
    return False
