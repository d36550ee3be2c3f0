"""The handlers of the Bamboo pack.

Owns their inputs, events and payloads. Must not know HTTP.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flyte_pack_kit import decode

from flyte_host import Event, EventDef, fatal_event
from flyte_pack_bamboo.bamboo_api import BambooApi, BambooRefused, StageState

ADDED_LABEL = EventDef("AddedLabel")
FAILED_TO_ADD_LABEL = EventDef("FailedToAddLabel")
DELETED_LABEL = EventDef("DeletedLabel")
FAILED_TO_DELETE_LABEL = EventDef("FailedToDeleteLabel")
START_STAGE_SUCCESS = EventDef("StartStageSuccess")
FAILED_TO_START_STAGE = EventDef("FailedToStartStage")
PLAN_TRIGGERED = EventDef("PlanTriggered")
FAILED_TO_TRIGGER_PLAN = EventDef("FailedToTriggerPlan")
PLAN_ENABLED = EventDef("PlanEnabled")
FAILED_TO_ENABLE_PLAN = EventDef("FailedToEnablePlan")
COMMENT_ADDED = EventDef("CommentAdded")
FAILED_TO_ADD_COMMENT = EventDef("FailedToAddComment")
GET_LIFE_CYCLE_STATE = EventDef("GetLifeCycleState")
GET_LIFE_CYCLE_FAILED = EventDef("GetLifeCycleFailed")

T = TypeVar("T", bound=msgspec.Struct)


class LabelInput(msgspec.Struct, frozen=True):
    build: str = ""
    label: str = ""


class BuildCommentInput(msgspec.Struct, frozen=True):
    build: str = ""
    comment: str = ""


class PlanInput(msgspec.Struct, frozen=True):
    plan: str = ""


class StageInput(msgspec.Struct, frozen=True):
    build: str = ""
    stage: str = ""


class StartStageInput(msgspec.Struct, frozen=True, rename="camel"):
    build: str = ""
    stage: str = ""
    vars: dict[str, str] | None = None
    max_retry: int = 0
    delay: int = 0

    def told(self) -> dict[str, Any]:
        return {"build": self.build, "stage": self.stage, "vars": self.vars}


class BambooCommands:
    """A handler for each command. With ``go_compatible`` failures are as the Go pack mixed them."""

    def __init__(self, bamboo: BambooApi, *, go_compatible: bool) -> None:
        self._bamboo = bamboo
        self._go_compatible = go_compatible

    def add_label(self, input: Any) -> Event:
        def do(wanted: LabelInput) -> Event:
            self._bamboo.add_label(wanted.build, wanted.label)
            return ADDED_LABEL(wanted)

        return self._run("AddLabel", LabelInput, input, do, _as_it_is(FAILED_TO_ADD_LABEL))

    def delete_label(self, input: Any) -> Event:
        def do(wanted: LabelInput) -> Event:
            self._bamboo.delete_label(wanted.build, wanted.label)
            return DELETED_LABEL(wanted)

        return self._run("DeleteLabel", LabelInput, input, do, _as_it_is(FAILED_TO_DELETE_LABEL))

    def start_stage(self, input: Any) -> Event:
        def do(wanted: StartStageInput) -> Event:
            self._bamboo.start_stage(
                wanted.build,
                wanted.stage,
                wanted.vars or {},
                attempts=wanted.max_retry,
                delay=wanted.delay,
            )
            return START_STAGE_SUCCESS(wanted.told())

        def fail(wanted: StartStageInput, error: str) -> Event:
            # The Go pack passes the error in place of the build, too.
            mixed = {"build": error} if self._go_compatible else {}
            return FAILED_TO_START_STAGE(wanted.told() | mixed | {"error": error})

        return self._run("StartStage", StartStageInput, input, do, fail)

    def trigger_plan(self, input: Any) -> Event:
        def do(wanted: PlanInput) -> Event:
            self._bamboo.trigger_plan(wanted.plan)
            return PLAN_TRIGGERED(wanted)

        def fail(wanted: PlanInput, error: str) -> Event:
            if self._go_compatible:
                # The Go pack swaps them.
                return FAILED_TO_TRIGGER_PLAN({"plan": error, "error": wanted.plan})
            return FAILED_TO_TRIGGER_PLAN({"plan": wanted.plan, "error": error})

        return self._run("TriggerPlan", PlanInput, input, do, fail)

    def enable_plan(self, input: Any) -> Event:
        def do(wanted: PlanInput) -> Event:
            self._bamboo.enable_plan(wanted.plan)
            return PLAN_ENABLED(wanted)

        return self._run("EnablePlan", PlanInput, input, do, _as_it_is(FAILED_TO_ENABLE_PLAN))

    def add_comment(self, input: Any) -> Event:
        def do(wanted: BuildCommentInput) -> Event:
            self._bamboo.add_comment(wanted.build, wanted.comment)
            return COMMENT_ADDED(wanted)

        def fail(wanted: BuildCommentInput, error: str) -> Event:
            told = msgspec.to_builtins(wanted) | {"error": error}
            # The Go pack calls it a label.
            return FAILED_TO_ADD_COMMENT(
                {"label": wanted.comment} | told if self._go_compatible else told
            )

        return self._run("AddComment", BuildCommentInput, input, do, fail)

    def get_lifecycle_state(self, input: Any) -> Event:
        def do(wanted: StageInput) -> Event:
            found = self._bamboo.stage(wanted.build, wanted.stage)
            if found is None and not self._go_compatible:
                raise BambooRefused(f"build {wanted.build!r} has no stage {wanted.stage!r}")
            found = found or StageState()
            states = {"lifecycle": found.life_cycle_state, "state": found.state}
            return GET_LIFE_CYCLE_STATE({"build": wanted.build, "stage": wanted.stage} | states)

        def fail(wanted: StageInput, error: str) -> Event:
            return _as_it_is(GET_LIFE_CYCLE_FAILED)(wanted, error.removeprefix("Fail: "))

        return self._run("GetLifecycleState", StageInput, input, do, fail)

    def _run(
        self,
        command: str,
        kind: type[T],
        input: Any,
        do: Callable[[T], Event],
        fail: Callable[[T, str], Event],
    ) -> Event:
        decoded = decode(kind, input)
        if decoded.error:
            text = f"could not marshal {command} command input: {decoded.error}"
            if self._go_compatible:
                return fatal_event(f"Input is invalid: {text}")
            return fail(decoded.value, f"Fail: {text}")
        try:
            return do(decoded.value)
        except BambooRefused as cause:
            return fail(decoded.value, f"Fail: {cause}")


def _as_it_is(event_def: EventDef) -> Callable[[Any, str], Event]:
    """A failure that has the input under its own keys."""
    return lambda wanted, error: event_def(msgspec.to_builtins(wanted) | {"error": error})
