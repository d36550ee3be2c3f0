"""flyte's HTTP API: one method for each call that a host makes.

Owns which call goes where, and counting the calls by how they end. Must not know what callers do
about an error or how a call is carried to its answer (``conversation``).
"""

import functools
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import urlencode

from flyte_host.client import wire
from flyte_host.client.conversation import Conversation
from flyte_host.client.outage import Outage
from flyte_host.client.transport import Timeout
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.errors import FlyteError, FlyteUnknown
from flyte_host.model import HeardNews, PackDef, Registration, Taken
from flyte_host.traceparent import read_trace
from flyte_host.wait import Steps, stand_still

TAKE_SECONDS = 30.0
AUDIT_PAGE_FLOWS = 50
AUDIT_PAGES = 20

_Answer = TypeVar("_Answer")
_Given = ParamSpec("_Given")
_Call = Callable[Concatenate["FlyteClient", _Given], _Answer]


def _counted(name: str) -> Callable[[_Call[_Given, _Answer]], _Call[_Given, _Answer]]:
    """Count each call once, under ``name``, even one that is not sent because flyte is away."""

    def decorate(call: _Call[_Given, _Answer]) -> _Call[_Given, _Answer]:
        @functools.wraps(call)
        def counting(
            client: "FlyteClient", /, *args: _Given.args, **kwargs: _Given.kwargs
        ) -> _Answer:
            try:
                answer = call(client, *args, **kwargs)
            except FlyteError as error:
                client.counters.called(name, error.word)
                raise
            client.counters.called(name, "ok")
            return answer

        return counting

    return decorate


def _counted_steps(
    name: str,
) -> Callable[[_Call[_Given, Steps[_Answer]]], _Call[_Given, Steps[_Answer]]]:
    """The same for a call that is written as steps."""

    def decorate(call: _Call[_Given, Steps[_Answer]]) -> _Call[_Given, Steps[_Answer]]:
        @functools.wraps(call)
        def counting(
            client: "FlyteClient", /, *args: _Given.args, **kwargs: _Given.kwargs
        ) -> Steps[_Answer]:
            try:
                answer = yield from call(client, *args, **kwargs)
            except FlyteError as error:
                client.counters.called(name, error.word)
                raise
            client.counters.called(name, "ok")
            return answer

        return counting

    return decorate


