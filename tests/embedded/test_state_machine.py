"""Whatever packs and flow authors do, and whenever flyte restarts: no action lost, none given
twice, no state that should not be.

Random packs, flows, items, events, takes, results, deletions and restarts, against the rules in
``flyte_model``, at two flytes on one store. The normal run is short and always the same; the one of
``make soak`` is long.
"""

import itertools
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import Client, TestResponse

from flyte_host.clock import Clock
from flyte_host.embedded import EmbeddedFlyte
from tests.support.asgi import as_wsgi
from tests.support.flyte_model import OF_THE_EVENT, Key, Model, ModelAction, Said, Sender, Step
from tests.support.postgres import END_OTHERS, PostgresServer

SHORT = settings(max_examples=15, stateful_step_count=25, derandomize=True)
LONG = settings(max_examples=2000, stateful_step_count=30)
SHORT_ON_POSTGRES = settings(SHORT, max_examples=5)
LONG_ON_POSTGRES = settings(LONG, max_examples=200)
ALL = "/v1/audit/flows?limit=1000000"

names = st.sampled_from([*"PPPPQ"])
labels = st.sampled_from([{}, {"env": "dev"}, {"env": "dev"}, {"env": "prod", "zone": "a"}])
senders = st.builds(Sender, names, labels)
events = st.sampled_from(["Go", "Done", "Done", "FATAL"])
envs = st.sampled_from(["dev", "dev", "prod"])
flags = st.sampled_from(["true", "T", "1", "false", "maybe"])
wanted_envs = st.sampled_from(["", "", "", "", "dev", OF_THE_EVENT])
rarely = st.sampled_from([False, False, False, True])
flow_names = st.sampled_from(["f", "g"])
which = st.integers(0, 20)


@st.composite
def flows(draw: st.DrawFn) -> tuple[Step, ...]:
    """Mostly chains; but steps may share an id, have none, or wait for what never comes."""
    ids = draw(st.lists(st.sampled_from(["a", "b", "c", "", ""]), min_size=1, max_size=5))
    return tuple(
        draw(
            st.builds(
                Step,
                id=st.just(step_id),
                depends_on=st.lists(
                    st.sampled_from([*ids[:number], *ids[:number], *ids, "never"]),
                    min_size=0 if draw(rarely) else min(number, 1),
                    max_size=2 if number else 0,
                ).map(tuple),
                event=events if number else st.just("Go"),
                event_pack=names,
                event_env=wanted_envs,
                reads_item=rarely,
                asks_flag=rarely,
                command=st.sampled_from(["c", "d"]),
                command_pack=st.sampled_from([*"PPPPPPQ", "Late"]),
                command_env=wanted_envs,
            )
        )
        for number, step_id in enumerate(ids)
    )


