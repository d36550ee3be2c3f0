"""Carries out what packs and flow authors ask of flyte, on the store.

Owns what happens when an event or a result arrives: which flows it starts, all in one commit. The
rules of steps are in ``steps``; ``herald`` reports what happened. Must not know HTTP.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from flyte_host.clock import Clock
from flyte_host.embedded.event_ration import EventRation, Renderer
from flyte_host.embedded.executions import Executions, PackAtResult
from flyte_host.embedded.flow import Flow
from flyte_host.embedded.herald import Herald
from flyte_host.embedded.ids import Ids
from flyte_host.embedded.model import (
    PENDING,
    AwaitedAction,
    Decision,
    ExecutionSnapshot,
    GivenEvent,
    Labels,
    PackEvent,
    RegisteredPack,
    TakenAction,
    fits,
    pack_id,
)
from flyte_host.embedded.pack_store import PackAtEvent
from flyte_host.embedded.progress_cache import ProgressCache
from flyte_host.embedded.steps import decide
from flyte_host.embedded.store import Store
from flyte_host.text import counted

log = logging.getLogger("flyte_host.embedded")


class NotFound(LookupError):
    """flyte does not know the pack, action, flow or item."""


class NotPending(ValueError):
    """The action was not taken, or already has its result; ``state`` says which."""

    def __init__(self, action_id: str, state: str) -> None:
        super().__init__(f"action {action_id} is {state}, a result needs {PENDING}")
        self.state = state


class FlowRunner:
    """Runs flows; safe from any thread."""

    def __init__(
        self,
        store: Store,
        executions: Executions,
        templates: Renderer,
        ids: Ids,
        clock: Clock,
        *,
        herald: Herald,
    ) -> None:
        self._store = store
        self._executions = executions
        self._progress = ProgressCache(executions.facts)
        self._templates = templates
        self._ids = ids
        self._clock = clock
        self._herald = herald

    def register(self, pack: RegisteredPack) -> None:
        if self._store.packs.put(pack):
            log.info("registered pack %s", pack.sender.id)

    def delete_pack(self, pack_id: str) -> None:
        deleted = self._store.packs.delete(pack_id)
        if deleted is None:
            raise _no_pack(pack_id)
        self._herald.tell_deleted(deleted)

    def see(self, pack_id: str) -> None:
        """Set the pack's last-seen time to now; raises :class:`NotFound`."""
        found = self._pack_at_event(pack_id, "")
        self._store_sight(pack_id, self._sight(pack_id, found.last_seen_millis))

    def see_all(self, packs: Mapping[str, Sequence[Labels]]) -> list[tuple[str, Labels]]:
        """Set the last-seen time of these packs to now; returns those that are not registered."""
        by_id = {
            pack_id(name, labels): (name, labels) for name, all_ in packs.items() for labels in all_
        }
        known = self._store.packs.ids() & by_id.keys()
        self._store.packs.see(known, self._clock.now())
        return [pack for key, pack in by_id.items() if key not in known]

    def put_flow(self, flow: Flow, *, is_from_file: bool = False) -> None:
        """Make ``flow`` the current version under its name."""
        self._store.flows.put(flow, self._ids.next(), self._clock.now(), is_from_file=is_from_file)
        steps = counted(len(flow.steps), "step")
        log.info("stored flow %s with %s", flow.name, steps, extra={"flow": flow.name})

    def delete_flow(self, name: str) -> None:
        if not self._store.flows.delete(name, self._clock.now()):
            raise NotFound(f"no flow {name!r}")
        log.info("deleted flow %s", name, extra={"flow": name})

    def take(self, pack_id: str, command: str) -> TakenAction | None:
        """Give out the oldest action that waits for the pack (and ``command``, unless empty).

        It also sets the pack's last-seen time. Raises :class:`NotFound`.
        """
        found = self._executions.pack_at_take(pack_id, command)
        if found is None:
            raise _no_pack(pack_id)
        seen = self._sight(pack_id, found.last_seen_millis)
        for labels in found.waiting:
            taken = self._executions.take(found.identity, labels, command, seen=seen)
            if taken is not None:
                return taken
        self._store_sight(pack_id, seen)
        return None

    def finds_nothing(self, pack_id: str) -> bool:
        """Whether it is known at once that nothing waits for the pack, which then counts as seen.

        Also False if the answer would take a wait.
        """
        stored = self._executions.idle_pack_seen_millis(pack_id)
        if stored is None:
            return False
        return self._store.packs.note_seen(pack_id, self._clock.now(), stored=stored)

    def event(self, pack_id: str, given: GivenEvent) -> None:
        """The trigger path: every flow that waits for the event starts a new execution.

        Raises :class:`NotFound`.
        """
        found = self._pack_at_event(pack_id, given.name)
        seen = self._sight(pack_id, found.last_seen_millis)
        event = given.of(found.identity)
        decisions = self._start_flows(event, found.started)
        acting = [each for each in decisions if each.makes_something]
        if acting:
            self._executions.record(acting, seen=seen)
        else:
            self._store_sight(pack_id, seen)
        if not decisions:
            self._herald.tell_unheard(event)
        self._herald.tell(event, decisions)

    def result(self, pack_id: str, action_id: str, given: GivenEvent) -> None:
        """Finish an action, start the flows that wait for its result, continue its execution.

        Raises :class:`NotFound` for an action that does not exist or belongs to another pack, and
        :class:`NotPending`.
        """
        found = self._pack_at_result(pack_id, action_id, given.name)
        seen = self._sight(pack_id, found.last_seen_millis)
        try:
            self._finish(found, action_id, given, seen)
        except (NotFound, NotPending):
            self._store_sight(pack_id, seen)
            raise

    def _finish(
        self, found: PackAtResult, action_id: str, given: GivenEvent, seen: datetime | None
    ) -> None:
        pack_id = found.identity.id
        action = _own_action(found, action_id)
        result = given.of(found.identity)
        uuids = self._pack_at_event(pack_id, given.name).started if found.is_heard else ()
        started = self._start_flows(result, uuids)
        while True:
            continued = self._continue_flow(action, result)
            decisions = [*started, *continued]
            acting = [each for each in decisions if each.makes_something]
            if self._executions.finish(action, result, acting, seen=seen):
                break
            action = _own_action(self._pack_at_result(pack_id, action_id, given.name), action_id)
        self._progress.advance(action, [it.step_id for each in continued for it in each.actions])
        self._herald.tell(result, decisions)

    def _pack_at_event(self, pack_id: str, event: str) -> PackAtEvent:
        """The calling pack, and what its event starts; raises NotFound."""
        found = self._store.packs.at_event(pack_id, event)
        if found is None:
            raise _no_pack(pack_id)
        return found

    def _pack_at_result(self, pack_id: str, action_id: str, event: str) -> PackAtResult:
        """The calling pack, and the action; raises NotFound."""
        found = self._executions.pack_at_result(pack_id, action_id, event)
        if found is None:
            raise _no_pack(pack_id)
        return found

    def _sight(self, pack_id: str, stored: int) -> datetime | None:
        """Note that the pack is seen now; returns the time if the next write has to store it.

        ``stored`` is the time that the store has, in milliseconds.
        """
        now = self._clock.now()
        return None if self._store.packs.note_seen(pack_id, now, stored=stored) else now

    def _store_sight(self, pack_id: str, seen: datetime | None) -> None:
        """Store it by itself, when there is nothing else to write."""
        if seen is not None:
            self._store.packs.see([pack_id], seen)

    def _start_flows(self, event: PackEvent, uuids: Sequence[str]) -> list[Decision]:
        snapshots = [
            ExecutionSnapshot(self._ids.next(), uuid, flow)
            for uuid in uuids
            if (flow := self._store.flows.version(uuid))
        ]
        return self._decide(event, snapshots)

    def _continue_flow(self, action: AwaitedAction, result: PackEvent) -> list[Decision]:
        flow = self._store.flows.version(action.flow_uuid)
        if flow is None:
            log.warning(
                "flow version %s no longer exists: its execution ends with action %s",
                action.flow_uuid,
                action.id,
                extra={
                    "action": action.id,
                    "step": action.step_id,
                    "execution": action.correlation_id,
                    "event": result.name,
                },
            )
            return []
        candidates = self._progress.candidates(action, flow, result)
        snapshot = ExecutionSnapshot(
            action.correlation_id, action.flow_uuid, flow, action.context, candidates
        )
        return self._decide(result, [snapshot])

    def _decide(self, event: PackEvent, snapshots: Sequence[ExecutionSnapshot]) -> list[Decision]:
        ration = EventRation(self._templates)
        return [decide(snapshot, event, ration, self._ids.next) for snapshot in snapshots]


def _no_pack(pack_id: str) -> NotFound:
    return NotFound(f"no pack {pack_id!r} is registered")


def _own_action(found: PackAtResult, action_id: str) -> AwaitedAction:
    """The action, if its result may come from the pack; raises NotFound or NotPending."""
    pack, action = found.identity, found.action
    if action is None:
        raise NotFound(f"no action {action_id!r}")
    if action.pack_name != pack.name or not fits(action.pack_labels, pack.labels):
        raise NotFound(f"action {action_id!r} does not belong to pack {pack.id!r}")
    if action.state != PENDING:
        raise NotPending(action_id, action.state)
    return action
