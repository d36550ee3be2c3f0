"""What is libcurl's own: its handles, its habits and its words. The rest is in the other tests."""

import errno
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host.client.engine import URLLIB3, find_engine
from flyte_host.client.failures import explain
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.host_parts import client_for
from tests.support.script import run_script
from tests.support.scripted_server import CLOSE, ScriptedServer, links, reply

pytest.importorskip("pycurl", reason="no pycurl: pip install flyte-host[curl]")

from flyte_host.client.curl_adapter import CurlAdapter
from flyte_host.client.curl_failures import CurlFailure, error_of
from flyte_host.client.curl_response import HeadFields

POST = requests.Request("POST", "http://h:1/a", data=b"x").prepare()


def error_behind(code: int, text: str = "", number: int = 0, *, sent: bool = True) -> Any:
    return error_of(CurlFailure(code, text, number, was_sent=sent), POST, requests.Response())


@pytest.mark.parametrize(
    ("failure", "kind", "reason", "arrived"),
    [
        ((28, "Operation timed out"), requests.ReadTimeout,
         "no whole answer from h:1 within 2 s", True),
        ((55, "Send failure: Broken pipe", errno.EPIPE), requests.ConnectionError,
         "h:1 reset the connection", True),
        ((56, "Recv failure: No route to host", errno.EHOSTUNREACH), requests.ConnectionError,
         "the exchange with h:1 failed: No route to host", True),
        # The errno is of an address that was tried before: ::1 refused, 127.0.0.1 answered.
        ((52, "Empty reply from server", errno.ECONNREFUSED), requests.ConnectionError,
         "h:1 closed the connection without an answer", True),
        ((35, "TLS connect error: whatever", errno.ECONNREFUSED), requests.exceptions.SSLError,
         "TLS with h:1 failed: TLS connect error: whatever", True),
        ((35, "TLS connect error: whatever", errno.ECONNRESET), requests.ConnectionError,
         "h:1 reset the connection", True),
        ((56, "read: OpenSSL/3: error:0A00045C:SSL routines::tlsv13 alert too late, 0"),
         requests.exceptions.SSLError, "TLS with h:1 failed: TLSV13_ALERT_TOO_LATE", True),
        ((60, "SSL certificate problem: certificate has expired"), requests.exceptions.SSLError,
         "certificate verify failed for h:1: certificate has expired", False),
        ((100, "Too large"), requests.ConnectionError, "the answer of h:1 is not HTTP", True),
        ((27, "Out of memory near http://ada:pass@h/x?token=s3cret, sorry"),
         requests.ConnectionError,
         "the exchange with h:1 failed: Out of memory near http://\u2026 sorry", True),
        ((27,), requests.ConnectionError,
         "the exchange with h:1 failed: libcurl does not say why", True),
    ],
)  # fmt: skip
def test_words(failure: tuple[Any, ...], kind: type[Exception], reason: str, arrived: bool) -> None:
    error = error_behind(*failure)
    assert type(error) is kind
    assert told(error) == (reason, arrived)


def test_a_time_that_is_over_before_anything_is_sent() -> None:
    error = error_behind(28, "Resolving timed out", sent=False)
    assert type(error) is requests.ConnectTimeout
    assert told(error) == ("no connection to h:1 within 1 s", False)


def test_an_address_is_not_called_a_host_name() -> None:
    request = requests.Request("GET", "https://[::1]:1/").prepare()
    text = "SSL: no alternative certificate subject name matches target IPv6 address '::1'"
    error = error_of(CurlFailure(60, text, 0, was_sent=False), request, requests.Response())
    expected = "IP address mismatch, certificate is not valid for '::1'."
    assert told(error)[0].endswith(expected)


def told(error: Exception) -> tuple[str, bool]:
    """The sentence, and whether the request may have arrived."""
    found = explain(error, "h:1", 1, 2)
    return found.reason, found.may_have_arrived


def adapter() -> CurlAdapter:
    return CurlAdapter(largest_bytes=1000, handles_kept=1)


