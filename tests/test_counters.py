"""Plain counting: nothing is lost between threads, and labels are bounded."""

import threading

from flyte_host.counters import ANSWERS, BOUNDS_SECONDS, CALLS, TAKES, UNKNOWN, Counters, Exemplar
from flyte_host.errors import FlyteError
from flyte_host.pipeline.workers.taker import OF_A_TAKE
from flyte_host.testing.waiting import PATIENCE_SECONDS

COMMANDS = {"jira": ["create", "close"], "bare": []}


def counted(numbers: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    return {labels: number for labels, number in numbers.items() if number}


def test_all_that_is_expected_begins_at_nothing() -> None:
    counts = Counters(COMMANDS)
    assert set(counts.takes.read()) == {(pack, each) for pack in COMMANDS for each in TAKES}
    assert ("jira", "close", "timeout") in counts.endings.read()
    assert len(counts.endings.read()) == 2 * 3
    assert len(counts.deliveries.read()) == 2 * 2 * 3
    assert set(counts.calls.read()) == {(call, answer) for call in CALLS for answer in ANSWERS}
    assert set(counts.events.read()) == set(counts.blockages.read()) == {("jira",), ("bare",)}
    assert counts.durations.read() == {}
    everything = [counts.takes, counts.endings, counts.deliveries, counts.events, counts.calls]
    assert [counted(each.read()) for each in everything] == [{}] * 5


def test_what_is_not_declared_is_unknown() -> None:
    counts = Counters(COMMANDS)
    for number in range(50):
        counts.ended("jira", f"made-up-{number}", "fatal", None)
        counts.ended(f"gone-{number}", "create", "fatal", None)
        counts.took(f"gone-{number}", "empty")
        counts.delivered(f"gone-{number}", "event", "parked")
        counts.raised(f"gone-{number}")
        counts.blocked("")
    assert counted(counts.endings.read()) == {
        ("jira", UNKNOWN, "fatal"): 50,
        (UNKNOWN, UNKNOWN, "fatal"): 50,
    }
    assert counted(counts.takes.read()) == {(UNKNOWN, "empty"): 50}
    assert counted(counts.deliveries.read()) == {(UNKNOWN, "event", "parked"): 50}
    assert counted(counts.events.read()) == {(UNKNOWN,): 50}
    assert counted(counts.blockages.read()) == {(UNKNOWN,): 50}


def test_a_duration_is_in_the_bucket_whose_bound_it_does_not_pass() -> None:
    counts = Counters(COMMANDS)
    for seconds in (0.0, BOUNDS_SECONDS[0], BOUNDS_SECONDS[0] + 0.001, BOUNDS_SECONDS[-1] + 1):
        counts.ended("jira", "create", "success", seconds)
    counts.ended("jira", "create", "fatal", None)
    [(labels, spread)] = counts.durations.read().items()
    assert labels == ("jira", "create")
    assert spread.buckets == (2, 1, *[0] * 8, 1)
    assert spread.sum == 0.01 + 0.011 + 301
    assert counts.endings.read()["jira", "create", "success"] == 4


def test_a_bucket_names_the_last_trace_that_is_recorded() -> None:
    counts = Counters(COMMANDS)
    first, second = (f"00-{'a' * 32}-{number * 16}-01" for number in "12")
    unrecorded = first[:-1] + "0"
    for seconds, trace in ((0.001, first), (0.002, second), (0.003, unrecorded), (0.1, "")):
        counts.ended("jira", "create", "success", seconds, trace)
    counts.ended("jira", "create", "fatal", None, first)
    [spread] = counts.durations.read().values()
    assert spread.exemplars == {0: Exemplar(0.002, second)}


def test_what_was_read_does_not_change() -> None:
    counts = Counters(COMMANDS)
    counts.ended("jira", "create", "success", 1)
    before, spreads = counts.endings.read(), counts.durations.read()
    counts.ended("jira", "create", "success", 1)
    assert before["jira", "create", "success"] == 1
    assert sum(spreads["jira", "create"].buckets) == 1


def test_threads_lose_nothing() -> None:
    counts = Counters(COMMANDS)

    def count() -> None:
        for _ in range(2000):
            counts.ended("jira", "create", "success", 0.5)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE_SECONDS)
    assert counts.endings.read()["jira", "create", "success"] == 16_000
    assert sum(counts.durations.read()["jira", "create"].buckets) == 16_000
    assert counts.durations.read()["jira", "create"].sum == 8_000


def test_every_error_of_flyte_has_a_word_that_is_counted() -> None:
    words = [each.word for each in FlyteError.__subclasses__()]
    assert ["ok", *sorted(words)] == [ANSWERS[0], *sorted(ANSWERS[1:])]
    of_takes = sorted(OF_A_TAKE.get(each, each) for each in words)
    assert of_takes == sorted(TAKES[2:])
