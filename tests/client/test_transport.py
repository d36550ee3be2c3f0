"""What no engine may do behind the caller's back."""

import os
import signal
import threading

import pytest

from flyte_host.model import Registration
from tests.support.host_parts import client_for
from tests.support.scripted_server import HANG, ScriptedServer, links, port_of_nobody, reply

pytestmark = pytest.mark.usefixtures("engine")

EVENTS = "POST /v1/packs/M/events"


def at(url: str) -> Registration:
    return Registration("M", f"{url}/v1/packs/M/actions/take", f"{url}/v1/packs/M/events")


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as server, port_of_nobody() as port:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        server.on(EVENTS, reply(202))
        client = client_for(server.url)
        client.post_event(at(server.url), b"{}")
        client.close()


def test_no_cookie_is_kept_and_nothing_waits_for_a_100() -> None:
    with ScriptedServer() as server:
        server.on(EVENTS, reply(202, Set_Cookie="a=b; Path=/"))
        client = client_for(server.url)
        for _ in range(2):
            client.post_event(at(server.url), b"x" * 3_000_000)
        client.close()
        for seen in server.requests:
            assert {"cookie", "expect"} & set(seen.headers) == set()
            assert seen.headers["accept-encoding"] == "identity"
            assert seen.headers["content-length"] == "3000000"


def test_user_info_of_a_link_is_not_sent() -> None:
    with ScriptedServer() as server:
        server.on(EVENTS, reply(202))
        client = client_for(server.url)
        client.post_event(at(server.url.replace("//", "//ada:pass@")), b"{}")
        client.close()
        assert "authorization" not in server.requests[0].headers


def test_an_answer_behind_a_100() -> None:
    with ScriptedServer() as server:
        server.on(EVENTS, b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" + reply(202))
        client = client_for(server.url)
        client.post_event(at(server.url), b"{}")
        client.close()


def test_ctrl_c_does_not_wait_for_an_answer() -> None:
    with ScriptedServer() as server:
        server.on("GET /v1", reply(200, links(server.url)))
        server.on("GET /health", [HANG])
        client = client_for(server.url)

        def interrupt() -> None:
            server.wait_for(2)
            os.kill(os.getpid(), signal.SIGINT)

        impatient = threading.Thread(target=interrupt)
        impatient.start()
        with pytest.raises(KeyboardInterrupt):
            client.health()
        impatient.join()
        client.close()
