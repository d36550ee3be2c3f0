"""A site that attacks its visitors, and a relay that sees what arrives at the attacked server.

The relay has its own port and passes on every request as the browser sent it. It also serves the
hostile page, as if the page came from the server behind it: the position of a rebound name, and of
a page of the server itself.
"""

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

SCRIPT = Path(__file__).with_name("hostile_page.js")
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


class Arrival(NamedTuple):
    """A request with a name, and the status of the answer."""

    name: str
    method: str
    status: int


def hostile_page() -> str:
    script = SCRIPT.read_text(encoding="utf-8")
    return f"<!doctype html><meta charset=utf-8><body><script>{script}</script>"


class HostileSite:
    """Serves ``/page`` and ``/redirect?to=``, and passes all else to ``behind``, if given.

    ``extra`` are more of its own pages.
    """

    def __init__(self, behind: str = "", extra: dict[str, str] | None = None) -> None:
        self.seen: list[Arrival] = []
        self.headers: dict[str, dict[str, str]] = {}
        pages = {"/page": hostile_page()} | (extra or {})

        attributes = {"site": self, "upstream": urlsplit(behind).netloc, "its_pages": pages}
        handler = type("_BoundHandler", (_RelayHandler,), attributes)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def names(self) -> set[str]:
        return {each.name for each in self.seen}

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}"


class _RelayHandler(BaseHTTPRequestHandler):
    site: HostileSite
    upstream: str
    its_pages: dict[str, str]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = urlsplit(self.path)
        if asked.path in self.its_pages:
            self._send(200, {"Content-Type": "text/html"}, self.its_pages[asked.path].encode())
        elif asked.path == "/redirect":
            to = parse_qs(asked.query)["to"][0]
            self._send(307, {"Location": to, "Access-Control-Allow-Origin": "*"}, b"")
        elif self.upstream:
            self._relay(body, parse_qs(asked.query).get("try", [""])[0])
        else:
            self._send(404, {}, b"")

    def __getattr__(self, name: str) -> Any:
        """One answer for all methods: http.server looks for do_GET and so on."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _relay(self, body: bytes, name: str) -> None:
        connection = HTTPConnection(self.upstream, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for header, value in self.headers.items():
            connection.putheader(header, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in HOP_BY_HOP}
        content = answer.read()
        connection.close()
        if name:
            self.site.headers[name] = dict(self.headers.items())
            self.site.seen.append(Arrival(name, self.command, answer.status))
        self._send(answer.status, headers, content)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        try:
            self.send_response_only(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the browser has gone on to another page

    def log_message(self, format: str, *args: Any) -> None:
        """No line for each request."""
