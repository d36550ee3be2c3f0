"""What the environment says about flyte and the labels of packs.

Owns the names of the variables, and their rules. Must not know what the file says.
"""

import re
from collections.abc import Mapping
from typing import Any

from flyte_host.config.parser import Place, keys_of, read_value
from flyte_host.config.schema import FlyteConfig, PackConfig
from flyte_host.secrets import SecretRef
from flyte_host.text import is_in_quotes, quoted

SPACES = " \t\r\n"
TOKEN_VARIABLE = "FLYTE_JWT"  # noqa: S105  where it is, not what it is
ENVIRONMENT: Mapping[str, str] = {
    "FLYTE_API": "`flyte.url`; `[flyte.embedded]` is then not started",
    "FLYTE_API_URL": "the same, if `FLYTE_API` is not set",
    TOKEN_VARIABLE: "`flyte.token`: the token itself",
    "FLYTE_LABELS": "labels of every pack, `k=v,k2=v2`, over those of plugins and packs",
    "FLYTE_API_TIMEOUT": "`flyte.timeout_seconds`, in whole seconds",
}
"""What is read from the environment, and what it replaces; empty counts as not set."""


def as_a_shell_sets(environ: Mapping[str, str], root: Place) -> Mapping[str, str]:
    """The environment, without what a shell removes around our variables; the rest is a problem."""
    ours = {name: environ[name].strip(SPACES) for name in ENVIRONMENT if name in environ}
    kept = {name: found for name, value in ours.items() if (found := _kept_by_env_file(value))}
    for name, found in kept.items():
        root.key(name).problem(
            f"found {found}, expected it without: --env-file of docker and podman, and "
            "Kubernetes, keep them"
        )
    return {name: value for name, value in {**environ, **ours}.items() if name not in kept}


def _kept_by_env_file(value: str) -> str:
    if is_in_quotes(value):
        return "a value in quotes"
    return "a value with a comment after it" if re.search(r"\s#", value) else ""


def flyte_fields(environ: Mapping[str, str], root: Place) -> dict[str, Any]:
    """The fields of FlyteConfig that the environment sets."""
    keys = keys_of(FlyteConfig)
    over: dict[str, Any] = {}
    address = "FLYTE_API" if environ.get("FLYTE_API") else "FLYTE_API_URL"
    if url := environ.get(address):
        over["url"] = read_value(keys["url"].declared, url, root.key(address))
    if environ.get(TOKEN_VARIABLE):
        over |= {"token": SecretRef(env=TOKEN_VARIABLE), "oidc": None}
    if text := environ.get("FLYTE_API_TIMEOUT"):
        at = root.key("FLYTE_API_TIMEOUT")
        if re.fullmatch(r"[0-9]+", text):
            over["timeout_seconds"] = read_value(keys["timeout_seconds"].declared, float(text), at)
        else:
            at.problem(f"found {quoted(text)}, expected whole seconds >= 0 (0: no limit)")
    return over


def read_labels(text: str, at: Place) -> dict[str, str]:
    """The labels in ``k=v,k2=v2``; what is wrong with them becomes problems of ``at``."""
    labels: dict[str, str] = {}
    for item in text.split(",") if text else ():
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not key:
            at.problem(f"found {quoted(item)}, expected k=v,k2=v2")
        elif key in labels:
            at.problem(f"found the label {quoted(key)} twice, expected it once")
        else:
            labels[key] = value
    read_value(keys_of(PackConfig)["labels"].declared, labels, at)
    return labels
