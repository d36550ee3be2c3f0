"""Health checks that misbehave are unhealthy checks, whatever they do."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from flyte_host.health.checks import LIMIT_SECONDS, CheckAnswer, Checks
from flyte_host.model import Health, HealthCheck
from flyte_host.testing.waiting import PATIENCE_SECONDS


def ask(
    check: Callable[[], Any], *, limit_seconds: float = 5, critical: bool = True
) -> CheckAnswer:
    return Checks(limit_seconds).ask({"C": HealthCheck("C", check, critical)})["C"]


def raising(error: BaseException) -> Callable[[], Health]:
    def check() -> Health:
        raise error

    return check


class Truthless:
    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")


TRUTHLESS: Any = Truthless()


class ErrorOfCheck(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Trap:
    @property
    def __dict__(self) -> dict[str, object]:  # type: ignore[override]  # it is the point
        raise ErrorOfCheck

    __slots__ = ()


@dataclass
class Disk:
    free: int
    since: datetime


def test_a_limit_is_set_by_default() -> None:
    assert LIMIT_SECONDS == 5
    assert Checks().ask({}) == {}


def test_good_answers_come_as_they_are() -> None:
    assert ask(lambda: Health(True, "All good")) == CheckAnswer(True, "All good", True)
    assert ask(lambda: Health(False, {"free": 0}), critical=False) == CheckAnswer(
        False, {"free": 0}, False
    )


def test_a_status_may_be_whatever_becomes_json() -> None:
    since = datetime(2026, 1, 2, tzinfo=UTC)
    answer = ask(lambda: Health(True, {1: Disk(3, since)}))
    assert answer.status == {"1": {"free": 3, "since": "2026-01-02T00:00:00Z"}}


def test_names_are_those_of_the_question() -> None:
    good = HealthCheck("Own name", lambda: Health(True))
    assert list(Checks().ask({"Jira: Own name": good})) == ["Jira: Own name"]


@pytest.mark.parametrize(
    ("check", "status"),
    [
        (raising(ValueError("no route")), "ValueError: no route (health/test_checks.py:LINE)"),
        (raising(SystemExit(1)), "called sys.exit(1) (health/test_checks.py:LINE)"),
        (raising(KeyboardInterrupt()), "KeyboardInterrupt (health/test_checks.py:LINE)"),
        (
            raising(ErrorOfCheck()),
            "ErrorOfCheck: (its message cannot be shown) (health/test_checks.py:LINE)",
        ),
        (
            raising(OSError("no \udcff")),
            "OSError: no \\udcff (health/test_checks.py:LINE)",
        ),
        (lambda: None, "it returned nothing, expected a Health"),
        (lambda: True, "it returned a bool, expected a Health"),
        (
            lambda: Health(True, object()),
            (
                "its status is not valid JSON: it is an object, "
                "which JSON cannot hold; expected a dict, list, str, number, bool or None"
            ),
        ),
        (
            lambda: Health(True, Trap()),
            (
                "its status is not valid JSON: it is a Trap, "
                "which JSON cannot hold; expected a dict, list, str, number, bool or None"
            ),
        ),
        (
            lambda: Health(True, "\udcff"),
            r"its status is not valid JSON: it has text that is not Unicode: '\udcff'",
        ),
        (
            lambda: Health(TRUTHLESS),
            "ValueError: the truth value is ambiguous (health/test_checks.py:LINE)",
        ),
        (
            lambda **needed: Health(needed["it"]),
            "KeyError: 'it' (health/test_checks.py:LINE)",
        ),
    ],
)
def test_what_a_check_does_wrong_is_its_status(check: Callable[[], object], status: str) -> None:
    answer = ask(check)
    assert (answer.healthy, answer.critical) == (False, True)
    shown = "".join("LINE" if part.isdigit() else part for part in _parts(answer.status))
    assert shown == f"the check failed: {status}"
    msgspec.json.encode(answer.status)


def _parts(text: str) -> list[str]:
    head, mark, tail = text.partition("test_checks.py:")
    return [head, mark, tail.rstrip(")"), ")"] if mark else [head]


def test_a_status_with_a_number_that_is_not_finite_still_is_a_page() -> None:
    assert msgspec.json.encode(ask(lambda: Health(True, math.nan)).status) == b"null"


class Hanging:
    """A check that hangs until it is released, and counts how often it was called."""

    def __init__(self) -> None:
        self.calls = 0
        self.entered = threading.Event()
        self.release = threading.Event()

    def __call__(self) -> Health:
        self.calls += 1
        self.entered.set()
        self.release.wait(PATIENCE_SECONDS)
        return Health(True, "late")


def test_a_hanging_check_is_unhealthy_and_later_questions_add_no_thread() -> None:
    hanging = Hanging()
    checks = Checks(0.5)
    asked = {"C": HealthCheck("C", hanging)}
    first = checks.ask(asked)["C"]
    assert not first.healthy
    assert first.status.startswith(
        "the check failed: did not return within 0.5 s (at health/test_checks.py:"
    )
    before = threading.active_count()
    assert not checks.ask(asked)["C"].healthy
    assert (threading.active_count(), hanging.calls) == (before, 1)
    hanging.release.set()


def test_a_check_that_came_back_is_asked_again() -> None:
    hanging = Hanging()
    checks = Checks(0.5)
    asked = {"C": HealthCheck("C", hanging)}
    checks.ask(asked)
    foreign = [each for each in threading.enumerate() if each.name == "foreign-code"]
    hanging.release.set()
    for thread in foreign:
        thread.join(10)
    assert checks.ask(asked)["C"] == CheckAnswer(True, "late", True)
    assert hanging.calls == 2


def test_questions_at_the_same_time_all_get_the_answer() -> None:
    hanging = Hanging()
    checks = Checks(PATIENCE_SECONDS)
    asked = {"C": HealthCheck("C", hanging)}
    answers: list[CheckAnswer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(checks.ask(asked)["C"])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    assert hanging.entered.wait(PATIENCE_SECONDS)
    hanging.release.set()
    for thread in threads:
        thread.join(10)
    assert answers == [CheckAnswer(True, "late", True)] * 4


def test_questions_about_a_hanging_check_at_the_same_time_add_no_thread() -> None:
    hanging = Hanging()
    checks = Checks(0.3)
    asked = {"C": HealthCheck("C", hanging)}
    threads = [threading.Thread(target=checks.ask, args=[asked]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert hanging.calls == 1
    hanging.release.set()


def test_checks_run_all_at_once() -> None:
    meeting = threading.Barrier(5)

    def meet() -> Health:
        meeting.wait(PATIENCE_SECONDS)
        return Health(True)

    asked = {str(number): HealthCheck(str(number), meet) for number in range(5)}
    assert all(answer.healthy for answer in Checks(PATIENCE_SECONDS).ask(asked).values())


def test_many_hanging_checks_together_take_no_longer_than_one() -> None:
    hanging = Hanging()
    asked = {str(each): HealthCheck(str(each), hanging) for each in range(100)}
    done = threading.Event()

    def ask() -> None:
        Checks(1).ask(asked)
        done.set()

    threading.Thread(target=ask, daemon=True).start()
    assert done.wait(60), "100 times the limit would be 100 s"
    hanging.release.set()
