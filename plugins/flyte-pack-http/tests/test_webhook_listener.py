"""The listener: hostile requests, replays, and that 200 means the journal."""

import gc
import json
import re
import select
import socket
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from flyte_pack_http import HttpPack, HttpSettings, webhook_app
from flyte_pack_http import replay_memory as memory
from flyte_pack_http.replay_memory import ReplayMemory
from flyte_pack_http.settings import WebhookEntry

from flyte_host import Event
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.web.limits import Limits
from tests.support.bad_servers import closed_port

from .conftest import Receiver, receiving
from .webhook_sender import HOOKS, document, exchange, github, post_bytes, slack

Receive = Callable[..., Receiver]
ONCE = {"Connection": "close"}


def send(receiver: Receiver, body: bytes, path: str = "/github") -> requests.Response:
    return requests.post(
        receiver.url + path, data=body, headers=github(body), timeout=PATIENCE_SECONDS
    )


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1.1 (\d+)", answer)
    return int(found[1]) if found else 0


def health(receiver: Receiver) -> tuple[bool, str]:
    found = receiver.pack.flyte_health_checks()[0].check()
    return found.healthy, found.status


def test_the_event_is_in_the_trace_of_the_request(receive: Receive) -> None:
    receiver = receive()
    trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "a=1"}
    for number, headers in enumerate([trace, {}, {"traceparent": "nonsense"}]):
        body = document(number)
        sent = github(body) | {name.title(): value for name, value in headers.items()}
        answer = requests.post(f"{receiver.url}/github", body, headers=sent, timeout=60)
        assert answer.status_code == 200
    assert receiver.traces == [trace, {}, {}]


# Hostile requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X-Hub-Signature-256", "X-GitHub-Delivery", "Content-Type"])
def test_a_header_that_is_there_twice(receive: Receive, name: str) -> None:
    receiver = receive()
    body = document(1)
    headers = github(body)
    twice = headers | {f"{name}+": headers[name], "Content-Length": str(len(body))} | ONCE
    answer = exchange(receiver.url, post_bytes("/github", twice, body))
    assert (status(answer), receiver.events) == (400, [])
    assert f"found 2 headers {name}, expected one".encode() in answer


def test_a_body_in_chunks(receive: Receive) -> None:
    receiver = receive()
    body = document(1)
    chunks = b"".join(b"1\r\n" + bytes([each]) + b"\r\n" for each in body) + b"0\r\n\r\n"
    headers = github(body) | {"Transfer-Encoding": "chunked"} | ONCE
    assert status(exchange(receiver.url, post_bytes("/github", headers, chunks))) == 200
    assert len(receiver.events) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(receive: Receive, chunked: bool) -> None:
    receiver = receive(max_body_bytes=1000)
    body = b"x" * 1001
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "1001"}
    content = b"3e9\r\n" + body + b"\r\n0\r\n\r\n" if chunked else body
    answer = exchange(receiver.url, post_bytes("/github", github(body) | framing | ONCE, content))
    assert (status(answer), receiver.events) == (413, [])


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "5", "Transfer-Encoding": "chunked"},
        {"Content-Length": "5", "Content-Length+": "2"},
        {"Content-Length": "-1"},
        {"Content-Length": "two"},
        {"Transfer-Encoding": "chunked, identity"},
        {"X\0Y": "1"},
    ],
    ids=lambda each: str(each)[:40],
)
def test_framing_that_two_servers_may_read_differently(
    receive: Receive, headers: dict[str, str]
) -> None:
    receiver = receive()
    answer = exchange(receiver.url, post_bytes("/github", github(b"{}") | headers | ONCE, b"{}"))
    assert status(answer) in {0, 400}
    assert receiver.events == []


@pytest.mark.parametrize("sent", ["nothing", "head", "body"])
def test_a_slow_sender_is_cut_off(sent: str) -> None:
    limits = Limits(head_seconds=0.2, body_seconds=0.2, idle_seconds=0.2)
    body = document(1)
    whole = post_bytes("/github", github(body) | {"Content-Length": str(len(body))}, body)
    part = {"nothing": b"", "head": whole[:40], "body": whole[:-1]}[sent]
    with receiving(limits=limits) as receiver:
        assert exchange(receiver.url, part) == b""
        assert receiver.events == []
        assert send(receiver, body).status_code == 200


def test_a_large_body_does_not_wait_for_slow_ones(receive: Receive) -> None:
    receiver = receive(limits=Limits(body_seconds=10 * PATIENCE_SECONDS))
    parts = urlsplit(receiver.url)
    head = post_bytes("/github", {"Content-Length": "999999"}, b"x" * 200_000)
    with ExitStack() as stack:
        for _ in range(5):
            slow = socket.create_connection((parts.hostname, parts.port or 0), PATIENCE_SECONDS)
            stack.enter_context(slow).sendall(head)
        body = json.dumps({"action": "opened", "large": "x" * 500_000}).encode()
        assert send(receiver, body).json() == {"result": "accepted"}


