"""Answers ``flyte-host ctl``: pause, resume, and the state of the packs.

Owns the verbs and the texts of refusals. Must not know sockets or how actions are taken. A drain
has no verb: the client pauses, then asks for the state until nothing is left.
"""

from collections.abc import Mapping
from typing import Any

from flyte_host.errors import FlyteHostError
from flyte_host.pipeline.parts import Parts
from flyte_host.text import nearest

VERBS = ("pause", "resume", "status")


class Controls:
    """Answers ``{"do": VERB, "pack": PACK_KEY}``; without a pack it is about all of them."""

    def __init__(self, parts: Parts) -> None:
        self._served = parts.served
        self._schedule = parts.schedule
        self._deliveries = parts.deliveries

    def answer(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """``{"packs": [...]}`` after doing it, an object for each pack that was asked about.

        Raises FlyteHostError for an unknown verb or pack.
        """
        verb, asked = question.get("do"), question.get("pack")
        if verb not in VERBS:
            raise FlyteHostError(f"the host cannot {verb!r}; it can: {', '.join(VERBS)}")
        pack_keys = list(self._served.packs) if asked is None else [self._known(str(asked))]
        for pack_key in pack_keys:
            if verb == "pause":
                self._schedule.pause(pack_key)
            elif verb == "resume":
                self._resume(pack_key)
        return {"packs": [self._state(pack_key) for pack_key in pack_keys]}

    def _resume(self, pack_key: str) -> None:
        process = self._served.packs[pack_key].process
        if process is not None:
            process.start_now()
        self._schedule.resume(pack_key)

    def _known(self, name: str) -> str:
        pack_key = self._served.key_of(name)
        if pack_key is None:
            known = ", ".join(self._served.packs) or "none"
            near = nearest(name, self._served.packs)
            raise FlyteHostError(f"no pack {name!r} is served{near}; there are: {known}")
        return pack_key

    def _state(self, pack_key: str) -> Mapping[str, Any]:
        """``running`` includes cut-off actions, ``taking`` counts open takes.

        ``waiting`` counts undelivered results and events.
        """
        view = self._schedule.view(pack_key)
        process = self._served.packs[pack_key].process
        since = view.paused_since
        return {
            "name": pack_key,
            "pack": self._served.packs[pack_key].id,
            "paused_since": None if since is None else since.isoformat(timespec="seconds"),
            "running": view.running - view.taking + view.cut_off,
            "taking": view.taking,
            "stuck": view.stuck,
            "waiting": self._deliveries.waiting(pack_key),
            "problem": None if process is None else process.problem or None,
        }
