"""The Bamboo pack: its commands in the order of the Go pack, and its health.

Owns what flyte and the operator see of it as a whole.
"""

import os
import threading
from collections.abc import Mapping

from flyte_host import Command, HealthCheck, PackDef, hookimpl
from flyte_pack_bamboo import commands
from flyte_pack_bamboo.bamboo_api import BambooApi
from flyte_pack_bamboo.settings import BambooSettings

HELP_URL = "https://github.com/ExpediaGroup/flyte-bamboo/blob/master/README.md"


class BambooPack:
    """Builds, stages, labels, comments and plans; drop-in for the Go pack flyte-bamboo.

    ``environ`` is where the Go pack's variables are looked up (None: the process's own).
    """

    def __init__(self, settings: BambooSettings, environ: Mapping[str, str] | None = None) -> None:
        completed = settings.completed(os.environ if environ is None else environ)
        self._bamboo = BambooApi(completed)
        self._go_compatible = completed.go_compatible

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Bamboo", HELP_URL, commands=self._commands())

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: restarting the host does not repair Bamboo, and its other packs are fine.
        return [HealthCheck("bamboo", self._bamboo.health, critical=False)]

    @hookimpl
    def flyte_observe(self, stopping: threading.Event) -> None:
        """A host that stops does not wait for the next attempt of a StartStage."""
        stopping.wait()
        self._bamboo.stop()

    def _commands(self) -> list[Command]:
        do = commands.BambooCommands(self._bamboo, go_compatible=self._go_compatible)
        add_label = (commands.ADDED_LABEL, commands.FAILED_TO_ADD_LABEL)
        delete_label = (commands.DELETED_LABEL, commands.FAILED_TO_DELETE_LABEL)
        start_stage = (commands.START_STAGE_SUCCESS, commands.FAILED_TO_START_STAGE)
        trigger_plan = (commands.PLAN_TRIGGERED, commands.FAILED_TO_TRIGGER_PLAN)
        enable_plan = (commands.PLAN_ENABLED, commands.FAILED_TO_ENABLE_PLAN)
        add_comment = (commands.COMMENT_ADDED, commands.FAILED_TO_ADD_COMMENT)
        get_state = (commands.GET_LIFE_CYCLE_STATE, commands.GET_LIFE_CYCLE_FAILED)
        return [
            Command("AddLabel", do.add_label, add_label),
            Command("DeleteLabel", do.delete_label, delete_label),
            Command("StartStage", do.start_stage, start_stage),
            Command("TriggerPlan", do.trigger_plan, trigger_plan),
            Command("EnablePlan", do.enable_plan, enable_plan, idempotent=True),
            Command("AddComment", do.add_comment, add_comment),
            Command("GetLifecycleState", do.get_lifecycle_state, get_state, idempotent=True),
        ]
