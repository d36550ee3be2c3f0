"""Log lines for people and for machines, and no secret in either."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flyte_host.log_output import LogOutput
from flyte_host.logs import JsonFormatter, TextFormatter, configure, flush
from flyte_host.secrets import Scrubber
from tests.support.script import run_script

SECRET = "canary-secret"
LIBRARIES = ("urllib3", "uvicorn", "asyncio")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    yield
    if LogOutput.current is not None:
        LogOutput.current.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def scrubber() -> Scrubber:
    made = Scrubber()
    made.learn(SECRET)
    return made


def record(message: str = "Shell → %s", *args: Any, **fields: Any) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "flyte_host.x", "levelno": logging.INFO, "levelname": "INFO", "msg": message}
        | {"args": args or ("Output",), "created": 1_767_323_045.25}
        | fields
    )
    made.__dict__.update(fields)
    return made


def fail(text: str) -> None:
    raise ValueError(text)  # canary-secret


def raised(text: str) -> Any:
    try:
        fail(text)
    except ValueError as error:
        return (type(error), error, error.__traceback__)


ABOUT = {"pack": "shell", "command": "Shell", "action": "6b04b44c"}


# --- text -------------------------------------------------------------------------------------


ID = "6b04d7a1620bcd7e7e1fbb16"
STEP = {"flow": "heartbeat", "step": "measure", "execution": "6b04d7a1620bcd7e7e1fbb15"}


def text_line(scrubber: Scrubber, made: logging.LogRecord) -> str:
    """Without the date before it."""
    date, _, line = TextFormatter(scrubber).format(made).partition("\n")
    assert date.startswith("on 2026-01-0")
    return line


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        (ABOUT, "INFO    shell      Shell → Output  [6b04b44c]"),
        ({}, "INFO    -          Shell → Output"),
        ({"pack": None, "action": None}, "INFO    None       Shell → Output"),
        ({"pack": ["a"], "action": 5}, "INFO    ['a']      Shell → Output  [5]"),
        ({"pack": "a-long-pack-name"}, "INFO    a-long-pack-name Shell → Output"),
        ({"action": ID}, "INFO    -          Shell → Output  […7e1fbb16]"),
        (STEP, "INFO    -          Shell → Output  [heartbeat.measure …7e1fbb15]"),
        ({"flow": "f"}, "INFO    -          Shell → Output  [f]"),
        ({"duration_seconds": 0.0123456}, "INFO    -          Shell → Output  [0.0123 s]"),
        ({"duration_seconds": "long"}, "INFO    -          Shell → Output"),
    ],
    ids=range(10),
)
def test_a_line_for_people(scrubber: Scrubber, fields: dict[str, Any], end: str) -> None:
    time, rest = text_line(scrubber, record(**fields)).split(" ", 1)
    assert len(time) == len("03:04:05")
    assert time.endswith(":05")
    assert rest == end


def test_a_flow_that_the_message_names_is_not_repeated(scrubber: Scrubber) -> None:
    line = text_line(scrubber, record("flow %s: queued", "heartbeat", **STEP))
    assert line.endswith("flow heartbeat: queued  […7e1fbb15]")


def test_lines_of_an_action_fit_into_100_columns(scrubber: Scrubber) -> None:
    about = {"pack": "shell", "action": ID, **STEP, "duration_seconds": 12.345}
    queued = "flow %s, step %r: queued %s for pack %s"
    lines = [
        text_line(scrubber, record("%s started", "Shell", **about)),
        text_line(scrubber, record("%s → %s", "Shell", "Output", **about)),
        text_line(scrubber, record(queued, "heartbeat", "measure", "Shell", "Shell", **STEP)),
    ]
    assert max(map(len, lines)) <= 100


def test_the_date_comes_first_and_when_another_day_begins(scrubber: Scrubber) -> None:
    formatter = TextFormatter(scrubber)
    days = [formatter.format(record(created=1e9 + hours * 3600)) for hours in (0, 1, 25, 26)]
    assert [line.count("\n") for line in days] == [1, 0, 1, 0]
    assert re.match(r"on 2001-09-\d\d, UTC[+-]\d\d:\d\d\n\d\d:", days[0])
    assert not days[0][0].isdigit()


def test_colours_mark_levels_and_what_is_less_important(scrubber: Scrubber) -> None:
    formatter = TextFormatter(scrubber, colour=True)
    lines = formatter.format(record(levelname="WARNING", **ABOUT)).split("\n")
    assert lines[0].startswith("\x1b[2mon ")
    assert "\x1b[33mWARNING\x1b[0m" in lines[1]
    assert lines[1].endswith("\x1b[2m  [6b04b44c]\x1b[0m")
    assert "\x1b" not in formatter.format(record()).split(" ", 1)[1]


def test_text_of_others_has_no_colour(scrubber: Scrubber) -> None:
    line = TextFormatter(scrubber, colour=True).format(record("%s", "\x1b[31mred"))
    assert "\x1b[31m" not in line


def test_an_exception_follows_its_line_for_people(scrubber: Scrubber) -> None:
    lines = text_line(scrubber, record(exc_info=raised("boom"))).splitlines()
    assert lines[0].endswith("Shell → Output")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: boom"


FORGED = "x\n2026-01-01 00:00:00 CRITICAL all is lost\x1b[31m\x9b\u2028\u202e"
SEEN = r"x\n2026-01-01 00:00:00 CRITICAL all is lost\x1b[31m\x9b\u2028\u202e"


def test_text_of_others_forges_no_line(scrubber: Scrubber) -> None:
    fields = {"pack": FORGED, "action": FORGED}
    line = text_line(scrubber, record("a pack: %s", FORGED, **fields))
    assert line.endswith(f"{SEEN} a pack: {SEEN}  […{SEEN[-8:]}]")
    assert line.isprintable()


def test_a_new_line_at_the_end_is_not_text(scrubber: Scrubber) -> None:
    assert TextFormatter(scrubber).format(record("%s", "a warning\n\n")).endswith(" a warning")


def test_an_exception_forges_no_line(scrubber: Scrubber) -> None:
    text = TextFormatter(scrubber).format(record(exc_info=raised(FORGED)))
    assert text.split("\n")[-2:] == [
        "ValueError: x",
        r"    2026-01-01 00:00:00 CRITICAL all is lost\x1b[31m\x9b\u2028\u202e",
    ]


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter])
def test_an_exception_of_another_process_is_shown_as_one(
    scrubber: Scrubber, formatter: type[TextFormatter | JsonFormatter]
) -> None:
    there = record(exc_text="Traceback\nValueError: canary-secret")
    here = formatter(scrubber).format(there).replace("\\n", "\n")
    assert "Traceback\nValueError: ***" in here


# --- json -------------------------------------------------------------------------------------


def test_an_object_for_machines(scrubber: Scrubber) -> None:
    line = JsonFormatter(scrubber).format(record(**ABOUT))
    assert "\n" not in line
    assert "→" in line
    assert json.loads(line) == {
        "time": "2026-01-02T03:04:05.250+00:00",
        "level": "info",
        "logger": "flyte_host.x",
        "message": "Shell → Output",
        "pack": "shell",
        "command": "Shell",
        "action": "6b04b44c",
    }


def test_a_machine_gets_all_that_a_line_is_about(scrubber: Scrubber) -> None:
    about: dict[str, Any] = {**ABOUT, **STEP, "event": "Output", "duration_seconds": 0.12345678}
    document = json.loads(JsonFormatter(scrubber).format(record(**about)))
    assert {name: document[name] for name in about} == about | {"duration_seconds": 0.123457}


def test_fields_that_are_not_known_are_left_out(scrubber: Scrubber) -> None:
    document = json.loads(JsonFormatter(scrubber).format(record(pack="", action=None)))
    assert document.keys() == {"time", "level", "logger", "message"}


def test_fields_of_a_plugin_may_be_anything(scrubber: Scrubber) -> None:
    document = json.loads(JsonFormatter(scrubber).format(record(pack={1}, action=b"x")))
    assert (document["pack"], document["action"]) == ("{1}", "b'x'")


def test_an_exception_is_one_string_for_machines(scrubber: Scrubber) -> None:
    line = JsonFormatter(scrubber).format(record(exc_info=raised("boom")))
    assert "\n" not in line
    exception = json.loads(line)["exception"]
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith("\nValueError: boom")


def test_an_object_is_one_line_whatever_reads_it(scrubber: Scrubber) -> None:
    line = JsonFormatter(scrubber).format(record("%s", FORGED + "\x7f\x85\ud800"))
    assert line.isprintable()
    assert json.loads(line)["message"] == FORGED + "\x7f\x85\ud800"


# --- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter])
@pytest.mark.parametrize(
    "fields",
    [
        {"msg": f"login with {SECRET}", "args": ()},
        {"msg": "login with %s", "args": (SECRET,)},
        {"exc_info": raised(f"login with {SECRET}")},
        {"pack": SECRET},
        {"action": SECRET},
        {"flow": SECRET},
        {"step": SECRET, "flow": "f"},
        {"execution": SECRET},
    ],
    ids=["message", "argument", "exception", "pack", "action", "flow", "step", "execution"],
)
def test_no_line_shows_a_secret(
    scrubber: Scrubber, formatter: Callable[[Scrubber], logging.Formatter], fields: dict[str, Any]
) -> None:
    line = formatter(scrubber).format(record(**fields))
    assert SECRET not in line
    assert "***" in line


def test_a_secret_in_a_line_of_the_source_is_scrubbed_too(scrubber: Scrubber) -> None:
    for formatter in (TextFormatter(scrubber), JsonFormatter(scrubber)):
        line = formatter.format(record(exc_info=raised("boom")))
        assert "raise ValueError(text)  # ***" in line


# --- configure --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
def test_everything_that_is_logged_comes_out_in_the_chosen_form(
    scrubber: Scrubber, form: str
) -> None:
    stream = io.StringIO()
    output = configure(form, "info", scrubber, stream)
    logging.getLogger("flyte_host.x").info("one %s", SECRET, extra={"pack": "shell"})
    logging.getLogger("some_plugin").debug("two")
    assert output.flush(30)
    line = stream.getvalue().splitlines()[-1]
    assert stream.getvalue().count("\n") == (1 if form == "json" else 2)
    if form == "json":
        document = json.loads(line)
        assert (document["message"], document["pack"]) == ("one ***", "shell")
    else:
        assert line.endswith(" INFO    shell      one ***")


@pytest.mark.parametrize(
    ("level", "of_libraries"),
    [("debug", logging.WARNING), ("warning", logging.WARNING), ("error", logging.ERROR)],
)
def test_libraries_log_warnings_only(scrubber: Scrubber, level: str, of_libraries: int) -> None:
    configure("text", level, scrubber, io.StringIO())
    assert logging.getLogger().level == getattr(logging, level.upper())
    assert {logging.getLogger(name).level for name in LIBRARIES} == {of_libraries}


def test_lines_go_to_stderr_unless_told_otherwise(
    scrubber: Scrubber, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("text", "info", scrubber)
    logging.getLogger("x").warning("look here")
    flush(30)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(" WARNING -          look here\n")


def test_a_second_configuration_replaces_the_first(scrubber: Scrubber) -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("text", "info", scrubber, first)
    configure("text", "info", scrubber, second)
    logging.getLogger("x").warning("once")
    flush(30)
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


UNCAUGHT = """
import sys, threading, warnings
from flyte_host.secrets import Scrubber
from flyte_host.logs import configure, log_uncaught

