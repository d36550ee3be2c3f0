"""What goes wrong with a journal, and the sentences for it."""

from pathlib import Path

from flyte_host.errors import FlyteHostError
from flyte_host.given_file import why_not_a_file


class JournalError(FlyteHostError):
    """The journal's file cannot be used; the text says which file, why, and what to do."""


class JournalClosed(JournalError):
    """The host has stopped, or is stopping: what the journal holds is for the next start."""


class EntryGone(Exception):
    """The entry no longer waits: somebody dropped it while the host ran."""


def unusable(path: Path, error: BaseException) -> JournalError:
    """For a host."""
    if problem := why_no_place(path):
        return JournalError(f"journal {path}: {problem}")
    return JournalError(
        f"journal {path}: {error}; flyte-host takes no action that it cannot record: "
        "check the folder's permissions and free space, or set another [host] state"
    )


def why_no_place(path: Path) -> str:
    """A sentence if no file can lie there; else empty."""
    if problem := why_not_a_file(path):
        return f"{problem}; set another [host] state"
    folder = path.absolute().parent
    if folder.is_dir():
        return ""
    if folder.exists():
        return f"{folder} is not a folder; set another [host] state"
    return f"its folder {folder} does not exist; create it, or set another [host] state"


def unvisitable(path: Path, error: BaseException) -> JournalError:
    """For a person who looks at the file."""
    return JournalError(
        f"journal {path}: {error}; expected the [host] state of a flyte-host, and its folder to be "
        "writable"
    )
