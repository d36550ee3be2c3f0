"""The process of one isolated plugin: ``python -m flyte_host.isolation.child``.

Owns the child's side: it loads the plugin, calls what the host asks for, and ends with the host.
Must not know flyte, the journal or other plugins.
"""

import contextlib
import faulthandler
import fcntl
import itertools
import logging
import os
import pickle
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import msgspec

from flyte_host import logs
from flyte_host.client.wire import encode_event
from flyte_host.config import PackConfig
from flyte_host.errors import FlyteHostError
from flyte_host.foreign_code import Misbehaved, call_within, headline
from flyte_host.health.checks import asked as ask_check
from flyte_host.isolation import messages as say
from flyte_host.model import Command, Event, EventDef, HealthCheck, PackDef
from flyte_host.pipeline.observers import checked_event
from flyte_host.pipeline.runner import Outcome, Runner, Watch
from flyte_host.plugins import Loader, Plugin, Status, source_named
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.plugins.contribution import asked, bound, checked_check, pack_of
from flyte_host.plugins.contribution import checked_event as checked_event_def
from flyte_host.secrets import Scrubber
from flyte_host.text import printable

log = logging.getLogger(__name__)

STACK_BYTES = 2**21
"""Of each thread where memory is limited: the usual 8 MB of address space count against it."""


class _EventDocument(msgspec.Struct):
    event: str
    payload: msgspec.Raw


class Child:
    """One plugin, and what the host knows of it by handle."""

    def __init__(self, channel: say.Channel, begin: say.Begin) -> None:
        self._channel = channel
        self._begin = begin
        self._runner = Runner(Scrubber())
        self._stopping = threading.Event()
        self._commands: list[BoundCommand] = []
        self._checks: list[HealthCheck] = []
        self._numbers = itertools.count(1)
        self._emitted: dict[int, Future[str]] = {}
        self._plugin: Plugin | None = None

    def hear(self, message: object) -> None:
        """Do what the host asks for; returns at once, the answer is sent later."""
        match message:
            case say.Run():
                self._run(message)
            case say.Begin():
                self._answer(message.number, self._load)
            case say.Ask():
                self._answer(message.number, lambda: self._describe(message))
            case say.Check():
                self._answer(message.number, lambda: self._check(message))
            case say.Observe():
                self._answer(message.number, lambda: self._observe(message))
            case say.Emitted():
                self._emitted[message.number].set_result(message.problem)
            case say.Stop():
                self._stopping.set()

    def _answer(self, number: int, answer: Callable[[], say.Message]) -> None:
        def run() -> None:
            try:
                message = answer()
            except BaseException as error:  # sys.exit() of a plugin is no end of the process
                message = say.Failed(number, printable(headline(error)))
            self._send(message)

        threading.Thread(target=run, name="foreign-code", daemon=True).start()

    def _send(self, message: say.Message) -> None:
        with contextlib.suppress(OSError):  # the host is gone, and this process with it
            self._channel.send(message)

    def _load(self) -> say.Loaded:
        begin = self._begin
        source = source_named(begin.plugin, begin.target)
        loader = Loader([source], {}, Scrubber(), limit_seconds=begin.limit_seconds)
        settings = pickle.loads(begin.settings)  # noqa: S301  they come from the host alone
        config = PackConfig(begin.pack_key, begin.plugin, settings=settings)
        [plugin] = loader.load({begin.pack_key: config})
        if plugin.status is not Status.LOADED:
            raise Misbehaved(plugin.reason)
        self._plugin = plugin
        return say.Loaded(begin.number, plugin.implemented)

    @property
    def _loaded(self) -> Plugin:
        if self._plugin is None:
            raise Misbehaved("its process was asked before it was told which plugin")
        return self._plugin

    def _describe(self, ask: say.Ask) -> say.Described:
        plugin, limit = self._loaded, self._begin.limit_seconds
        if ask.pack is None:
            pack = pack_of(plugin, limit)
            if pack is None:
                raise Misbehaved("flyte_pack: the plugin has none")
            commands = self._texts(pack.commands)
            return say.Described(ask.number, pack=say.PackText.of(pack, commands))
        pack = self._pack(ask.pack)
        if ask.hook == "flyte_commands":
            given = asked(plugin, ask.hook, Command, pack, limit)
            return say.Described(ask.number, commands=self._texts(given))
        if ask.hook == "flyte_event_defs":
            events = [
                checked_event_def(each) for each in asked(plugin, ask.hook, EventDef, pack, limit)
            ]
            return say.Described(ask.number, event_defs=events)
        checks = asked(plugin, ask.hook, HealthCheck, pack, limit)
        return say.Described(ask.number, checks=[self._check_text(each) for each in checks])

    def _texts(self, commands: Any) -> list[say.CommandText]:
        made = call_within(
            self._begin.limit_seconds, lambda: [bound(each, self._loaded) for each in commands]
        )
        first = len(self._commands)
        self._commands += made
        return [say.CommandText.of(each.command, first + at) for at, each in enumerate(made)]

    def _check_text(self, check: HealthCheck) -> say.CheckText:
        checked = checked_check(check)
        self._checks.append(checked)
        return say.CheckText(len(self._checks) - 1, checked.name, bool(checked.critical))

    def _pack(self, text: say.PackText) -> PackDef:
        """The pack, with the plugin's own handlers where it has them."""
        commands = [each.command(self._handler(each.handle)) for each in text.commands]
        return PackDef(text.name, text.help_url, text.labels, text.event_defs, commands)

    def _handler(self, handle: int) -> Callable[..., Any]:
        return _elsewhere if handle == say.NOBODYS else self._commands[handle].command.handler

    def _run(self, run: say.Run) -> None:
        late: list[Outcome] = []
        place: list[Callable[[], str]] = []

        def settled(outcome: Outcome) -> None:
            if outcome.timed_out:
                late.append(outcome)
                self._late(run, "".join(each() for each in place))
            else:
                self._send(_returned(run.number, outcome))

        def ended() -> None:
            for outcome in late:
                self._send(say.Failed(run.number, printable(outcome.problem), timed_out=True))

        command = self._commands[run.handle]
        try:
            place.append(self._runner.start(command, run.input, run.action, Watch(settled, ended)))
        except Exception as error:  # no thread to be had
            words = f"the host could not run the command: {error}"
            self._send(say.Failed(run.number, printable(words)))

    def _late(self, run: say.Run, place: str) -> None:
        about = {"pack": run.action.pack, "command": run.action.command, "action": run.action.id}
        log.warning("%s runs on past its time-out%s", run.action.command, place, extra=about)
        self._send(say.Late(run.number, place))

    def _check(self, check: say.Check) -> say.Checked:
        found = self._checks[check.handle]
        health = call_within(self._begin.check_seconds, lambda: ask_check(found.check))
        return say.Checked(check.number, health.healthy, msgspec.json.encode(health.status))

    def _observe(self, observe: say.Observe) -> say.Observed:
        pack = self._pack(observe.pack)

        def emit(event: Event) -> None:
            self._emit(observe.number, event)

        try:
            self._loaded.call("flyte_observe", pack=pack, emit=emit, stopping=self._stopping)
        except BaseException:
            log.warning("flyte_observe ends with an exception", exc_info=True)
            raise
        return say.Observed(observe.number)

    def _emit(self, observer: int, event: Event) -> None:
        """As the host's own emit: returns when the event is on disk there."""
        document = _document(encode_event(checked_event(event), datetime.now(UTC)))
        number = next(self._numbers)
        answer = self._emitted[number] = Future()
        try:
            self._send(say.Emit(number, observer, document.event, bytes(document.payload)))
            problem = answer.result()
        finally:
            del self._emitted[number]
        if problem:
            raise FlyteHostError(problem)


