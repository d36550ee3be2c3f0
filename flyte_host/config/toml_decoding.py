"""TOML that people wrote → a table, or a ConfigError that says where it is wrong."""

from pathlib import Path
from typing import Any

import tomli

from flyte_host.errors import ConfigError


def decode_toml(path: Path, content: bytes) -> dict[str, Any]:
    """The table in ``content`` of the file ``path``; raises ConfigError."""
    try:
        return tomli.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"{path}:{line}: found text that is not UTF-8"
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
