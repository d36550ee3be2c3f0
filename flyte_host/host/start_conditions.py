"""Whether a host could start here: its ports are free, its folders there and writable.

Must not know flyte or plugins. Tries each port for a moment and changes nothing.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from flyte_host.config import Config
from flyte_host.config.checks import parse_listen
from flyte_host.errors import FlyteHostError
from flyte_host.given_file import why_not_a_file
from flyte_host.web.listening_port import open_port


def why_not_start(config: Config) -> list[str]:
    """Everything that would keep ``serve`` from starting."""
    return [*_port_problems(config), *_folder_problems(config)]


def _port_problems(config: Config) -> Iterator[str]:
    listens = {"health pages": config.health.listen}
    if config.embedded is not None:
        listens["embedded flyte"] = config.embedded.listen
    opened = []
    try:
        for name, listen in listens.items():
            try:
                # All of them at once: two of our own servers may want the same port.
                opened.append(open_port(parse_listen(listen), name))
            except FlyteHostError as error:
                yield str(error)
    finally:
        for each in opened:
            each.close()


def _folder_problems(config: Config) -> Iterator[str]:
    files = {"host.state": config.host.state}
    if config.embedded is not None and isinstance(config.embedded.store, Path):
        files["flyte.embedded.store"] = config.embedded.store
    for key, path in files.items():
        if problem := _why_unusable(path):
            yield f"{key}: {path}: {problem}"


def _why_unusable(path: Path) -> str:
    folder = path.absolute().parent
    if not folder.exists():
        return f"its folder {folder} does not exist; create it"
    if not folder.is_dir():
        return f"{folder} is not a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"its folder {folder} is not writable by this user"
    if problem := why_not_a_file(path):
        return problem
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return "the file is not readable and writable by this user"
    return ""
