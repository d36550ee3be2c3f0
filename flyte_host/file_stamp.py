"""Whether a file has changed since somebody looked.

Owns what a change is. Must not know what the file holds.
"""

from pathlib import Path

FileStamp = tuple[int, int, int]


def stamp_of(file: Path) -> FileStamp | None:
    """What changes with a file's content; None if there is no file to look at."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
