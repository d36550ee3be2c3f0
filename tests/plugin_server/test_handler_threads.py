"""Threads for handlers in a plugin's process: which thread a handler gets, and when it ends."""

import queue
import threading
import weakref
from functools import partial

from flyte_host.plugin_server.handler_threads import HandlerThreads
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from flyte_host.thread_watch import ThreadWatch
from tests.support.ended_thread import end_thread

Answers = queue.SimpleQueue[threading.Thread]


class Document:
    """Something large."""


def tell_about(_document: Document, answers: Answers) -> None:
    tell(answers)


def tell(answers: Answers) -> None:
    answers.put(threading.current_thread())


def test_a_thread_that_is_free_runs_the_next_handler_under_its_name() -> None:
    threads, answers = HandlerThreads(ThreadWatch(), PATIENCE_SECONDS), Answers()
    threads.start(lambda: tell(answers), "Shell:first")
    first = answers.get(timeout=PATIENCE_SECONDS)
    assert first.name == "Shell:first"
    wait_until(lambda: threads.idle == 1, "it is free")
    threads.start(lambda: tell(answers), "Shell:second")
    assert answers.get(timeout=PATIENCE_SECONDS) is first
    assert first.name == "Shell:second"
    assert first.daemon


def test_a_handler_waits_for_no_other() -> None:
    threads, answers, go_on = (
        HandlerThreads(ThreadWatch(), PATIENCE_SECONDS),
        Answers(),
        threading.Event(),
    )

    def hang() -> None:
        go_on.wait(PATIENCE_SECONDS)
        tell(answers)

    for _ in range(20):
        threads.start(hang, "hangs")
    threads.start(lambda: tell(answers), "last")
    assert answers.get(timeout=PATIENCE_SECONDS).name == "last"
    go_on.set()
    hung = {answers.get(timeout=PATIENCE_SECONDS) for _ in range(20)}
    assert len(hung) == 20
    wait_until(lambda: threads.idle == 21, "all are free")
    assert all(each.is_alive() for each in hung)


def test_a_free_thread_keeps_nothing_of_its_last_handler() -> None:
    threads, answers = HandlerThreads(ThreadWatch(), PATIENCE_SECONDS), Answers()
    for _ in range(2):  # the first one of a thread, and one that it was given
        document = Document()
        kept = weakref.ref(document)
        threads.start(partial(tell_about, document, answers), "Shell:first")
        del document
        answers.get(timeout=PATIENCE_SECONDS)
        wait_until(lambda: threads.idle == 1, "it is free")
        wait_until(lambda: kept() is None, "it has forgotten the document")  # noqa: B023


def test_a_thread_without_work_ends() -> None:
    threads, answers = HandlerThreads(ThreadWatch(), idle_seconds=0.001), Answers()
    threads.start(lambda: tell(answers), "once")
    answers.get(timeout=PATIENCE_SECONDS).join(PATIENCE_SECONDS)
    assert threads.idle == 0


def test_every_handler_runs_once_while_threads_come_and_go() -> None:
    threads, answers = HandlerThreads(ThreadWatch(), idle_seconds=0.0), Answers()
    for _ in range(500):
        threads.start(lambda: tell(answers), "quick")
    for _ in range(500):
        answers.get(timeout=PATIENCE_SECONDS)
    wait_until(lambda: threads.idle == 0, "all have ended")
    assert answers.empty()


def test_a_free_thread_that_something_ends_is_told_of() -> None:
    """A handler counts on it: without a word, it would wait forever."""
    watch, answers = ThreadWatch("the pack's process"), Answers()
    threads = HandlerThreads(watch, PATIENCE_SECONDS)
    threads.start(lambda: tell(answers), "Shell:first")
    thread = answers.get(timeout=PATIENCE_SECONDS)
    wait_until(lambda: threads.idle == 1, "it is free")
    end_thread(thread)
    threads.start(lambda: tell(answers), "Shell:second")
    thread.join(PATIENCE_SECONDS)
    words = "thread 'Shell:first' was ended by SystemExit: the pack's process cannot go on"
    assert watch.problem == words