class _Forward(logging.Handler):
    """Log records to the host, which knows the secrets, the format and where lines go."""

    def __init__(self, channel: say.Channel, pack_key: str) -> None:
        super().__init__()
        self._channel = channel
        self._instance = pack_key

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text, raised = record.getMessage(), ""
            if record.exc_info and record.exc_info[0] is not None:
                raised = "".join(traceback.format_exception(*record.exc_info)).rstrip()
            found = {name: str(getattr(record, name, "")) for name in logs.FIELDS}
            fields = {"pack": self._instance} | {
                key: value for key, value in found.items() if value
            }
            self._channel.send(
                say.Logged(record.name, record.levelno, printable(text), printable(raised), fields)
            )
        except OSError:  # the host is gone
            return
        except Exception:
            self.handleError(record)


def _returned(number: int, outcome: Outcome) -> say.Message:
    if outcome.problem:
        return say.Failed(number, printable(outcome.problem))
    document = _document(outcome.body)
    return say.Returned(number, document.event, bytes(document.payload))


def _document(body: bytes) -> _EventDocument:
    return msgspec.json.decode(body, type=_EventDocument)


def _elsewhere(_input: Any) -> Event:
    raise FlyteHostError("this command belongs to another plugin, in another process")


def _end_with(lifeline: int) -> None:
    """Be ended by the kernel when the host is gone, whatever keeps this interpreter."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _leave_signals_to_the_host() -> None:
    """What a terminal or a supervisor sends to all processes asks the host to drain, not this one.

    With handlers, since what is ignored stays ignored in the programs that the plugin starts.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)


def _limit_memory(megabytes: int) -> None:
    most = megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    threading.stack_size(STACK_BYTES)


def main(connection: int, lifeline: int) -> None:
    """Serve the host at the other end of the socket ``connection`` until it hangs up."""
    for each in (connection, lifeline):
        os.set_inheritable(each, False)  # a program that the plugin starts must not keep them open
    _end_with(lifeline)
    _leave_signals_to_the_host()
    faulthandler.enable(all_threads=False)
    channel = say.Channel(socket.socket(fileno=connection))
    messages = iter(channel)
    begin = next(messages, None)
    if isinstance(begin, say.Begin):
        sys.path[:] = begin.search_path
        logging.basicConfig(level=begin.level, handlers=[_Forward(channel, begin.pack_key)])
        logs.log_uncaught()
        if begin.memory_limit_mb is not None:
            _limit_memory(begin.memory_limit_mb)
        child = Child(channel, begin)
        child.hear(begin)
        for message in messages:
            child.hear(message)
    os._exit(0)  # at once: handlers that still run are nobody's any more


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
