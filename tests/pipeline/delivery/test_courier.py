"""What the journal holds reaches flyte, in order, or is parked with its reason."""

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.outage import Outage
from flyte_host.client.registrations import Registrations
from flyte_host.client.token import Token
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.pipeline.delivery.attempts import Attempts
from flyte_host.pipeline.delivery.courier import THREADS, Courier
from flyte_host.pipeline.delivery.deliveries import Deliveries
from flyte_host.pipeline.delivery.refusals import (
    ATTEMPTS_BEFORE_FATAL,
    UNCERTAIN_BEFORE_ASKING,
    Refusals,
)
from flyte_host.pipeline.delivery.retry_pauses import RetryPauses
from flyte_host.pipeline.journal import Delivery, Editor, Journal, JournalError, Kind
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.schedule.turn import Turn
from flyte_host.secrets import SecretRef
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.thread_watch import ThreadWatch
from flyte_host.wait import stand_still
from tests.support.bad_servers import ANY_PROTOCOL, bad_server
from tests.support.hand_clock import HandClock
from tests.support.host_parts import (
    ECHO,
    Middle,
    PackPlugin,
    client_for,
    definitions,
    flyte_script,
    served,
    taken,
)
from tests.support.journal_file import execute, hide, show, states, write_result, write_taken
from tests.support.proxy import FaultProxy, ProxyAnswer
from tests.support.scripted_server import (
    CLOSE,
    Reply,
    ScriptedServer,
    Seen,
    links,
    registered,
    reply,
    reply_together,
)

EVENTS = "POST /v1/packs/Demo/events"
OTHER_EVENTS = "POST /v1/packs/Other/events"
AUDIT = "GET /v1/audit/flows"
PACKS = served({"demo": PackPlugin(ECHO), "other": PackPlugin(name="Other")})


def result_of(number: int) -> str:
    return f"POST /v1/packs/Demo/actions/a{number}/result"


def audited(number: int, state: str) -> bytes:
    action = {"id": f"a{number}", "state": {"value": state}}
    return reply(200, json.dumps({"flows": [{"actions": {"run": action}}]}).encode())


NOTHING_AUDITED = reply(200, b'{"flows": []}')


class Post:
    """A courier against a scripted flyte."""

    def __init__(
        self, server: ScriptedServer, state: Path, client: FlyteClient, **more: Any
    ) -> None:
        self.server = server
        self.state = state
        self.journal = Journal(state, Clock())
        self.client = client
        self.counters = Counters({"demo": ()})
        self.hand = HandClock()
        self.schedule = Schedule(5, self.hand.clock)
        self.registrations = Registrations(client, definitions(PACKS))
        refusals = Refusals(
            self.journal, client, self.registrations, Clock(), self.counters,
            pauses=RetryPauses(0.01, 0.04),
        )  # fmt: skip
        attempts = Attempts(
            self.journal, client, self.registrations, self.schedule.hints, self.counters,
            refusals=refusals,
        )  # fmt: skip
        self.deliveries = Deliveries(self.journal, attempts, client.outage, Clock(), **more)
        self.courier = Courier(
            self.deliveries,
            self.journal,
            client.outage,
            Clock(),
            ThreadWatch(),
            look_seconds=0.05,
        )

    @property
    def accepted(self) -> int:
        counts = self.counters.deliveries.read()
        return sum(count for (*_, outcome), count in counts.items() if outcome == "accepted")

    def owe_result(self, number: int = 1, body: bytes = b'{"event":"Ok"}') -> Delivery:
        opened = write_taken(self.journal, "demo", "Demo", taken(number, url=self.server.url))
        return write_result(self.journal, opened, body)

    def deliver(self, delivery: Delivery) -> None:
        stand_still(self.deliveries.deliver(delivery))

    def add_events(self, pack_key: str, *bodies: bytes) -> None:
        for body in bodies:
            self.deliveries.add(self.journal.emit(pack_key, body))

    def retried(self) -> int:
        return self.counters.deliveries.read()["demo", "result", "retried"]

    def drain(self, seconds: float = 10) -> int:
        return self.courier.drain(time.monotonic() + seconds)

    def wait_until_idle(self) -> None:
        """Unlike a drain, through outages and refusals too."""
        wait_until(lambda: not self.drain(0), "all is delivered", timeout_seconds=60)

    def bodies(self, request: str) -> list[bytes]:
        return [
            each.body for each in self.server.requests if f"{each.method} {each.path}" == request
        ]

    def close(self) -> None:
        self.deliveries.close()
        for thread in self.courier.threads:
            if thread.is_alive():
                thread.join(PATIENCE_SECONDS)
        self.client.close()
        self.journal.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo", "Other")
        running.on(AUDIT, NOTHING_AUDITED)
        yield running


@pytest.fixture
def open_post(server: ScriptedServer, tmp_path: Path) -> Iterator[Callable[..., Post]]:
    made: list[Post] = []

    def open_one(client: FlyteClient | None = None, **more: Any) -> Post:
        state = tmp_path / "flyte-host.db"
        made.append(Post(server, state, client or client_for(server.url), **more))
        return made[-1]

    yield open_one
    for each in made:
        each.close()


