"""A real browser: the system's Chromium without a window, driven through a pipe.

It speaks the DevTools protocol, JSON with a NUL after each message, over two descriptors that it
inherits. When they close, and they do however this process ends, Chromium ends too.
"""

import base64
import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = f"no browser on PATH: none of {', '.join(NAMES)}"
PATIENCE_SECONDS = 120.0
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # root has no other choice, and the pages are ours
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-popup-blocking",
    # One process for all pages: to start one for each frame and window took most of the time.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateSandboxedIframes,SpareRendererForSitePerProcess",
    "--renderer-process-limit=1",
)


LEFT = "navigated"
"""In the browser's words for a question to a page that it leaves."""


class PageLeft(AssertionError):
    """The browser left the page before it answered."""


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """Started by its construction, ended by ``with``.

    Each of ``hosts`` has the address that it is mapped to; no other name but localhost is found.
    """

    def __init__(self, folder: Path, hosts: Mapping[str, str]) -> None:
        binary = find_chromium()
        assert binary is not None, MISSING
        rules = [f"MAP {name} {address}" for name, address in hosts.items()]
        rules += ["MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE 127.0.0.1"]
        own_flags = [
            f"--user-data-dir={folder / 'profile'}",
            f"--host-resolver-rules={', '.join(rules)}",
        ]
        its_input, self._to = os.pipe()
        self._from, its_output = os.pipe()
        self._errors = folder / "stderr.txt"
        with self._errors.open("wb") as errors:
            # The shell, since the two descriptors have to be 3 and 4.
            script = f'exec "$@" 3<&{its_input} 4>&{its_output}'
            self._process = subprocess.Popen(
                ["bash", "-c", script, "bash", binary, *FLAGS, *own_flags, "about:blank"],
                pass_fds=[its_input, its_output],
                env=os.environ | {"HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        os.close(its_input)
        os.close(its_output)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._from, selectors.EVENT_READ)
        self._unread = b""
        self._newest_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        os.close(self._to)
        os.close(self._from)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_SECONDS)

    def open_page(self) -> "Page":
        """An empty page; it shares a process, cookies and storage with all others."""
        return Page(self)

    def pages(self) -> set[str]:
        """The ids of all tabs and windows."""
        found = self.call("Target.getTargets")["targetInfos"]
        return {each["targetId"] for each in found if each["type"] == "page"}

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """What the browser answers to one command of the protocol."""
        self._newest_id += 1
        sent = {"id": self._newest_id, "method": method, "params": params}
        if session is not None:
            sent["sessionId"] = session
        os.write(self._to, json.dumps(sent).encode() + b"\0")
        answer = self.wait_for(lambda message: message.get("id") == sent["id"], method)
        if LEFT in answer.get("error", {}).get("message", ""):
            raise PageLeft(f"{method}: {answer}")
        assert "result" in answer, f"{method}: {answer}"
        return answer["result"]

    def wait_for(self, wanted: Callable[[Any], bool], what: str) -> Any:
        """The next message that ``wanted`` is true of; those before it are dropped."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            message = self._read(deadline, what)
            if wanted(message):
                return message

    def _read(self, deadline: float, what: str) -> Any:
        while b"\0" not in self._unread:
            ready = self._selector.select(max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._from, 1 << 20) if ready else b""
            assert chunk, f"no answer of the browser: {what}; {self._errors.read_text()}"
            self._unread += chunk
        raw, _, self._unread = self._unread.partition(b"\0")
        return json.loads(raw)


class Page:
    """One tab; ``with`` closes it and all that it opened."""

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser
        self._before = browser.pages()
        self._id = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=self._id, flatten=True)
        self._session = attached["sessionId"]
        self._call("Page.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close(self._browser.pages() - self._before)

    def close_others(self) -> None:
        """Close all that it opened."""
        self._close(self._browser.pages() - self._before - {self._id})

    def _close(self, ids: set[str]) -> None:
        for each in ids:
            self._browser.call("Target.closeTarget", targetId=each)

    def type_address(self, url: str) -> None:
        """As a person does in the bar at the top; returns when the page is loaded."""
        self._call("Page.navigate", url=url)
        self._browser.wait_for(self._is_loaded, f"the load of {url}")

    def evaluate(self, expression: str) -> Any:
        """The JSON of what ``expression`` is, awaited, as if a click had caused it."""
        answer = self._call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def look(self, expression: str) -> Any:
        """The same for an expression that only reads; None while the browser leaves the page."""
        try:
            return self.evaluate(expression)
        except PageLeft:
            return None

    def resize(self, width: int, height: int, *, is_dark: bool = False) -> None:
        """The size of what is shown, and the colours that its reader prefers."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self) -> bytes:
        """What is shown, as PNG."""
        shot = self._call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])

    def press(self, key: str) -> None:
        """A key of the keyboard, such as ``Tab`` or ``Enter``."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self._call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
                **(text if kind == "keyDown" else {}),
            )

    def _is_loaded(self, message: Any) -> bool:
        return bool(
            message.get("sessionId") == self._session
            and message.get("method") == "Page.loadEventFired"
        )

    def _call(self, method: str, **params: Any) -> Any:
        return self._browser.call(method, self._session, **params)
