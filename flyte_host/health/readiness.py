"""The lines of ``/ready``: what each part of a running host says of itself.

Owns when a line is healthy and its words. Must not know how a page is served, nor plugins' checks.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flyte_host.client import FlyteClient
from flyte_host.client.outage import Outage
from flyte_host.client.registrations import Registrations
from flyte_host.counters import Counters
from flyte_host.errors import FlyteHostError
from flyte_host.packs import ServedPacks
from flyte_host.pipeline.courier import Courier
from flyte_host.pipeline.dispatcher import Dispatcher
from flyte_host.pipeline.journal import Journal
from flyte_host.pipeline.poller import Poller

FRESH_SECONDS = 30.0
"""A pack polled (or registered) so recently is fresh, however short its interval."""
PLACES_SHOWN = 3
"""So many stuck handlers of one pack are named with their places."""
JOURNAL_MARK = 1000
"""So many undelivered entries mean that flyte does not keep up with us."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The running parts of a host that its health depends on."""

    registry: ServedPacks
    registrations: Registrations
    poller: Poller
    dispatcher: Dispatcher
    journal: Journal
    client: FlyteClient
    outage: Outage
    poll_interval_seconds: float
    threads: Callable[[], Iterable[threading.Thread]]
    courier: Courier
    counts: Counters


@dataclass(frozen=True, slots=True)
class Ready:
    """One line of ``/ready``; one that is not ``critical`` informs and does not turn the page."""

    healthy: bool
    reason: str
    age_seconds: float | None = None
    critical: bool = True


def readiness(parts: Parts, now: float) -> dict[str, Ready]:
    """Every line by its name; ``now`` is of the clock of the poller and the outage."""
    return {
        "flyte": _flyte(parts, now),
        "registered": _registered(parts),
        "polling": _polling(parts, now),
        "paused": _paused(parts),
        "slots": _slots(parts),
        "processes": _processes(parts),
        "journal": _journal(parts),
        "plugins": _plugins(parts),
    }


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
        pack_key: parts.poller.last_polled(pack_key)
        for pack_key, pack in parts.registry.packs.items()
        if pack.commands and not _is_full(parts, pack_key) and not _is_paused(parts, pack_key)
    }
    ages = {pack_key: now - at for pack_key, at in polled.items() if at is not None}
    oldest = max(ages.values(), default=None)
    if oldest is not None and oldest > stale:
        late = ", ".join(
            f"{each}: {parts.poller.problem(each) or 'no answer'}" for each in ages
            if ages[each] > stale
        )  # fmt: skip
        return Ready(False, f"not polled for more than {stale:g} s: {late}", oldest)
    never = ", ".join(pack_key for pack_key, at in polled.items() if at is None)
    problems = _problems(parts, parts.poller.problem) or (never and f"not polled yet: {never}")
    return Ready(not problems, problems or "fresh", oldest)


def _is_full(parts: Parts, pack_key: str) -> bool:
    """A pack without a free slot or a process is not polled: that is no fault of the polling."""
    load = parts.dispatcher.load(pack_key)
    if not parts.dispatcher.runs(pack_key):
        return True
    return load.running >= load.limit or load.quarantined


def _is_paused(parts: Parts, pack_key: str) -> bool:
    return parts.poller.paused_since(pack_key) is not None


def _paused(parts: Parts) -> Ready:
    since = {pack_key: parts.poller.paused_since(pack_key) for pack_key in parts.registry.packs}
    paused = {pack_key: at for pack_key, at in since.items() if at is not None}
    words = ", ".join(
        f"{each} is paused since {at.isoformat(timespec='seconds')}" for each, at in paused.items()
    )
    age = (parts.journal.now() - min(paused.values())).total_seconds() if paused else None
    return Ready(True, words or "no pack is paused", age, critical=False)


def _slots(parts: Parts) -> Ready:
    loads = {pack_key: parts.dispatcher.load(pack_key) for pack_key in parts.registry.packs}
    stuck = {pack_key: load.stuck for pack_key, load in loads.items() if load.stuck}
    quarantined = any(load.quarantined for load in loads.values())
    running = sum(load.running for load in loads.values())
    blocked = parts.dispatcher.blocked
    past = ", ".join(_stuck(parts, pack_key, number) for pack_key, number in stuck.items())
    words = [blocked, past and f"handlers past their timeout: {past}"]
    reason = "; ".join(filter(None, words)) or f"{running} actions running"
    return Ready(not quarantined and not blocked, reason, critical=False)


def _processes(parts: Parts) -> Ready:
    own = parts.registry.processes
    away = [f"{name}: {process.problem}" for name, process in own.items() if process.problem]
    words = "; ".join(away) or f"{len(own)} plugins have processes of their own"
    return Ready(not away, words, critical=False)


def _stuck(parts: Parts, pack_key: str, number: int) -> str:
    """How many handlers of a pack are stuck, and where the first of them stand."""
    places = parts.dispatcher.stuck(pack_key)
    more = ["…"] if len(places) > PLACES_SHOWN else []
    words = "; ".join([*places[:PLACES_SHOWN], *more])
    return f"{pack_key}: {number} ({words})" if words else f"{pack_key}: {number}"


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
        words += f"; {counts.parked} parked: flyte refused them"
    age = None
    if counts.oldest_waiting is not None:
        age = (parts.journal.now() - counts.oldest_waiting).total_seconds()
    return Ready(waiting < JOURNAL_MARK, words, age)


def _plugins(parts: Parts) -> Ready:
    broken = [f"{each.config.pack_key}: {each.problem}" for each in parts.registry.broken]
    return Ready(not broken, "; ".join(broken) or "none is broken", critical=False)


def _problems(parts: Parts, of: Callable[[str], str]) -> str:
    """All packs' problems in words, those that are the same told once."""
    by_problem: dict[str, list[str]] = {}
    for pack_key in parts.registry.packs:
        if problem := of(pack_key):
            by_problem.setdefault(problem, []).append(pack_key)
    return "; ".join(f"{', '.join(who)}: {problem}" for problem, who in by_problem.items())
