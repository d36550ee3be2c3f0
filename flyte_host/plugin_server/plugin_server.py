"""One plugin in this process, and the host that calls it from another.

Owns the child's side of every message. Must not know flyte, the journal or other plugins.
"""

import contextlib
import itertools
import logging
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial

import msgspec

from flyte_host import forks
from flyte_host.client.wire import encode_event
from flyte_host.clock import Clock
from flyte_host.config import PackConfig
from flyte_host.counters import Counters
from flyte_host.errors import FlyteHostError
from flyte_host.foreign_code import Misbehaved, Starter, call_within, headline
from flyte_host.garbage import collect_less
from flyte_host.health.checks import call_check
from flyte_host.isolation import messages as say
from flyte_host.model import Command, Event, EventDef, HealthCheck
from flyte_host.pipeline.handlers.handler_call import HandlerCall
from flyte_host.pipeline.handlers.handler_tools import HandlerTools
from flyte_host.pipeline.handlers.outcome import Outcome
from flyte_host.plugin_server.handler_threads import HandlerThreads
from flyte_host.plugin_server.handles import Handles
from flyte_host.plugins import Loader, Plugin, Status, plugin_named
from flyte_host.plugins.contribution import (
    ask_hook,
    ask_pack,
    check_event,
    check_event_def,
)
from flyte_host.secrets import Scrubber
from flyte_host.text import printable
from flyte_host.thread_watch import ThreadWatch
from flyte_host.traceparent import CURRENT

log = logging.getLogger(__name__)


