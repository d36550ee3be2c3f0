"""A plugin in its own process behaves like one in this process, until that process dies."""

import io
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flyte_host import HealthCheck, trace_headers
from flyte_host.config import Config, FlyteConfig, PackConfig
from flyte_host.foreign_code import Misbehaved
from flyte_host.health.checks import Checks
from flyte_host.isolation.child_process import ChildProcess
from flyte_host.log_output import LogOutput
from flyte_host.packs import ServedPack, ServedPacks, merge_packs
from flyte_host.pipeline.handlers.outcome import Outcome
from flyte_host.pipeline.handlers.run_once import run_once
from flyte_host.plugins import InstalledPlugin, Loader, plugin_named
from flyte_host.secrets import Scrubber
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.handler_calls import calls_are_freed
from tests.support.isolated_pack import TRACEPARENT
from tests.support.scarcity import (
    few_descriptors,
    no_descriptors,
    no_threads,
    open_descriptors,
)

HERE, THERE = None, "process"
Load = Callable[..., ServedPacks]


@pytest.fixture
def load() -> Iterator[Load]:
    """Load one plugin of ``tests.support.isolated_pack``, by default in its own process."""
    loaders: list[Loader] = []

    def load_one(
        name: str = "Pack",
        *,
        isolation: str | None = THERE,
        limit_seconds: float = PATIENCE_SECONDS,
        memory_limit_mb: int | None = None,
        scrubber: Scrubber | None = None,
        environ: dict[str, str] | None = None,
        secret_variables: tuple[str, ...] = (),
        target: str = "",
        **settings: Any,
    ) -> ServedPacks:
        source = plugin_named("tried", target or f"tests.support.isolated_pack:{name}")
        loader = Loader(
            [source],
            environ or {},
            scrubber or Scrubber(),
            secret_variables=secret_variables,
            limit_seconds=limit_seconds,
        )
        loaders.append(loader)
        pack = PackConfig(
            "tried", isolation=isolation, memory_limit_mb=memory_limit_mb, settings=settings
        )
        config = Config(FlyteConfig("http://x"))
        return merge_packs(loader.load({"tried": pack}), config, limit_seconds=limit_seconds)

    yield load_one
    for each in loaders:
        each.close()


@pytest.fixture(scope="module")
def both() -> Iterator[dict[str | None, ServedPack]]:
    """The same pack twice: in this process, and in one of its own."""
    source = plugin_named("tried", "tests.support.isolated_pack:Pack")
    loaders = {each: Loader([source], {}, Scrubber()) for each in (HERE, THERE)}
    yield {each: only(_registry(loader, each)) for each, loader in loaders.items()}
    for loader in loaders.values():
        loader.close()


def _registry(loader: Loader, isolation: str | None) -> ServedPacks:
    pack = PackConfig("tried", isolation=isolation)
    return merge_packs(loader.load({"tried": pack}), Config(FlyteConfig("http://x")))


def only(registry: ServedPacks) -> ServedPack:
    assert not registry.broken, registry.broken
    return registry.packs["tried"]


def run(pack: ServedPack, command: str, input: Any = None) -> Outcome:
    document = input if isinstance(input, bytes) else json.dumps(input).encode()
    return run_once(pack.definition.name, pack.commands[command], document, Scrubber())


def pid_of(pack: ServedPack) -> int:
    assert pack.process is not None
    assert pack.process.child is not None
    return pack.process.child.pid


def _thread_names() -> set[str]:
    return {each.name for each in threading.enumerate()}


def payload(outcome: Outcome) -> Any:
    return json.loads(outcome.body)["payload"]


def test_a_process_tells_the_schemas_of_its_plugin(load: Load) -> None:
    here, there = load(isolation=HERE), load()
    schemas = [{name: each.input_schema for name, each in only(found).commands.items()}
               for found in (here, there)]  # fmt: skip
    assert schemas[0] == schemas[1]
    assert "count" in schemas[0]["typed"]["$defs"]["Question"]["properties"]
    assert here.plugins[0].settings_schema is not None
    assert here.plugins[0].settings_schema == there.plugins[0].settings_schema