def test_many_slow_bodies_take_no_room_for_long(receive: Receive) -> None:
    """More than there is room for: those that pause have to go when another one comes."""
    receiver = receive(limits=Limits(body_seconds=10 * PATIENCE_SECONDS))
    parts = urlsplit(receiver.url)
    head = post_bytes("/github", {"Content-Length": "999999"}, b"x" * 990_000)
    with ExitStack() as stack:
        slow = []
        for _ in range(36):
            client = socket.create_connection((parts.hostname, parts.port or 0), PATIENCE_SECONDS)
            slow.append(stack.enter_context(client))
            client.sendall(head)
        assert send(receiver, document(1)).json() == {"result": "accepted"}
        body = json.dumps({"action": "opened", "large": "x" * 500_000}).encode()
        assert send(receiver, body).json() == {"result": "accepted"}
        gone, _, _ = select.select(slow, [], [], PATIENCE_SECONDS)
        assert gone[0].recv(12) == b"HTTP/1.1 408"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/github", 405),
        ("PUT", "/github", 405),
        ("OPTIONS", "/github", 405),
        ("POST", "/", 404),
        ("POST", "/GITHUB", 404),
        ("POST", "/github/", 404),
        ("POST", "/../github", 404),
    ],
)
def test_other_methods_and_paths(receive: Receive, method: str, path: str, expected: int) -> None:
    receiver = receive()
    request = post_bytes(path, github(b"{}") | {"Content-Length": "2"} | ONCE, b"{}")
    answer = exchange(receiver.url, request.replace(b"POST", method.encode(), 1))
    assert (status(answer), receiver.events) == (expected, [])
    assert (b"allow: POST" in answer) == (expected == 405)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"Host": "evil.example.com"}, 421),
        ({"Host": "hooks.example.com"}, 200),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_an_open_webhook_is_not_for_pages_of_others(
    receive: Receive, headers: dict[str, str], expected: int
) -> None:
    receiver = receive(hosts=["hooks.example.com"])
    answer = requests.post(f"{receiver.url}/open", b"{}", headers=headers, timeout=PATIENCE_SECONDS)
    assert answer.status_code == expected
    assert len(receiver.events) == (expected == 200)


def test_a_signed_webhook_may_come_by_any_name(receive: Receive) -> None:
    receiver = receive()
    body = document(1)
    headers = github(body) | {"Host": "hooks.example.com", "Origin": "https://github.com"}
    answer = requests.post(
        f"{receiver.url}/github", body, headers=headers, timeout=PATIENCE_SECONDS
    )
    assert answer.status_code == 200


def test_refusals_do_not_fill_the_log(receive: Receive, caplog: pytest.LogCaptureFixture) -> None:
    receiver = receive()
    for each in range(5):
        requests.post(f"{receiver.url}/github", f"{each}", timeout=PATIENCE_SECONDS)
        requests.get(f"{receiver.url}/{each}", timeout=PATIENCE_SECONDS)
    told = [each.getMessage() for each in caplog.records if "flyte_pack_http" in each.name]
    assert told == [
        "refused a webhook: github: found no header X-Hub-Signature-256",
        "refused a webhook: no webhook at this path",
    ]
    counts = "0 accepted, 10 refused, the last because no webhook at this path"
    assert health(receiver) == (True, f"listening on {receiver.url}: {counts}")


# Replays ---------------------------------------------------------------------------------------


def test_a_copy_is_answered_and_raises_nothing(receive: Receive) -> None:
    receiver = receive()
    assert send(receiver, document(1)).json() == {"result": "accepted"}
    answer = send(receiver, document(1))
    assert (answer.status_code, answer.json()) == (200, {"result": "duplicate"})
    assert send(receiver, document(2)).json() == {"result": "accepted"}
    assert len(receiver.events) == 2


def test_copies_at_the_same_time_raise_one_event(receive: Receive) -> None:
    receiver = receive()
    receiver.may_emit.clear()
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(send, receiver, document(1))
        others = [pool.submit(send, receiver, document(1)) for _ in range(4)]
        wait_until(lambda: sum(each.done() for each in (first, *others)) == 4, "four are answered")
        receiver.may_emit.set()
        found = sorted(each.result().status_code for each in (first, *others))
    assert (found, len(receiver.events)) == ([200, 503, 503, 503, 503], 1)


def test_another_webhook_with_the_same_secret_is_not_the_same(receive: Receive) -> None:
    hooks = {name: HOOKS["github"] | {"path": f"/{name}"} for name in ("one", "two")}
    receiver = receive(webhooks=hooks)
    for path in ("/one", "/two"):
        assert send(receiver, document(1), path).json() == {"result": "accepted"}


def test_gitlab_says_which_tries_are_one_delivery(receive: Receive) -> None:
    receiver = receive()
    headers = {"X-Gitlab-Token": HOOKS["gitlab"]["secret"]}
    results = [
        requests.post(
            f"{receiver.url}/gitlab", b"{}", headers=headers | key, timeout=PATIENCE_SECONDS
        ).json()["result"]
        for key in ({}, {}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "a"})
    ]
    assert results == ["accepted", "accepted", "accepted", "duplicate"]


