"""What settings of packs have in common: where the environment steps in, and a few checks.

Every check raises ValueError, and the host shows its text below the name of the pack.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flyte_host import NotSetUp

T = TypeVar("T")


def complete(
    settings: T,
    variables: Mapping[str, str],
    environ: Mapping[str, str],
    optional: frozenset[str] = frozenset(),
) -> T:
    """``settings`` with the Go pack's variable where nothing was set.

    ``variables`` maps names of settings to those of variables. All that are missing are named,
    except those that are ``optional``: as NotSetUp if nothing is there at all.
    """
    found: dict[str, Any] = {
        name: getattr(settings, name) or read_variable(variable, environ)
        for name, variable in variables.items()
    }
    missing = [
        f"{name}: missing; set it in the pack's settings or as {variables[name]}"
        for name, value in found.items()
        if not value and name not in optional
    ]
    if missing:
        raise (ValueError if any(found.values()) else NotSetUp)("; ".join(missing))
    return replace(settings, **found)  # type: ignore[type-var]  # a dataclass, as all settings


def read_variable(variable: str, environ: Mapping[str, str]) -> str:
    """Empty if it is not set; raises ValueError for one that kept the quotes around it.

    The carriage return that an --env-file of Windows leaves is none of it.
    """
    value = environ.get(variable, "").removesuffix("\r")
    if len(value) > 1 and value[0] in {'"', "'"} and value[0] == value[-1]:
        raise ValueError(
            f"{variable}: found a value in quotes, expected it without: --env-file of docker and "
            "podman, and Kubernetes, keep them"
        )
    return value


def check_url(url: str, example: str) -> None:
    """Refuse what is not the address of a service, or would show a password."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError(
            "url: found a user or password in it, expected them in the settings user and password"
            " (events carry the URL)"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"url: found {url!r}, expected one like {example!r}")


def check_more_than_zero(name: str, found: float) -> None:
    if not found > 0:  # nan is in no order
        raise ValueError(f"{name}: found {found:g}, expected more than 0")


def check_zero_or_more(name: str, found: float) -> None:
    if not found >= 0:
        raise ValueError(f"{name}: found {found:g}, expected 0 or more")


def check_both_or_none(settings: object, one: str, other: str) -> None:
    if bool(getattr(settings, one)) != bool(getattr(settings, other)):
        raise ValueError(f"{one}, {other}: found one without the other, expected both or none")


def read_address(name: str, text: str, example: str, *, least_port: int = 1) -> tuple[str, int]:
    """Host and port of ``host:port``; an IPv6 address is in brackets."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and port.isascii() and port.isdigit() and least_port <= int(port) < 65536):
        raise ValueError(f"{name}: found {text!r}, expected one like {example!r}")
    return host, int(port)
