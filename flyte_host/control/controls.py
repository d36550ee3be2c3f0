"""What ``flyte-host ctl`` may ask of a running host: pause, resume, and how its packs are.

Owns those verbs and the words of a refusal. Must not know sockets nor how actions are taken. A
drain is no verb: it is a pause, and looking until nothing is left.
"""

from collections.abc import Mapping
from typing import Any

from flyte_host.errors import FlyteHostError
from flyte_host.packs import ServedPack
from flyte_host.pipeline.courier import Courier
from flyte_host.pipeline.dispatcher import Dispatcher
from flyte_host.pipeline.poller import Poller
from flyte_host.text import nearest

VERBS = ("pause", "resume", "status")


class Controls:
    """Answers ``{"do": VERB, "pack": INSTANCE}``; without a pack it is about all of them."""

    def __init__(
        self,
        packs: Mapping[str, ServedPack],
        poller: Poller,
        dispatcher: Dispatcher,
        courier: Courier,
    ) -> None:
        self._packs = packs
        self._poller = poller
        self._dispatcher = dispatcher
        self._courier = courier

    def answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """``{"packs": [...]}`` after doing it, an object for each pack that was asked about.

        Raises FlyteHostError for a verb or a pack that there is not.
        """
        verb, asked = question.get("do"), question.get("pack")
        if verb not in VERBS:
            raise FlyteHostError(f"the host cannot {verb!r}; it can: {', '.join(VERBS)}")
        instances = list(self._packs) if asked is None else [self._known(str(asked))]
        for instance in instances:
            if verb == "pause":
                self._poller.pause(instance)
            elif verb == "resume":
                self._resume(instance)
        return {"packs": [self._state(instance) for instance in instances]}

    def _resume(self, instance: str) -> None:
        self._poller.resume(instance)
        process = self._packs[instance].process
        if process is not None:
            process.start_now()

    def _known(self, instance: str) -> str:
        if instance not in self._packs:
            known = ", ".join(self._packs) or "none"
            near = nearest(instance, self._packs)
            raise FlyteHostError(f"no pack {instance!r} is served{near}; there are: {known}")
        return instance

    def _state(self, instance: str) -> Mapping[str, Any]:
        """``running`` counts takes under way too, ``waiting`` what is not delivered yet."""
        load = self._dispatcher.load(instance)
        process = self._packs[instance].process
        since = self._poller.paused_since(instance)
        return {
            "name": instance,
            "pack": self._packs[instance].id,
            "paused_since": None if since is None else since.isoformat(timespec="seconds"),
            "running": load.running + self._dispatcher.recovering(instance),
            "stuck": load.stuck,
            "waiting": self._courier.waiting(instance),
            "trouble": None if process is None else process.trouble or None,
        }
