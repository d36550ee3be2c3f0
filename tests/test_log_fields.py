"""A line that a handler logs is about its action, whichever logger it uses."""

import contextvars
import logging

from flyte_host.log_fields import CURRENT, add_current


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    return {name: vars(record).get(name) for name in ("pack", "action")}


def test_a_record_gets_the_fields_of_its_context() -> None:
    record = logging.makeLogRecord({"action": "own"})

    def log() -> None:
        CURRENT.set({"pack": "shop", "action": "a1"})
        add_current(record)

    contextvars.Context().run(log)
    assert fields_of(record) == {"pack": "shop", "action": "own"}


def test_a_record_outside_of_a_handler_gets_none() -> None:
    record = logging.makeLogRecord({})
    add_current(record)
    assert fields_of(record) == {"pack": None, "action": None}
