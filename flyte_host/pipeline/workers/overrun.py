"""A handler that is still running past its timeout: whose slot it keeps, and when that is too much.

Owns the way of its turn from there on. Must not know how the action ended.
"""

import logging

from flyte_host.packs import ServedPack
from flyte_host.pipeline.handlers.handler_call import HandlerCall
from flyte_host.pipeline.journal import OpenAction
from flyte_host.pipeline.schedule.turn import Turn
from flyte_host.text import counted

log = logging.getLogger(__name__)


class Overrun:
    """Gives the slot back, since the action is over, and counts the handler as stuck."""

    def __init__(self, turn: Turn, pack: ServedPack, opened: OpenAction, call: HandlerCall) -> None:
        self._turn = turn
        self._pack = pack
        self._opened = opened
        self._call = call

    def leave_slot(self) -> None:
        """A handler that only waits for a loop which another one blocks is not stuck."""
        if self._call.overrun.is_set and not self._call.end.is_set:
            self._stick()
            return
        self._turn.ended()
        self._call.overrun.when_set(lambda _: self._stick())

    def _stick(self) -> None:
        stuck = self._turn.timed_out(self._standing)
        if stuck:
            self._quarantine(stuck)
        self._call.end.when_set(lambda _: self._come_unstuck())

    def _come_unstuck(self) -> None:
        log.warning(
            "%s ended after its timeout; handlers of pack %s still stuck: %d",
            self._opened.taken.command,
            self._opened.pack_key,
            self._turn.unstuck(self._standing),
            extra=self._opened.about,
        )

    def _quarantine(self, stuck: int) -> None:
        """A process of the pack's own can be ended, and a thread cannot."""
        words = counted(
            stuck,
            "handler is still running past its timeout",
            "handlers are still running past their timeout",
        )
        if self._pack.process is not None:
            self._pack.process.kill(words)
            return
        log.error(
            "pack %s is quarantined: %s; it takes no actions until one of them ends",
            self._opened.pack_key,
            words,
            extra=self._opened.about,
        )

    def _standing(self) -> str:
        """The command, and where its handler stands."""
        return f"{self._opened.taken.command}{self._call.place()}"
