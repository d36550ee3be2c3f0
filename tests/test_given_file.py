"""A path that is not a file is reported, and never waited for or read forever."""

import os
import socket
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from flyte_host.given_file import read_file, why_not_a_file


def test_a_file_is_read_to_one_byte_more_than_wanted(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_file(file) == b"12345"
    assert read_file(file, 5) == b"12345"
    assert read_file(file, 3) == b"1234"


def test_a_pipe_that_nobody_writes_to_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe that nobody writes to"):
        read_file(tmp_path / "pipe")


def test_a_pipe_that_somebody_writes_to_is_read() -> None:
    """As a shell gives for ``<(command)``."""
    reading, writing = os.pipe()
    with open(reading, "rb"), open(writing, "wb") as file:  # noqa: PTH123  descriptors
        threading.Timer(0, _write_and_close, [file]).start()
        assert read_file(Path(f"/dev/fd/{reading}")) == b"late"


def _write_and_close(file: BinaryIO) -> None:
    file.write(b"late")
    file.close()


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/no-such-file", "/"])
def test_what_cannot_be_read_raises(path: str) -> None:
    with pytest.raises(OSError, match=r"larger than 64 MB|No such file|directory"):
        read_file(Path(path))


def test_other_things_than_files_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("pipe")
    named = {
        name: why_not_a_file(tmp_path / name) for name in ("pipe", "socket", "link", ".", "file")
    }
    assert named == {
        "pipe": "found a named pipe, expected a file",
        "socket": "found a socket, expected a file",
        "link": "found a named pipe, expected a file",
        ".": "found a folder, expected a file",
        "file": "",
    }
    assert why_not_a_file(Path("/dev/null")) == "found a device, expected a file"
    assert why_not_a_file(tmp_path / "none") == ""
    assert why_not_a_file(Path("a\0b")) == ""
