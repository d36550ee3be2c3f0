"""The files of TLS: certificates of authorities, and the one that the host shows.

Owns whether they can be used, and whether they have changed. Must not know who connects.
"""

import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flyte_host.errors import ConfigError
from flyte_host.file_stamp import FileStamp, stamp_of

log = logging.getLogger(__name__)


class TlsFiles:
    """``options`` are requests' words for them; raises ConfigError for files that cannot be used.

    ``ca_file`` replaces the usual authorities. A later change for the worse is logged once.
    """

    def __init__(
        self,
        ca_file: Path | None = None,
        client_cert_file: Path | None = None,
        client_key_file: Path | None = None,
        *,
        verify: bool = True,
    ) -> None:
        cert_file, key_file = client_cert_file, client_key_file
        if key_file and not cert_file:
            raise ConfigError([f"client_key_file {key_file} needs a client_cert_file beside it"])
        self.verify = verify
        self._ca_file = ca_file
        self._cert_file = cert_file
        self._key_file = key_file
        self._files = [each for each in (ca_file, cert_file, key_file) if each is not None]
        self._lock = threading.Lock()
        self._stamps = self._current_stamps()
        self._check()
        cert = (str(cert_file), str(key_file)) if key_file else cert_file and str(cert_file)
        authorities = str(ca_file) if ca_file else True
        self.options: dict[str, Any] = {"verify": verify and authorities, "cert": cert}

    def have_changed(self) -> bool:
        """Whether to connect again; True once for each change that can be used."""
        if not self._files or self._current_stamps() == self._stamps:
            return False
        with self._lock:
            stamps = self._current_stamps()
            if stamps == self._stamps:
                return False  # another thread saw it first
            self._stamps = stamps
        try:
            self._check()
        except ConfigError as error:
            log.warning(
                "the TLS files have changed and cannot be used; keeping open connections: %s",
                error,
            )
            return False
        log.info("the TLS files have changed: new connections to flyte use them")
        return True

    def _check(self) -> None:
        # Bare: reading the system's authorities, which nothing here needs, takes 15 ms.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._ca_file:
            with _as_config_error(f"ca_file {self._ca_file}"):
                context.load_verify_locations(self._ca_file)
        if self._cert_file:
            key = f", client_key_file {self._key_file}" if self._key_file else ""
            with _as_config_error(f"client_cert_file {self._cert_file}{key}"):
                context.load_cert_chain(self._cert_file, self._key_file, password=_no_password)

    def _current_stamps(self) -> list[FileStamp | None]:
        return [stamp_of(each) for each in self._files]


@contextmanager
def _as_config_error(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError([f"{what} cannot be used: {reason}"]) from None


def _no_password() -> str:
    raise ValueError("the key is encrypted, expected one without a password")