def ask_checks(checks: tuple[HealthCheck, ...]) -> dict[str, Any]:
    answers = Checks().ask({each.name: each for each in checks})
    return {name: (each.healthy, each.status, each.critical) for name, each in answers.items()}


@pytest.mark.parametrize(
    ("command", "input"),
    [
        ("echo", {"deep": [1, 2.5, None, True, "é"]}),
        ("echo", b' {"spaced" :\n 1} '),
        ("echo", b'{"cut": '),
        ("echo", b'"\xff"'),
        ("echo", b"[" * 5000 + b"]" * 5000),
        ("typed", {"name": "x", "count": 2}),
        ("typed", {"name": 1}),
        ("typed", {}),
        ("about", None),
        ("gentle", 3),
        ("patient", "/nowhere/at/all"),
        ("boom", "x"),
        ("leave", "bye"),
        ("leave", None),
        ("nothing", None),
        ("no_json", None),
        ("undeclared", [1]),
        ("fatal", "serious"),
        ("fatal", {"not": "text"}),
        ("big", 1_000_000),
        ("big", 15_000_001),
        ("slow", "/dev/null"),
        ("settings", None),
        ("more", None),
    ],
)
def test_a_handler_there_does_what_it_does_here(
    both: dict[str | None, ServedPack], command: str, input: Any
) -> None:
    here, there = (run(both[each], command, input) for each in (HERE, THERE))
    assert there.event_name == here.event_name
    assert payload(there) == payload(here)
    assert (there.problem, there.timed_out) == (here.problem, here.timed_out)


def test_texts_that_no_message_can_carry_arrive_escaped(load: Load) -> None:
    outcome = run(only(load()), "surrogate")
    assert outcome.problem == "command 'surrogate' raised ValueError: lone \\ud800 surrogate"


def test_a_pack_there_is_the_pack_here(both: dict[str | None, ServedPack]) -> None:
    here, there = both[HERE].definition, both[THERE].definition
    assert (there.name, there.help_url, there.labels) == (here.name, here.help_url, here.labels)
    assert tuple(there.event_defs) == tuple(here.event_defs)
    for mine, other in zip(here.commands, there.commands, strict=True):
        assert mine.name == other.name
        assert tuple(mine.output_events) == tuple(other.output_events)
        assert mine.help_url == other.help_url
        assert mine.timeout_seconds == other.timeout_seconds
        assert mine.idempotent == other.idempotent
    assert ask_checks(both[THERE].health_checks) == ask_checks(both[HERE].health_checks)


def test_it_is_another_process_and_settings_arrive_as_they_are(load: Load) -> None:
    pack = only(load(since=date(2024, 2, 29), odd=-0.0, numbers=[2**70], password="p" * 9))
    assert pack.process is not None
    assert payload(run(pack, "where")) == pid_of(pack) != os.getpid()
    settings = payload(run(pack, "settings"))
    assert (settings["since"], settings["odd"]) == ("2024-02-29", "-0.0")
    assert settings["numbers"] == f"[{2**70}]"


def test_many_actions_at_once(load: Load) -> None:
    pack = only(load())
    outcomes: dict[int, Any] = {}

    def one(number: int) -> None:
        outcomes[number] = payload(run(pack, "gentle" if number % 2 else "echo", number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(200)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE_SECONDS)
    assert outcomes == {each: {"gentle": each} if each % 2 else each for each in range(200)}


@pytest.mark.parametrize("isolation", [HERE, THERE])
@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        ("constructor", "RuntimeError: cannot be made"),
        ("flyte_pack", "flyte_pack: RuntimeError: flyte_pack fails"),
        ("flyte_commands", "flyte_commands: RuntimeError: flyte_commands fails"),
        ("flyte_event_defs", "flyte_event_defs: RuntimeError: flyte_event_defs fails"),
        ("flyte_health_checks", "flyte_health_checks: RuntimeError: flyte_health_checks fails"),
    ],
)
def test_a_broken_plugin_is_broken_in_the_same_words(
    load: Load, isolation: str | None, fails: str, reason: str
) -> None:
    [broken] = load(isolation=isolation, fails=fails).broken
    assert broken.problem.startswith(reason)
    assert "support/isolated_pack.py:" in broken.problem
    assert broken.process is None


