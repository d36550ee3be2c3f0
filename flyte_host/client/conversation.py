"""One call to flyte, from its address to an answer that may be read.

Owns flyte's links, whether flyte is away, and the second try with a new token. Must not know which
calls there are, the inside of a connection (``transport``), or the meaning of each status
(``statuses``).
"""

import threading
from collections.abc import Callable, Collection
from typing import TypeVar

from flyte_host.client import wire
from flyte_host.client.bearer_token import TokenUnavailable
from flyte_host.client.flyte_address import EXPECTED_URL, safe_url
from flyte_host.client.outage import Outage
from flyte_host.client.statuses import call_of, error_of, outcome_of
from flyte_host.client.transport import (
    Answer,
    Request,
    Timeout,
    Transport,
    Unreachable,
    retry_after_seconds,
)
from flyte_host.clock import Clock
from flyte_host.errors import FlyteAway, FlyteBadAnswer
from flyte_host.wait import Steps, standing_still

CONNECT_SECONDS = 10.0

_Decoded = TypeVar("_Decoded")


class Conversation:
    """Safe in any thread. Every call raises the subclasses of FlyteError.

    ``timeout_seconds`` bounds each wait for an answer (0: none) that has no limit of its own;
    connecting ends after 10 seconds at the latest.
    """

    def __init__(
        self, transport: Transport, outage: Outage, clock: Clock, *, timeout_seconds: float = 10
    ) -> None:
        self.transport = transport
        self._address = transport.address
        self.outage = outage
        connect_seconds = min(timeout_seconds or CONNECT_SECONDS, CONNECT_SECONDS)
        self.timeout = Timeout(connect_seconds, timeout_seconds or None)
        self._clock = clock
        self._elsewhere = Outage(clock, name="a server to which flyte links")
        self._links: wire.Links = ()
        self._links_lock = threading.Lock()

    def link(self, suffix: str) -> str:
        """The href of one of flyte's links, which are asked for only if it is not known."""
        with self._links_lock:
            href = wire.find_link(self._links, suffix)
            if href is None:
                answer = self.call("GET", f"{self._address.base}/v1", accepted={200})
                links = self.decode(wire.decode_links, answer)
                href = wire.find_link(links, suffix)
                if href is None:
                    found = f"expected a link whose rel ends with {suffix}, found none"
                    raise self._bad_answer(f"{outcome_of(answer)}: {found}")
                self._links = links
        return self.absolute(href)

    def forget_links(self) -> None:
        """Ask for the links again before the next call that needs one."""
        self._links = ()

    def absolute(self, href: str) -> str:
        """Where a link of flyte's leads."""
        try:
            return self._address.absolute(href)
        except ValueError:
            raise self._bad_link(href) from None

    def outage_of(self, url: str) -> Outage:
        """flyte's outage; a URL that leads elsewhere has one that says nothing about flyte."""
        return self.outage if self._address.is_own(url) else self._elsewhere

    def calling(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        accepted: Collection[int],
        timeout: Timeout | None = None,
        outage: Outage | None = None,
        trace: str = "",
        may_repeat: Callable[[], bool] = lambda: True,
    ) -> Steps[Answer]:
        """The answer, whose status is one of those ``accepted`` and whose body is whole.

        ``trace`` is the trace context of what is sent. ``may_repeat`` is asked before it is sent
        again with a new token.
        """
        timeout, outage, caller = timeout or self.timeout, outage or self.outage, object()

        def prepare() -> Request:
            return self._prepare(method, url, body, outage, trace)

        request = prepare()
        wait_seconds = outage.admit(caller)
        if wait_seconds > 0:
            message = f"{call_of(request)}: not sent, since {outage.name} is away: {outage.reason}"
            raise FlyteAway(message, wait_seconds, may_have_arrived=False)
        try:
            answer = yield from self._exchange(request, timeout, outage, caller)
            # flyte looks at the token before all else: a 401 was not processed, even of a take.
            if answer.status == 401 and self.transport.has_other_token(request) and may_repeat():
                answer = yield from self._exchange(prepare(), timeout, outage, caller)
            self._judge(answer, accepted, outage, caller)
        finally:
            outage.leave(caller)
        return answer

    call = standing_still(calling)
    """The same in this thread."""

    def decode(self, decode: Callable[[bytes], _Decoded], answer: Answer) -> _Decoded:
        """The document of an answer; raises FlyteBadAnswer if it is not one."""
        try:
            return decode(answer.body or b"")
        except ValueError as error:
            raise self._bad_answer(f"{outcome_of(answer)}: {error}") from None

    def _prepare(
        self, method: str, url: str, body: bytes | None, outage: Outage, trace: str
    ) -> Request:
        try:
            return self.transport.prepare(method, url, body, trace)
        except ValueError:
            raise self._bad_link(url) from None
        except TokenUnavailable as error:
            wait_seconds = outage.admit(error) or outage.failed(str(error), caller=error)
            message = f"{method} {safe_url(url)}: not sent: {error}"
            raise FlyteAway(message, wait_seconds, may_have_arrived=False) from None

    def _exchange(
        self, request: Request, timeout: Timeout, outage: Outage, caller: object
    ) -> Steps[Answer]:
        try:
            return (yield from self.transport.exchanging(request, timeout))
        except Unreachable as error:
            reason, arrived, broke_off = str(error), error.may_have_arrived, error.broke_off
        wait_seconds = outage.failed(reason, broke_off=broke_off, caller=caller)
        raise FlyteAway(f"{call_of(request)}: {reason}", wait_seconds, may_have_arrived=arrived)

    def _judge(
        self, answer: Answer, accepted: Collection[int], outage: Outage, caller: object
    ) -> None:
        """Return for an accepted answer, raise what any other one means."""
        # flyte itself knows no 5xx but 500: the others come from what is in front of it.
        if answer.status in {408, 429} or answer.status > 500:
            raise self._away(answer, outage, caller)
        outage.succeeded()
        if answer.status not in accepted:
            error = error_of(answer, accepted)
            if isinstance(error, FlyteBadAnswer):
                self.forget_links()
            raise error
        if answer.body is None:
            raise self._bad_answer(f"{outcome_of(answer)} and more than 32 MB")

    def _away(self, answer: Answer, outage: Outage, caller: object) -> FlyteAway:
        said = wire.decode_problem(answer.body or b"")
        message = f"{outcome_of(answer)}: {said}" if said else outcome_of(answer)
        wish_seconds = retry_after_seconds(answer.headers.get("Retry-After"), self._clock.now())
        wait_seconds = outage.failed(message, wish_seconds, caller=caller)
        # A proxy may answer 503 even after it has sent the request on a connection that broke.
        return FlyteAway(message, wait_seconds, may_have_arrived=answer.status > 500)

    def _bad_link(self, href: str) -> FlyteBadAnswer:
        found = f"flyte gave a link that is not a URL: '{safe_url(href)}'"
        return self._bad_answer(f"{found}, {EXPECTED_URL}")

    def _bad_answer(self, message: str) -> FlyteBadAnswer:
        self.forget_links()  # the answer may be from another flyte than the one that gave them
        return FlyteBadAnswer(message)
