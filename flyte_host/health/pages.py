"""The host's health pages as a WSGI application.

Owns what each page says and when it is an error. Must not know how to start or stop anything; it
looks at the running parts, and says "starting" until there are any.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from flyte_host.client import FlyteClient
from flyte_host.client.outage import Outage
from flyte_host.client.wire import printable
from flyte_host.config.secrets import Scrubber
from flyte_host.counts import Counts
from flyte_host.courier import Courier
from flyte_host.dispatcher import Dispatcher
from flyte_host.errors import FlyteError, FlyteHostError
from flyte_host.health.checks import Answer, Checks
from flyte_host.journal import Journal
from flyte_host.model import Health, HealthCheck
from flyte_host.poller import Poller
from flyte_host.registrations import Registrations
from flyte_host.registry import Registry, ServedPack

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from flyte_host.health.metrics import Metrics

DEFAULT_CHECK = {"DefaultCheck": Answer(True, "Pack is running.", True)}
FRESH_SECONDS = 30.0
"""A pack polled (or registered) so recently is fresh, however short its interval."""
PLACES_SHOWN = 3
"""So many stuck handlers of one pack are named with their places."""
JOURNAL_MARK = 1000
"""So many undelivered entries mean that flyte does not keep up with us."""

_STATUS = {200: "200 OK", 404: "404 Not Found", 500: "500 Internal Server Error",
           503: "503 Service Unavailable"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parts:
    """The running parts of a host that its health depends on."""

    registry: Registry
    registrations: Registrations
    poller: Poller
    dispatcher: Dispatcher
    journal: Journal
    client: FlyteClient
    outage: Outage
    poll_interval_seconds: float
    threads: Callable[[], Iterable[threading.Thread]]
    courier: Courier
    counts: Counts


@dataclass(frozen=True, slots=True)
class Ready:
    """One line of ``/ready``; one that is not ``critical`` informs and does not turn the page."""

    healthy: bool
    reason: str
    age_seconds: float | None = None
    critical: bool = True


class HealthApp:
    """Call :meth:`watch` once the parts run; the pages answer before that too."""

    def __init__(self, scrubber: Scrubber, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._scrubber = scrubber
        self._clock = clock
        self._checks = Checks()
        self._parts: Parts | None = None
        self._flyte_check: dict[str, HealthCheck] = {}
        self._metrics: Metrics | None = None
        self.stopping = False

    def watch(self, parts: Parts) -> None:
        """Answer for these parts from now on."""
        self._flyte_check = {"flyte-api": HealthCheck("flyte-api", _reach(parts.client), False)}
        self._parts = parts

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # WSGI gives a path's bytes as Latin-1, with nothing of it quoted any more.
        path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
        if path == "/metrics":
            status, content_type, body = self._metrics_page(environ.get("HTTP_ACCEPT", ""))
        else:
            status, content_type, body = self._json(*self._page(path or "/"))
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        start_response(_STATUS[status], headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def _json(self, status: int, document: Any) -> tuple[int, str, bytes]:
        text = self._scrubber.scrub(msgspec.json.encode(document).decode())
        return status, "application/json; charset=utf-8", text.encode()

    def _metrics_page(self, accept: str) -> tuple[int, str, bytes]:
        try:
            from flyte_host.health.metrics import Metrics  # noqa: PLC0415  an extra
        except ImportError as error:
            what = f"/metrics needs more than is installed ({error})"
            return self._json(404, {"error": f"{what}: pip install 'flyte-host[metrics]'"})
        self._metrics = self._metrics or Metrics(self._scrubber, self._clock)
        return 200, *self._metrics.page(self._parts, accept, stopping=self.stopping)

    def _page(self, path: str) -> tuple[int, Any]:
        instance = path.removeprefix("/packs/")
        if path == "/":
            return self._all_checks()
        if path == "/live":
            return self._live()
        if path == "/ready":
            return self._ready()
        if instance != path:
            return self._pack_checks(instance)
        pages = ["/", "/packs/<instance>", "/live", "/ready", "/metrics"]
        return 404, {"error": f"no page {path}", "pages": pages}

    def _all_checks(self) -> tuple[int, Any]:
        packs = self._parts.registry.packs.values() if self._parts else ()
        named = _named(list(packs), reserved=self._flyte_check)
        default = {} if named else DEFAULT_CHECK
        return _checks_page(default | self._checks.ask({**named, **self._flyte_check}))

    def _pack_checks(self, instance: str) -> tuple[int, Any]:
        packs = self._parts.registry.packs if self._parts else {}
        if instance not in packs:
            known = ", ".join(packs) or "none yet"
            return 404, {"error": f"no pack {instance!r} is served", "packs": known}
        checks = _unique((check.name, check) for check in packs[instance].health_checks)
        return _checks_page(self._checks.ask(checks) if checks else DEFAULT_CHECK)

    def _live(self) -> tuple[int, Any]:
        threads = self._parts.threads() if self._parts and not self.stopping else ()
        dead = [thread.name for thread in threads if not thread.is_alive()]
        return (503 if dead else 200), {"live": not dead, "dead_threads": dead}

    def _ready(self) -> tuple[int, Any]:
        if self.stopping:
            lines = {"host": Ready(False, "stopping")}
        elif self._parts is None:
            lines = {"host": Ready(False, "starting: loading plugins")}
        else:
            lines = self._lines(self._parts)
        ready = all(line.healthy or not line.critical for line in lines.values())
        checks = {
            name: asdict(each) | {"reason": printable(each.reason)} for name, each in lines.items()
        }
        return (200 if ready else 503), {"ready": ready, "checks": checks}

    def _lines(self, parts: Parts) -> dict[str, Ready]:
        return {
            "flyte": _flyte(parts, self._clock()),
            "registered": _registered(parts),
            "polling": _polling(parts, self._clock()),
            "paused": _paused(parts),
            "slots": _slots(parts),
            "journal": _journal(parts),
            "plugins": _plugins(parts),
        }


def _named(packs: list[ServedPack], *, reserved: Collection[str]) -> dict[str, HealthCheck]:
    """Every check by its name; a name that somebody else uses too gets the pack's before it."""
    checks = [(pack, check) for pack in packs for check in pack.health_checks]
    names = Counter([*reserved, *(check.name for _, check in checks)])
    return _unique(
        (check.name if names[check.name] == 1 else f"{_title(pack, packs)}: {check.name}", check)
        for pack, check in checks
    )


