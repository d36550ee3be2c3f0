"""Settings that look like a secret written into the configuration file.

Owns the names that secrets usually have. Never shows a value.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flyte_host.config.schema import Config

_NAMES = re.compile(
    r"pass(word|wd|phrase)?|secret|.*(password|passwd|passphrase|secret)|(.*_)?token|"
    r"(.*_)?(api|private|access|secret)_?key",
    re.IGNORECASE,
)


def clear_secrets(config: Config) -> list[str]:
    """The keys of settings that should be references to secrets."""
    return [
        f"packs.{pack_key}.settings.{path}"
        for pack_key, pack in config.packs.items()
        for path in _paths(pack.settings)
    ]


def _paths(settings: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{above}{key}.")
        elif isinstance(value, str) and value and _NAMES.fullmatch(key):
            yield f"{above}{key}"
