"""A pack's turn → an action that is on disk, or none.

Owns what each answer of flyte to a take means for the pack's next turn. A take is irrevocable: it
is made only with a slot reserved and a journal that can be written, is never cut off, and its
action is in the journal before the handler starts. Must not know how actions run.
"""

import logging
from collections.abc import Mapping

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.registrations import Registrations
from flyte_host.client.wire import encode_fatal
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.errors import FlyteAway, FlyteError, FlyteFailed, FlyteUnknown
from flyte_host.model import Registration, Taken
from flyte_host.packs import ServedPack
from flyte_host.pipeline.action_fields import about_action
from flyte_host.pipeline.journal import Journal, JournalError, OpenAction
from flyte_host.pipeline.schedule.turn import Turn
from flyte_host.pipeline.workers.recovery import CUT_OFF
from flyte_host.wait import Steps

log = logging.getLogger(__name__)

JOURNAL_PAUSE_SECONDS = 2.0
"""How often a pack asks whether the journal can be written again."""
PROCESS_SECONDS = (0.25, 5.0)
"""The shortest and the longest pause until a pack asks whether its process runs again."""
OF_A_TAKE = {FlyteFailed.word: "contention", FlyteUnknown.word: "forgotten"}
"""What an error is counted as where it is that of a take."""


class Taker:
    """Safe to use from any thread."""

    def __init__(  # noqa: PLR0917
        self,
        packs: Mapping[str, ServedPack],
        client: FlyteClient,
        registrations: Registrations,
        journal: Journal,
        clock: Clock,
        counters: Counters,
        *,
        journal_pause_seconds: float = JOURNAL_PAUSE_SECONDS,
    ) -> None:
        self._packs = packs
        self._client = client
        self._registrations = registrations
        self._journal = journal
        self._clock = clock
        self._counters = counters
        self._journal_pause_seconds = journal_pause_seconds

    def take(self, turn: Turn) -> Steps[OpenAction | None]:
        """The action of the turn. None: the turn is over."""
        if turn.keeps:
            self._keep_registered(turn)
            return None
        if turn.cut_off is not None:
            return self._take_again(turn, turn.cut_off)
        registration = self._register(turn)
        if registration is None or not self._can_run(turn) or not turn.may_begin():
            return None
        return (yield from self._take(turn, registration))

    def _keep_registered(self, turn: Turn) -> None:
        """The pack has no commands, or is paused: flyte must still see it as live."""
        if self._register(turn, anew=True) is not None:
            turn.kept()

    def _take_again(self, turn: Turn, cut_off: OpenAction) -> OpenAction | None:
        """The action that a restart found, to be run again; flyte need not be there."""
        if not self._can_run(turn):
            return None
        try:
            opened = self._journal.again(cut_off)
        except JournalError as error:
            turn.failed(str(error), self._journal_pause_seconds)
            return None
        if not turn.may_begin():
            return None
        log.warning("running %s again: %s", opened.taken.command, CUT_OFF, extra=opened.about)
        return opened

    def _register(self, turn: Turn, *, anew: bool = False) -> Registration | None:
        try:
            return self._registrations.get(turn.pack_key, anew=anew)
        except FlyteAway as error:
            turn.failed(str(error), error.retry_in_seconds)
        except FlyteError as error:
            turn.failed(str(error))
        return None

    def _can_run(self, turn: Turn) -> bool:
        """Whether an action could be written down and run; else the turn is over."""
        if problem := self._journal.problem():
            turn.failed(problem, self._journal_pause_seconds)
            return False
        process = self._packs[turn.pack_key].process
        if process is not None and process.child is None:
            shortest, longest = PROCESS_SECONDS
            turn.rest(min(longest, max(shortest, process.restarts_in_seconds)))
            return False
        return True

    def _take(self, turn: Turn, registration: Registration) -> Steps[OpenAction | None]:
        try:
            taken = yield from self._client.taking(registration, turn.may_repeat)
        except FlyteError as error:
            self._counters.took(turn.pack_key, OF_A_TAKE.get(error.word, error.word))
            self._take_failed(turn, registration, error)
            return None
        self._counters.took(turn.pack_key, "empty" if taken is None else "action")
        if taken is None:
            turn.empty()
            return None
        turn.found()
        opened = yield from self._write_down(turn, taken)
        if opened is not None:
            turn.written()
        return opened

    def _take_failed(self, turn: Turn, registration: Registration, error: FlyteError) -> None:
        if isinstance(error, FlyteAway):
            turn.failed(str(error), error.retry_in_seconds)
        elif isinstance(error, FlyteFailed):
            turn.contended(str(error))
        elif isinstance(error, FlyteUnknown):
            if self._registrations.forget(turn.pack_key, registration):
                turn.forgotten(str(error))
            else:
                turn.rest(0.0)  # another take found out, and the pack is registered again
        else:
            turn.failed(str(error))

    def _write_down(self, turn: Turn, taken: Taken) -> Steps[OpenAction | None]:
        pack_name = self._packs[turn.pack_key].definition.name
        try:
            return (yield from self._journal.taking(turn.pack_key, pack_name, taken))
        except Exception as error:
            self._refuse(turn.pack_key, taken, str(error))
            if not isinstance(error, JournalError):
                raise
            turn.failed(str(error), self._journal_pause_seconds)  # told by the journal
            return None

    def _refuse(self, pack_key: str, taken: Taken, problem: str) -> None:
        """Do not run what cannot be recorded; flyte gets a FATAL, since it won't ask again."""
        fields = about_action(pack_key, taken.command, taken.id, taken.step, taken.trace)
        log.critical("%s ends as FATAL: %s", taken.command, problem, extra=fields)
        body = encode_fatal(f"the host could not record {taken.command!r}", self._clock.now())
        try:
            self._client.post_result(taken.result_href, body, taken.trace)
        except FlyteError as error:
            log.critical(
                "flyte did not accept the FATAL of %s: %s", taken.command, error, extra=fields
            )