class FlyteClient:
    """Calls flyte; safe in any thread. Every call raises the subclasses of FlyteError."""

    def __init__(self, conversation: Conversation, counters: Counters, clock: Clock) -> None:
        self._conversation = conversation
        self.transport = conversation.transport
        self.outage = conversation.outage
        self.counters = counters
        self._clock = clock
        connect_seconds, seconds = conversation.timeout
        # A take is irrevocable: flyte never gives out again what was in an answer that came
        # too late. So waiting longer is cheaper than giving up.
        take_seconds = max(3 * seconds, TAKE_SECONDS) if seconds else None
        self._take_timeout = Timeout(connect_seconds, take_seconds)
        self._waiting_href = ""
        self.waiting_known = threading.Event()
        """Set once flyte has said where it tells of actions."""

    @_counted("register")
    def register(self, pack: PackDef) -> Registration:
        """Create ``pack`` in flyte or renew it. Raises ValueError if it is not JSON."""
        body = wire.encode_pack(pack)
        try:
            answer = self._conversation.call(
                "POST", self._conversation.link("pack/listPacks"), body, accepted={201}
            )
        except FlyteUnknown:
            self._conversation.forget_links()
            raise
        found = self._conversation.decode(wire.decode_registration, answer)
        take_href, events_href = (
            self._conversation.absolute(found.take_href),
            self._conversation.absolute(found.events_href),
        )
        self.transport.add_own(take_href)
        if link := wire.find_waiting_link(answer.headers.get("Link") or ""):
            self._waiting_href = self._conversation.absolute(link)
            self.waiting_known.set()
        return replace(found, take_href=take_href, events_href=events_href)

    def take(self, registration: Registration) -> Taken | None:
        """An action for that pack, or None if there is none.

        Irrevocable, and never sent again: after FlyteBadAnswer, and after FlyteAway with
        ``may_have_arrived``, an action may be lost.
        """
        return stand_still(self.taking(registration))

    @_counted_steps("take")
    def taking(self, registration: Registration) -> Steps[Taken | None]:
        """What :meth:`take` does, for a worker that has other things to do meanwhile."""
        href, timeout = registration.take_href, self._take_timeout
        answer = yield from self._conversation.calling(
            "POST", href, b"null", accepted={200, 204}, timeout=timeout
        )
        if answer.status == 204:
            return None
        taken = self._conversation.decode(wire.decode_taken, answer)
        href = wire.escape_pack_id(taken.result_href, registration.pack_id)
        href = self.transport.relative(self._conversation.absolute(href))
        step = wire.decode_step(answer.headers.get(wire.STEP_HEADER, ""))
        trace = read_trace(answer.headers)
        return Taken(taken.id, taken.command, taken.input, href, step, trace)

    @_counted("wait")
    def wait_for_actions(
        self, packs: Iterable[PackDef], cursor: str, seconds: float, *, is_check: bool = False
    ) -> HeardNews:
        """For which packs actions wait, after that time at the latest.

        ``is_check``: flyte takes the packs for alive, and tells of all that wait, or are unknown.
        Only after flyte said where, when a pack registered. That it fails says nothing about
        flyte: a proxy may not keep a request open.
        """
        body = wire.encode_watch(packs, cursor, seconds, is_check=is_check)
        usual = self._conversation.timeout
        answer = self._conversation.call(
            "POST",
            self._waiting_href,
            body,
            accepted={200},
            timeout=Timeout(usual.connect, seconds + (usual.read or TAKE_SECONDS)),
            outage=Outage(self._clock, quiet=True),
        )
        return self._conversation.decode(wire.decode_news, answer)

    def post_result(self, result_href: str, body: bytes, trace: str = "") -> None:
        """Finish an action; the href is that of a take, ``body`` from :func:`wire.encode_event`.

        Only 202 is a success: a 200 may be the login page of a proxy. A link that leads away from
        flyte says nothing about flyte: it neither waits for an outage nor begins one.
        """
        stand_still(self.posting_result(result_href, body, trace))

    @_counted_steps("result")
    def posting_result(self, result_href: str, body: bytes, trace: str = "") -> Steps[None]:
        """What :meth:`post_result` does, for a worker that has other things to do meanwhile."""
        href = self._conversation.absolute(result_href)
        yield from self._conversation.calling(
            "POST", href, body, accepted={202}, outage=self._conversation.outage_of(href),
            trace=trace,
        )  # fmt: skip

    @_counted("event")
    def post_event(self, registration: Registration, body: bytes, trace: str = "") -> None:
        """Raise an event; ``body`` is from :func:`wire.encode_event`."""
        href = registration.events_href
        self._conversation.call("POST", href, body, accepted={202}, trace=trace)

    @_counted("health")
    def health(self) -> None:
        """Ask flyte whether it is well: for flyte that is whether it reaches its database."""
        self._conversation.call("GET", self._conversation.link("info/health"), accepted={200})

    @_counted("audit")
    def action_state(self, pack_name: str, command: str, action_id: str) -> str | None:
        """The action's state in flyte's audit: NEW, PENDING, SUCCESS or FATAL.

        None if it is not in the latest 1,000 executions of flows that used that command.
        """
        href = self._conversation.link("flowAudit/findFlows")
        query: dict[str, str | int] = {"actionPackName": pack_name, "actionName": command}
        for start in range(0, AUDIT_PAGES * AUDIT_PAGE_FLOWS, AUDIT_PAGE_FLOWS):
            query |= {"start": start, "limit": AUDIT_PAGE_FLOWS}
            answer = self._conversation.call("GET", f"{href}?{urlencode(query)}", accepted={200})
            states = self._conversation.decode(wire.decode_action_states, answer)
            # A short page proves nothing: flyte leaves out flows whose history is gone.
            if action_id in states or not states:
                return states.get(action_id)
        return None

    def close(self) -> None:
        """Drop idle connections; a call under way ends as it would have."""
        self.transport.close()