scrubber = Scrubber()
scrubber.learn("hunter2")
configure("json", "info", scrubber)
log_uncaught()

class Late:
    def __del__(self):
        raise ValueError("late hunter2")

def leave():
    raise SystemExit("hunter2")

def fail():
    raise ValueError("threaded hunter2")

for target in (leave, fail):
    thread = threading.Thread(target=target, name=target.__name__)
    thread.start()
    thread.join()
Late()
warnings.warn("warned of hunter2")
raise RuntimeError("main hunter2")
"""


def test_uncaught_exceptions_are_logged_like_the_rest() -> None:
    done = run_script(UNCAUGHT, status=1)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["error", "error", "warning", "critical"]
    assert lines[0]["message"] == "uncaught exception in the thread 'fail'"
    assert lines[0]["exception"].endswith("ValueError: threaded ***")
    assert lines[1]["message"] == "uncaught exception in a destructor or callback"
    assert lines[1]["exception"].endswith("ValueError: late ***")
    assert "UserWarning: warned of ***" in lines[2]["message"]
    assert lines[3]["message"] == "internal error (please report this)"
    assert lines[3]["exception"].endswith("RuntimeError: main ***")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("name", ["NOTE\n12:00:00 CRITICAL", "\x1b[31mNOTE", ("NOTE",)])
def test_the_name_of_a_level_is_foreign_text(scrubber: Scrubber, name: Any) -> None:
    line = TextFormatter(scrubber).format(record(levelname=name)).split("\n", 1)[1]
    assert line.isprintable()
    assert "NOTE" in line
    assert "note" in json.loads(JsonFormatter(scrubber).format(record(levelname=name)))["level"]
