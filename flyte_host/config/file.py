"""TOML and environment → one frozen Config, or every problem of them at once.

Owns how a file and the environment become a Config, and what contradicts what. Must not know
plugins, HTTP or threads. A value that may be a secret is never printed, not even in a problem.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import tomli

from flyte_host.config import checks
from flyte_host.config.checks import parse_listen
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
from flyte_host.errors import ConfigError
from flyte_host.given_file import read_file
from flyte_host.origin import is_loopback
from flyte_host.secrets import Scrubber, SecretRef
from flyte_host.text import is_in_quotes, quoted, reason

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


def load_config(
    path: Path | None, environ: Mapping[str, str], *, flyte_needed: bool = True
) -> Config:
    """The configuration of a file (``None``: of the environment alone), environment over file.

    Raises ConfigError with all problems; a missing flyte is one only if ``flyte_needed``.
    """
    folder = folder_of(path)
    root = Place("", folder, [])
    environ = _as_a_shell_sets(environ, root)
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
        labels=_read_labels(environ.get("FLYTE_LABELS", ""), root.key("FLYTE_LABELS")),
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
        return tomli.loads(_read_text(path))
    except tomli.TOMLDecodeError as error:
        hint = "; a text needs quotes" if error.msg == "Invalid value" else ""
        problem = f"{path}:{error.lineno}:{error.colno}: this is not valid TOML: {error.msg}{hint}"
    except RecursionError:
        problem = (
            f"{path}: found arrays or tables nested too deep to be read, expected fewer levels"
        )
    except ValueError:
        problem = f"{path}: found a number of too many digits, expected fewer"
    raise ConfigError([problem])


def _read_text(path: Path) -> str:
    try:
        content = read_file(path, LARGEST_BYTES)
    except (OSError, ValueError) as error:
        raise ConfigError([f"{path}: cannot be read: {reason(error)}"]) from None
    if len(content) > LARGEST_BYTES:
        raise ConfigError([f"{path}: found more than 1 MB, expected a configuration"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: found text that is not UTF-8"]) from None


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
    over = _over_file(environ, root)
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


def _as_a_shell_sets(environ: Mapping[str, str], root: Place) -> Mapping[str, str]:
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


def _over_file(environ: Mapping[str, str], root: Place) -> dict[str, Any]:
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


def _read_labels(text: str, at: Place) -> dict[str, str]:
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


def secret_variables(config: Config) -> frozenset[str]:
    """The environment variables that hold a secret: flyte's token, and what settings refer to."""
    oidc, embedded = config.flyte.oidc, config.embedded
    references = [
        config.flyte.token,
        None if oidc is None else oidc.client_secret,
        None if embedded is None else embedded.store_password,
        *(() if config.traces is None else config.traces.headers.values()),
    ]
    found = {each.env for each in references if each is not None and each.env is not None}
    found.add(TOKEN_VARIABLE)

    def note(reference: Mapping[str, str], _: Place) -> None:
        if "env" in reference:
            found.add(reference["env"])

    for pack in config.packs.values():
        checks.replace_references(pack.settings, Place("", folder_of(None), []), note)
    if config.mcp.token is not None and config.mcp.token.env is not None:
        found.add(config.mcp.token.env)
    return frozenset(found)


def resolve_settings(
    settings: Mapping[str, Any], environ: Mapping[str, str], scrubber: Scrubber
) -> dict[str, Any]:
    """``settings`` with the value for every secret reference; the scrubber learns each.

    Raises ConfigError with every reference that leads nowhere and its key path.
    """
    at = Place("settings", folder_of(None), [])

    def value_of(reference: Mapping[str, str], at: Place) -> str:
        value = checks.secret_ref(reference, at).read(environ)
        scrubber.learn(value)
        return value

    resolved = checks.replace_references(settings, at, value_of)
    if at.problems:
        raise ConfigError(at.problems)
    return resolved