@pytest.fixture
def post(open_post: Callable[..., Post]) -> Post:
    return open_post()


def test_a_result_is_delivered_and_said_to_be_accepted(post: Post) -> None:
    post.server.on(result_of(1), reply(202))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert post.bodies(result_of(1)) == [b'{"event":"Ok"}']
    assert states(post.state) == [(1, "delivered", "")]
    assert post.accepted == 1


def test_what_flyte_accepts_brings_the_next_polls_forward(post: Post) -> None:
    post.schedule.add(PACKS["demo"])
    turn = post.schedule.turns.next(waits=False)
    assert isinstance(turn, Turn)
    assert turn.may_begin()
    turn.empty()
    due_at = post.schedule.view("demo").due_at
    post.server.on(result_of(1), reply(500), reply(202))
    post.deliver(post.owe_result(1))
    assert post.schedule.view("demo").due_at == due_at
    post.server.on(result_of(2), reply(202))
    post.deliver(post.owe_result(2))
    assert post.schedule.view("demo").due_at < due_at


def test_the_events_of_a_pack_keep_their_order_across_failures(post: Post) -> None:
    fails: list[Reply] = [reply(500), [CLOSE], reply(404), reply(503), reply(401), reply(302)]
    post.server.on(EVENTS, *fails, reply(202))
    post.courier.start()
    bodies = [b'{"n":%d}' % number for number in range(6)]
    post.add_events("demo", *bodies)
    post.wait_until_idle()
    sent = post.bodies(EVENTS)
    assert sent == [bodies[0]] * len(fails) + bodies
    assert post.journal.backlog().events == 0
    assert post.accepted == 6


def test_one_packs_trouble_does_not_hold_up_the_other(post: Post) -> None:
    post.server.on(EVENTS, reply(500))
    post.courier.start()
    post.add_events("demo", b"1", b"2")
    post.add_events("other", b"3", b"4")
    wait_until(lambda: post.bodies(OTHER_EVENTS) == [b"3", b"4"], "the other's events")
    wait_until(lambda: len(post.bodies(EVENTS)) > 3, "retries")
    assert set(post.bodies(EVENTS)) == {b"1"}


def test_results_are_delivered_side_by_side(post: Post) -> None:
    answer = reply_together(THREADS, 202)
    post.courier.start()
    for number in range(THREADS):
        post.server.on(result_of(number), [answer])
        post.deliveries.add(post.owe_result(number))
    post.wait_until_idle()


