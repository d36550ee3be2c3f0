"""The secrets that a configuration refers to.

Owns which environment variables hold one, and settings with the secrets in their places. Must not
know which keys there are beyond those that are references.
"""

from collections.abc import Mapping
from typing import Any

from flyte_host.config.checks import replace_references, secret_ref
from flyte_host.config.environment import TOKEN_VARIABLE
from flyte_host.config.file import folder_of
from flyte_host.config.parser import Place
from flyte_host.config.schema import Config
from flyte_host.errors import ConfigError
from flyte_host.secrets import Scrubber


def secret_variables(config: Config) -> frozenset[str]:
    """The environment variables that hold a secret: flyte's token, and what settings refer to."""
    oidc, embedded = config.flyte.oidc, config.embedded
    references = [
        config.flyte.token,
        None if oidc is None else oidc.client_secret,
        None if embedded is None else embedded.store_password,
        config.mcp.token,
        *(() if config.traces is None else config.traces.headers.values()),
    ]
    found = {each.env for each in references if each is not None and each.env is not None}
    found.add(TOKEN_VARIABLE)

    def note(reference: Mapping[str, str], _: Place) -> None:
        if "env" in reference:
            found.add(reference["env"])

    for pack in config.packs.values():
        replace_references(pack.settings, Place("", folder_of(None), []), note)
    return frozenset(found)


def resolve_settings(
    settings: Mapping[str, Any], environ: Mapping[str, str], scrubber: Scrubber
) -> dict[str, Any]:
    """``settings`` with the value for every secret reference; the scrubber learns each.

    Raises ConfigError with every reference that leads nowhere and its key path.
    """
    at = Place("settings", folder_of(None), [])

    def value_of(reference: Mapping[str, str], at: Place) -> str:
        value = secret_ref(reference, at).read(environ)
        scrubber.learn(value)
        return value

    resolved = replace_references(settings, at, value_of)
    if at.problems:
        raise ConfigError(at.problems)
    return resolved
