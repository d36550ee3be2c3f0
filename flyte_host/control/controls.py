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
        pack_keys = list(self._packs) if asked is None else [self._known(str(asked))]
        for pack_key in pack_keys:
            if verb == "pause":
                self._poller.pause(pack_key)
            elif verb == "resume":
                self._resume(pack_key)
        return {"packs": [self._state(pack_key) for pack_key in pack_keys]}

    def _resume(self, pack_key: str) -> None:
        self._poller.resume(pack_key)
        process = self._packs[pack_key].process
        if process is not None:
            process.start_now()

    def _known(self, pack_key: str) -> str:
        if pack_key not in self._packs:
            known = ", ".join(self._packs) or "none"
            near = nearest(pack_key, self._packs)
            raise FlyteHostError(f"no pack {pack_key!r} is served{near}; there are: {known}")
        return pack_key

    def _state(self, pack_key: str) -> Mapping[str, Any]:
        """``running`` counts takes under way too, ``waiting`` what is not delivered yet."""
        load = self._dispatcher.load(pack_key)
        process = self._packs[pack_key].process
        since = self._poller.paused_since(pack_key)
        return {
            "name": pack_key,
            "pack": self._packs[pack_key].id,
            "paused_since": None if since is None else since.isoformat(timespec="seconds"),
            "running": load.running + self._dispatcher.recovering(pack_key),
            "stuck": load.stuck,
            "waiting": self._courier.waiting(pack_key),
            "trouble": None if process is None else process.problem or None,
        }
