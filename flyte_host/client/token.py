"""The bearer token of flyte, read again when its file changes.

Owns when the token is read and what happens when a newer one is unusable. Must not know HTTP or
who sends the token.
"""

import logging
import re
import threading
from collections.abc import Mapping
from datetime import datetime

from flyte_host.client.token_claims import expiry_of, read_claims
from flyte_host.file_stamp import FileStamp, stamp_of
from flyte_host.secrets import Scrubber, SecretMissing, SecretRef
from flyte_host.text import is_in_quotes

log = logging.getLogger(__name__)


class Token:
    """The token to which ``ref`` leads; safe in any thread, and never shown.

    Raises SecretMissing when made without a usable token. A later change for the worse (a file
    gone, empty, of two lines) keeps the last good token and is logged once. ``scrubber`` learns
    every token that is read.
    """

    def __init__(
        self, ref: SecretRef, environ: Mapping[str, str], *, scrubber: Scrubber | None = None
    ) -> None:
        self._ref = ref
        self._environ = environ
        self._scrubber = scrubber
        self._lock = threading.Lock()
        self._problem = ""
        self._stamp = self._current_stamp()
        self._value = self._read()

    def current(self) -> str:
        with self._lock:
            if self._current_stamp() != self._stamp:
                self._update()
            return self._value

    def refresh(self) -> bool:
        """Read it again, changed file or not; True if it is another token now."""
        with self._lock:
            before = self._value
            self._update()
            return self._value != before

    def expires_at(self) -> datetime | None:
        claims = read_claims(self.current())
        return None if claims is None else expiry_of(claims)

    def _update(self) -> None:
        self._stamp = self._current_stamp()  # before reading: a change in between is seen later
        try:
            self._value, self._problem = self._read(), ""
        except SecretMissing as error:
            if str(error) != self._problem:
                log.warning("still using flyte's previous token: %s", error)
            self._problem = str(error)

    def _read(self) -> str:
        value = self._ref.read(self._environ).strip()
        if self._scrubber is not None:
            self._scrubber.learn(value)
        if problem := why_no_token(value):
            ref = self._ref
            where = f"the file {ref.file}" if ref.file else f"the environment variable {ref.env}"
            raise SecretMissing(f"{where} {problem}")
        return value

    def _current_stamp(self) -> FileStamp | None:
        return None if self._ref.file is None else stamp_of(self._ref.file)


def why_no_token(value: str) -> str:
    """Why no flyte could take it for a token; empty if it may be one."""
    if is_in_quotes(value):
        return "holds a token in quotes, expected it without"
    if value.lower().startswith("bearer "):
        return "holds a token after the word Bearer, expected the token alone"
    if not re.fullmatch("[\x21-\x7e]+", value):
        return "holds no token, expected one line of visible ASCII"
    return ""