def _unique(checks: Iterable[tuple[str, HealthCheck]]) -> dict[str, HealthCheck]:
    """By name, none left out: a second of the same name becomes ``name (2)``."""
    seen: Counter[str] = Counter()
    unique = {}
    for name, check in checks:
        seen[name] += 1
        unique[name if seen[name] == 1 else f"{name} ({seen[name]})"] = check
    return unique


def _title(pack: ServedPack, packs: list[ServedPack]) -> str:
    same = [each for each in packs if each.definition.name == pack.definition.name]
    return pack.definition.name if len(same) == 1 else pack.instance


def _checks_page(answers: Mapping[str, Answer]) -> tuple[int, Any]:
    healthy = all(answer.healthy or not answer.critical for answer in answers.values())
    document = {
        name: {"healthy": answer.healthy, "status": _shown(answer.status)}
        for name, answer in answers.items()
    }
    return (200 if healthy else 500), document


def _shown(status: Any) -> Any:
    return printable(status) if isinstance(status, str) else status


def _reach(client: FlyteClient) -> Callable[[], Health]:
    def check() -> Health:
        try:
            client.health()
        except FlyteError as error:
            return Health(False, str(error))
        return Health(True, "flyte is healthy")

    return check


def _flyte(parts: Parts, now: float) -> Ready:
    since, reason = parts.outage.since, parts.outage.reason
    if since is None:
        return Ready(True, "reachable")
    return Ready(False, f"not reachable: {reason}", now - since)


def _registered(parts: Parts) -> Ready:
    problems = _problems(parts, parts.registrations.problem)
    return Ready(not problems, problems or f"{len(parts.registry.packs)} packs")


