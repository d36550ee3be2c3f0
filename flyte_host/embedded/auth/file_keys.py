"""Keys from a file, which is read again when it changes."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from flyte_host.embedded.auth.public_keys import PublicKey, read_keys, select_keys
from flyte_host.file_stamp import stamp_of
from flyte_host.given_file import read_file
from flyte_host.text import counted, reason

log = logging.getLogger("flyte_host.embedded.auth")

LARGEST_FILE_BYTES = 1_000_000


class FileKeys:
    """The keys of a file; raises ValueError if the file cannot be used."""

    issuer: str | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = stamp_of(self._path)
        self._keys = self._read()

    def find(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        with self._lock:
            stamp = stamp_of(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._reread()
            return select_keys(self._keys, kid, algorithm)

    def _reread(self) -> None:
        try:
            self._keys = self._read()
        except ValueError as error:
            log.error("%s; the previous keys stay in use", error)
        else:
            keys = counted(len(self._keys), "key")
            log.info("read %s from %s, which has changed", keys, self._path)

    def _read(self) -> list[PublicKey]:
        try:
            return read_keys(read_file(self._path, LARGEST_FILE_BYTES))
        except OSError as error:
            raise ValueError(f"{self._path}: cannot be read: {reason(error)}") from None
        except ValueError as error:
            raise ValueError(f"{self._path}: {error}") from None