@pytest.mark.parametrize(("isolation", "limit_seconds"), [(HERE, 2), (THERE, 10)])
def test_a_hook_that_hangs_is_named_with_its_line(
    load: Load, isolation: str | None, limit_seconds: float
) -> None:
    """The limit of a plugin in its own process includes the start of that process."""
    hanging = "flyte_commands: hang"
    [broken] = load(isolation=isolation, fails=hanging, limit_seconds=limit_seconds).broken
    assert "flyte_commands: did not return within" in broken.problem
    assert "(at support/isolated_pack.py:" in broken.problem


def test_a_plugin_that_ends_its_process_is_broken(load: Load) -> None:
    [broken] = load(fails="flyte_pack: die").broken
    assert broken.problem == "flyte_pack: its process ended (exit code 3)"


def test_a_process_that_cannot_be_started(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    [broken] = load().broken
    assert broken.problem == (
        "its process cannot be started: [Errno 2] No such file or directory: '/nowhere/python'"
    )


def test_a_plugin_whose_import_ends_the_process_is_broken(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath("deadly.py").write_text("import os; os._exit(4)")
    monkeypatch.syspath_prepend(tmp_path)
    [broken] = load(target="deadly:Plugin").broken
    assert broken.problem == "its process ended (exit code 4) while the plugin was loaded"


MAIN_THREAD_ONLY = """
import asyncio, signal
{statement}
from tests.support.isolated_pack import Pack as Plugin
"""


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
            "import: ValueError: signal only works in main thread of the main interpreter",
        ),
        (
            "asyncio.get_event_loop_policy().get_event_loop()",
            "import: RuntimeError: There is no current event loop in thread",
        ),
        (
            (
                "try:\n    signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
                "except ValueError:\n    raise ImportError('cannot set up') from None"
            ),
            "import: ImportError: cannot set up",
        ),
    ],
    ids=["signal", "event loop", "an error of its own"],
)
def test_a_plugin_that_wants_the_main_thread_gets_that_of_its_process(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, problem: str
) -> None:
    name = f"main_only_{len(statement)}"
    tmp_path.joinpath(f"{name}.py").write_text(MAIN_THREAD_ONLY.format(statement=statement))
    monkeypatch.syspath_prepend(tmp_path)
    [broken] = load(target=f"{name}:Plugin", isolation=HERE).broken
    assert broken.problem.startswith(problem)
    assert broken.problem.endswith(
        'set isolation = "process" in its table: in its own process a plugin is imported in '
        "the main thread"
    )
    pack = only(load(target=f"{name}:Plugin"))
    assert payload(run(pack, "loop_of_main")) is True


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"numbers": "x"}, "settings.numbers: expected array, got str"),
        ({"pasword": "x"}, 'settings.pasword: unknown (did you mean "password"?)'),
    ],
)
def test_settings_that_do_not_fit(load: Load, settings: dict[str, Any], reason: str) -> None:
    here, there = (load(isolation=each, **settings).broken[0].problem for each in (HERE, THERE))
    assert here == there
    assert there == reason


def test_an_object_of_this_process_cannot_be_isolated() -> None:
    loader = Loader([InstalledPlugin("tried", object)], {}, Scrubber())
    [plugin] = loader.load({"tried": PackConfig("tried", isolation=THERE)})
    assert plugin.problem == (
        "cannot run in its own process: it is an object in this process, not something that "
        "is installed"
    )


def test_an_add_on_in_a_process_of_its_own_adds_to_the_packs_of_others(load: Load) -> None:
    installed = [
        plugin_named("owner", "tests.support.isolated_pack:Pack"),
        plugin_named("extra", "tests.support.isolated_pack:AddOn"),
    ]
    loader = Loader(installed, {}, Scrubber())
    packs = {"extra": PackConfig("extra", isolation=THERE)}
    registry = merge_packs(loader.load(packs), Config(FlyteConfig("http://x")))
    try:
        assert not registry.broken
        pack = registry.packs["owner"]
        assert pack.process is None
        assert payload(run(pack, "countTried")) == len(pack.commands) - 3
        assert "this command belongs to another plugin" in payload(run(pack, "askOwner"))
    finally:
        loader.close()


