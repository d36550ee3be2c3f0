"""Events and results → new actions: flyte's two paths, wired to the store.

Owns what happens when a pack says something: which flows hear it, that all of it is one commit,
who is told. The rules of steps are in ``steps``; must not know HTTP.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flyte_host.embedded.executions import Executions, Finish
from flyte_host.embedded.flows import Flow
from flyte_host.embedded.model import (
    FATAL,
    PENDING,
    SUCCESS,
    Action,
    Decision,
    Event,
    Pack,
    Run,
    Sender,
    SkippedStep,
    StepFact,
    fits,
)
from flyte_host.embedded.steps import Rationed, Renderer, decide
from flyte_host.embedded.store import Store

log = logging.getLogger("flyte_host.embedded")


class Unknown(LookupError):
    """flyte does not know the pack, action, flow or item."""


class NotPending(ValueError):
    """The action was not taken, or has its result already."""


class Engine:
    """Everything that packs and flow authors can ask of flyte. Safe from any thread."""

    def __init__(
        self,
        store: Store,
        executions: Executions,
        templates: Renderer,
        *,
        next_id: Callable[[], str],
        now: Callable[[], datetime],
        on_action: Callable[[str, Mapping[str, str]], None],
        on_event: Callable[[str, str, Any], None],
    ) -> None:
        self._store = store
        self._executions = executions
        self._templates = templates
        self._next_id = next_id
        self._now = now
        self._on_action = on_action
        self._on_event = on_event

    def register(self, pack: Pack) -> None:
        if self._store.put_pack(pack):
            log.info("pack %s registered for the first time", pack.sender.id)

    def see(self, pack_id: str) -> Sender:
        """The pack that calls, which is now last seen; raises :class:`Unknown`."""
        sender = self._store.see_pack(pack_id, self._now())
        if sender is None:
            raise Unknown(f"no pack {pack_id!r} is registered")
        return sender

    def put_flow(self, flow: Flow) -> None:
        """Make ``flow`` the current version under its name."""
        self._store.put_flow(flow, self._next_id(), self._now())
        log.info("flow %s stored, %d steps", flow.name, len(flow.steps))

    def delete_flow(self, name: str) -> None:
        if not self._store.delete_flow(name, self._now()):
            raise Unknown(f"no flow {name!r}")
        log.info("flow %s deleted", name)

    def take(self, pack: Sender, command: str) -> Action | None:
        return self._executions.take(pack, command)

    def event(self, event: Event) -> None:
        """The trigger path: every flow that waits for ``event`` starts a new execution."""
        decisions = self._started(event)
        if decisions:
            self._executions.record(decisions)
        self._tell(event, decisions)

    def result(self, action_id: str, result: Event) -> None:
        """Finish an action; then both paths: flows that start with it, and its own execution.

        Raises :class:`Unknown` for an action that is not there or not this pack's, and
        :class:`NotPending`.
        """
        action = self._own(action_id, result.pack)
        started = self._started(result)
        while True:
            seen = self._executions.facts(action.correlation_id)
            decisions = [*started, *self._continued(action, result, seen)]
            outcome = self._executions.finish(action_id, result, seen, decisions)
            if outcome is not Finish.STALE:
                break
        if outcome is Finish.NOT_PENDING:
            raise NotPending(f"action {action_id} is not {PENDING}: not taken, or finished already")
        self._tell(result, decisions)

    def _own(self, action_id: str, pack: Sender) -> Action:
        action = self._executions.action(action_id)
        if action is None:
            raise Unknown(f"no action {action_id!r}")
        if action.pack_name != pack.name or not fits(action.pack_labels, pack.labels):
            raise Unknown(f"action {action_id!r} is not one of pack {pack.id!r}")
        if action.state.value != PENDING:
            raise NotPending(
                f"action {action_id} is {action.state.value}, a result needs {PENDING}"
            )
        return action

    def _started(self, event: Event) -> list[Decision]:
        flows = self._store.triggered(event.pack.name, event.name)
        return self._decided(event, [Run(self._next_id(), uuid, flow) for uuid, flow in flows])

    def _continued(self, action: Action, result: Event, seen: Sequence[StepFact]) -> list[Decision]:
        flow = self._store.version(action.flow_uuid)
        if flow is None:
            log.warning("flow version %s is gone: action %s ends it", action.flow_uuid, action.id)
            return []
        facts = _with_finished(seen, action.step_id, result)
        run = Run(action.correlation_id, action.flow_uuid, flow, action.context, facts)
        return self._decided(result, [run])

    def _decided(self, event: Event, runs: Sequence[Run]) -> list[Decision]:
        templates = Rationed(self._templates, time.thread_time)
        decisions = [decide(run, event, templates) for run in runs]
        return [decision for decision in decisions if decision.actions or decision.skipped]

    def _tell(self, event: Event, decisions: Sequence[Decision]) -> None:
        log.debug("event %s of pack %s: %d flows act", event.name, event.pack.id, len(decisions))
        self._call(self._on_event, event.pack.id, event.name, event.payload)
        for decision in decisions:
            for step in decision.skipped:
                _log_skipped(decision, step)
            for action in decision.actions:
                log.info(
                    "flow %s, step %r wants %s of pack %s",
                    decision.flow_name,
                    action.step_id,
                    action.name,
                    action.pack_name,
                )
                self._call(self._on_action, action.pack_name, action.pack_labels)

    def _call(self, callback: Callable[..., None], *values: Any) -> None:
        # What is told has been committed: a listener that fails cannot undo it.
        try:
            callback(*values)
        except Exception:
            log.exception("a listener failed on %r", values[:2])


def _with_finished(seen: Sequence[StepFact], step_id: str, result: Event) -> list[StepFact]:
    state = FATAL if result.name == FATAL else SUCCESS
    return [
        replace(fact, state=state) if fact.step_id == step_id and fact.state == PENDING else fact
        for fact in seen
    ]


def _log_skipped(decision: Decision, step: SkippedStep) -> None:
    log.warning(
        "flow %s, step %r skipped on event %s of pack %s: %s (execution %s)",
        decision.flow_name,
        step.step_id,
        decision.trigger.name,
        decision.trigger.pack.id,
        step.reason,
        decision.correlation_id,
    )