def test_a_file_outlives_a_restart(tmp_path: Path) -> None:
    file = str(tmp_path / "webhooks.db")
    for expected in ("accepted", "duplicate"):
        with receiving(remember_file=file) as receiver:
            assert send(receiver, document(1)).json() == {"result": expected}


def test_what_was_not_written_down_may_be_sent_again(receive: Receive) -> None:
    receiver = receive()
    receiver.fails = OSError("disk full")
    answer = send(receiver, document(1))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    receiver.fails = ValueError("a payload of more than 15 MB")
    assert send(receiver, document(1)).status_code == 413
    receiver.fails = None
    assert send(receiver, document(1)).json() == {"result": "accepted"}


def test_no_answer_before_the_journal_has_it(
    receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = receive()
    receiver.may_emit.clear()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, receiver, document(1))
        with pytest.raises(TimeoutError):
            answer.result(0.3)
        receiver.may_emit.set()
        assert answer.result().status_code == 200
    monkeypatch.setattr(webhook_app, "ANSWER_SECONDS", 0.1)
    receiver.may_emit.clear()
    assert send(receiver, document(2)).status_code == 503
    receiver.may_emit.set()


def test_the_memory_forgets_in_time_and_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    kept = ReplayMemory(str(tmp_path / "file"), 10, lambda: now[0])
    kept.open()
    assert kept.claim(b"a")
    with pytest.raises(memory.InProgress):
        kept.claim(b"a")
    kept.keep(b"a")
    assert not kept.claim(b"a")
    now[0] += 11
    assert kept.claim(b"a")
    kept.release(b"a")
    monkeypatch.setattr(memory, "REMEMBERED", 2)
    monkeypatch.setattr(memory, "_SWEEP_EACH", 5)
    for each in range(5):
        now[0] += 1
        kept.keep(bytes([each]))
    found = [kept.claim(bytes([each])) for each in range(5)]
    assert found == [True, True, False, False, False]
    kept.close()
    with pytest.raises(sqlite3.Error):
        kept.keep(b"a")
    kept.close()


def test_a_memory_that_fails_is_not_a_replay(receive: Receive, tmp_path: Path) -> None:
    receiver = receive(remember_file=str(tmp_path / "file"))
    with sqlite3.connect(tmp_path / "file") as other:
        other.execute("DROP TABLE received")
    other.close()
    assert send(receiver, document(1)).status_code == 503
    assert receiver.events == []


# The listener's life ---------------------------------------------------------------------------


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = HttpSettings(
            listen=f"127.0.0.1:{port}",
            webhooks={"github": WebhookEntry("/github", "github", "secret")},
        )
        pack = HttpPack(settings)
        [check] = pack.flyte_health_checks()
        assert not check.check().healthy
        with pytest.raises(Exception, match=f"cannot listen on 127.0.0.1:{port}"):
            pack.flyte_observe(lambda _: None, threading.Event())
        found = check.check()
        assert (found.healthy, check.critical) == (False, False)
        assert "cannot listen" in str(found.status)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_ends_is_a_failure_of_the_observer() -> None:
    """So the host begins it again, on the same port. Nobody closes what its loop had open."""
    port = closed_port()
    open_hook = {"open": WebhookEntry("/open", "open")}
    pack = HttpPack(HttpSettings(listen=f"127.0.0.1:{port}", webhooks=open_hook))
    [check] = pack.flyte_health_checks()
    for _ in range(2):
        end_server(pack, port)
        assert (check.check().healthy, pack.webhooks_url) == (False, "")
    gc.collect()


def end_server(pack: HttpPack, port: int) -> None:
    def leave(_event: Event) -> None:
        raise SystemExit

    with ThreadPoolExecutor(1) as observer:
        observed = observer.submit(pack.flyte_observe, leave, threading.Event())
        wait_until(lambda: pack.webhooks_url, "the pack listens")
        with socket.create_connection(("127.0.0.1", port)) as sender:  # nobody answers it
            sender.sendall(b"POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
        words = "thread 'webhooks' was ended by SystemExit: the listener cannot go on"
        with pytest.raises(RuntimeError, match=words):
            observed.result(PATIENCE_SECONDS)


def test_without_webhooks_nothing_listens() -> None:
    pack = HttpPack(HttpSettings())
    stopping = threading.Event()
    stopping.set()
    pack.flyte_observe(lambda _: None, stopping)
    assert (pack.webhooks_url, pack.flyte_health_checks()) == ("", [])


def test_a_forged_slack_time_costs_no_memory(receive: Receive) -> None:
    receiver = receive()
    body = b"{}"
    headers = slack(body, moment=1)
    answer = requests.post(f"{receiver.url}/slack", body, headers=headers, timeout=PATIENCE_SECONDS)
    assert (answer.status_code, receiver.events) == (403, [])
