"""flyte's HTTP API: one method for each call that a host makes.

Owns which call goes where, and counting the calls by how they end. Must not know what callers do
about an error or how a call is carried to its answer (``conversation``).
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
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
from flyte_host.wait import Steps, standing_still

TAKE_SECONDS = 30.0
AUDIT_PAGE_FLOWS = 50
AUDIT_PAGES = 20


class _Counting:
    """Counts a call once, under ``name``, even one that is not sent because flyte is away."""

    def __init__(self, counters: Counters, name: str) -> None:
        self._counters = counters
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self._counters.called(self._name, "ok")
        elif isinstance(error, FlyteError):
            self._counters.called(self._name, error.word)


class FlyteClient:
    """Calls flyte; safe in any thread. Every call raises the subclasses of FlyteError."""

    def __init__(self, conversation: Conversation, counters: Counters, clock: Clock) -> None:
        self._conversation = conversation
        self.transport = conversation.transport
        self.outage = conversation.outage
        self._counters = counters
        self._clock = clock
        connect_seconds, seconds = conversation.timeout
        # A take is irrevocable: flyte never gives out again what was in an answer that came
        # too late. So waiting longer is cheaper than giving up.
        take_seconds = max(3 * seconds, TAKE_SECONDS) if seconds else None
        self._take_timeout = Timeout(connect_seconds, take_seconds)
        self._waiting_href = ""
        self.waiting_known = threading.Event()
        """Set once flyte has said where it announces actions."""

    def register(self, pack: PackDef) -> Registration:
        """Create ``pack`` in flyte or renew it. Raises ValueError if it is not JSON."""
        with _Counting(self._counters, "register"):
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
            self.transport.address.add_own(take_href)
            if link := wire.find_waiting_link(answer.headers.get("Link") or ""):
                self._waiting_href = self._conversation.absolute(link)
                self.waiting_known.set()
            return replace(found, take_href=take_href, events_href=events_href)

    def taking(
        self, registration: Registration, may_repeat: Callable[[], bool] = lambda: True
    ) -> Steps[Taken | None]:
        """An action for that pack, or None if there is none.

        Irrevocable, and never sent again: after FlyteBadAnswer, and after FlyteAway with
        ``may_have_arrived``, an action may be lost. Only one that flyte refused for its token is,
        with a new one, if ``may_repeat`` agrees.
        """
        with _Counting(self._counters, "take"):
            href, timeout = registration.take_href, self._take_timeout
            answer = yield from self._conversation.calling(
                "POST",
                href,
                b"null",
                accepted={200, 204},
                timeout=timeout,
                may_repeat=may_repeat,
            )
            if answer.status == 204:
                return None
            taken = self._conversation.decode(wire.decode_taken, answer)
            href = wire.escape_pack_id(taken.result_href, registration.pack_id)
            href = self.transport.address.relative(self._conversation.absolute(href))
            step = wire.decode_step(answer.headers.get(wire.STEP_HEADER, ""))
            trace = read_trace(answer.headers)
            return Taken(taken.id, taken.command, taken.input, href, step, trace)

    take = standing_still(taking)
    """The same in this thread."""

    def wait_for_actions(
        self, packs: Iterable[PackDef], cursor: str, seconds: float, *, is_check: bool = False
    ) -> HeardNews:
        """For which packs actions wait, after that time at the latest.

        ``is_check``: flyte counts the packs as alive, and names all that have work or are unknown.
        Only after flyte said where, when a pack registered. That it fails says nothing about
        flyte: a proxy may not keep a request open.
        """
        with _Counting(self._counters, "wait"):
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

    def posting_result(self, result_href: str, body: bytes, trace: str = "") -> Steps[None]:
        """Finish an action; the href is that of a take, ``body`` from :func:`wire.encode_event`.

        Only 202 is a success: a 200 may be the login page of a proxy. A link that leads away from
        flyte says nothing about flyte: it neither waits for an outage nor begins one.
        """
        with _Counting(self._counters, "result"):
            href = self._conversation.absolute(result_href)
            yield from self._conversation.calling(
                "POST", href, body, accepted={202}, outage=self._conversation.outage_of(href),
                trace=trace,
            )  # fmt: skip

    post_result = standing_still(posting_result)
    """The same in this thread."""

    def post_event(self, registration: Registration, body: bytes, trace: str = "") -> None:
        """Raise an event; ``body`` is from :func:`wire.encode_event`."""
        with _Counting(self._counters, "event"):
            href = registration.events_href
            self._conversation.call("POST", href, body, accepted={202}, trace=trace)

    def health(self) -> None:
        """Ask flyte whether it is healthy, which to flyte means that it reaches its database."""
        with _Counting(self._counters, "health"):
            self._conversation.call("GET", self._conversation.link("info/health"), accepted={200})

    def action_state(self, pack_name: str, command: str, action_id: str) -> str | None:
        """The action's state in flyte's audit: NEW, PENDING, SUCCESS or FATAL.

        None if it is not in the latest 1,000 executions of flows that used that command.
        """
        with _Counting(self._counters, "audit"):
            href = self._conversation.link("flowAudit/findFlows")
            query: dict[str, str | int] = {"actionPackName": pack_name, "actionName": command}
            for start in range(0, AUDIT_PAGES * AUDIT_PAGE_FLOWS, AUDIT_PAGE_FLOWS):
                query |= {"start": start, "limit": AUDIT_PAGE_FLOWS}
                answer = self._conversation.call(
                    "GET", f"{href}?{urlencode(query)}", accepted={200}
                )
                states = self._conversation.decode(wire.decode_action_states, answer)
                # A short page proves nothing: flyte leaves out flows whose history is gone.
                if action_id in states or not states:
                    return states.get(action_id)
            return None

    def close(self) -> None:
        """Drop idle connections; a call under way ends as it would have."""
        self.transport.close()
