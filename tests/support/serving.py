"""A real ``flyte-host serve`` process for tests, with its log read while it runs."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.warm_process import WarmProcess


class Serving:
    """Started by ``with``; killed at its end if the test has not ended it.

    A copy of a process that has imported the program, unless it runs ``under`` another command
    or another ``python``.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *arguments: str,
        command: Sequence[str] = ("serve",),
        under: Sequence[str] = (),
        python: str | Path | None = None,
    ) -> None:
        words = [*command, "--log-format", "json", *arguments]
        self.log: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._process: subprocess.Popen[str] | WarmProcess
        if python or under:
            ours = [*under, str(python or sys.executable), "-m", "flyte_host", *words]
            self._process = subprocess.Popen(
                ours, cwd=folder, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True,
            )  # fmt: skip
        else:
            self._process = WarmProcess(words, folder, environ)
            self._process.stdin.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """What went to stdout, once the process has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.read()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def ended(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """The exit status, negative for a signal; the log is complete then."""
        status = self._process.wait(timeout_seconds)
        self._reader.join(PATIENCE_SECONDS)
        return status

    def messages(self, part: str = "") -> list[str]:
        return [line["message"] for line in self.log if part in line["message"]]

    def wait_for(self, part: str, times: int = 1, timeout_seconds: float = PATIENCE_SECONDS) -> str:
        """The newest log message that contains ``part``, once there are ``count``."""

        def look() -> str:
            found = self.messages(part)
            return found[-1] if len(found) >= times else ""

        try:
            return wait_until(look, f"{part!r} in the log", timeout_seconds=timeout_seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; log: {self.messages()} {self.errors}") from None

    @property
    def health_url(self) -> str:
        return self._url("health pages at")

    @property
    def flyte_url(self) -> str:
        return self._url("embedded flyte at")

    def page(self, path: str) -> tuple[int, Any]:
        answer = requests.get(self.health_url + path, timeout=PATIENCE_SECONDS)
        return answer.status_code, answer.json()

    def wait_ready(self) -> None:
        wait_until(lambda: self.page("/ready")[0] == 200, "ready")

    @property
    def webhooks_url(self) -> str:
        """Where the Http pack listens, once it does."""

        def look() -> str:
            status = self.page("/")[1]["webhooks"]["status"]
            found = re.match(r"listening on (\S+):", status)
            return found[1] if found else ""

        return wait_until(look, "the Http pack listens")

    def _url(self, before: str) -> str:
        match = re.search(r"http://\S+", self.wait_for(before))
        assert match is not None
        return match[0]

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.errors.append(line)