class PluginServer:
    """Does what the host asks for; no request waits for another.

    ``start`` is where the plugin is imported and constructed.
    """

    def __init__(self, channel: say.Channel, load: say.LoadPlugin, start: Starter) -> None:
        self._channel = channel
        self._start = start
        self._load = load
        watch = ThreadWatch("the pack's process")
        watch.when_lost(_end_process)
        self._tools = HandlerTools(Scrubber(), Clock(), Counters(), watch)
        self._threads = HandlerThreads(watch)
        self._stopping = threading.Event()
        self._handles = Handles(load.limit_seconds)
        self._numbers = itertools.count(say.UNANSWERED + 1)
        self._emits: dict[int, Future[str]] = {}
        self._plugin: Plugin | None = None

    def receive(self, number: int, message: say.Message) -> None:
        """Do what the host asks for; returns at once, the answer is sent later."""
        match message:
            case say.RunHandler():
                self._run_handler(number, message)
            case say.LoadPlugin():
                self._answer(number, self._load_plugin)
            case say.AskHook():
                self._answer(number, partial(self._ask_hook, message))
            case say.RunCheck():
                self._answer(number, partial(self._run_check, message))
            case say.RunObserver():
                self._answer(number, partial(self._run_observer, number, message))
            case say.EventEmitted():
                self._emits[number].set_result(message.problem)
            case say.StopObservers():
                self._stopping.set()

    def _answer(self, number: int, call: Callable[[], say.Message]) -> None:
        def run() -> None:
            try:
                answer = call()
            except BaseException as error:  # a plugin's sys.exit() must not end the process
                answer = say.RequestFailed(printable(headline(error)))
            self._send(number, answer)

        threading.Thread(target=run, name="foreign-code", daemon=True).start()

    def _send(self, number: int, message: say.Message) -> None:
        with contextlib.suppress(OSError):  # the host is gone, and this process with it
            self._channel.send(number, message)

    def _load_plugin(self) -> say.PluginLoaded:
        self._tools.start()
        load = self._load
        installed = plugin_named(load.plugin, load.target)
        loader = Loader(
            [installed], {}, Scrubber(), limit_seconds=load.limit_seconds, start=self._start
        )
        settings = pickle.loads(load.settings)  # noqa: S301  only the host sends them
        config = PackConfig(load.pack_key, load.plugin, settings=settings)
        [plugin] = loader.load({load.pack_key: config})
        if plugin.status is not Status.LOADED:
            raise Misbehaved(plugin.problem)
        self._plugin = plugin
        collect_less()
        return say.PluginLoaded(plugin.implemented, msgspec.json.encode(plugin.settings_schema))

    @property
    def _loaded(self) -> Plugin:
        if self._plugin is None:
            raise Misbehaved(
                "the host asked its process for something before the plugin was loaded"
            )
        return self._plugin

    def _ask_hook(self, question: say.AskHook) -> say.HookAnswer:
        plugin, limit_seconds = self._loaded, self._load.limit_seconds
        if question.pack is None:
            pack = ask_pack(plugin, limit_seconds)
            if pack is None:
                raise Misbehaved("flyte_pack: the plugin has none")
            commands = self._handles.add_commands(pack.commands, plugin)
            return say.HookAnswer(pack=say.PackText.of(pack, commands))
        pack = self._handles.pack(question.pack)
        ask = partial(ask_hook, plugin, question.hook, pack=pack, limit_seconds=limit_seconds)
        if question.hook == "flyte_commands":
            return say.HookAnswer(commands=self._handles.add_commands(ask(kind=Command), plugin))
        if question.hook == "flyte_event_defs":
            events = [check_event_def(each) for each in ask(kind=EventDef)]
            return say.HookAnswer(event_defs=events)
        checks = [self._handles.add_check(each) for each in ask(kind=HealthCheck)]
        return say.HookAnswer(checks=checks)

    def _run_handler(self, number: int, run: say.RunHandler) -> None:
        bound = self._handles.command(run.handle)
        call = HandlerCall(
            bound, run.input, run.action, self._load.pack_key, tools=self._tools, about=run.about
        )
        call.outcome.when_set(partial(self._send_outcome, number, run, call))
        call.end.when_set(lambda _: self._send_late_end(number, call))
        name = f"{run.action.pack}:{run.action.command}"
        try:
            self._threads.start(call.start, name)
        except RuntimeError as error:  # no thread could be started
            problem = printable(f"the host could not run the command: {error}")
            self._send(number, say.RequestFailed(problem))

    def _send_outcome(
        self, number: int, run: say.RunHandler, call: HandlerCall, outcome: Outcome
    ) -> None:
        if outcome.timed_out:
            self._send_late(number, run, call.place())
        else:
            self._send(number, _handler_answer(outcome))

    def _send_late(self, number: int, run: say.RunHandler, place: str) -> None:
        log.warning("%s still runs after its timeout%s", run.action.command, place, extra=run.about)
        self._send(number, say.HandlerLate(place))

    def _send_late_end(self, number: int, call: HandlerCall) -> None:
        outcome = call.outcome.wait()
        if outcome.timed_out:
            self._send(number, say.RequestFailed(printable(outcome.problem), timed_out=True))

    def _run_check(self, run: say.RunCheck) -> say.CheckReturned:
        check = self._handles.check(run.handle).check
        health = call_within(self._load.check_seconds, lambda: call_check(check))
        return say.CheckReturned(health.healthy, msgspec.json.encode(health.status))

    def _run_observer(self, number: int, run: say.RunObserver) -> say.ObserverReturned:
        pack = self._handles.pack(run.pack)

        def emit(event: Event) -> None:
            self._emit(number, event)

        try:
            self._loaded.call("flyte_observe", pack=pack, emit=emit, stopping=self._stopping)
        except BaseException:
            log.warning("flyte_observe of %s raised", self._load.pack_key, exc_info=True)
            raise
        return say.ObserverReturned()

    def _emit(self, observer: int, event: Event) -> None:
        """Like the host's own emit: returns when the event is on the host's disk."""
        forks.check_not_in_child("emit")
        body = encode_event(check_event(event), datetime.now(UTC))
        number = next(self._numbers)
        answer = self._emits[number] = Future()
        try:
            self._send(number, say.EmitEvent(observer, event.event_def.name, body, CURRENT.get()))
            problem = answer.result()
        finally:
            del self._emits[number]
        if problem:
            raise FlyteHostError(problem)


def _handler_answer(outcome: Outcome) -> say.Message:
    if outcome.problem:
        return say.RequestFailed(printable(outcome.problem))
    return say.HandlerReturned(outcome.event_name, outcome.body)


def _end_process() -> None:
    """End the process, useless without its timer or loop; the host starts another one."""
    os._exit(1)
