"""TOML and environment → one frozen Config, or every problem of them at once.

Owns how a file and the environment become a Config, and what contradicts what. Must not know
plugins, HTTP or threads. A value that may be a secret is never printed, not even in a problem.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from flyte_host.config.checks import parse_listen
from flyte_host.config.environment import as_a_shell_sets, flyte_fields, read_labels
from flyte_host.config.parser import Place, keys_of, kind_of, read_table, read_value, refuse_unknown
from flyte_host.config.schema import (
    AuthConfig,
    Config,
    EmbeddedConfig,
    FlyteConfig,
    HealthConfig,
    HostConfig,
    McpConfig,
    OidcConfig,
    PackConfig,
    TracesConfig,
)
from flyte_host.config.toml_decoding import decode_toml
from flyte_host.errors import ConfigError
from flyte_host.given_file import read_file
from flyte_host.origin import is_loopback
from flyte_host.text import quoted, reason

LARGEST_BYTES = 1_000_000
PACK_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PAIR = ("client_cert_file", "client_key_file")
BOTH_FLYTES = (
    "found both url and [flyte.embedded], expected one of them: keep url to use a flyte that is "
    "running, keep [flyte.embedded] to run one in this process"
)
NO_FLYTE = (
    "found neither url nor [flyte.embedded], expected one of them: set flyte.url (or FLYTE_API) to "
    "use a flyte that is running, or add the table [flyte.embedded] to run one in this process"
)
NO_ISSUER = "neither issuer_url nor token_url"
NO_KEYS = "neither jwks_file nor issuer_url"
OPEN_TO_ALL = (
    ", which other machines can reach, without auth: anybody could store flows "
    "and give packs commands; expected 127.0.0.1 (or [::1]), or the table [flyte.embedded.auth], "
    "or allow_everyone = true if that is intended"
)


def load_config(
    path: Path | None, environ: Mapping[str, str], *, flyte_needed: bool = True
) -> Config:
    """The configuration of a file (``None``: of the environment alone), environment over file.

    Raises ConfigError with all problems; a missing flyte is one only if ``flyte_needed``.
    """
    folder = folder_of(path)
    root = Place("", folder, [])
    environ = as_a_shell_sets(environ, root)
    needed = flyte_needed and not root.problems  # a refused address counts as given
    document = {} if path is None else _read_toml(path)
    refuse_unknown(document, ("flyte", "host", "health", "mcp", "traces", "packs"), root)
    flyte, embedded = _read_flyte(document.get("flyte", {}), environ, root, needed=needed)
    config = Config(
        flyte=flyte,
        embedded=embedded,
        host=read_table(HostConfig, document.get("host", {}), root.key("host")),
        health=read_table(HealthConfig, document.get("health", {}), root.key("health")),
        mcp=read_table(McpConfig, document.get("mcp", {}), root.key("mcp")),
        traces=_read_traces(document["traces"], root) if "traces" in document else None,
        packs=read_packs(document.get("packs", {}), root.key("packs")),
        labels=read_labels(environ.get("FLYTE_LABELS", ""), root.key("FLYTE_LABELS")),
    )
    if not root.problems:
        _refuse_same_address(config, root.key("health").key("listen"))
    if root.problems:
        raise ConfigError(root.problems)
    return config


def _refuse_same_address(config: Config, at: Place) -> None:
    if config.embedded is None or config.embedded.listen != config.health.listen:
        return
    if parse_listen(config.health.listen)[1] != 0:
        listen = config.health.listen
        at.problem(
            f'found "{listen}", where embedded flyte listens, expected an address of its own'
        )


def folder_of(path: Path | None) -> Path:
    """Where paths in the file begin; ``None``: the folder of this process."""
    try:
        return Path.cwd() if path is None else path.absolute().parent
    except OSError as error:
        problem = f"the current folder cannot be read: {reason(error)}; change to one that exists"
        raise ConfigError([problem]) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        content = read_file(path, LARGEST_BYTES)
    except (OSError, ValueError) as error:
        raise ConfigError([f"{path}: cannot be read: {reason(error)}"]) from None
    if len(content) > LARGEST_BYTES:
        raise ConfigError([f"{path}: found more than 1 MB, expected a configuration"])
    return decode_toml(path, content)


def _read_flyte(
    raw: Any, environ: Mapping[str, str], root: Place, *, needed: bool
) -> tuple[FlyteConfig, EmbeddedConfig | None]:
    at = root.key("flyte")
    oidc = _read_oidc(raw["oidc"], at.key("oidc")) if "oidc" in _keys(raw) else None
    flyte = read_table(FlyteConfig, raw, at, given={"oidc": oidc}, elsewhere=["embedded", "oidc"])
    keys = raw.keys() if isinstance(raw, dict) else {"url"}
    embedded = None
    if "embedded" in keys:
        embedded = _read_embedded(raw["embedded"], at.key("embedded"))
    over = flyte_fields(environ, root)
    if needed and not {"url", "embedded"} & {*keys, *over}:
        at.problem(NO_FLYTE)
    _refuse_contradictions(keys, at)
    return dataclasses.replace(flyte, **over), None if "url" in over else embedded


def _keys(raw: Any) -> Collection[str]:
    return raw.keys() if isinstance(raw, dict) else ()


def _read_oidc(raw: Any, at: Place) -> OidcConfig:
    oidc = read_table(OidcConfig, raw, at)
    keys = _keys(raw)
    if isinstance(raw, dict) and "client_id" not in keys:
        at.key("client_id").problem("found nothing, expected the name that the issuer knows")
    if isinstance(raw, dict) and ("issuer_url" in keys) == ("token_url" in keys):
        found = "both issuer_url and token_url" if "token_url" in keys else NO_ISSUER
        at.problem(f"found {found}, expected one of them")
    return oidc


def _read_embedded(raw: Any, at: Place) -> EmbeddedConfig:
    auth = None
    if isinstance(raw, dict) and "auth" in raw:
        auth = read_table(AuthConfig, raw["auth"], at.key("auth"))
        if isinstance(raw["auth"], dict):
            _refuse_half_auth(raw["auth"].keys(), at.key("auth"))
    embedded = read_table(EmbeddedConfig, raw, at, given={"auth": auth}, elsewhere=["auth"])
    _refuse_everyone(embedded, at.key("listen"), at.key("allow_everyone"))
    if embedded.store_password is not None and not isinstance(embedded.store, str):
        at.key("store_password").problem(
            "found a password without the URL of a PostgreSQL database as store, expected both or "
            "none"
        )
    return embedded


def _refuse_half_auth(keys: Collection[str], at: Place) -> None:
    if "audience" not in keys:
        at.key("audience").problem(
            "found nothing, expected what tokens name as their audience (aud)"
        )
    if ("jwks_file" in keys) == ("issuer_url" in keys):
        what = "both jwks_file and issuer_url" if "jwks_file" in keys else NO_KEYS
        at.problem(f"found {what}, expected one of them")
    if "issuer_ca_file" in keys and "issuer_url" not in keys:
        at.key("issuer_ca_file").problem("found a file without issuer_url, expected both or none")


def _refuse_everyone(embedded: EmbeddedConfig, listen: Place, allow: Place) -> None:
    """Without auth the API lets everybody do everything, so it has to be asked for."""
    if embedded.auth is not None and embedded.allow_everyone:
        allow.problem("found true beside [flyte.embedded.auth], expected one of them")
    elif embedded.auth is None and not embedded.allow_everyone and embedded.listen:
        host, _ = parse_listen(embedded.listen)
        if not is_loopback(host):
            listen.problem(f"found {quoted(embedded.listen)}{OPEN_TO_ALL}")


def load_embedded(path: Path | None, over: Mapping[str, Any]) -> EmbeddedConfig:
    """``[flyte.embedded]`` of a file, or its defaults, with the options of a command over it.

    ``over`` are keys of the table with values as TOML has them; relative paths start at the
    current folder. Raises ConfigError with all problems.
    """
    config = load_config(path, {}, flyte_needed=False)
    folder = folder_of(path)
    embedded = config.embedded or read_table(
        EmbeddedConfig, {}, Place("flyte.embedded", folder, [])
    )
    at = Place("", folder_of(None), [])
    keys = keys_of(EmbeddedConfig)
    values = {
        name: read_value(keys[name].declared, value, at.key(_option(name)))
        for name, value in over.items()
    }
    embedded = dataclasses.replace(embedded, **values)
    _refuse_everyone(embedded, at.key("--listen"), at.key("--allow-everyone"))
    if at.problems:
        raise ConfigError(at.problems)
    return embedded


def read_store(text: str, name: str) -> str | Path:
    """A store that the argument ``name`` of a command gives; raises ConfigError."""
    at = Place(name, folder_of(None), [])
    store: str | Path | None = read_value(keys_of(EmbeddedConfig)["store"].declared, text, at)
    if store is None and not at.problems:
        at.problem('found ":memory:", expected a file or the URL of a PostgreSQL database')
    if at.problems or store is None:
        raise ConfigError(at.problems)
    return store


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _refuse_contradictions(keys: Collection[str], at: Place) -> None:
    if "url" in keys and "embedded" in keys:
        at.problem(BOTH_FLYTES)
    if "token" in keys and "oidc" in keys:
        at.problem("found both token and [flyte.oidc], expected one of them")
    for one, other in PAIR, PAIR[::-1]:
        if one in keys and other not in keys:
            at.key(other).problem(f"found nothing, but {one} is set, expected both or none")


def _read_traces(raw: Any, root: Place) -> TracesConfig:
    at = root.key("traces")
    if isinstance(raw, dict) and "url" not in raw:
        at.key("url").problem("found nothing, expected where a collector takes traces")
    return read_table(TracesConfig, raw, at)


def read_packs(raw: Any, at: Place) -> dict[str, PackConfig]:
    """The ``[packs]`` tables; what is wrong with them becomes problems of ``at``."""
    if not isinstance(raw, dict):
        at.problem(f"found {kind_of(raw)}, expected tables ([packs.NAME])")
        return {}
    return {
        pack_key: _read_pack(pack_key, table, at.key(pack_key)) for pack_key, table in raw.items()
    }


def _read_pack(pack_key: str, raw: Any, at: Place) -> PackConfig:
    if not PACK_KEY.fullmatch(pack_key):
        at.problem(
            'found a name that no URL of the health pages can have, expected letters, digits, ".", '
            '"_" and "-", the first a letter or a digit; the name in flyte is the key name'
        )
    hint = f"; what the plugin reads belongs into [{at.path}.settings]"
    pack = read_table(PackConfig, raw, at, given={"pack_key": pack_key}, hint=hint)
    if pack.memory_limit_mb is not None and pack.isolation is None:
        at.key("memory_limit_mb").problem(
            'found a limit without isolation = "process", expected both or none'
        )
    return pack
