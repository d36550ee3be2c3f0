"""The flows of embedded flyte, from the files that are configured.

Owns the words for files that are missing, unreadable or in each other's way. Must not know what a
flow means.
"""

import os
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING

from flyte_host.given_file import read_file
from flyte_host.text import quoted, reason

if TYPE_CHECKING:
    from flyte_host.embedded.flow import Flow


def read_flows(patterns: Sequence[str]) -> "tuple[list[Flow], list[str]]":
    """The flows of all files, and the problems of all of them."""
    from flyte_host.embedded import FlowInvalid  # noqa: PLC0415  an extra
    from flyte_host.embedded.flow_file import read_flow_text  # noqa: PLC0415

    flows: dict[str, tuple[str, Flow]] = {}
    problems: list[str] = []
    for path in find_flow_files(patterns, problems):
        try:
            flow = read_flow_text(read_file(Path(path)).decode("utf-8-sig"), source=path)
        except FlowInvalid as error:
            problems.append(f"flyte.embedded.flows: {error}")
            continue
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"flyte.embedded.flows: {path}: cannot be read: {reason(error)}")
            continue
        other, _ = flows.setdefault(flow.name, (path, flow))
        if other != path:
            problems.append(
                f"flyte.embedded.flows: {path}: found flow {quoted(flow.name)}, which is also in "
                f"{other}; expected each name once"
            )
    return [flow for _, flow in flows.values()], problems


def find_flow_files(patterns: Sequence[str], problems: list[str]) -> list[str]:
    """The files of ``patterns``; what matches nothing or cannot be read goes to ``problems``."""
    found: dict[str, None] = {}
    for pattern in patterns:
        paths = sorted(glob(pattern))  # noqa: PTH207  absolute patterns
        unread = [f"flyte.embedded.flows: {each}" for each in _unreadable_folders(pattern)]
        if not paths and not unread:
            problems.append(f"flyte.embedded.flows: no file matches {pattern}")
        problems += unread
        found |= dict.fromkeys(paths)
    return list(found)


def _unreadable_folders(pattern: str) -> Iterator[str]:
    """Name the folders that glob passes over: the flows in them would seem to be gone."""
    name = pattern
    while name:
        pattern, name = os.path.split(pattern)
        for folder in filter(os.path.isdir, sorted(glob(pattern))):  # noqa: PTH207
            try:
                if has_magic(name):
                    os.scandir(folder).close()
                else:
                    Path(folder, name).lstat()
            except (FileNotFoundError, ValueError):  # or what no path can be
                continue
            except OSError as error:
                yield f"{folder}: cannot be read: {reason(error)}"
