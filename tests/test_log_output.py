"""The log continues, whatever plugins do to logging, and even if nobody reads it."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flyte_host.log_output.host_logger import HostLogger
from flyte_host.log_output.log_listeners import LISTENER_QUEUE
from flyte_host.log_output.log_output import LARGEST_QUEUE, LONGEST_MESSAGE, LogOutput
from flyte_host.testing.waiting import wait_until

log = logging.getLogger("flyte_host.tried")
SECONDS = 30


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def output(stream: io.StringIO) -> Iterator[LogOutput]:
    """One that writes each message as its line; logging is as before after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    root.setLevel(logging.INFO)
    made = LogOutput(logging.Formatter("%(message)s"), logging.INFO, stream)
    made.start()
    yield made
    made.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(output: LogOutput, stream: io.StringIO) -> list[str]:
    assert output.flush(SECONDS)
    return stream.getvalue().splitlines()


def test_lines_come_out_in_order_in_the_levels_that_are_logged(
    output: LogOutput, stream: io.StringIO
) -> None:
    for number in range(300):
        log.info("line %d", number)
        log.debug("not this one")
    assert lines(output, stream) == [f"line {number}" for number in range(300)]


class LoggerOfALibrary(logging.Logger):
    """As ``logging.setLoggerClass`` gives to all loggers that are made from then on."""


def test_a_logger_of_another_class_writes_there_too(output: LogOutput, stream: io.StringIO) -> None:
    log.__class__ = LoggerOfALibrary
    output.attach()
    log.info("the host's")
    assert lines(output, stream) == ["the host's"]
    assert type(log) is HostLogger


def test_a_logger_made_later_writes_there_too(output: LogOutput, stream: io.StringIO) -> None:
    logging.getLogger("flyte_host.tried.later").warning("late")
    assert lines(output, stream) == ["late"]


def test_a_plugin_that_configures_logging_delays_no_line(
    output: LogOutput, stream: io.StringIO
) -> None:
    """``dictConfig`` holds this lock as long as the handlers that it makes need to connect."""
    with logging._lock:  # type: ignore[attr-defined]
        log.info("one")
        assert lines(output, stream) == ["one"]
        log.info("two")
        assert lines(output, stream) == ["one", "two"]


def test_the_hosts_levels_keep_their_names(
    output: LogOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.levelname)  # type: ignore[method-assign]
    monkeypatch.setitem(logging._levelToName, logging.INFO, "\x1b[31m")
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    log.info("one")
    wait_until(lambda: heard == ["INFO"], "the record, with the host's name of its level")


def test_a_name_that_only_begins_like_the_hosts_is_a_plugins(output: LogOutput) -> None:
    assert type(logging.getLogger("flyte_host_plugin.tried")) is logging.getLoggerClass()


def test_what_a_plugin_logs_goes_there_as_well(output: LogOutput, stream: io.StringIO) -> None:
    logging.getLogger("some_plugin").warning("of %s", "mine")
    assert lines(output, stream) == ["of mine"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: log.setLevel(logging.CRITICAL),
        lambda: setattr(log, "disabled", True),
        lambda: setattr(log, "propagate", False),
        lambda: log.addFilter(lambda _: False),
        lambda: logging.disable(logging.CRITICAL),
        lambda: logging.getLogger().handlers.clear(),  # noqa: PLW0108  of the root logger then
        lambda: logging.getLogger().setLevel(logging.CRITICAL),
    ],
    ids=["level", "disabled", "propagate", "filter", "disable", "no handlers", "root level"],
)
def test_nothing_that_is_done_to_loggers_silences_the_host(
    output: LogOutput, stream: io.StringIO, spoil: Callable[[], None]
) -> None:
    try:
        spoil()
        log.info("still here")
        assert lines(output, stream) == ["still here"]
    finally:
        logging.disable(logging.NOTSET)
        log.filters.clear()
        log.propagate = True
        log.setLevel(logging.NOTSET)


def test_a_message_that_does_not_fit_its_arguments_is_told(
    output: LogOutput, stream: io.StringIO
) -> None:
    log.info("%d apples", "many")
    assert lines(output, stream) == ["'%d apples' does not fit its arguments: TypeError"]