class FlyteMachine(RuleBasedStateMachine):
    """Two embedded flytes on an SQLite file, called through their API, next to the model of them.

    ``flyte`` is the one that answers now.
    """

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        self.store = self.exits.enter_context(self.empty_store())
        self.model = Model()
        self.numbers = itertools.count(1)
        self.time = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
        self.ids: dict[Key, str] = {}
        self.told: Counter[str] = Counter()
        self.deleted: Counter[str] = Counter()
        self.telling = threading.Lock()
        self.flyte, self.other = self.open(), self.open()

    def empty_store(self) -> AbstractContextManager[str]:
        return _sqlite()

    def open(self) -> EmbeddedFlyte:
        return EmbeddedFlyte(self.store, clock=Clock(now=self.now), waker=self)

    def now(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time

    def wake(self, pack_name: str, labels: Mapping[str, str]) -> None:
        with self.telling:
            self.told[_waits_for(pack_name, labels)] += 1

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        options |= {} if json is None else {"json": json}
        return Client(as_wsgi(self.flyte.asgi)).open(path, method=method, **options)

    def said(self, name: str, sender: Sender, env: str, flag: str) -> Said:
        return Said(next(self.numbers), name, sender, env, flag)

    def registered(self, number: int) -> Sender:
        known = list(self.model.packs.values())
        return known[number % len(known)]

    # -- what packs do ---------------------------------------------------------------------

    @initialize(sender=senders, name=flow_names, first=flows(), second=flows())
    def begin(
        self, sender: Sender, name: str, first: tuple[Step, ...], second: tuple[Step, ...]
    ) -> None:
        self.register(sender)
        self.put_item("one")
        self.put_flow(name, first)
        self.put_flow("z", second)

    @rule(sender=senders)
    def register(self, sender: Sender) -> None:
        answer = self.call("POST", "/v1/packs", {"name": sender.name, "labels": sender.labels})
        assert answer.status_code == 201
        assert answer.get_json(force=True)["id"] == sender.id
        self.model.packs[sender.id] = sender

    @precondition(lambda self: self.model.packs)
    @rule(number=which, name=events, env=envs, flag=flags)
    def event(self, number: int, name: str, env: str, flag: str) -> None:
        self.raised(self.said(name, self.registered(number), env, flag))

    @rule(calls=st.lists(st.tuples(which, labels, envs, flags), min_size=1, max_size=3))
    def events_that_start(self, calls: list[tuple[int, Mapping[str, str], str, str]]) -> None:
        for number, labels, env, flag in calls:
            flows = self.model.flows.values()
            starts = [step for _, flow in flows for step in flow if not step.depends_on]
            if starts:
                step = starts[number % len(starts)]
                sender = Sender(step.event_pack, labels)
                self.register(sender)
                self.raised(self.said(step.event, sender, env, flag))

    def raised(self, said: Said) -> None:
        path = f"/v1/packs/{said.sender.id}/events"
        assert self.call("POST", path, said.document).status_code == 202
        self.model.event(said)

    @precondition(lambda self: self.model.packs)
    @rule(number=which, command=st.sampled_from(["", "", "c", "nope"]))
    def take(self, number: int, command: str) -> None:
        self.taken(self.registered(number), command)

    def taken(self, sender: Sender, command: str = "") -> ModelAction | None:
        query = f"?actionName={command}" if command else ""
        answer = self.call("POST", f"/v1/packs/{sender.id}/actions/take{query}")
        possible = {action.key: action for action in self.model.may_take(sender, command)}
        assert answer.status_code == (200 if possible else 204)
        if not possible:
            return None
        taken = answer.get_json()
        action = possible[_key(taken["input"])]
        assert (taken["command"], taken["input"]) == (action.step.command, action.input)
        action.states.append("PENDING")
        action_id = taken["links"][0]["href"].split("/")[-2]
        assert self.ids.setdefault(action.key, action_id) == action_id
        return action

    @rule(number=which, sender=senders, name=events, env=envs, flag=flags)
    def result_of_any(self, number: int, sender: Sender, name: str, env: str, flag: str) -> None:
        """A pack finishes whatever: taken or not, finished or not, its own or not."""
        self.register(sender)
        if known := self.model.actions:
            self.result(known[-1 - number % len(known)], self.said(name, sender, env, flag))

    @rule(number=which, sender=which, step=which, env=envs, flag=flags)
    def result_that_is_heard(
        self, number: int, sender: int, step: int, env: str, flag: str
    ) -> None:
        """A pack that fits finishes a taken action, with an event that a step waits for."""
        pending = [
            (execution, action)
            for execution in self.model.executions
            for action in execution.actions
            if action.states[-1] == "PENDING"
        ]
        if pending:
            execution, action = pending[number % len(pending)]
            fitting = [it for it in self.model.packs.values() if action.fits(it)]
            name = execution.steps[step % len(execution.steps)].event
            if fitting:
                self.result(action, self.said(name, fitting[sender % len(fitting)], env, flag))

    @rule(calls=st.lists(st.tuples(which, which, envs, flags), min_size=3, max_size=12))
    def work(self, calls: list[tuple[int, int, str, str]]) -> None:
        """Packs take what waits for them and finish it at once."""
        for number, step, env, flag in calls:
            packs = [it for it in self.model.packs.values() if self.model.may_take(it, "")]
            if packs:
                sender = packs[number % len(packs)]
                action = self.taken(sender)
                assert action is not None
                [steps] = [it.steps for it in self.model.executions if action in it.actions]
                waiting = [it for it in steps if action.step.id in it.depends_on] or steps
                heard = waiting[step % len(waiting)].event
                self.result(action, self.said(heard, sender, env, flag))

    def result(self, action: ModelAction, said: Said) -> None:
        # Of steps that share an id the audit shows one: the others are known when taken.
        if action.key not in self.ids:
            return
        path = f"/v1/packs/{said.sender.id}/actions/{self.ids[action.key]}/result"
        status = self.call("POST", path, said.document).status_code
        if not action.fits(said.sender):
            assert status == 404
        elif action.states[-1] != "PENDING":
            assert status == 500
        else:
            assert status == 202
            self.model.result(action, said)

    @rule(path=st.sampled_from(["events", "actions/take", "actions/x/result"]))
    def call_as_a_stranger(self, path: str) -> None:
        assert self.call("POST", f"/v1/packs/Stranger/{path}", {"event": "Go"}).status_code == 404

    # -- what people do --------------------------------------------------------------------

    @rule(name=flow_names, flow=flows())
    def put_flow(self, name: str, flow: tuple[Step, ...]) -> None:
        version = next(self.numbers)
        document = [step.document(version, number) for number, step in enumerate(flow)]
        answer = self.call("POST", "/v1/flows", {"name": name, "steps": document})
        assert answer.status_code == 201
        self.model.flows[name] = (version, flow)

    @rule(value=st.sampled_from(["one", "two"]))
    def put_item(self, value: str) -> None:
        status = 204 if "item" in self.model.items else 201
        file = {"value": (BytesIO(value.encode()), "x", "text/plain")}
        assert self.call("PUT", "/v1/datastore/item", data=file).status_code == status
        self.model.items["item"] = value

    @rule(sender=senders, flow=flow_names, kind=st.sampled_from(["packs", "flows", "datastore"]))
    def delete(self, sender: Sender, flow: str, kind: str) -> None:
        kinds: dict[str, tuple[dict[str, Any], str]] = {
            "packs": (self.model.packs, sender.id),
            "flows": (self.model.flows, flow),
            "datastore": (self.model.items, "item"),
        }
        known, name = kinds[kind]
        status = 204 if known.pop(name, None) else 404
        assert self.call("DELETE", f"/v1/{kind}/{name}").status_code == status
        if kind == "packs" and status == 204:
            self.deleted[name] += 1

    @rule()
    def restart(self) -> None:
        self.flyte.close()
        self.flyte = self.open()

    @rule()
    def change_over(self) -> None:
        """From now on the other flyte answers."""
        self.flyte, self.other = self.other, self.flyte

    # -- what has to hold ------------------------------------------------------------------

    @invariant()
    def the_audit_shows_what_should_be(self) -> None:
        shown = self.call("GET", ALL).get_json()["flows"]
        expected = {(it.version, it.origin): it for it in self.model.executions}
        assert Counter(_origin(it) for it in shown) == dict.fromkeys(expected, 1)
        for execution in shown:
            model = expected[_origin(execution)]
            told = [(it["stepId"], _number(it["event"])) for it in execution.get("skipped", [])]
            assert Counter(told) == Counter(model.skipped)
            assert set(execution["actions"]) == {action.step.id for action in model.actions}
            self.check_actions(execution["actions"], {it.key: it for it in model.actions})

    def check_actions(self, shown: Mapping[str, Any], expected: Mapping[Key, ModelAction]) -> None:
        for step_id, document in shown.items():
            action = expected[_key(document["input"])]
            assert step_id == action.step.id
            assert document["input"] == action.input
            assert document["context"] == action.context
            assert document.get("packLabels", {}) == action.labels
            assert _number(document["trigger"]) == action.trigger
            assert [state["value"] for state in document["states"]] == action.states
            assert document["state"] == document["states"][-1]
            assert self.ids.setdefault(action.key, document["id"]) == document["id"]

    @invariant()
    def the_lists_show_what_should_be(self) -> None:
        packs = self.call("GET", "/v1/packs").get_json()["packs"]
        assert {pack["id"] for pack in packs} == set(self.model.packs)
        flows = self.call("GET", "/v1/flows").get_json()["flows"]
        assert [flow["name"] for flow in flows] == sorted(self.model.flows)

    @invariant()
    def every_action_is_told(self) -> None:
        """And every pack that was deleted, since its host has to register it again."""
        waits = [_waits_for(it.step.command_pack, it.labels) for it in self.model.actions]
        self.check_told(Counter(waits) + self.deleted)

    def check_told(self, waits: Counter[str]) -> None:
        assert self.told == waits

    @invariant()
    def no_two_actions_share_an_id(self) -> None:
        assert len(set(self.ids.values())) == len(self.ids)

    def teardown(self) -> None:
        try:
            # A rule that was cut off, as by the time limit of a test, may have told flyte what it
            # has not told the model: what differs then would hide why it was.
            if sys.exception() is None:
                self.end()
        finally:
            self.flyte.close()
            self.other.close()
            self.exits.close()

    def end(self) -> None:
        """A flow is replaced, flyte restarts, packs for everything come up and work for a while;
        then nothing may be left waiting.
        """
        envs = [{}, {"env": "dev"}, {"env": "prod"}]
        senders = [Sender(name, env) for name in ("P", "Q", "Late") for env in envs]
        for sender in senders:
            self.register(sender)
        self.put_flow("z", ())
        self.restart()
        self.work([(number, number, "dev", "true") for number in range(30)])
        for sender in senders:
            while self.taken(sender):
                pass
        assert [it for it in self.model.actions if it.states == ["NEW"]] == []
        self.the_audit_shows_what_should_be()
        self.every_action_is_told()


class PostgresMachine(FlyteMachine):
    """The same on PostgreSQL, whose connections break now and then."""

    server: ClassVar[PostgresServer]

    def __init__(self) -> None:
        super().__init__()
        self.looks = self.exits.enter_context(psycopg.connect(self.store, autocommit=True))

    def empty_store(self) -> AbstractContextManager[str]:
        return self.server.database()

    @rule()
    def break_connections(self) -> None:
        self.looks.execute(END_OTHERS)

    @invariant()
    def nothing_stays_locked(self) -> None:
        """Takes pass over what is locked: a call that was answered has let go of everything."""
        self.looks.execute("SELECT 1 FROM action FOR UPDATE NOWAIT")
        self.looks.execute("SELECT 1 FROM execution FOR UPDATE NOWAIT")

    def check_told(self, waits: Counter[str]) -> None:
        """Each flyte also tells what the other one announces, and all that waits as it starts."""
        with self.telling:
            assert self.told >= waits


def _key(input: Mapping[str, Any]) -> Key:
    return Key(input["version"], int(input["origin"]), input["step"])


def _origin(execution: Mapping[str, Any]) -> tuple[int, int]:
    """The version of the flow, and the number of the event that started the execution."""
    events = [action["trigger"] for action in execution["actions"].values()]
    events += [skipped["event"] for skipped in execution.get("skipped", [])]
    version = execution["steps"][0]["command"]["input"]["version"]
    return version, min(_number(event) for event in events)


def _number(event: Mapping[str, Any]) -> int:
    return int(event["payload"]["n"])


def _waits_for(pack: str, labels: Mapping[str, str]) -> str:
    return Sender(pack, labels).id


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/flyte.db"


TestFlyte = FlyteMachine.TestCase
TestFlyte.settings = SHORT


@pytest.fixture
def postgres_machine(postgres: PostgresServer) -> type[PostgresMachine]:
    PostgresMachine.server = postgres
    return PostgresMachine


def test_flyte_on_postgres(postgres_machine: type[PostgresMachine]) -> None:
    run_state_machine_as_test(postgres_machine, settings=SHORT_ON_POSTGRES)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_flyte_for_long() -> None:
    run_state_machine_as_test(FlyteMachine, settings=LONG)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_flyte_on_postgres_for_long(postgres_machine: type[PostgresMachine]) -> None:
    run_state_machine_as_test(postgres_machine, settings=LONG_ON_POSTGRES)