@pytest.mark.parametrize(
    ("command", "input", "how"),
    [
        ("segfault", None, "signal 11, SIGSEGV"),
        ("abort", None, "signal 6, SIGABRT"),
        ("die", 7, "exit code 7"),
        ("die", 0, "exit code 0"),
        ("garble", None, "it was killed: it sent something that is not a message"),
    ],
)
def test_a_death_ends_the_action_and_the_next_one_finds_a_new_process(
    load: Load, command: str, input: Any, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pack = only(load())
    before = payload(run(pack, "where"))
    problem = run(pack, command, input).problem
    assert problem.startswith(f"the pack's process ended ({how}")
    assert problem.endswith(") while this command was running")
    wait_until(lambda: f"its process ended ({how}" in caplog.text, "the end is logged")
    assert payload(run(pack, "where")) not in (before, os.getpid())
    assert payload(run(pack, "more")) == ["a"]
    assert ask_checks(pack.health_checks)["good"] == (True, {"fails": ""}, True)
    wait_until(lambda: "its process is running again" in caplog.text, "the new start is logged")


def test_a_crash_says_where(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    pack = only(load())
    run(pack, "segfault")
    wait_until(lambda: "in segfault" in caplog.text, "the place of the crash is logged")
    assert "wrote: Fatal Python error: Segmentation fault" in caplog.text


def test_a_process_killed_from_outside(load: Load, tmp_path: Path) -> None:
    pack = only(load())
    assert pack.process is not None
    outcomes: list[Outcome] = []
    mark = tmp_path / "runs"
    running = threading.Thread(
        target=lambda: outcomes.append(run(pack, "hang", str(mark))), daemon=True
    )
    running.start()
    wait_until(mark.exists, "the handler runs")
    os.kill(pid_of(pack), signal.SIGKILL)
    running.join(PATIENCE_SECONDS)
    assert outcomes[0].problem == (
        "the pack's process ended (signal 9, SIGKILL) while this command was running"
    )


def test_while_it_is_away_checks_say_so_and_events_wait(load: Load) -> None:
    pack = only(load())
    process = pack.process
    assert process is not None
    run(pack, "die", 5)
    wait_until(lambda: process.child is None, "its end is noticed")
    problem = "its process ended (exit code 5); it starts again in 1 s"
    assert process.problem == problem
    assert ask_checks(pack.health_checks)["good"] == (False, f"the check failed: {problem}", True)
    process.start_now()
    wait_until(lambda: process.child is not None, "it runs again")
    assert process.problem == ""


def test_it_starts_again_once_that_is_possible(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    pack = only(load())
    process = pack.process
    assert process is not None
    child = process.child
    assert child is not None
    with no_descriptors():
        child.kill()
        wait_until(lambda: process.child is None, "its end is noticed")
        process.start_now()
        wait_until(lambda: "Too many open files" in process.problem, "a start fails")
    process.start_now()
    assert payload(run(pack, "echo", 1)) == 1
    assert process.deaths == 2
    assert "its process ended (OSError: [Errno 24] Too many open files); it starts" in caplog.text


def test_it_starts_again_once_there_is_room_for_threads(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    pack = only(load())
    process = pack.process
    assert process is not None
    child = process.child
    assert child is not None
    before = open_descriptors()
    with no_threads():
        child.kill()
        wait_until(lambda: process.child is None, "its end is noticed")
        process.start_now()
        wait_until(lambda: "cannot be watched: can't start" in process.problem, "a start fails")
        wait_until(lambda: open_descriptors() < before, "nothing of the failed start is open")
    process.start_now()
    assert payload(run(pack, "echo", 1)) == 1
    assert process.deaths == 2
    wait_until(lambda: "its process is running again" in caplog.text, "the log says so")


def test_a_plugin_whose_process_cannot_be_watched_is_broken(load: Load) -> None:
    before = open_descriptors()
    with no_threads(), pytest.raises(Misbehaved, match="its process cannot be watched"):
        ChildProcess("tried", {}).start()
    assert open_descriptors() == before


def test_another_default_timeout_of_sockets_changes_nothing(load: Load) -> None:
    """As a plugin of the host's own process may set it."""
    socket.setdefaulttimeout(1e-6)
    try:
        pack = only(load())
        assert payload(run(pack, "echo", 1)) == 1
    finally:
        socket.setdefaulttimeout(None)
    assert payload(run(pack, "echo", 2)) == 2
    assert pack.process is not None
    assert pack.process.deaths == 0


def test_a_start_for_which_descriptors_run_out_leaves_none_open() -> None:
    before = open_descriptors()
    with few_descriptors(2), pytest.raises(OSError, match="Too many open files"):
        ChildProcess("tried", {}).start()
    assert open_descriptors() == before


def test_a_hurry_while_it_runs_skips_no_later_pause(load: Load) -> None:
    pack = only(load())
    process = pack.process
    assert process is not None
    process.start_now()
    before = time.monotonic()
    run(pack, "die", 5)
    assert payload(run(pack, "echo", 1)) == 1
    assert time.monotonic() - before >= 1


def test_a_plugin_that_describes_itself_otherwise_does_not_come_back(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    pack = only(load("Fickle"))
    process = pack.process
    assert process is not None
    run(pack, "die", 5)
    wait_until(lambda: process.child is None, "its end is noticed")
    process.start_now()
    words = "flyte_pack returned something else than at the start: restart the host"
    wait_until(lambda: words in caplog.text, "it is told")


def test_too_many_deaths_are_a_quarantine(load: Load, caplog: pytest.LogCaptureFixture) -> None:
    pack = only(load())
    process = pack.process
    assert process is not None
    for _ in range(5):
        run(pack, "die", 5)
        wait_until(lambda: process.child is None, "its end is noticed")
        process.start_now()
        wait_until(lambda: process.child is not None, "it runs again")
    run(pack, "die", 5)
    wait_until(lambda: process.quarantined, "it is quarantined")
    words = (
        "its process ended (exit code 5), more than 5 times within 600 s: quarantined; "
        "it starts again in "
    )
    assert process.problem.startswith(words)
    assert run(pack, "echo").problem.startswith(f"command 'echo' could not run: {words}")
    process.start_now()
    wait_until(lambda: process.child is not None, "it runs again")
    assert payload(run(pack, "echo", 1)) == 1


def test_memory_beyond_the_limit_is_an_error_of_the_handler(load: Load) -> None:
    pack = only(load(memory_limit_mb=128))
    assert run(pack, "eat", 300).problem == "command 'eat' raised MemoryError"
    assert payload(run(pack, "eat", 20)) == 20 * 2**20
    assert payload(run(only(load()), "eat", 300)) == 300 * 2**20


def test_a_process_without_memory_for_its_messages_says_why_it_ends(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    pack = only(load(memory_limit_mb=64))
    problem = run(pack, "echo", "x" * 100 * 2**20).problem
    assert problem == "the pack's process ended (exit code 1) while this command was running"
    assert "the pack's process cannot go on: MemoryError" in caplog.text


def test_a_log_handler_of_another_plugin_does_not_end_it(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    """What the process logs is passed on by the thread that reads its answers."""
    caplog.set_level(logging.INFO)
    heard = threading.Event()

    def make_none(*_: object, **_more: object) -> logging.LogRecord:
        raise SystemExit

    class Handler(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            if record.getMessage() == "about to fail with x":
                heard.set()
            raise SystemExit

    handler, root, factory = Handler(), logging.getLogger(), logging.getLogRecordFactory()
    output = LogOutput(logging.Formatter(), logging.INFO, io.StringIO())
    output.start()
    root.addHandler(handler)
    logging.setLogRecordFactory(make_none)
    try:
        pack = only(load())
        pid = pid_of(pack)
        run(pack, "boom", "x")  # which logs first
        wait_until(heard.is_set, "the handler hears it")
        assert payload(run(pack, "echo", 1)) == 1
        assert pid_of(pack) == pid
    finally:
        logging.setLogRecordFactory(factory)
        root.removeHandler(handler)
        output.close()


def test_what_it_writes_and_logs_is_in_the_log(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pack = only(load())
    run(pack, "prints", "hello")
    wait_until(lambda: "wrote: hello \\xff again" in caplog.text, "stderr is logged")
    assert "wrote: hello\n" in caplog.text
    run(pack, "boom", "x")
    lines = [(each.name, each.getMessage().partition("\n")[0]) for each in caplog.records]
    assert ("tests.support.isolated_pack", "about to fail with x") in lines
    assert (
        "flyte_host.pipeline.handlers.handler_call",
        "command boom failed: ValueError: boom x",
    ) in lines
    assert "in boom" in caplog.text
    records = {each.getMessage(): each for each in caplog.records}
    told = vars(records["about to fail with x"])
    about = {name: told.get(name) for name in ("pack", "command", "action")}
    assert about == {"pack": "tried", "command": "boom", "action": "local"}
    raised = records["command boom failed: ValueError: boom x"]
    assert str(raised.exc_text).startswith("Traceback")
    assert str(raised.exc_text).endswith("ValueError: boom x")


def test_a_level_that_the_host_does_not_log_is_not_sent(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    run(only(load()), "boom", "x")
    assert caplog.records == []


def test_secrets_are_in_no_command_line_and_no_environment(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIED_PASSWORD", "canary-one")
    monkeypatch.setenv("FLYTE_JWT", "canary-two")
    monkeypatch.setenv("TRIED_PLAIN", "kept")
    secret_variables = ("TRIED_PASSWORD", "FLYTE_JWT")
    password = {"env": "TRIED_PASSWORD"}
    pack = only(
        load(environ=dict(os.environ), secret_variables=secret_variables, password=password)
    )
    assert pack.process is not None
    assert payload(run(pack, "settings"))["password"] == "canary-one"
    environment = payload(run(pack, "environment"))
    assert environment["TRIED_PLAIN"] == "kept"
    assert not {"TRIED_PASSWORD", "FLYTE_JWT"} & environment.keys()
    for name in ("cmdline", "environ"):
        found = Path(f"/proc/{pid_of(pack)}/{name}").read_bytes()
        assert b"canary" not in found


def test_signals_for_all_processes_leave_it_to_the_host(load: Load) -> None:
    pack = only(load())
    assert pack.process is not None
    pid = pid_of(pack)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid, number)
    assert payload(run(pack, "where")) == pid


def test_a_program_that_it_started_does_not_hide_its_death(load: Load, tmp_path: Path) -> None:
    pack = only(load())
    mark = tmp_path / "pid"
    run(pack, "starts", str(mark))
    try:
        assert run(pack, "die", 5).problem.startswith("the pack's process ended (exit code 5)")
    finally:
        os.kill(int(mark.read_text()), signal.SIGKILL)


def test_a_close_ends_it_and_what_runs_in_it(load: Load, tmp_path: Path) -> None:
    loader = Loader([plugin_named("tried", "tests.support.isolated_pack:Pack")], {}, Scrubber())
    pack = only(_registry(loader, THERE))
    assert pack.process is not None
    pid, mark = pid_of(pack), tmp_path / "hogs"
    threading.Thread(target=run, args=(pack, "hog", str(mark)), daemon=True).start()
    wait_until(mark.exists, "the interpreter is kept")
    loader.close()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the process is gone")
    assert run(pack, "echo").problem == (
        "command 'echo' could not run: its process has ended: the host is stopping"
    )


def test_a_close_while_it_loads(tmp_path: Path) -> None:
    loader = Loader([plugin_named("tried", "tests.support.isolated_pack:Pack")], {}, Scrubber())
    loader.close()
    [plugin] = loader.load({"tried": PackConfig("tried", isolation=THERE)})
    assert plugin.problem.startswith("its process ended")


class EmittedEvents:
    """What an observer there raised, and how it is asked to stop."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.events: list[Any] = []
        self.traces: list[dict[str, str]] = []
        self.problem = ""

    def __call__(self, event: Any) -> None:
        if self.problem:
            raise RuntimeError(self.problem)
        self.traces.append(trace_headers())
        self.events.append((event.event_def.name, json.loads(event.body)["payload"]))

    def observe(self, pack: ServedPack) -> threading.Thread:
        [observer] = pack.observers
        thread = threading.Thread(target=observer.observe, args=(self, self.stopping), daemon=True)
        thread.start()
        return thread


def test_an_observer_there_emits_and_hears_that_it_must_stop(load: Load, tmp_path: Path) -> None:
    pack = only(load(folder=str(tmp_path)))
    emitted = EmittedEvents()
    thread = emitted.observe(pack)
    wait_until(lambda: len(emitted.events) == 3, "all events are here")
    assert emitted.events[0] == (
        "Seen",
        "TypeError: emit takes an Event, not int: MY_EVENT(payload)",
    )
    assert emitted.events[1][1].startswith("ValueError: payload of Seen is not valid JSON")
    assert emitted.events[2] == ("Seen", pid_of(pack))
    assert emitted.traces == [{}, {}, {"traceparent": TRACEPARENT}]
    emitted.stopping.set()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    assert tmp_path.joinpath("stopped").exists()


def test_an_observer_starts_again_with_its_process(load: Load, tmp_path: Path) -> None:
    pack = only(load(folder=str(tmp_path)))
    emitted = EmittedEvents()
    thread = emitted.observe(pack)
    wait_until(lambda: len(emitted.events) == 3, "all events are here")
    run(pack, "die", 5)
    wait_until(lambda: len(emitted.events) == 6, "they come again from the next process")
    emitted.stopping.set()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_an_observer_whose_process_is_away_returns_when_asked(load: Load, tmp_path: Path) -> None:
    pack = only(load(folder=str(tmp_path)))
    emitted = EmittedEvents()
    thread = emitted.observe(pack)
    wait_until(lambda: len(emitted.events) == 3, "all events are here")
    run(pack, "die", 5)
    wait_until(lambda: pack.process.child is None, "its end is noticed")  # type: ignore[union-attr]
    emitted.stopping.set()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_an_observer_that_raises(load: Load) -> None:
    pack = only(load(fails="flyte_observe"))
    [observer] = pack.observers
    with pytest.raises(Misbehaved, match=r"^RuntimeError: flyte_observe fails"):
        observer.observe(EmittedEvents(), threading.Event())


def test_an_event_that_the_host_cannot_keep_is_an_error_there(load: Load) -> None:
    pack = only(load())
    emitted = EmittedEvents()
    emitted.problem = "the journal is full"
    [observer] = pack.observers
    with pytest.raises(Misbehaved, match=r"^FlyteHostError: the journal is full"):
        observer.observe(emitted, emitted.stopping)


def test_a_handler_past_its_time_out_is_cancelled_there_and_its_line_is_told(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pack = only(load())
    assert run(pack, "patient", str(tmp_path / "cancelled")).timed_out
    wait_until(tmp_path.joinpath("cancelled").exists, "the coroutine is cancelled")
    words = "patient still runs after its timeout (at support/isolated_pack.py:"
    wait_until(lambda: words in caplog.text, "the line is told")


def test_the_interpreter_of_the_host_is_not_the_one_that_is_kept(
    load: Load, tmp_path: Path
) -> None:
    pack = only(load())
    mark = tmp_path / "hogs"
    threading.Thread(target=run, args=(pack, "hog", str(mark)), daemon=True).start()
    wait_until(mark.exists, "the interpreter is kept")
    answer = ask_checks(pack.health_checks)["good"]
    assert answer[0] is False
    assert "did not answer within" in answer[1]


def test_nothing_of_a_call_is_left_for_the_garbage_collector(load: Load) -> None:
    """Inputs and results may be large."""
    pack = only(load())
    with calls_are_freed():
        for number in range(3):
            assert payload(run(pack, "echo", number)) == number


def test_no_thread_of_the_host_waits_for_a_handler_there(load: Load, tmp_path: Path) -> None:
    pack = only(load())
    mark = tmp_path / "hogs"
    threading.Thread(target=run, args=(pack, "hog", str(mark)), daemon=True).start()
    wait_until(mark.exists, "the handler runs")
    name = f"{pack.definition.name}:hog"
    wait_until(lambda: name not in _thread_names(), "the thread that called it is free")


def test_the_search_path_is_the_hosts(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath("elsewhere.py").write_text(
        "from tests.support.isolated_pack import Pack as Plugin"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert str(tmp_path) in sys.path
    assert payload(run(only(load(target="elsewhere:Plugin")), "echo", 1)) == 1