def _polling(parts: Parts, now: float) -> Ready:
    stale = max(FRESH_SECONDS, 4 * parts.poll_interval_seconds)
    polled = {
        instance: parts.poller.last_polled(instance)
        for instance, pack in parts.registry.packs.items()
        if pack.commands and not _is_full(parts, instance) and not _is_paused(parts, instance)
    }
    ages = {instance: now - at for instance, at in polled.items() if at is not None}
    oldest = max(ages.values(), default=None)
    if oldest is not None and oldest > stale:
        late = ", ".join(
            f"{each}: {parts.poller.problem(each) or 'no answer'}" for each in ages
            if ages[each] > stale
        )  # fmt: skip
        return Ready(False, f"not polled for more than {stale:g} s: {late}", oldest)
    never = ", ".join(instance for instance, at in polled.items() if at is None)
    problems = _problems(parts, parts.poller.problem) or (never and f"not polled yet: {never}")
    return Ready(not problems, problems or "fresh", oldest)


def _is_full(parts: Parts, instance: str) -> bool:
    """A pack without a free slot is not polled: that is no fault of the polling."""
    load = parts.dispatcher.load(instance)
    return load.running >= load.limit or load.quarantined


def _is_paused(parts: Parts, instance: str) -> bool:
    return parts.poller.paused_since(instance) is not None


def _paused(parts: Parts) -> Ready:
    since = {instance: parts.poller.paused_since(instance) for instance in parts.registry.packs}
    paused = {instance: at for instance, at in since.items() if at is not None}
    words = ", ".join(
        f"{each} is paused since {at.isoformat(timespec='seconds')}" for each, at in paused.items()
    )
    age = (parts.journal.now() - min(paused.values())).total_seconds() if paused else None
    return Ready(True, words or "no pack is paused", age, critical=False)


def _slots(parts: Parts) -> Ready:
    loads = {instance: parts.dispatcher.load(instance) for instance in parts.registry.packs}
    stuck = {instance: load.stuck for instance, load in loads.items() if load.stuck}
    quarantined = any(load.quarantined for load in loads.values())
    running = sum(load.running for load in loads.values())
    blocked = parts.dispatcher.blocked
    past = ", ".join(_stuck(parts, instance, number) for instance, number in stuck.items())
    words = [blocked, past and f"handlers past their time-out: {past}"]
    reason = "; ".join(filter(None, words)) or f"{running} actions running"
    return Ready(not quarantined and not blocked, reason, critical=False)


def _stuck(parts: Parts, instance: str, number: int) -> str:
    """How many handlers of a pack are stuck, and where the first of them stand."""
    places = parts.dispatcher.stuck(instance)
    more = ["…"] if len(places) > PLACES_SHOWN else []
    words = "; ".join([*places[:PLACES_SHOWN], *more])
    return f"{instance}: {number} ({words})" if words else f"{instance}: {number}"


def _journal(parts: Parts) -> Ready:
    try:
        counts = parts.journal.counts()
    except FlyteHostError as error:
        return Ready(False, str(error))
    if trouble := parts.journal.trouble():
        return Ready(False, trouble)
    waiting = counts.results + counts.events
    words = f"{counts.results} results and {counts.events} events wait for flyte"
    if counts.parked:
        words += f"; {counts.parked} parked: flyte would not have them"
    age = None
    if counts.oldest_waiting is not None:
        age = (parts.journal.now() - counts.oldest_waiting).total_seconds()
    return Ready(waiting < JOURNAL_MARK, words, age)


def _plugins(parts: Parts) -> Ready:
    broken = [f"{each.config.instance}: {each.reason}" for each in parts.registry.broken]
    return Ready(not broken, "; ".join(broken) or "none is broken", critical=False)


def _problems(parts: Parts, of: Callable[[str], str]) -> str:
    """All packs' problems in words, those that are the same told once."""
    by_problem: dict[str, list[str]] = {}
    for instance in parts.registry.packs:
        if problem := of(instance):
            by_problem.setdefault(problem, []).append(instance)
    return "; ".join(f"{', '.join(who)}: {problem}" for problem, who in by_problem.items())
