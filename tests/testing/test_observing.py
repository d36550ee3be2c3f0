"""Observers run by the kit: what they emit, and what is said when they misbehave."""

import threading
from collections.abc import Iterable

import pytest

from flyte_host import EventDef, PackDef, hookimpl
from flyte_host.hookspecs import Emit
from flyte_host.testing import Called, FlyteRunObserver
from flyte_host.testing.flyte_run_observer import FlyteRunObserver as Starter
from tests.testing.golden_pack import PagerPack, WatchPack


class Watcher:
    """An add-on that says which pack it observes."""

    @hookimpl
    def flyte_event_defs(self, pack: PackDef) -> Iterable[EventDef]:
        return [EventDef("Seen")]

    @hookimpl
    def flyte_observe(self, pack: PackDef, emit: Emit, stopping: threading.Event) -> None:
        emit(EventDef("Seen")(pack.name))


def test_what_is_emitted_is_kept(flyte_run_observer: FlyteRunObserver) -> None:
    observer = flyte_run_observer(WatchPack)
    assert observer.wait_for("Paged") == {"to": "ada"}
    assert observer.events == [Called("Paged", {"to": "ada"})]
    assert observer.stop() == [Called("Paged", {"to": "ada"})]


def test_an_add_on_observes_the_pack_that_is_named(flyte_run_observer: FlyteRunObserver) -> None:
    assert flyte_run_observer(Watcher, pack="Jira").wait_for("Seen") == "Jira"


def test_a_plugin_without_an_observer(flyte_run_observer: FlyteRunObserver) -> None:
    with pytest.raises(LookupError, match="the plugin has no flyte_observe"):
        flyte_run_observer(PagerPack)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raises", "the observer raised KeyError: 'who'"),
        (
            "undeclared",
            "the observer emitted Lost, which its pack does not declare; declared: Paged",
        ),
        ("unencodable", "the observer raised ValueError: payload of Paged"),
    ],
)
def test_a_crash_is_told_at_once(
    flyte_run_observer: FlyteRunObserver, what: str, said: str
) -> None:
    observer = flyte_run_observer(WatchPack, {"what": what})
    with pytest.raises(AssertionError, match=said):
        observer.wait_for("Queued")


def test_a_crash_has_the_traceback_of_the_observer(flyte_run_observer: FlyteRunObserver) -> None:
    with pytest.raises(AssertionError) as raised:
        flyte_run_observer(WatchPack, {"what": "raises"}).wait_for("Paged")
    cause = raised.value.__cause__
    assert isinstance(cause, KeyError)
    assert cause.__traceback__ is not None
    assert cause.__traceback__.tb_frame.f_code.co_name == "flyte_observe"


def test_an_event_that_an_observer_never_emits(flyte_run_observer: FlyteRunObserver) -> None:
    observer = flyte_run_observer(WatchPack)
    observer.wait_for("Paged")
    with pytest.raises(AssertionError) as raised:
        observer.wait_for("Queued", timeout_seconds=0)
    assert str(raised.value).startswith("the observer emitted no Queued within 0 s (at ")
    assert str(raised.value).endswith("\n  emitted: Called(name='Paged', payload={'to': 'ada'})")


def test_an_observer_that_returned_is_not_waited_for(flyte_run_observer: FlyteRunObserver) -> None:
    words = "the observer emitted no Paged before it returned; it emitted nothing"
    with pytest.raises(AssertionError, match=words):
        flyte_run_observer(WatchPack, {"what": "returns"}).wait_for("Paged")


def test_an_observer_that_does_not_stop_is_told_with_its_place(
    flyte_run_observer: FlyteRunObserver,
) -> None:
    observer = flyte_run_observer(WatchPack, {"what": "deaf"})
    observer.wait_for("Paged")
    words = r"did not return within 0.01 s after stopping was set \(at testing/golden_pack.py:"
    with pytest.raises(AssertionError, match=words):
        observer.stop(timeout_seconds=0.01)


@pytest.mark.parametrize("number", [1, 2])
def test_what_nobody_asked_for_is_told_at_the_end(number: int) -> None:
    starter = Starter()
    running = [starter(WatchPack, {"what": "raises"}) for _ in range(number)]
    with pytest.raises(AssertionError, match="the observer raised KeyError"):
        starter.stop_all()
    assert all(each.events == [] for each in running)


def test_a_crash_is_told_once() -> None:
    starter = Starter()
    observer = starter(WatchPack, {"what": "raises"})
    with pytest.raises(AssertionError):
        observer.wait_for("Paged")
    starter.stop_all()
