"""flyte's HTTP API: one method for each call that a host makes.

Owns which call goes where (links), which answer means what, when no call is made at all (a shared
outage), and counting the calls by how they end. Must not know what callers do about an error, nor
the inside of a document (``wire``) or of a connection (``transport``).
"""

import functools
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import urlencode, urljoin

from flyte_host.client import wire
from flyte_host.client.bearer_token import BearerToken, TokenUnavailable
from flyte_host.client.direct_adapter import Application
from flyte_host.client.engine import Engine
from flyte_host.client.outage import Outage
from flyte_host.client.transport import (
    EXPECTED_URL,
    Answer,
    Request,
    Timeout,
    Transport,
    Unreachable,
    origin,
    retry_after_seconds,
    safe_url,
)
from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.errors import (
    FlyteAway,
    FlyteBadAnswer,
    FlyteError,
    FlyteFailed,
    FlyteRefused,
    FlyteUnauthorized,
    FlyteUnknown,
)
from flyte_host.model import HeardNews, PackDef, Registration, Taken

CONNECT_SECONDS = 10.0
TAKE_SECONDS = 30.0
AUDIT_PAGE_FLOWS = 50
AUDIT_PAGES = 20

_Decoded = TypeVar("_Decoded")
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


class FlyteClient:
    """Calls flyte; safe in any thread. Every call raises the subclasses of FlyteError.

    ``timeout_seconds`` bounds each wait for an answer (0: none) except that of a take; connecting
    ends after 10 seconds at the latest. ``ca_file`` replaces the usual CAs. User-info in ``url``
    is sent as Basic credentials if there is no ``token``. ``application`` is flyte itself, if it is
    in this process. ``engine`` is the best that is installed, unless it is given. Raises
    ConfigError for a URL or a TLS file that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 10,
        token: BearerToken | None = None,
        ca_file: Path | None = None,
        client_cert_file: Path | None = None,
        client_key_file: Path | None = None,
        verify: bool = True,
        application: Application | None = None,
        engine: Engine | None = None,
        outage: Outage,
        counters: Counters,
        clock: Clock,
    ) -> None:
        self._transport = Transport(
            url,
            token=token,
            ca_file=ca_file,
            client_cert_file=client_cert_file,
            client_key_file=client_key_file,
            verify=verify,
            application=application,
            engine=engine,
        )
        self.token = token
        self._clock = clock
        self.outage = outage
        self._elsewhere = Outage(clock, name="a server to which flyte links")
        self.counters = counters
        connect_seconds = min(timeout_seconds or CONNECT_SECONDS, CONNECT_SECONDS)
        self._timeout = Timeout(connect_seconds, timeout_seconds or None)
        # A take is irrevocable: flyte never gives out again what stands in an answer that came
        # too late. So waiting longer is cheaper than giving up.
        take_seconds = max(3 * timeout_seconds, TAKE_SECONDS) if timeout_seconds else None
        self._take_timeout = Timeout(connect_seconds, take_seconds)
        self._waiting_href = ""
        self.waiting_known = threading.Event()
        """Set once flyte has said where it tells of actions."""
        self.is_direct = application is not None
        self._links: wire.Links = ()
        self._links_lock = threading.Lock()

    @property
    def engine_name(self) -> str:
        """What carries the calls."""
        return self._transport.engine_name

    @_counted("register")
    def register(self, pack: PackDef) -> Registration:
        """Create ``pack`` in flyte or renew it. Raises ValueError if it is not JSON."""
        body = wire.encode_pack(pack)
        try:
            request, answer = self._call("POST", self._link("pack/listPacks"), body, accepted={201})
        except FlyteUnknown:
            self._links = ()
            raise
        found = self._decode(wire.decode_registration, request, answer)
        take_href, events_href = self._absolute(found.take_href), self._absolute(found.events_href)
        self._transport.add_own(take_href)
        if link := wire.find_waiting_link(answer.headers.get("Link") or ""):
            self._waiting_href = self._absolute(link)
            self.waiting_known.set()
        return replace(found, take_href=take_href, events_href=events_href)

    @_counted("take")
    def take(self, registration: Registration) -> Taken | None:
        """An action for that pack, or None if there is none.

        Irrevocable, and never sent again: after FlyteBadAnswer, and after FlyteAway with
        ``may_have_arrived``, an action may be lost.
        """
        request, answer = self._call(
            "POST",
            registration.take_href,
            b"null",
            accepted={200, 204},
            timeout=self._take_timeout,
        )
        if answer.status == 204:
            return None
        taken = self._decode(wire.decode_taken, request, answer)
        href = wire.escape_pack_id(taken.result_href, registration.pack_id)
        href = self._transport.relative(self._absolute(href))
        step = wire.decode_step(answer.headers.get(wire.STEP_HEADER, ""))
        return Taken(taken.id, taken.command, taken.input, href, step)

    @_counted("wait")
    def wait_for_actions(self, packs: Iterable[PackDef], cursor: str, seconds: float) -> HeardNews:
        """For which packs actions wait, after that time at the latest.

        Only after flyte said where, when a pack registered. That it fails says nothing about
        flyte: a proxy may not keep a request open.
        """
        body = wire.encode_watch(packs, cursor, seconds)
        timeout = Timeout(self._timeout.connect, seconds + (self._timeout.read or TAKE_SECONDS))
        request, answer = self._call(
            "POST",
            self._waiting_href,
            body,
            accepted={200},
            timeout=timeout,
            outage=Outage(self._clock, quiet=True),
        )
        return self._decode(wire.decode_news, request, answer)

    @_counted("result")
    def post_result(self, result_href: str, body: bytes) -> None:
        """Finish an action; the href is that of a take, ``body`` from :func:`wire.encode_event`.

        Only 202 is a success: a 200 may be the login page of a proxy. A link that leads away from
        flyte says nothing about flyte: it neither waits for an outage nor begins one.
        """
        href = self._absolute(result_href)
        outage = self.outage if self._transport.is_own(href) else self._elsewhere
        self._call("POST", href, body, accepted={202}, outage=outage)

    @_counted("event")
    def post_event(self, registration: Registration, body: bytes) -> None:
        """Raise an event; ``body`` is from :func:`wire.encode_event`."""
        self._call("POST", registration.events_href, body, accepted={202})

    @_counted("health")
    def health(self) -> None:
        """Ask flyte whether it is well: for flyte that is whether it reaches its database."""
        self._call("GET", self._link("info/health"), accepted={200})

    @_counted("audit")
    def action_state(self, pack_name: str, command: str, action_id: str) -> str | None:
        """The action's state in flyte's audit: NEW, PENDING, SUCCESS or FATAL.

        None if it is not in the latest 1,000 executions of flows that used that command.
        """
        href = self._link("flowAudit/findFlows")
        query: dict[str, str | int] = {"actionPackName": pack_name, "actionName": command}
        for start in range(0, AUDIT_PAGES * AUDIT_PAGE_FLOWS, AUDIT_PAGE_FLOWS):
            query |= {"start": start, "limit": AUDIT_PAGE_FLOWS}
            request, answer = self._call("GET", f"{href}?{urlencode(query)}", accepted={200})
            states = self._decode(wire.decode_action_states, request, answer)
            # A short page proves nothing: flyte leaves out flows whose history is gone.
            if action_id in states or not states:
                return states.get(action_id)
        return None

    def close(self) -> None:
        """Drop idle connections; a call under way ends as it would have."""
        self._transport.close()

    def _link(self, suffix: str) -> str:
        """The href of one of flyte's links, which are asked for only if it is not known."""
        with self._links_lock:
            href = wire.find_link(self._links, suffix)
            if href is None:
                entry = f"{self._transport.base}/v1"
                request, answer = self._call("GET", entry, accepted={200})
                links = self._decode(wire.decode_links, request, answer)
                href = wire.find_link(links, suffix)
                if href is None:
                    found = f"expected a link whose rel ends with {suffix}, found none"
                    raise self._bad_answer(f"{_outcome(request, answer)}: {found}")
                self._links = links
        return self._absolute(href)

    def _absolute(self, href: str) -> str:
        try:
            return self._transport.absolute(href)
        except ValueError:
            raise self._bad_link(href) from None

    def _call(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        accepted: Collection[int],
        timeout: Timeout | None = None,
        outage: Outage | None = None,
    ) -> tuple[Request, Answer]:
        timeout, outage = timeout or self._timeout, outage or self.outage
        request = self._prepare(method, url, body, outage)
        wait_seconds = outage.admit()
        if wait_seconds > 0:
            message = f"{_line(request)}: not sent, since {outage.name} is away: {outage.reason}"
            raise FlyteAway(message, wait_seconds, may_have_arrived=False)
        answer = self._exchange(request, timeout, outage)
        # flyte looks at the token before anything else: a 401 was not processed, even of a take.
        if answer.status == 401 and self._has_other_token(request):
            request = self._prepare(method, url, body, outage)
            answer = self._exchange(request, timeout, outage)
        self._judge(request, answer, accepted, outage)
        return request, answer

    def _prepare(self, method: str, url: str, body: bytes | None, outage: Outage) -> Request:
        try:
            return self._transport.prepare(method, url, body)
        except ValueError:
            raise self._bad_link(url) from None
        except TokenUnavailable as error:
            wait_seconds = outage.admit() or outage.failed(str(error))
            message = f"{method} {safe_url(url)}: not sent: {error}"
            raise FlyteAway(message, wait_seconds, may_have_arrived=False) from None

    def _exchange(self, request: Request, timeout: Timeout, outage: Outage) -> Answer:
        try:
            return self._transport.exchange(request, timeout)
        except Unreachable as error:
            reason, arrived = str(error), error.may_have_arrived
        wait_seconds = outage.failed(reason)
        raise FlyteAway(f"{_line(request)}: {reason}", wait_seconds, may_have_arrived=arrived)

    def _has_other_token(self, request: Request) -> bool:
        sent = request.headers.get("Authorization")
        if self.token is None or sent is None:
            return False
        # Another thread may have read the new token before: so compare with what was sent.
        try:
            return self.token.refresh() or sent != f"Bearer {self.token.current()}"
        except TokenUnavailable:
            return False

    def _judge(
        self, request: Request, answer: Answer, accepted: Collection[int], outage: Outage
    ) -> None:
        """Return for an accepted answer, raise what any other one means."""
        # flyte itself knows no 5xx but 500: the others are from what stands before it.
        if answer.status in {408, 429} or answer.status > 500:
            raise self._away(request, answer, outage)
        outage.succeeded()
        if answer.status not in accepted:
            raise self._error(request, answer, accepted)
        if answer.body is None:
            raise self._bad_answer(f"{_outcome(request, answer)} and more than 32 MB")

    def _away(self, request: Request, answer: Answer, outage: Outage) -> FlyteAway:
        message = _outcome(request, answer)
        wish_seconds = retry_after_seconds(answer.headers.get("Retry-After"), self._clock.now())
        wait_seconds = outage.failed(message, wish_seconds)
        # A proxy may answer 503 also when the connection broke on which it had sent the request.
        return FlyteAway(message, wait_seconds, may_have_arrived=answer.status > 500)

    def _error(self, request: Request, answer: Answer, accepted: Collection[int]) -> FlyteError:
        message = _outcome(request, answer)
        if answer.status == 401:
            return FlyteUnauthorized(f"{message}: {_why_unauthorized(answer)}")
        if answer.status == 404:
            return FlyteUnknown(message)
        if 400 <= answer.status < 500:
            return FlyteRefused(message)
        if answer.status == 500:
            return FlyteFailed(message)
        if "Location" in answer.headers:
            target = _redirect_target(str(request.url), answer.headers["Location"])
            message = f"{message}, a redirect to {target} (never followed)"
        expected = " or ".join(str(status) for status in sorted(accepted))
        return self._bad_answer(f"{message}, expected {expected}")

    def _decode(
        self, decode: Callable[[bytes], _Decoded], request: Request, answer: Answer
    ) -> _Decoded:
        try:
            return decode(answer.body or b"")
        except ValueError as error:
            raise self._bad_answer(f"{_outcome(request, answer)}: {error}") from None

    def _bad_link(self, href: str) -> FlyteBadAnswer:
        found = f"flyte gave a link that is not a URL: '{safe_url(href)}'"
        return self._bad_answer(f"{found}, {EXPECTED_URL}")

    def _bad_answer(self, message: str) -> FlyteBadAnswer:
        self._links = ()  # the answer may be from another flyte than the one that gave them
        return FlyteBadAnswer(message)


def _line(request: Request) -> str:
    return f"{request.method} {safe_url(str(request.url))}"


def _outcome(request: Request, answer: Answer) -> str:
    return f"{_line(request)} was answered with {answer.status}"


def _why_unauthorized(answer: Answer) -> str:
    challenge = answer.headers.get("WWW-Authenticate")
    if challenge is None:
        return "flyte's policy does not allow it"
    if "invalid_token" in challenge:
        return "flyte calls the token invalid or expired"
    return "flyte wants a token"


def _redirect_target(url: str, location: str) -> str:
    try:
        return origin(urljoin(url, location))
    except ValueError:
        return "something that is not an HTTP URL"