def sent(adapter: CurlAdapter, url: str, method: str = "GET", **how: Any) -> requests.Response:
    request = requests.Request(method, url).prepare()
    return adapter.send(request, timeout=(5, 5), verify=True, **how)


def test_a_method_that_nobody_needs() -> None:
    with pytest.raises(requests.RequestException, match="expected GET, POST or DELETE, found PUT"):
        sent(adapter(), "http://127.0.0.1:1/", "PUT")


def test_half_a_head_is_not_an_answer() -> None:
    with ScriptedServer() as server:
        server.on("GET /", [b"HTTP/1.1 202 OK\r\nServer: fly", CLOSE])
        with pytest.raises(requests.RequestException) as caught:
            sent(adapter(), f"{server.url}/")
    assert told(caught.value) == ("the answer of h:1 broke off", True)


def test_no_more_handles_than_wanted_stay_open() -> None:
    with ScriptedServer() as server, ThreadPoolExecutor(1) as pool:
        slow = threading.Event()
        server.on("GET /slow", [slow, reply(200)])
        server.on("GET /", reply(200))
        ours = adapter()
        waiting = pool.submit(sent, ours, f"{server.url}/slow")
        server.wait_for(1)
        sent(ours, f"{server.url}/")
        slow.set()
        assert waiting.result(PATIENCE_SECONDS).status_code == 200
        sent(ours, f"{server.url}/")
        assert [seen.connection for seen in server.requests] == [1, 2, 2]
        ours.close()
        server.wait_until_idle()


def test_a_handle_in_use_is_dropped_after_a_close() -> None:
    with ScriptedServer() as server, ThreadPoolExecutor(1) as pool:
        slow = threading.Event()
        server.on("GET /slow", [slow, reply(200)])
        ours = adapter()
        waiting = pool.submit(sent, ours, f"{server.url}/slow")
        server.wait_for(1)
        ours.close()
        slow.set()
        assert waiting.result(PATIENCE_SECONDS).status_code == 200
        server.wait_until_idle()


FORKING = """
import os, sys
from tests.support.host_parts import client_for

url = sys.argv[1]
client = client_for(url)
client.health()
child = os.fork()
if child == 0:
    client.health()
    client.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
client.health()
"""


def test_a_forked_process_leaves_the_connections_of_its_parent_alone() -> None:
    with ScriptedServer() as server:
        server.on("GET /v1", reply(200, links(server.url)))
        server.on("GET /health", reply(200))
        run_script(FORKING, server.url)
        assert [seen.connection for seen in server.requests] == [1, 1, 2, 1]


def test_headers_are_looked_up_by_name() -> None:
    headers = HeadFields(b"HTTP/1.1 200 OK\r\nA: 1\r\nb:2\r\na: 3\r\njunk\r\nax: 4\r\n\r\n")
    assert headers["a"] == "1, 3"
    assert headers.get("B") == "2"
    assert headers.get("junk") is None
    assert (len(headers), {name.lower() for name in headers}) == (3, {"a", "b", "ax"})


@pytest.fixture
def another_pycurl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def install(source: str) -> None:
        (tmp_path / "pycurl.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "pycurl")

    return install


def test_a_pycurl_that_cannot_be_imported_is_told(
    another_pycurl: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    another_pycurl("raise ImportError('built for another libcurl')")
    assert find_engine() is URLLIB3
    (line,) = [each.getMessage() for each in caplog.records]
    assert line == (
        "libcurl is not used, since pycurl cannot be imported: built for another libcurl"
    )


def test_a_host_without_pycurl_does_not_miss_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pycurl", None)
    assert find_engine() is URLLIB3
    assert caplog.records == []
    assert client_for("http://h").transport.engine_name == URLLIB3.name


def test_every_request_has_its_own_headers_however_many_there_are() -> None:
    with ScriptedServer() as server:
        server.on("GET /", reply(200))
        ours = adapter()
        for number in [*range(20), 0]:
            request = requests.Request("GET", f"{server.url}/", {"Number": str(number)}).prepare()
            ours.send(request, timeout=(5, 5), verify=True)
        ours.close()
        numbers = [int(seen.headers["number"]) for seen in server.requests]
        assert numbers == [*range(20), 0]
