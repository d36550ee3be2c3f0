"""A host takes actions at once that its flyte announces, and rarely polls."""

import itertools
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.wire import find_waiting_link
from flyte_host.model import HeardNews
from flyte_host.pipeline.schedule.poll_rules import KEEP_ALIVE_SECONDS, TOLD_INTERVAL_SECONDS
from flyte_host.pipeline.wake_listener import CHECK_SECONDS, least_seconds
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.hand_clock import HandClock
from tests.support.host_parts import ECHO, Middle, PackPlugin, client_for
from tests.support.pipeline_rig import EMPTY, REGISTER, PipelineRig
from tests.support.scripted_server import ScriptedServer, Seen, links, registered, reply

WAIT = "POST /v1/waiting"
TAKE = "POST /v1/packs/Demo/actions/take"


class Teller:
    """Answers the request that stays open, one for each answer that a test gives."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self._answers: list[bytes] = []
        self._there = threading.Semaphore(0)
        self.bodies: list[Any] = []

    def __call__(self, seen: Seen) -> bytes:
        self.bodies.append(json.loads(seen.body))
        self.asked.release()
        assert self._there.acquire(timeout=PATIENCE_SECONDS)
        return self._answers.pop(0)

    def tell(self, *names: str, cursor: str = "c", checks: bool = True) -> None:
        waiting = [{"packName": name, "packLabels": {}} for name in names]
        news = {"cursor": cursor, "waiting": waiting} | ({"checks": True} if checks else {})
        self.answer(reply(200, json.dumps(news).encode()))

    def answer(self, answer: bytes) -> None:
        self._answers.append(answer)
        self._there.release()

    def wait(self) -> None:
        assert self.asked.acquire(timeout=PATIENCE_SECONDS)


def link_of(server: ScriptedServer) -> str:
    return f'<{server.url}/v1/waiting>; rel="{server.url}/swagger#!/pack/waiting"'


@pytest.fixture
def teller() -> Teller:
    return Teller()


@pytest.fixture
def rig(teller: Teller, tmp_path: Path) -> Iterator[PipelineRig]:
    """A host that polls once an hour, at a flyte that tells."""
    with ScriptedServer() as server:
        server.on("GET /v1", reply(200, links(server.url)))
        server.on(REGISTER, reply(201, registered(server.url, "Demo"), Link=link_of(server)))
        server.on(TAKE, EMPTY)
        server.on(WAIT, [teller])
        rig = PipelineRig(
            server, tmp_path / "state.db", {"demo": PackPlugin(ECHO)}, interval_seconds=3600
        )
        yield rig.start()
        rig.close()
        teller.answer(reply(404))


def test_a_pack_is_polled_when_flyte_tells(rig: PipelineRig, teller: Teller) -> None:
    teller.wait()
    assert teller.bodies == [
        {"packs": [{"name": "Demo", "labels": {}}], "cursor": "", "seconds": 50.0, "check": False}
    ]
    rig.wait_for(TAKE, 1)
    teller.tell("Demo", "Other", cursor="c1")
    rig.wait_for(TAKE, 2)
    teller.wait()
    assert teller.bodies[-1]["cursor"] == "c1"
    assert rig.schedule.is_told
    teller.tell(cursor="c2")
    teller.wait()
    assert rig.count(TAKE) == 2


def test_a_host_that_is_not_told_polls(
    rig: PipelineRig, teller: Teller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    teller.wait()
    teller.tell()
    wait_until(lambda: rig.schedule.is_told, "it is told")
    assert rig.schedule.poll_interval_seconds == 3600
    before = rig.count(TAKE)
    teller.wait()
    teller.answer(reply(502))
    # What was not told meanwhile is asked for at once.
    rig.wait_for(TAKE, before + 1)
    wait_until(lambda: not rig.schedule.is_told, "it is not told")
    assert rig.parts.outage.since is None
    assert "flyte announces actions at once: idle packs are rarely polled" in caplog.messages
    assert any(each.startswith("flyte no longer announces actions") for each in caplog.messages)


def test_polls_are_rare_while_it_is_told(rig: PipelineRig) -> None:
    schedule = rig.schedule
    schedule.set_told(is_told=True)
    schedule.set_told(is_told=True)
    assert schedule.poll_interval_seconds == max(3600, TOLD_INTERVAL_SECONDS)


PACKS = 100
MINUTES = 3


def test_a_host_of_many_idle_packs_hardly_asks(teller: Teller, tmp_path: Path) -> None:
    """Beside the request that stays open: one poll a minute, whichever pack it is for."""
    hand = HandClock(Middle())
    with ScriptedServer() as server:
        server.on("GET /v1", reply(200, links(server.url)))
        server.on(REGISTER, reply(201, registered(server.url, "Demo"), Link=link_of(server)))
        server.on(TAKE, EMPTY)
        server.on(WAIT, [teller])
        plugins = {
            f"demo{number}": PackPlugin(ECHO, name=f"Demo{number}") for number in range(PACKS)
        }
        rig = PipelineRig(
            server, tmp_path / "state.db", plugins, interval_seconds=5, clock=hand.clock
        ).start()
        teller.wait()
        teller.tell(cursor="c:1")
        teller.wait()  # it is told, and the next request is open

        def wait_until_idle() -> None:
            def due_in(key: str) -> float:
                return rig.view(key).due_at - hand.seconds

            wait_until(lambda: all(0 < due_in(each) < math.inf for each in plugins), "all idle")

        rig.wait_for(TAKE, PACKS)
        wait_until_idle()
        hand.advance(5)  # what was planned before it was told
        wait_until_idle()
        before, requests = rig.count(TAKE), len(server.requests)
        for minute in range(MINUTES):
            hand.advance(TOLD_INTERVAL_SECONDS)
            rig.wait_for(TAKE, before + minute + 1)
            wait_until_idle()
        assert len(server.requests) - requests == MINUTES
        assert {each["check"] for each in teller.bodies} == {False}

        # They count as polled with the request that stays open.
        teller.tell(cursor="c:2")
        teller.wait()
        assert teller.bodies[-1]["check"]
        hand.advance(CHECK_SECONDS)
        teller.tell(cursor="c:3")
        teller.wait()
        assert {rig.view(each).polled_at for each in plugins} == {hand.seconds}

        # As soon as it is not told, it polls as usual.
        before = rig.count(TAKE)
        teller.answer(reply(404))
        rig.wait_for(TAKE, before + PACKS)
        wait_until_idle()
        hand.advance(5)
        rig.wait_for(TAKE, before + 2 * PACKS)
        rig.close()
        teller.answer(reply(404))


class Checked:
    """A host with two packs that take and one that does not, told by a flyte, at a time of ours."""

    def __init__(self, server: ScriptedServer, teller: Teller, tmp_path: Path) -> None:
        self.hand = HandClock(Middle())
        self.teller = teller
        self._cursors = itertools.count(1)
        server.on("GET /v1", reply(200, links(server.url)))
        server.on(REGISTER, reply(201, registered(server.url, "Demo"), Link=link_of(server)))
        server.on(TAKE, EMPTY)
        server.on(WAIT, [teller])
        plugins = {
            "demo": PackPlugin(ECHO),
            "other": PackPlugin(ECHO, name="Other"),
            "bare": PackPlugin(name="Bare"),
        }
        self.rig = PipelineRig(
            server, tmp_path / "state.db", plugins, interval_seconds=5, clock=self.hand.clock
        ).start()
        self.wait_until_kept()
        teller.wait()

    def tell(self, *names: str, checks: bool = True) -> None:
        self.teller.tell(*names, cursor=f"c:{next(self._cursors)}", checks=checks)
        self.teller.wait()

    def wait_until_kept(self) -> None:
        def is_kept(key: str) -> bool:
            return 0 < self.rig.view(key).due_at - self.hand.seconds < math.inf

        keys = ("demo", "other", "bare")
        wait_until(lambda: all(map(is_kept, keys)), "all wait for their next turn")


@pytest.fixture
def checked(teller: Teller, tmp_path: Path) -> Iterator[Checked]:
    with ScriptedServer() as server:
        made = Checked(server, teller, tmp_path)
        yield made
        made.rig.close()
        teller.answer(reply(404))


def test_a_pack_without_commands_is_alive_by_the_request_that_stays_open(checked: Checked) -> None:
    rig, before = checked.rig, checked.rig.count(REGISTER)
    checked.tell()
    for _ in range(6):  # of 45 s: longer than it takes until such a pack registers again
        checked.hand.advance(CHECK_SECONDS)
        checked.tell()  # the next request is a check
        checked.tell()
        checked.wait_until_kept()
    assert {each["name"] for each in checked.teller.bodies[-1]["packs"]} == {
        "Demo",
        "Other",
        "Bare",
    }
    assert rig.view("bare").polled_at == checked.hand.seconds
    assert rig.count(REGISTER) == before
    checked.tell("Bare")  # flyte does not know it
    rig.wait_for(REGISTER, before + 1)


def test_at_a_flyte_that_knows_no_checks_every_pack_is_polled(checked: Checked) -> None:
    """It calls those alive that it hears of."""
    rig, before = checked.rig, checked.rig.count(REGISTER)
    checked.tell(checks=False)
    wait_until(lambda: rig.schedule.is_told, "it is told")
    checked.hand.advance(KEEP_ALIVE_SECONDS)
    rig.wait_for(REGISTER, before + 1)
    checked.wait_until_kept()
    checked.tell(checks=False)
    assert checked.teller.bodies[-1]["check"]
    assert rig.view("bare").polled_at == checked.hand.seconds
    taken = rig.count(TAKE)
    checked.hand.advance(TOLD_INTERVAL_SECONDS)
    rig.wait_for(TAKE, taken + 2)


@pytest.mark.parametrize(
    ("cursor", "cut_after", "seconds"),
    [("c:9", 30, 15), ("c:9", 8, 5), ("c:9", 1, 50), ("other:1", 30, 50)],
    ids=["a proxy", "an impatient proxy", "an accident", "flyte was restarted"],
)
def test_a_request_that_a_proxy_cuts_off_asks_for_less(
    checked: Checked, cursor: str, cut_after: float, seconds: float
) -> None:
    checked.tell()
    checked.hand.advance(cut_after)
    checked.teller.answer(reply(504))
    checked.teller.wait()
    assert checked.teller.bodies[-1]["seconds"] == 5, "it soon knows whether it works again"
    checked.teller.tell(cursor=cursor)
    checked.teller.wait()
    assert checked.teller.bodies[-1]["seconds"] == seconds


@pytest.mark.parametrize(
    ("cursor", "answer", "waiting", "seconds"),
    [
        ("", "a:1", [], 0.02),
        ("a:1", "a:2", [("Demo", {})], 0.02),
        ("a:1", "a:1", [], 1),
        ("a:1", "b:1", [("Demo", {})], 0.25),
    ],
    ids=["the first", "news", "no news", "another flyte"],
)
def test_a_flyte_that_answers_at_once_is_not_asked_in_a_loop(
    cursor: str, answer: str, waiting: list[tuple[str, dict[str, str]]], seconds: float
) -> None:
    assert least_seconds(cursor, HeardNews(answer, waiting)) == seconds


def test_a_flyte_without_the_link_is_polled(tmp_path: Path) -> None:
    with ScriptedServer() as server:
        server.on("GET /v1", reply(200, links(server.url)))
        server.on(REGISTER, reply(201, registered(server.url, "Demo")))
        server.on(TAKE, EMPTY)
        rig = PipelineRig(server, tmp_path / "state.db", {"demo": PackPlugin(ECHO)}).start()
        rig.wait_for(TAKE, 3)
        assert rig.count(WAIT) == 0
        rig.close()


@pytest.mark.parametrize(
    ("header", "href"),
    [
        ('<http://f/v1/waiting>; rel="http://f/swagger#!/pack/waiting"', "http://f/v1/waiting"),
        ('<a>; rel="next", <b>;rel="x/waiting"', "b"),
        ('<a>; rel="next"', None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_link_is_found(header: str, href: str | None) -> None:
    assert find_waiting_link(header) == href


def test_embedded_flyte_tells_over_http(flyte_server: FlyteServer, tmp_path: Path) -> None:
    """An action is taken at once although nobody polls."""
    with ScriptedServer() as unused:
        client: FlyteClient = client_for(flyte_server.url)
        rig = PipelineRig(
            unused,
            tmp_path / "state.db",
            {"demo": PackPlugin(ECHO)},
            interval_seconds=3600,
            client=client,
        ).start()
        wait_until(lambda: rig.schedule.is_told, "it is told")
        for number in range(5):
            assert flyte_server.run("Demo", "echo", number).payload == number
        rig.close()