def test_a_refused_result_is_replaced_by_a_fatal_that_says_why(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.server.on(result_of(1), reply(400), reply(202))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    first, second = post.bodies(result_of(1))
    assert first == b'{"event":"Ok"}'
    fatal = json.loads(second)
    assert fatal["event"] == "FATAL"
    refused = f"POST {post.server.url}/v1/packs/Demo/actions/a1/result was answered with 400"
    assert fatal["payload"] == f"the result of 'echo' was not accepted by flyte: {refused}"
    assert states(post.state) == [(1, "delivered", "")]
    assert f"result replaced by FATAL: {refused}" in caplog.messages


def test_a_result_whose_fatal_is_refused_too_is_parked(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.server.on(result_of(1), reply(400))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    refused = f"POST {post.server.url}/v1/packs/Demo/actions/a1/result was answered with 400"
    reason = f"flyte accepts no result for it: {refused}"
    assert states(post.state) == [(1, "parked", reason)]
    assert len(post.bodies(result_of(1))) == 2
    parked = next(each for each in caplog.records if "parked" in each.getMessage())
    assert (parked.getMessage(), parked.levelname) == (f"result parked: {reason}", "ERROR")
    about = vars(parked)
    assert (about["pack"], about["command"], about["action"]) == ("demo", "echo", "a1")
    assert post.accepted == 0


def test_a_refused_event_is_parked_and_the_next_one_sent(post: Post) -> None:
    post.server.on(EVENTS, reply(400), reply(202))
    post.courier.start()
    post.add_events("demo", b"1", b"2")
    post.wait_until_idle()
    assert post.bodies(EVENTS) == [b"1", b"2"]
    reason = f"POST {post.server.url}/v1/packs/Demo/events was answered with 400"
    assert states(post.state, "event") == [(1, "parked", reason)]


def test_an_event_waits_for_its_packs_registration(post: Post) -> None:
    (register,) = post.server._scripts["POST /v1/packs"].replies
    post.server.on("POST /v1/packs", reply(400), reply(500), reply(503), register)
    post.courier.start()
    post.add_events("demo", b"1", b"2")
    post.wait_until_idle()
    assert post.bodies(EVENTS) == [b"1", b"2"]
    assert post.journal.backlog().parked == 0


def registered_packs(post: Post) -> list[str]:
    return [json.loads(each)["name"] for each in post.bodies("POST /v1/packs")]


def test_a_result_of_an_unknown_pack_is_sent_again_once_the_pack_is_registered(
    post: Post,
) -> None:
    post.server.on(result_of(1), reply(404), reply(202))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert registered_packs(post) == ["Demo"]
    assert states(post.state) == [(1, "delivered", "")]


def test_a_result_of_an_unknown_action_is_parked_after_registering_once(post: Post) -> None:
    post.server.on(result_of(1), reply(404))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert registered_packs(post) == ["Demo"]
    assert len(post.bodies(result_of(1))) == 2
    ((_, state, reason),) = states(post.state)
    assert state == "parked"
    assert reason == (
        "flyte does not know the action: "
        f"POST {post.server.url}/v1/packs/Demo/actions/a1/result was answered with 404"
    )


def test_earlier_failures_do_not_spare_an_unknown_pack_its_registration(post: Post) -> None:
    post.server.on(result_of(1), reply(401), reply(500), reply(404), reply(202))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert registered_packs(post) == ["Demo"]
    assert states(post.state) == [(1, "delivered", "")]


def test_an_unknown_pack_that_cannot_be_registered_now_is_tried_again(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    flyte_script(post.server)
    (register,) = post.server._scripts["POST /v1/packs"].replies
    post.server.on("POST /v1/packs", reply(500), reply(500), register)
    post.server.on(result_of(1), reply(404), reply(404), reply(404), reply(202))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert len(registered_packs(post)) == 3
    assert states(post.state) == [(1, "delivered", "")]
    failed = f"POST {post.server.url}/v1/packs was answered with 500"
    assert caplog.messages.count(f"cannot register again: {failed}") == 2


def test_results_of_a_pack_that_flyte_forgot_register_it_once(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host")
    forgotten = reply_together(3, 404)
    post.registrations.get("demo")
    for number in (1, 2, 3):
        post.server.on(result_of(number), [forgotten], reply(202))
        post.deliveries.add(post.owe_result(number))
    post.courier.start()
    post.wait_until_idle()
    assert caplog.messages == [
        "registered as Demo: commands echo",
        "flyte does not know an action of pack Demo; registering it again",
        "registered again as Demo",
    ]


@pytest.mark.parametrize("state", ["SUCCESS", "FATAL"])
def test_a_result_whose_answer_was_lost_is_not_sent_forever(post: Post, state: str) -> None:
    """The connection broke, the second try meets 500: flyte's audit says that it has a result."""
    post.server.on(result_of(1), [CLOSE], reply(500))
    post.server.on(AUDIT, audited(1, state))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert len(post.bodies(result_of(1))) == 2
    assert states(post.state) == [(1, "delivered", "")]
    assert post.accepted == 1


def test_a_result_that_had_arrived_is_delivered_without_a_second_post(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.delivery.refusals")
    post.server.on(result_of(1), reply(500))
    post.server.on(AUDIT, audited(1, "SUCCESS"))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert len(post.bodies(result_of(1))) == 1
    query = next(each.query for each in post.server.requests if each.path == "/v1/audit/flows")
    assert "actionPackName=Demo" in query
    assert "actionName=echo" in query
    # No warning that the next line would take back.
    assert caplog.messages == ["the result had already arrived"]


@pytest.mark.parametrize("state", ["SUCCESS", "FATAL"])
def test_a_flyte_that_says_it_has_a_result_is_not_asked_for_it(post: Post, state: str) -> None:
    """Its audit may not reach back as far as the action."""
    post.server.on(result_of(1), reply(500, Flyte_Action_State=state))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert len(post.bodies(result_of(1))) == 1
    assert post.bodies(AUDIT) == []
    assert states(post.state) == [(1, "delivered", "")]


def test_an_action_that_is_not_finished_still_needs_its_result(post: Post) -> None:
    """A store that was put back to an earlier copy may not know that it gave out the action."""
    early = reply(500, Flyte_Action_State="NEW")
    post.server.on(result_of(1), early, early, reply(202))
    post.server.on(AUDIT, audited(1, "NEW"))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert len(post.bodies(result_of(1))) == 3
    assert states(post.state) == [(1, "delivered", "")]


@pytest.mark.parametrize("audit", [audited(1, "PENDING"), NOTHING_AUDITED, reply(404), reply(401)])
def test_a_result_that_flyte_cannot_keep_becomes_a_fatal_then_is_parked(
    post: Post, audit: bytes
) -> None:
    post.server.on(result_of(1), reply(500))
    post.server.on(AUDIT, audit)
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    sent = [json.loads(each)["event"] for each in post.bodies(result_of(1))]
    assert sent == ["Ok"] * ATTEMPTS_BEFORE_FATAL + ["FATAL"]
    ((_, state, reason),) = states(post.state)
    assert state == "parked"
    assert reason.startswith("flyte accepts no result for it: ")
    assert reason.endswith(" was answered with 500")


@pytest.mark.parametrize("audit", [reply(500), reply(503)])
def test_a_result_is_not_given_up_while_flyte_itself_has_a_problem(
    post: Post, audit: bytes
) -> None:
    post.server.on(result_of(1), *[reply(500)] * (2 * ATTEMPTS_BEFORE_FATAL), reply(202))
    post.server.on(AUDIT, audit)
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert set(post.bodies(result_of(1))) == {b'{"event":"Ok"}'}
    assert states(post.state) == [(1, "delivered", "")]


def quick(url: str) -> FlyteClient:
    """A client that does not pause for long after a broken connection."""
    return client_for(url, outage=Outage(Clock(), base_seconds=0.005, cap_seconds=0.01))


def test_a_result_over_which_flyte_breaks_the_connection_each_time_becomes_a_fatal(
    open_post: Callable[..., Post], server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The audit answers in between, so it is the result and not flyte: others must go on."""
    server.on(result_of(1), *[CLOSE] * ATTEMPTS_BEFORE_FATAL, reply(202))
    server.on(AUDIT, audited(1, "PENDING"))
    post = open_post(quick(server.url))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    *refused, fatal = post.bodies(result_of(1))
    assert len(refused) == ATTEMPTS_BEFORE_FATAL
    assert json.loads(fatal)["event"] == "FATAL"
    assert "closed the connection" in json.loads(fatal)["payload"]
    assert "result replaced by FATAL" in caplog.text


def test_a_result_that_may_have_arrived_is_asked_for_before_it_is_sent_again(
    open_post: Callable[..., Post], server: ScriptedServer
) -> None:
    server.on(result_of(1), CLOSE, CLOSE, reply(500))
    server.on(AUDIT, audited(1, "SUCCESS"))
    post = open_post(quick(server.url))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert len(post.bodies(result_of(1))) == UNCERTAIN_BEFORE_ASKING
    assert states(post.state) == [(1, "delivered", "")]


def test_an_outage_uses_up_no_results_tries(
    open_post: Callable[..., Post], server: ScriptedServer
) -> None:
    """A long outage in which every answer is a broken connection, the audit's too."""
    server.on(result_of(1), CLOSE, CLOSE, reply(202))
    server.on(AUDIT, *[CLOSE] * (2 * ATTEMPTS_BEFORE_FATAL), audited(1, "PENDING"))
    post = open_post(quick(server.url))
    post.courier.start()
    post.deliveries.add(post.owe_result(body=b'{"event":"Ok","payload":"mine"}'))
    post.wait_until_idle()
    assert post.bodies(result_of(1))[-1] == b'{"event":"Ok","payload":"mine"}'


def test_an_ill_audit_holds_back_what_may_have_arrived(
    open_post: Callable[..., Post], server: ScriptedServer
) -> None:
    server.on(result_of(1), CLOSE, CLOSE, reply(202))
    server.on(AUDIT, *[reply(500)] * 4, NOTHING_AUDITED)
    post = open_post(quick(server.url))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.wait_until_idle()
    assert states(post.state) == [(1, "delivered", "")]


def test_with_a_wrong_token_everything_waits_for_the_right_one(
    open_post: Callable[..., Post], server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("wrong")

    def answer(seen: Seen) -> bytes:
        return reply(202 if seen.headers["authorization"] == "Bearer right-one" else 401)

    server.on(result_of(1), [answer])
    server.on(EVENTS, [answer])
    token = Token(SecretRef(file=tmp_path / "token"), {})
    post = open_post(client_for(server.url, token=token))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.add_events("demo", b"1")
    wait_until(lambda: len(post.bodies(result_of(1))) > ATTEMPTS_BEFORE_FATAL, "attempts")
    (tmp_path / "token").write_text("right-one")
    post.wait_until_idle()
    assert set(post.bodies(result_of(1))) == {b'{"event":"Ok"}'}
    assert post.journal.backlog().parked == 0


def test_after_an_outage_all_is_delivered(post: Post) -> None:
    back = threading.Event()

    def answer(_: Seen) -> bytes:
        return reply(202 if back.is_set() else 503)

    post.courier.start()
    for number in range(20):
        post.server.on(result_of(number), [answer])
        post.deliveries.add(post.owe_result(number))
    post.server.on(EVENTS, [answer])
    bodies = [b"%d" % number for number in range(20)]
    post.add_events("demo", *bodies)
    post.server.wait_for(8)
    assert post.accepted == 0
    back.set()
    wait_until(lambda: post.accepted == 40, "all is delivered", timeout_seconds=60)
    assert list(dict.fromkeys(post.bodies(EVENTS))) == bodies
    assert {state for _, state, _ in states(post.state)} == {"delivered"}


def test_a_flyte_that_is_not_there_gets_all_when_it_is(tmp_path: Path) -> None:
    with ScriptedServer() as gone:
        url = gone.url
    post = Post(gone, tmp_path / "flyte-host.db", client_for(url))
    try:
        post.courier.start()
        post.deliveries.add(post.owe_result())
        post.add_events("demo", b"1")
        assert post.drain(0.2) == 2
        assert post.journal.backlog().results == 1
        assert post.journal.backlog().events == 1
    finally:
        post.close()


def test_an_event_of_a_pack_that_is_gone_is_parked(post: Post) -> None:
    post.courier.start()
    post.add_events("gone", b"1")
    post.wait_until_idle()
    reason = "pack 'gone' is no longer configured"
    assert states(post.state, "event") == [(1, "parked", reason)]


@pytest.mark.parametrize(("answer", "state"), [(202, "delivered"), (404, "parked")])
def test_a_result_of_a_pack_that_is_gone_is_still_sent(post: Post, answer: int, state: str) -> None:
    post.server.on(result_of(1), reply(answer))
    opened = write_taken(post.journal, "gone", "Demo", taken(1, url=post.server.url))
    post.courier.start()
    post.deliveries.add(write_result(post.journal, opened, b"{}"))
    post.wait_until_idle()
    assert [each[1] for each in states(post.state)] == [state]
    assert len(post.bodies(result_of(1))) == 1


def test_a_restart_delivers_what_was_left(
    open_post: Callable[..., Post], server: ScriptedServer
) -> None:
    server.on(result_of(1), reply(202))
    before = open_post()
    before.owe_result()
    for body in (b"1", b"2", b"3"):
        before.journal.emit("demo", body)
    before.journal.close()
    after = open_post()
    after.courier.start()
    assert after.drain() == 0
    assert after.bodies(EVENTS) == [b"1", b"2", b"3"]
    assert len(after.bodies(result_of(1))) == 1


def test_drain_keeps_to_its_deadline_and_says_what_is_left(post: Post) -> None:
    post.server.on(EVENTS, reply(500))
    post.server.on(result_of(1), reply(401))
    post.courier.start()
    post.add_events("demo", b"1", b"2")
    post.deliveries.add(post.owe_result())
    post.server.wait_for(3)
    assert post.drain(0.05) == 3
    post.deliveries.close()
    for thread in post.courier.threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    assert len(list(post.journal.undelivered())) == 3


def test_what_is_added_while_it_drains_is_delivered(post: Post) -> None:
    """Each time a thread must hear of it, not only the one that waits for the end."""
    go_on = threading.Event()
    post.server.on(result_of(0), [go_on, reply(202)])
    post.courier.start()
    post.deliveries.add(post.owe_result(0))
    left: list[int] = []
    draining = threading.Thread(target=lambda: left.append(post.drain()))
    draining.start()
    for number in range(1, 40):
        post.server.on(result_of(number), reply(202))
        post.deliveries.add(post.owe_result(number))
        wait_until(partial(post.bodies, result_of(number)), "its post")
    go_on.set()
    draining.join(PATIENCE_SECONDS)
    assert left == [0]


def test_a_failure_of_the_host_itself_is_tried_again(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.server.on(result_of(1), reply(202))
    post.courier.start()
    delivery = post.owe_result()
    hide(post.state, "action")
    post.deliveries.add(delivery)
    text = "a delivery will be repeated: journal "
    wait_until(lambda: text in caplog.text, "the failure")
    assert "Traceback" not in caplog.text
    show(post.state, "action")
    post.wait_until_idle()
    assert states(post.state) == [(1, "delivered", "")]


def test_what_is_retried_while_it_runs_is_delivered_at_once(post: Post) -> None:
    post.server.on(result_of(1), reply(202))
    post.journal.park(post.owe_result(), "404")
    post.journal.park(post.journal.emit("demo", b"1"), "400")
    post.journal.park(post.journal.emit("demo", b"2"), "400")
    post.courier.start()
    with Editor(post.state, Clock()) as visitor:
        visitor.retry([(Kind.RESULT, 1), (Kind.EVENT, 1)])
    wait_until(lambda: post.accepted == 2, "both are delivered")
    assert post.bodies(EVENTS) == [b"1"]
    assert states(post.state) == [(1, "delivered", "")]
    assert states(post.state, "event") == [(2, "parked", "400")]


def test_what_is_dropped_while_it_waits_lets_the_next_one_go(post: Post) -> None:
    post.server.on(EVENTS, [lambda seen: reply(500 if seen.body == b"1" else 202)])
    post.courier.start()
    post.add_events("demo", b"1", b"2")
    post.server.wait_for(4)
    with Editor(post.state, Clock()) as visitor:
        visitor.drop([(Kind.EVENT, 1)])
    post.wait_until_idle()
    assert post.bodies(EVENTS)[-1] == b"2"
    assert post.accepted == 1


def test_a_delivery_that_outlasts_the_drain_is_for_the_next_start(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "flyte_host.pipeline.delivery.attempts")
    go_on = threading.Event()
    post.server.on(result_of(1), [go_on, reply(202)])
    post.courier.start()
    post.deliveries.add(post.owe_result())
    wait_until(lambda: post.bodies(result_of(1)), "its post")
    assert post.drain(0.01) == 1
    post.deliveries.close()
    post.journal.close()
    go_on.set()
    for thread in post.courier.threads:
        thread.join(PATIENCE_SECONDS)
    text = "the host stopped during a delivery; the next start repeats it"
    assert caplog.messages == ["result accepted by flyte", text]
    assert all(each.exc_info is None for each in caplog.records)
    assert states(post.state) == [(1, "result", "")]


def test_a_look_into_a_broken_journal_is_repeated(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "flyte_host.pipeline.delivery.courier")
    post.journal.park(post.journal.emit("demo", b"1"), "400")
    post.courier.start()
    hide(post.state, "action")
    text = "cannot look for retried entries: journal "
    wait_until(lambda: text in caplog.text, "the failure")
    show(post.state, "action")
    execute(post.state, "UPDATE event SET state = 'waiting'")
    wait_until(lambda: post.accepted == 1, "the event is delivered")


def test_a_trouble_and_its_end_are_told_once(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline")
    post.server.on(EVENTS, reply(500), reply(500), reply(500), reply(202), reply(500), reply(202))
    post.courier.start()
    post.add_events("demo", b"1", b"2")
    post.wait_until_idle()
    failed = f"POST {post.server.url}/v1/packs/Demo/events was answered with 500"
    assert caplog.messages == [f"event not accepted yet: {failed}", "event accepted after all"] * 2


def test_an_event_of_a_pack_that_flyte_forgot_is_not_another_problem(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    post.server.on(EVENTS, reply(404), reply(202), reply(404), reply(404), reply(202))
    post.courier.start()
    post.add_events("demo", b"1")
    post.wait_until_idle()
    told = [each for each in caplog.messages if "raised" not in each]
    assert told == [
        "registered as Demo: commands echo",
        "flyte no longer knows pack Demo; registering it again",
        "registered again as Demo",
    ]
    caplog.clear()
    post.add_events("demo", b"2")
    post.wait_until_idle()
    failed = f"POST {post.server.url}/v1/packs/Demo/events was answered with 404"
    assert [each for each in caplog.messages if "event" in each] == [
        f"event not accepted yet: {failed}",
        "event accepted after all",
    ]


def delivered_of(post: Post) -> list[int]:
    return [number for number, state, _ in states(post.state) if state == "delivered"]


def test_when_flyte_is_back_all_that_waits_goes_on_at_once(
    open_post: Callable[..., Post], server: ScriptedServer
) -> None:
    """A caller that the outage turns away is told to come back after half a minute."""
    results = 60
    server.on(result_of(0), reply(503), reply(202))
    for number in range(1, results):
        server.on(result_of(number), reply(202))
    outage = Outage(Clock(rng=Middle()), base_seconds=60, cap_seconds=0.5)
    post = open_post(client_for(server.url, outage=outage))
    for number in range(results):
        post.owe_result(number)
    post.courier.start()
    # The threads that were under way when flyte went away have taken that advice, and once more
    # if the word of one that had got through before came late.
    wait_until(
        lambda: len(delivered_of(post)) >= results - 2 * THREADS,
        "all others are delivered",
    )


def test_a_flood_of_one_pack_does_not_delay_the_result_of_another(
    server: ScriptedServer, open_post: Callable[..., Post]
) -> None:
    post = open_post()
    body = b'{"event":"Tick"}'
    execute(
        post.state,
        "INSERT INTO event (instance, body, changed_at) VALUES ('other', ?, '2030')",
        [(body,)] * 100_000,
    )
    post.courier.start()
    wait_until(lambda: post.bodies(OTHER_EVENTS), "the flood is under way")
    post.deliveries.add(post.owe_result())
    wait_until(lambda: post.bodies(result_of(1)), "the result is there")
    assert post.deliveries.waiting("other") > 90_000


def test_events_beyond_the_backlog_wait_for_room(
    server: ScriptedServer, open_post: Callable[..., Post], caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()

    def accept(_: Seen) -> bytes:
        assert go_on.wait(PATIENCE_SECONDS)
        return reply(202)

    server.on(EVENTS, [accept])
    post = open_post(most_events=2)
    post.courier.start()
    post.deliveries.rooms.wait("demo")
    post.add_events("demo", b"{}", b"{}")
    post.deliveries.rooms.wait("other")
    passed = threading.Semaphore(0)

    def wait() -> None:
        post.deliveries.rooms.wait("demo")
        passed.release()

    threading.Thread(target=wait, daemon=True).start()
    words = "2 events of pack demo wait for flyte: it can raise no more until some are delivered"
    wait_until(lambda: words in caplog.messages, "it waits")
    assert not passed.acquire(timeout=0.05)
    go_on.set()
    assert passed.acquire(timeout=PATIENCE_SECONDS)


def test_nobody_waits_for_room_when_the_host_stops(open_post: Callable[..., Post]) -> None:
    post = open_post(most_events=1)
    post.add_events("demo", b"{}")
    waiting = threading.Thread(target=post.deliveries.rooms.wait, args=["demo"], daemon=True)
    waiting.start()
    post.deliveries.stop()
    waiting.join(10)
    assert not waiting.is_alive()
    post.deliveries.rooms.wait("demo")


def test_thousands_of_results_do_not_delay_another_packs_event_when_flyte_is_back(
    open_post: Callable[..., Post],
) -> None:
    arrived: list[str] = []

    def behind(seen: Seen) -> ProxyAnswer:
        arrived.append(seen.path)
        url = f"http://{seen.headers['host']}"
        if seen.path == "/v1":
            return ProxyAnswer(200, links(url))
        if seen.path == "/v1/packs":
            return ProxyAnswer(201, registered(url, "Other"))
        return ProxyAnswer(202)

    count = 5000
    with FaultProxy(behind) as proxy:
        proxy.away()
        post = open_post(client_for(proxy.url))
        execute(
            post.state,
            "INSERT INTO action (instance, pack, id, command, input, result_href, taken_at,"
            " changed_at, state, result) VALUES ('demo', 'Demo', ?, 'echo', 'null', ?, '2030',"
            " '2030', 'result', '{}')",
            [(f"a{each}", f"/v1/packs/Demo/actions/a{each}/result") for each in range(count)],
        )
        post.courier.start()
        post.add_events("other", b"1")
        proxy.back()
        wait_until(lambda: proxy.requests["event"], "the event is there")
    calls = [path for path in arrived if path not in {"/v1", "/v1/packs"}]
    # Its pack is registered first, and the other threads go on meanwhile.
    assert calls.index("/v1/packs/Other/events") < count / 10


def test_a_result_is_delivered_in_the_thread_that_has_it(post: Post) -> None:
    """No thread of the courier runs: it was not started."""
    post.server.on(result_of(1), reply(202))
    post.deliver(post.owe_result())
    assert states(post.state) == [(1, "delivered", "")]
    assert (post.accepted, post.deliveries.waiting("demo")) == (1, 0)


def test_what_flyte_does_not_accept_at_once_is_brought_later(post: Post) -> None:
    post.server.on(result_of(1), reply(500), reply(202))
    post.deliver(post.owe_result())
    assert states(post.state) == [(1, "result", "")]
    assert post.deliveries.waiting("demo") == 1
    post.courier.start()
    post.wait_until_idle()
    assert states(post.state) == [(1, "delivered", "")]


def test_while_flyte_is_away_a_result_is_not_tried(post: Post) -> None:
    post.client.outage.failed("flyte has a problem", 60)
    post.deliver(post.owe_result())
    assert post.bodies(result_of(1)) == []
    assert post.deliveries.waiting("demo") == 1


def test_a_result_that_the_courier_found_first_is_sent_once(post: Post) -> None:
    post.server.on(result_of(1), reply(202))
    delivery = post.owe_result()
    post.deliveries.add(delivery)
    post.deliver(delivery)
    assert post.bodies(result_of(1)) == []
    post.courier.start()
    post.wait_until_idle()
    assert len(post.bodies(result_of(1))) == 1


def test_a_drain_in_an_outage_returns_at_once(post: Post) -> None:
    """All is in the journal, and a minute of waiting would change nothing."""
    post.server.on(result_of(1), reply(503))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    wait_until(lambda: post.client.outage.failures > 1, "flyte is away")
    assert post.drain(600) == 1  # far beyond the time that a test has
    assert states(post.state) == [(1, "result", "")]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_drain_does_not_wait_for_a_flyte_that_accepts_nothing(post: Post, status: int) -> None:
    post.server.on(EVENTS, reply(status))
    post.server.on(result_of(1), reply(status) if status == 401 else reply(500))
    post.server.on(AUDIT, reply(500))
    post.courier.start()
    post.add_events("demo", b"1", b"2")
    post.deliveries.add(post.owe_result())
    assert post.drain(600) == 3  # far beyond the time that a test has


def test_a_drain_ends_when_nothing_is_left_but_what_is_refused(post: Post) -> None:
    go_on = threading.Event()
    post.server.on(result_of(1), reply(401))
    post.server.on(EVENTS, [go_on, reply(202)])
    post.courier.start()
    post.deliveries.add(post.owe_result())
    post.add_events("demo", b"1")
    wait_until(lambda: post.retried() > 1, "the result is refused")
    go_on.set()
    assert post.drain(600) == 1
    assert post.bodies(EVENTS) == [b"1"]


def test_a_drain_does_not_give_up_after_one_broken_connection(post: Post) -> None:
    post.server.on(result_of(1), [CLOSE], reply(202))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    assert post.drain(60) == 0


def test_a_result_that_could_not_be_written_is_delivered_when_it_can(post: Post) -> None:
    post.server.on(result_of(1), reply(202))
    opened = write_taken(post.journal, "demo", "Demo", taken(1, url=post.server.url))
    post.courier.start()
    hide(post.state, "action")
    with pytest.raises(JournalError):
        write_result(post.journal, opened, b'{"event":"Ok"}')
    assert post.drain(0.1) == 1
    assert post.bodies(result_of(1)) == []  # not before it is in the journal
    show(post.state, "action")
    assert post.drain(60) == 0
    assert post.bodies(result_of(1)) == [b'{"event":"Ok"}']
    assert states(post.state) == [(1, "delivered", "")]


def test_a_dead_link_to_elsewhere_holds_up_nobody(
    open_post: Callable[..., Post], server: ScriptedServer
) -> None:
    with ScriptedServer() as gone:
        dead = gone.url
    post = open_post()
    server.on(result_of(2), reply(202))
    opened = write_taken(post.journal, "demo", "Demo", taken(1, url=dead))
    post.courier.start()
    post.deliveries.add(write_result(post.journal, opened, b"{}"))
    wait_until(lambda: post.retried() > 3, "attempts at the dead link")
    post.deliver(post.owe_result(2))
    assert len(post.bodies(result_of(2))) == 1
    assert post.client.outage.since is None


def test_links_to_elsewhere_that_hang_hold_up_nobody(
    open_post: Callable[..., Post], server: ScriptedServer
) -> None:
    """More of one pack than the courier has threads; the results of the other pack arrive."""
    post = open_post(client_for(server.url, timeout_seconds=0.3))
    for number in range(10, 20):
        server.on(result_of(number), reply(202))
    post.courier.start()
    with bad_server(ANY_PROTOCOL["silent"]) as port:
        for number in range(1, 7):
            dead = taken(number, url=f"http://127.0.0.1:{port}")
            post.deliveries.add(
                write_result(post.journal, write_taken(post.journal, "demo", "Demo", dead), b"{}")
            )
        for number in range(10, 20):
            opened = write_taken(post.journal, "other", "Other", taken(number, url=server.url))
            post.deliveries.add(write_result(post.journal, opened, b"{}"))
        wait_until(lambda: not post.deliveries.waiting("other"), "the others have arrived")
        wait_until(lambda: post.retried() >= 6, "attempts at the dead links")
    assert post.client.outage.since is None
    assert post.deliveries.waiting("demo") == 6


def test_a_drain_does_not_wait_for_a_flyte_that_hangs(
    open_post: Callable[..., Post], server: ScriptedServer
) -> None:
    """It accepts the probe, and never answers: only its timeout would end that."""
    over = threading.Event()

    def hang(_: Seen) -> bytes:
        over.wait()
        return reply(202)

    server.on(result_of(1), reply(503), [hang])
    post = open_post(client_for(server.url, timeout_seconds=10 * PATIENCE_SECONDS))
    post.courier.start()
    post.deliveries.add(post.owe_result())
    wait_until(lambda: len(post.bodies(result_of(1))) == 2, "the probe is under way")
    assert post.drain(10 * PATIENCE_SECONDS) == 1
    assert not over.is_set()
    over.set()
    post.wait_until_idle()


def test_after_an_outage_one_line_says_that_what_waited_has_arrived(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.pipeline.delivery.deliveries")
    back = threading.Event()

    def answer(_: Seen) -> bytes:
        return reply(202 if back.is_set() else 503)

    post.courier.start()
    for number in range(1, 4):
        post.server.on(result_of(number), [answer])
        post.deliver(post.owe_result(number))
    post.server.on(EVENTS, [answer])
    post.add_events("demo", b"1", b"2")
    wait_until(lambda: post.client.outage.failures > 1, "flyte is away")
    back.set()
    post.wait_until_idle()
    post.server.on(result_of(4), reply(202))
    post.deliver(post.owe_result(4))
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.INFO]
    assert told == ["delivered what had waited for flyte: 3 results and 2 events"]


class Listener(logging.Handler):
    """A plugin that asks the host something whenever the host logs."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__(logging.WARNING)
        self._ask = ask
        self.answered = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self._ask()
        self.answered.set()


@contextmanager
def listening(ask: Callable[[], object]) -> Iterator[Listener]:
    listener = Listener(ask)
    logging.getLogger("flyte_host").addHandler(listener)
    yield listener
    logging.getLogger("flyte_host").removeHandler(listener)


def test_a_listener_to_the_log_may_ask_the_host(open_post: Callable[..., Post]) -> None:
    post = open_post(most_events=1)
    post.add_events("demo", b"{}")
    with listening(lambda: post.deliveries.waiting("demo")) as listener:
        threading.Thread(target=post.deliveries.rooms.wait, args=["demo"], daemon=True).start()
        assert listener.answered.wait(10)
    post.deliveries.stop()


def test_a_listener_to_the_log_may_raise_an_event(open_post: Callable[..., Post]) -> None:
    post = open_post()
    hide(post.state, "action")
    numbers: queue.Queue[int] = queue.Queue()

    def take() -> None:
        with suppress(JournalError):
            write_taken(post.journal, "demo", "Demo", taken(1))

    with listening(lambda: numbers.put(post.journal.emit("demo", b"{}").number)) as listener:
        threading.Thread(target=take, daemon=True).start()
        assert listener.answered.wait(PATIENCE_SECONDS)
    assert numbers.get() == 1
    show(post.state, "action")
