"""Hosts that keep a request open hear at once for which packs actions wait."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import requests

from flyte_host.embedded.asgi_app import MOST_HELD_BYTES
from flyte_host.embedded.model import Labels
from flyte_host.embedded.waiting_board import KEPT, News, PackWatch, WaitingBoard
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.web.web_server import WebServer
from tests.embedded.conftest import EmbeddedCaller
from tests.support.postgres import PostgresServer

P: dict[str, Any] = {"packs": [{"name": "P"}]}
WAITS = [{"packName": "P", "packLabels": {}}]
LONG = 60


def ask(call: Any, cursor: str = "", **more: Any) -> dict[str, Any]:
    answer = call("POST", "/v1/waiting", P | {"cursor": cursor} | more)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def test_the_link_is_where_go_clients_do_not_look(call: Any) -> None:
    answer = call("POST", "/v1/packs", {"name": "P"})
    assert answer.headers["Link"] == (
        '<http://localhost/v1/waiting>; rel="http://localhost/swagger#!/pack/waiting"'
    )
    assert "waiting" not in answer.text + call("GET", "/v1").text


def test_each_action_is_told_once(call: Any, step: Any) -> None:
    """POST /v1/waiting"""
    call.flow(step("Go", "c"), step("Go", "d"))
    first = ask(call)
    assert first["waiting"] == []
    call.event("Go")
    second = ask(call, first["cursor"])
    assert second["waiting"] == WAITS
    assert ask(call, second["cursor"])["waiting"] == []
    call.event("Go")
    assert ask(call, second["cursor"])["waiting"] == WAITS


@pytest.mark.parametrize("cursor", ["", "another-flyte:7", "nonsense"])
def test_an_unknown_cursor_is_told_everything(call: Any, step: Any, cursor: str) -> None:
    call.flow(step("Go", "c"))
    call.event("Go")
    assert ask(call, cursor)["waiting"] == WAITS
    call.take()
    assert ask(call, cursor)["waiting"] == []


def test_a_check_is_told_everything_and_the_packs_are_seen(
    call: Any, clock: Any, step: Any
) -> None:
    call.pack()
    call.flow(step("Go", "c"))
    call.event("Go")
    cursor = ask(call)["cursor"]
    clock.pass_(minutes=20)
    assert ask(call, cursor)["waiting"] == []
    assert call("GET", "/v1/packs/P").get_json()["status"] == "warning"
    assert ask(call, cursor, check=True)["waiting"] == WAITS
    assert call("GET", "/v1/packs/P").get_json()["status"] == "live"
    call.take()
    assert ask(call, cursor, check=True)["waiting"] == []


def test_a_check_names_packs_that_are_not_registered(call: Any) -> None:
    call.pack("Q", labels={"env": "dev"})
    packs = [{"name": "Q"}, {"name": "Q", "labels": {"env": "dev"}}]
    cursor = ask(call)["cursor"]
    assert ask(call, cursor, packs=packs)["waiting"] == []
    unknown = [{"packName": "Q", "packLabels": {}}]
    assert ask(call, cursor, packs=packs, check=True)["waiting"] == unknown
    assert call("GET", "/v1/packs/Q").status_code == 404


@pytest.mark.parametrize("labels", [{}, {"env": "dev"}])
def test_the_host_of_a_pack_that_is_deleted_is_told(call: Any, labels: Any) -> None:
    """It serves it still, and has it registered again at once."""
    pack = {"name": "Q", "labels": labels}
    call.pack("Q", labels=labels)
    cursor = ask(call, packs=[pack])["cursor"]
    path = "/v1/packs/Q.env.dev" if labels else "/v1/packs/Q"
    assert call("DELETE", path).status_code == 204
    told = ask(call, cursor, packs=[pack])
    assert told["waiting"] == [{"packName": "Q", "packLabels": labels}]
    assert call("DELETE", path).status_code == 404
    assert ask(call, told["cursor"], packs=[pack])["waiting"] == []


def test_only_packs_that_fit_are_told(call: Any, step: Any) -> None:
    labelled = step("Go", "c")
    labelled["command"]["packLabels"] = {"env": "dev"}
    call.flow(labelled)
    call.event("Go")
    assert ask(call)["waiting"] == []
    packs = [{"name": "Q"}, {"name": "P", "labels": {"env": "dev", "zone": "a"}}]
    assert ask(call, packs=packs)["waiting"] == [{"packName": "P", "packLabels": {"env": "dev"}}]


@pytest.mark.parametrize("body", [[], {"packs": [{}]}, {"packs": [], "seconds": "long"}])
def test_a_body_that_is_not_a_list_of_packs(call: Any, body: Any) -> None:
    answer = call("POST", "/v1/waiting", body)
    assert answer.status_code == 400
    assert answer.get_json()["error"].startswith("expected the packs of a host: ")


@pytest.mark.parametrize("body", ["{", "\xff", "[" * 100_000, "[" + "{}," * 100_000])
def test_what_is_not_json(call: Any, body: str) -> None:
    answer = call("POST", "/v1/waiting", data=body.encode("latin-1"))
    assert answer.status_code == 400


def nothing() -> list[tuple[str, Labels]]:
    return []


def test_news_that_is_no_longer_kept_is_read_from_the_store() -> None:
    waiting: list[tuple[str, Labels]] = [("P", {})]
    board = WaitingBoard(lambda: waiting)
    watch = PackWatch({"P": [{}]}, "", 0)
    known = watch._replace(cursor=board.news(watch).cursor)
    for _ in range(KEPT):
        board.wake("Q", {})
    assert board.news(known).waiting == []
    board.wake("Q", {})
    assert board.news(known).waiting == [("P", {})]


def test_nobody_is_told_of_what_others_wait_for() -> None:
    board, told = WaitingBoard(nothing), []
    with board.watching(PackWatch({"P": [{}]}, "", 0), lambda: told.append(1)):
        board.wake("Q", {})
        board.wake("P", {"env": "dev"})
        assert told == []
        board.wake("P", {})
        assert told == [1]
    board.wake("P", {})
    assert told == [1]


def test_a_board_that_closes_lets_all_go() -> None:
    board, told = WaitingBoard(nothing), []
    with board.watching(PackWatch({}, "", 0), lambda: told.append(1)):
        board.close()
    with board.watching(PackWatch({}, "", 0), lambda: told.append(2)):
        assert told == [1, 2]
    assert isinstance(board.news(PackWatch({}, "", 0)), News)


# -- with a web server ---------------------------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def keep_open(
    pool: ThreadPoolExecutor, call: EmbeddedCaller, url: str, seconds: float = LONG
) -> "Future[requests.Response]":
    """A request that has begun to wait."""
    before = watchers(call)
    body = P | {"cursor": ask(call)["cursor"], "seconds": seconds}
    asking = pool.submit(requests.post, f"{url}/v1/waiting", json=body, timeout=PATIENCE_SECONDS)
    wait_until(lambda: watchers(call) > before or asking.done(), "it waits")
    return asking


def watchers(call: EmbeddedCaller) -> int:
    return len(call.flyte._board._watchers)


def test_a_request_is_answered_when_there_is_an_action(
    call: EmbeddedCaller, url: str, pool: ThreadPoolExecutor, step: Any
) -> None:
    call.flow(step("Go", "c"))
    asking = keep_open(pool, call, url)
    assert not asking.done()
    call.event("Go")
    assert asking.result(PATIENCE_SECONDS).json()["waiting"] == WAITS
    wait_until(lambda: watchers(call) == 0, "nobody watches")


def test_a_request_is_answered_when_its_time_is_up(
    call: EmbeddedCaller, url: str, pool: ThreadPoolExecutor
) -> None:
    answer = keep_open(pool, call, url, seconds=0.05).result(PATIENCE_SECONDS)
    assert answer.json()["waiting"] == []


def test_a_request_is_answered_when_flyte_stops(
    call: EmbeddedCaller, url: str, pool: ThreadPoolExecutor
) -> None:
    asking = keep_open(pool, call, url)
    call.flyte.end_waits()
    assert asking.result(PATIENCE_SECONDS).json()["waiting"] == []


def test_a_host_that_goes_away_is_forgotten(call: EmbeddedCaller, url: str) -> None:
    body = P | {"seconds": LONG, "cursor": "another-flyte:1"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{url}/v1/waiting", json=body, timeout=0.3)
    wait_until(lambda: watchers(call) == 0, "nobody watches")


def test_requests_that_are_kept_open_keep_little_in_memory(
    call: EmbeddedCaller, url: str, pool: ThreadPoolExecutor
) -> None:
    """One whose body would be too much beside the others is answered at once."""
    room_for_two = [{"name": "Q", "labels": {"a": "x" * (MOST_HELD_BYTES * 2 // 5)}}]
    body = {"packs": room_for_two, "cursor": ask(call)["cursor"], "seconds": LONG}

    def post() -> "Future[requests.Response]":
        return pool.submit(requests.post, f"{url}/v1/waiting", json=body, timeout=PATIENCE_SECONDS)

    asking = [post(), post()]
    wait_until(lambda: watchers(call) == 2, "both wait")
    assert post().result(PATIENCE_SECONDS).json()["waiting"] == []
    assert not any(each.done() for each in asking)
    large_event = {"event": "Go", "payload": "x" * 2_000_000}
    call.pack()
    posted = requests.post(f"{url}/v1/packs/P/events", json=large_event, timeout=PATIENCE_SECONDS)
    assert posted.ok, "what is kept open holds back no other body"
    call.flyte.end_waits()
    assert [each.result(PATIENCE_SECONDS).status_code for each in asking] == [200, 200]


def test_a_host_at_another_flyte_is_told(
    start: Callable[..., EmbeddedCaller],
    pool: ThreadPoolExecutor,
    postgres: PostgresServer,
    step: Any,
) -> None:
    with postgres.database() as store:
        one, two = start(store), start(store)
        one.pack()
        one.flow(step("Go", "c"))
        server = WebServer(two.flyte.asgi, ("127.0.0.1", 0), name="two")
        server.start()
        wait_until(lambda: _hears(one, two), "it listens")
        asking = keep_open(pool, two, server.url)
        one.event("Go")
        assert asking.result(PATIENCE_SECONDS).json()["waiting"] == WAITS
        server.stop()
        one.flyte.close()
        two.flyte.close()


def _hears(one: EmbeddedCaller, two: EmbeddedCaller) -> bool:
    one.event("Nobody waits for this")
    return bool(two("GET", "/v1/audit/decisions").get_json()["unheard"])
