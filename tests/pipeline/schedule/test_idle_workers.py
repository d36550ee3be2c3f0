"""Which worker waits, who watches the clock, and who is woken."""

import math
import threading
from collections.abc import Callable

from flyte_host.pipeline.schedule.idle_workers import KEPT, IdleWorkers
from flyte_host.pipeline.schedule.lookout import Lookout
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

LONG = 3600.0


class Crew:
    """Threads that wait once each; ``left`` has what they were told, in order."""

    def __init__(self, linger_seconds: float = LONG) -> None:
        self.lock = threading.Lock()
        self.idle = IdleWorkers(self.lock, Lookout(self.lock), linger_seconds=linger_seconds)
        self.left: list[tuple[str, bool]] = []

    def wait(self, name: str, due: float = math.inf, seconds: float = LONG) -> threading.Thread:
        def run() -> None:
            with self.lock:
                stays = self.idle.wait(due, seconds)
                self.left.append((name, stays))

        before = self.waiting()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        if seconds > 1:
            wait_until(lambda: self.waiting() > before, f"{name} waits")
        return thread

    def waiting(self) -> int:
        with self.lock:
            return self.idle.waiting

    def do(self, act: Callable[[], object]) -> object:
        with self.lock:
            return act()

    def wait_left(self, *names: str) -> None:
        wanted = [(name, True) for name in names]
        wait_until(lambda: self.left == wanted, f"{names} go on")


def test_the_leader_goes_on_when_something_is_due() -> None:
    crew = Crew()
    crew.wait("leader", due=0.01, seconds=0.01)
    crew.wait_left("leader")
    assert crew.waiting() == 0


def test_a_call_is_for_the_follower_that_came_last() -> None:
    crew = Crew()
    for name in ("leader", "first", "second"):
        crew.wait(name)
    crew.do(crew.idle.call)
    crew.wait_left("second")
    assert crew.waiting() == 2


def test_a_leader_without_followers_is_called_itself() -> None:
    crew = Crew()
    crew.wait("leader")
    crew.do(crew.idle.call)
    crew.wait_left("leader")
    assert crew.do(crew.idle.promote) is True  # nobody is left to lead


def test_nobody_is_called_while_somebody_comes() -> None:
    crew = Crew()
    crew.wait("leader")
    crew.do(crew.idle.expect)
    crew.do(crew.idle.call)
    assert crew.left == []
    assert crew.do(crew.idle.promote) is False


def test_the_leader_is_called_only_for_what_comes_before_its_time() -> None:
    crew = Crew()
    crew.wait("leader", due=100.0)
    crew.do(lambda: crew.idle.call_leader(100.0))
    assert crew.left == []
    crew.do(lambda: crew.idle.call_leader(99.0))
    crew.wait_left("leader")


def test_one_who_knows_of_something_sooner_takes_the_lead() -> None:
    crew = Crew()
    crew.wait("late", due=100.0)
    crew.wait("soon", due=50.0)
    crew.do(lambda: crew.idle.call_leader(60.0))
    assert crew.left == []
    crew.do(lambda: crew.idle.call_leader(40.0))
    crew.wait_left("soon")
    assert crew.do(crew.idle.promote) is False
    crew.wait_left("soon", "late")


def test_those_that_nobody_needs_end_after_a_while() -> None:
    crew = Crew(linger_seconds=0.01)
    threads = [threading.Thread(target=endless, args=[crew], daemon=True) for _ in range(KEPT + 4)]
    for each in threads:
        each.start()
    wait_until(lambda: sum(each.is_alive() for each in threads) == KEPT, "the others end")


def endless(crew: Crew) -> None:
    with crew.lock:
        while crew.idle.wait(math.inf, LONG):
            pass


def test_a_call_that_meets_one_who_is_about_to_end() -> None:
    """Calls and ends keep coming at once: each call brings one, and none is lost."""
    crew = Crew(linger_seconds=0.0)
    problems: list[BaseException] = []
    stopping = threading.Event()

    def work() -> None:
        try:
            while not stopping.is_set():
                with crew.lock:
                    crew.idle.wait(math.inf, LONG)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(5)]
    for each in threads:
        each.start()
    for _ in range(30_000):
        crew.do(crew.idle.call)
    stopping.set()
    for each in threads:
        while each.is_alive():
            crew.do(crew.idle.call_all)
            each.join(0.01)
    assert problems == []


def test_at_the_end_everybody_goes_on() -> None:
    crew = Crew()
    threads = [crew.wait(name) for name in ("leader", "first", "second")]
    crew.do(crew.idle.call_all)
    for each in threads:
        each.join(PATIENCE_SECONDS)
    assert sorted(crew.left) == [("first", True), ("leader", True), ("second", True)]
