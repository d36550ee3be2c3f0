"""Several flytes on one PostgreSQL: each answers for all, and what one does the others know."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from flyte_host.embedded.announcements import read_announcement
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.embedded.conftest import EmbeddedCaller

Start = Callable[..., EmbeddedCaller]

LONG = "x" * 9_000


class Told:
    """Hears of actions, and remembers which."""

    def __init__(self) -> None:
        self.packs: Counter[tuple[str, str]] = Counter()

    def wake(self, pack_name: str, labels: Mapping[str, str]) -> None:
        self.packs[pack_name, json.dumps(labels)] += 1


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def one(start: Start) -> EmbeddedCaller:
    caller = start()
    caller.pack()
    return caller


@pytest.fixture
def two(start: Start, told: Told, one: EmbeddedCaller) -> EmbeddedCaller:
    """A second flyte, which hears what the first one announces."""
    return hears(start(waker=told), one)


def hears(caller: EmbeddedCaller, other: EmbeddedCaller) -> EmbeddedCaller:
    def is_heard() -> bool:
        other.event("Nobody waits for this")
        return bool(unheard(caller))

    wait_until(is_heard, "it listens")
    return caller


def unheard(caller: EmbeddedCaller) -> list[str]:
    found = caller("GET", "/v1/audit/decisions").get_json()["unheard"]
    return [each["event"]["event"] for each in found]


def test_each_answers_for_all(one: EmbeddedCaller, two: EmbeddedCaller, step: Any) -> None:
    first = step("Go", "one", id="a")
    one.flow(first, step("Done", "two", id="b", dependsOn=["a"]))
    two.event("Go", {"n": 1})
    assert one.finish(two.take(), "Done") == 202
    action = two.take()
    assert action is not None
    assert action["command"] == "two"
    assert one.executions() == two.executions()
    assert two.finish(action, "Done") == 202
    assert one.finish(action, "Done") == 500


def test_a_new_version_counts_everywhere(
    one: EmbeddedCaller, two: EmbeddedCaller, step: Any
) -> None:
    one.flow(step("Go", "old"))
    two.event("Go")
    one.flow(step("Go", "new"))
    two.event("Go")
    assert [(two.take() or {})["command"] for _ in range(2)] == ["old", "new"]


def test_results_by_all_at_once_start_a_step_once(start: Start, step: Any) -> None:
    callers = [start() for _ in range(4)]
    callers[0].pack()
    ids = [f"{number}" for number in range(8)]
    callers[0].flow(
        *[step("Go", number, id=number) for number in ids],
        step("Done", "last", id="last", dependsOn=ids),
    )
    for _ in range(5):
        callers[0].event("Go")
        actions = [callers[number % 4].take() for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            finishing = [
                pool.submit(callers[number % 4].finish, action, "Done")
                for number, action in enumerate(actions)
            ]
        assert {each.result() for each in finishing} == {202}
        assert [each["command"] for each in iter(callers[1].take, None)] == ["last"]


def test_another_flyte_is_told_of_actions(
    one: EmbeddedCaller, two: EmbeddedCaller, told: Told, step: Any
) -> None:
    own = step("Go", "c")
    own["command"]["packLabels"] = {"env": "dev"}
    one.flow(own, step("Go", "d"), step("Go", "e"))
    one.event("Go")
    wait_until(lambda: told.packs[("P", "{}")], "it is told")
    assert told.packs == {("P", '{"env": "dev"}'): 1, ("P", "{}"): 1}


def test_another_flyte_is_told_of_packs_that_are_deleted(
    one: EmbeddedCaller, two: EmbeddedCaller, told: Told
) -> None:
    one.pack("Q", labels={"env": "dev"})
    assert one("DELETE", "/v1/packs/Q.env.dev").status_code == 204
    wait_until(lambda: told.packs[("Q", '{"env": "dev"}')], "it is told")


def test_what_cannot_be_announced_is_found(
    one: EmbeddedCaller, two: EmbeddedCaller, told: Told, step: Any
) -> None:
    """The name is longer than what an announcement may be."""
    long = step("Go", "c")
    long["command"]["packName"] = LONG
    one.flow(long)
    one.event("Go")
    wait_until(lambda: told.packs[(LONG, "{}")], "it is told")


def test_what_was_missed_is_found(
    one: EmbeddedCaller, two: EmbeddedCaller, told: Told, step: Any, store: str
) -> None:
    """Its connection was away while an action came."""
    one.flow(step("Go", "c"))
    one.event("Go")
    wait_until(lambda: told.packs[("P", "{}")], "it is told")
    before = told.packs[("P", "{}")]
    with psycopg.connect(store, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
    wait_until(lambda: told.packs[("P", "{}")] > before, "it is told of what waits")
    hears(two, one)


def test_decisions_of_one_are_known_to_all(
    one: EmbeddedCaller, two: EmbeddedCaller, step: Any
) -> None:
    one.flow(step("Go", "c", id="a", criteria="{{ 1 == 2 }}"), name="f")
    one.event("Go")

    def reasons() -> list[str]:
        found = two("GET", "/v1/audit/decisions?flowName=f").get_json()["decisions"]
        return [each["reason"] for each in found]

    [reason] = wait_until(reasons, "it knows")
    assert reason.startswith("criteria is ")


def test_events_with_nanoseconds_are_known_to_all(one: EmbeddedCaller, two: EmbeddedCaller) -> None:
    """Go's clients send them."""
    time = "2026-11-23T21:00:00.123456789Z"
    body = {"event": "Go", "payload": None, "createdAt": time}
    assert one("POST", "/v1/packs/P/events", body).status_code == 202
    wait_until(lambda: "Go" in unheard(two), "it knows")


def test_commands_are_those_that_any_flyte_was_told(
    one: EmbeddedCaller, two: EmbeddedCaller, step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "flyte_host.embedded")
    two.flow(step("Go", "c"))
    two.event("Go")
    assert "pack 'P' has no command 'c'" in caplog.text
    one.pack(commands=[{"name": "c", "events": [], "links": []}])

    def is_known() -> bool:
        caplog.clear()
        two.event("Go")
        return "has no command" not in caplog.text

    wait_until(is_known, "it knows the command")


def test_one_that_leaves_does_not_disturb(one: EmbeddedCaller, start: Start, step: Any) -> None:
    other = start()
    other.flyte.close()
    other.flyte.close()
    one.flow(step("Go", "c"))
    one.event("Go")
    assert one.take() is not None


def test_a_text_that_is_not_an_announcement_is_passed_over() -> None:
    nested = "[" * 3_900 + "]" * 3_900
    for text in ("", "x", '{"type":"later"}', f'{{"type":"packs","more":{nested}}}'):
        assert read_announcement(text) is None


def test_announcements_of_a_newer_version_are_passed_over(
    one: EmbeddedCaller, two: EmbeddedCaller, told: Told, store: str
) -> None:
    assert read_announcement('{"type":"later"}') is None
    before = told.packs.copy()
    with psycopg.connect(store, autocommit=True) as connection:
        connection.execute("SELECT pg_notify('flyte_host', 'x {\"type\":\"later\"}')")
    hears(two, one)
    assert told.packs == before


def test_restarts_beside_each_other(start: Start, step: Any) -> None:
    """Flytes open and close one store while others work on it."""
    one = start()
    one.pack()
    one.flow(step("Go", "c"))

    def restart(_: int) -> None:
        caller = start()
        caller.event("Go")
        caller.flyte.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(restart, range(9), timeout=PATIENCE_SECONDS))
    assert len(list(iter(one.take, None))) == 9