def test_an_exception_that_cannot_be_formatted_costs_its_line_alone(
    stream: io.StringIO, output: LogOutput
) -> None:
    class Hostile(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise ValueError

    output.close()
    other = LogOutput(Hostile(), logging.INFO, stream)
    other.start()
    log.info("x")
    assert lines(other, stream) == ["a line of flyte_host.tried cannot be formatted: ValueError"]
    other.close()


def test_a_huge_message_is_cut(output: LogOutput, stream: io.StringIO) -> None:
    log.info("x" * 1_000_000)
    assert [len(line) for line in lines(output, stream)] == [LONGEST_MESSAGE + 2]


class PluginHandler(logging.Handler):
    """A plugin's handler, which does what it is told with each record."""

    def __init__(self, hear: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(record)


def test_handlers_of_plugins_hear_what_the_host_logs(output: LogOutput) -> None:
    heard: list[tuple[str, str, object]] = []

    def hear(record: logging.LogRecord) -> None:
        heard.append((record.name, record.getMessage(), getattr(record, "pack", None)))

    logging.getLogger().addHandler(PluginHandler(hear))
    log.warning("to %s", "all", extra={"pack": "jira"})
    wait_until(lambda: heard == [("flyte_host.tried", "to all", "jira")], "it is heard")


def test_a_handler_of_a_plugin_that_raises_is_named_once(
    output: LogOutput, stream: io.StringIO
) -> None:
    def fail(record: logging.LogRecord) -> None:
        raise SystemExit(record.msg)

    logging.getLogger().addHandler(PluginHandler(fail))
    log.info("first")
    wait_until(lambda: "raised SystemExit" in stream.getvalue(), "it is named")
    log.info("second")
    assert lines(output, stream) == [
        "first",
        "log handler PluginHandler raised SystemExit",
        "second",
    ]


def test_handlers_of_plugins_hear_the_last_lines(output: LogOutput) -> None:
    heard: list[str] = []

    def hear(record: logging.LogRecord) -> None:
        if not heard:
            assert far_behind.wait(SECONDS)
        heard.append(record.getMessage())

    far_behind = threading.Event()
    logging.getLogger().addHandler(PluginHandler(hear))
    for number in range(100):
        log.info("line %d", number)
    assert output.flush(SECONDS)
    assert not output.flush_to_all(0.01)
    far_behind.set()
    output.close(SECONDS)
    assert heard == [f"line {number}" for number in range(100)]


def test_nobody_waits_for_handlers_of_plugins_after_the_end(output: LogOutput) -> None:
    logging.getLogger().addHandler(PluginHandler(lambda record: None))
    log.info("heard")
    output.close(SECONDS)
    wait_until(lambda: output.flush_to_all(0.01), "nothing is left to wait for")


def test_a_handler_of_a_plugin_that_blocks_holds_up_nobody(
    output: LogOutput, stream: io.StringIO
) -> None:
    go, blocks = threading.Event(), threading.Event()

    def block(record: logging.LogRecord) -> None:
        blocks.set()
        go.wait(SECONDS)

    logging.getLogger().addHandler(PluginHandler(block))
    try:
        log.info("blocks")
        assert blocks.wait(SECONDS)
        for number in range(2 * LISTENER_QUEUE):
            log.info("line %d", number)
            if number % 500 == 0:
                output.flush(SECONDS)
        assert len(lines(output, stream)) == 2 * LISTENER_QUEUE + 1
    finally:
        go.set()


@pytest.mark.parametrize("name", ["asyncio", "urllib3.connectionpool", "py.warnings"])
def test_no_handler_of_a_plugin_runs_where_a_library_logs(
    output: LogOutput, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The host's threads run libraries too, and a plugin may want to see all that one says."""
    threads: list[str] = []

    def fail(record: logging.LogRecord) -> None:
        threads.append(threading.current_thread().name)
        raise SystemExit

    library = logging.getLogger(name)
    monkeypatch.setattr(library, "level", logging.DEBUG)
    monkeypatch.setattr(library, "handlers", [PluginHandler(fail)])
    library.debug("tried %d times", 3)
    wait_until(lambda: threads == ["log listeners"], "it is heard")
    assert "tried 3 times" in lines(output, stream)


def test_a_level_of_a_library_counts(
    output: LogOutput, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = logging.getLogger("urllib3.connectionpool")
    monkeypatch.setattr(library.parent, "level", logging.ERROR)
    library.warning("not this one")
    library.error("this one")
    assert lines(output, stream) == ["this one"]


def test_a_handler_of_a_plugin_hears_a_plugins_line_once(output: LogOutput) -> None:
    heard: list[str] = []
    logging.getLogger().addHandler(PluginHandler(lambda record: heard.append(record.getMessage())))
    logging.getLogger("some_plugin").warning("mine")
    log.warning("the host's")
    wait_until(lambda: "the host's" in heard, "it is heard")
    assert heard == ["mine", "the host's"]


class Blocked(io.StringIO):
    """A stream whose reader has stopped reading."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait(SECONDS)
        return super().write(text)


def test_a_stream_that_nobody_reads_costs_lines_which_are_counted(output: LogOutput) -> None:
    output.close()
    blocked = Blocked()
    other = LogOutput(logging.Formatter("%(message)s"), logging.INFO, blocked)
    other.start()
    count = 2 * LARGEST_QUEUE
    for number in range(count):
        log.info("line %d", number)
    assert other.flush(0.01) is False
    assert other.dropped > 0
    blocked.go.set()
    wait_until(lambda: "dropped" in blocked.getvalue(), "the drops are logged")
    written = [line for line in blocked.getvalue().splitlines() if line.startswith("line")]
    assert f"dropped {count - len(written)} log lines" in blocked.getvalue()
    other.close()


def test_a_closed_stream_ends_nothing(output: LogOutput, stream: io.StringIO) -> None:
    stream.close()
    log.info("into nothing")
    assert output.flush(SECONDS)


def test_a_second_output_takes_over(output: LogOutput, stream: io.StringIO) -> None:
    log.info("one")
    second = io.StringIO()
    LogOutput(logging.Formatter("%(message)s"), logging.INFO, second).start()
    log.info("two")
    assert LogOutput.current is not None
    assert lines(LogOutput.current, second) == ["two"]
    assert stream.getvalue().splitlines() == ["one"]
    LogOutput.current.close()


PROGRAM = """
import logging, logging.config, os, sys
from flyte_host.logs import configure
from flyte_host.secrets import Scrubber

configure("json", "info", Scrubber())
log = logging.getLogger("flyte_host.tried")
{body}
"""


def run(body: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def messages(stderr: bytes) -> list[str]:
    return [json.loads(line)["message"] for line in stderr.splitlines()]


def test_a_plugin_that_configures_logging_does_not_silence_the_host() -> None:
    with run(
        "logging.config.dictConfig({'version': 1})\n"
        "log.info('one')\n"
        "logging.config.dictConfig({'version': 1, 'loggers': {'flyte_host': {'level': 'ERROR'}},"
        " 'root': {'level': 'ERROR', 'handlers': []}})\n"
        "log.info('two')\n"
        "logging.basicConfig(force=True, level='ERROR')\n"
        "log.info('three')\n"
        "logging.shutdown()\n"
        "log.info('four')\n"
    ) as process:
        _, stderr = process.communicate(timeout=SECONDS)
    assert messages(stderr) == ["one", "two", "three", "four"]


def test_an_stderr_that_nobody_reads_freezes_nothing() -> None:
    with run(
        f"for number in range({2 * LARGEST_QUEUE}):\n"
        "    log.info('line %d', number)\n"
        "print('all logged', flush=True)\n"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"all logged\n"
        _, stderr = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
    assert messages(stderr)[0] == "line 0"


def test_a_forked_child_writes_for_itself() -> None:
    with run(
        "import warnings\n"
        "warnings.simplefilter('ignore')\n"  # Python 3.12 warns of a fork beside threads
        "log.info('parent')\n"
        "logging.getLogger('x').warning('plugin')\n"
        "if os.fork() == 0:\n"
        "    log.info('child')\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "log.info('parent again')\n"
    ) as process:
        _, stderr = process.communicate(timeout=SECONDS)
    assert sorted(messages(stderr)) == ["child", "parent", "parent again", "plugin"]


def test_a_non_blocking_stderr_gets_every_line() -> None:
    with run(
        "os.set_blocking(2, False)\n"
        "for number in range(3000):\n"
        "    log.info('line %d', number)\n"
        "from flyte_host.logs import flush\n"
        "print('logged', flush=True)\n"
        "flush(30)\n"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"logged\n"
        _, stderr = process.communicate(timeout=SECONDS)
    assert messages(stderr) == [f"line {number}" for number in range(3000)]


def test_a_plugin_that_closes_stderr_does_not_silence_the_host(tmp_path: Path) -> None:
    """Nor do lines go to the file, or the client, that gets its number next."""
    with run(
        "log.info('before')\n"
        "sys.stderr.close()\n"
        "log.info('between')\n"
        "os.close(2)\n"
        f"file = os.open({str(tmp_path / 'file')!r}, os.O_WRONLY | os.O_CREAT)\n"
        "assert file == 2\n"
        "log.info('after')\n"
    ) as process:
        _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert messages(stderr) == ["before", "between", "after"]
    assert (tmp_path / "file").read_text() == ""


def test_a_reader_that_is_gone_ends_nothing() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    program = PROGRAM.format(body="log.info('into nothing')\nprint('done')")
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=writes,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    os.close(writes)
    assert (done.returncode, done.stdout) == (0, b"done\n")
