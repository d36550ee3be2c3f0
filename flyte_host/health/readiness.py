"""The lines of ``/ready``: what each part of a running host says about itself.

Owns each line's text, and when it is healthy. Must not know plugins' checks or how a page is
served.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Protocol

from flyte_host.errors import FlyteHostError, StoreAway
from flyte_host.foreign_code import headline
from flyte_host.pipeline.parts import Parts
from flyte_host.pipeline.schedule.pack_view import PackView
from flyte_host.text import counted

FRESH_SECONDS = 30.0
"""A pack polled (or registered) this recently is fresh, however short its interval."""
PLACES_SHOWN = 3
"""How many stuck handlers of a pack are shown with their places."""
JOURNAL_MARK = 1000
"""With this many undelivered entries, flyte is not keeping up."""


@dataclass(frozen=True, slots=True)
class Ready:
    """One line of ``/ready``; only a ``critical`` one can make the page fail."""

    healthy: bool
    reason: str
    age_seconds: float | None = None
    critical: bool = True


class OwnFlyte(Protocol):
    """A flyte in the host's process."""

    def store_bytes(self) -> int:
        """How large its store is."""
        ...

    def unserved(self) -> Sequence[str]:
        """A sentence for each command that actions wait for but no pack serves."""
        ...


def readiness(parts: Parts, now: float, own_flyte: OwnFlyte | None = None) -> dict[str, Ready]:
    """Every line by name; ``now`` is the monotonic time.

    A flyte in this process has lines too.
    """
    of_flyte = {} if own_flyte is None else {
        "store": _store(own_flyte.store_bytes), "unserved": _unserved(own_flyte),
    }  # fmt: skip
    return {
        "threads": _threads(parts),
        "flyte": _flyte(parts, now),
        **_token(parts),
        "engine": Ready(True, parts.client.transport.engine_name, critical=False),
        "registered": _registered(parts),
        "polling": _polling(parts, now),
        "paused": _paused(parts),
        "slots": _slots(parts),
        "processes": _processes(parts),
        "journal": _journal(parts),
        "plugins": _plugins(parts),
        **of_flyte,
    }


def _threads(parts: Parts) -> Ready:
    problem = parts.watch.problem
    return Ready(not problem, problem or "all run")


def _flyte(parts: Parts, now: float) -> Ready:
    since, reason = parts.outage.since, parts.outage.reason
    if since is None:
        return Ready(True, "reachable")
    return Ready(False, f"not reachable: {reason}", now - since)


def _token(parts: Parts) -> dict[str, Ready]:
    """When flyte's token ends; no line without a token that says so."""
    token = parts.client.transport.token
    ends = None if token is None else token.expires_at()
    if ends is None:
        return {}
    left_seconds = (ends - parts.clock.now()).total_seconds()
    verb = "ends" if left_seconds > 0 else "ended"
    words = f"flyte's token {verb} at {ends.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return {"token": Ready(left_seconds > 0, words, critical=False)}


def _registered(parts: Parts) -> Ready:
    problems = _problems(parts, parts.registrations.problem)
    return Ready(not problems, problems or counted(len(parts.served.packs), "pack"))


def _polling(parts: Parts, now: float) -> Ready:
    stale = max(FRESH_SECONDS, 4 * parts.schedule.poll_interval_seconds)
    views = {
        pack_key: parts.schedule.view(pack_key)
        for pack_key, pack in parts.served.packs.items()
        if pack.commands
    }
    polled = {
        pack_key: view.polled_at
        for pack_key, view in views.items()
        if view.paused_since is None and not _is_full(parts, pack_key, view)
    }
    ages = {pack_key: now - at for pack_key, at in polled.items() if at is not None}
    oldest = max(ages.values(), default=None)
    if oldest is not None and oldest > stale:
        late = ", ".join(
            f"{each}: {views[each].problem or 'no answer'}" for each in ages if ages[each] > stale
        )
        return Ready(False, f"not polled for more than {stale:g} s: {late}", oldest)
    never = ", ".join(pack_key for pack_key, at in polled.items() if at is None)
    problems = _problems(parts, lambda each: parts.schedule.view(each).problem)
    problems = problems or (never and f"not polled yet: {never}")
    return Ready(not problems, problems or "fresh", oldest)


def _is_full(parts: Parts, pack_key: str, view: PackView) -> bool:
    """A pack without a free slot or a process is not polled, and polling is not to blame."""
    process = parts.served.packs[pack_key].process
    return view.full or (process is not None and process.child is None)


def _paused(parts: Parts) -> Ready:
    since = {key: parts.schedule.view(key).paused_since for key in parts.served.packs}
    paused = {pack_key: at for pack_key, at in since.items() if at is not None}
    words = ", ".join(
        f"{each} has been paused since {at.isoformat(timespec='seconds')}"
        for each, at in paused.items()
    )
    age = parts.clock.age_seconds(min(paused.values())) if paused else None
    return Ready(True, words or "no pack is paused", age, critical=False)


def _slots(parts: Parts) -> Ready:
    views = {pack_key: parts.schedule.view(pack_key) for pack_key in parts.served.packs}
    stuck = {pack_key: view.stuck for pack_key, view in views.items() if view.stuck}
    quarantined = any(view.quarantined for view in views.values())
    running = sum(view.running for view in views.values())
    cut_off = sum(view.cut_off for view in views.values())
    blocked = parts.handler_tools.coroutines.problems
    past = ", ".join(_stuck(parts, pack_key, number) for pack_key, number in stuck.items())
    words = [*blocked, past and f"handlers past their timeout: {past}"]
    if cut_off:
        words.append(f"{counted(cut_off, 'action')} cut off by a restart, to be run again")
    reason = "; ".join(filter(None, words)) or f"{counted(running, 'action')} running"
    return Ready(not quarantined and not blocked, reason, critical=False)


def _processes(parts: Parts) -> Ready:
    own = parts.served.processes
    away = [f"{name}: {process.problem}" for name, process in own.items() if process.problem]
    words = "; ".join(away) or counted(
        len(own), "plugin has a process of its own", "plugins have processes of their own"
    )
    return Ready(not away, words, critical=False)


def _stuck(parts: Parts, pack_key: str, number: int) -> str:
    """How many handlers of a pack are stuck, and where the first of them are."""
    places = parts.schedule.stuck_places(pack_key)
    more = ["…"] if len(places) > PLACES_SHOWN else []
    words = "; ".join([*places[:PLACES_SHOWN], *more])
    return f"{pack_key}: {number} ({words})" if words else f"{pack_key}: {number}"


def _journal(parts: Parts) -> Ready:
    try:
        counts = parts.journal.backlog()
    except FlyteHostError as error:
        return Ready(False, str(error))
    if problem := parts.journal.problem():
        return Ready(False, problem)
    if counts.unwritten:
        results = counted(counts.unwritten, "finished result")
        return Ready(False, f"in memory only, since the journal could not be written: {results}")
    waiting = counts.results + counts.events
    results, events = counted(counts.results, "result"), counted(counts.events, "event")
    words = f"{results} and {events} wait for flyte"
    if counts.parked:
        words += f"; {counts.parked} parked: flyte refused them"
    age = None
    if counts.oldest_waiting is not None:
        age = parts.clock.age_seconds(counts.oldest_waiting)
    return Ready(waiting < JOURNAL_MARK, words, age)


def _store(store_bytes: Callable[[], int]) -> Ready:
    try:
        return Ready(True, f"{store_bytes() / 1_000_000:,.1f} MB", critical=False)
    except StoreAway as error:
        return Ready(False, str(error), critical=False)
    except Exception as error:  # it is being closed, or its disk fails: requests say more
        return Ready(False, f"cannot be read: {headline(error)}", critical=False)


def _unserved(own_flyte: OwnFlyte) -> Ready:
    """Never critical: another host may yet serve it, and this one can do no more."""
    try:
        found = own_flyte.unserved()
    except StoreAway as error:
        return Ready(False, str(error), critical=False)
    except Exception as error:  # as with the store
        return Ready(False, f"cannot be read: {headline(error)}", critical=False)
    more = [f"{len(found) - PLACES_SHOWN} more"] if len(found) > PLACES_SHOWN else []
    words = "; ".join([*found[:PLACES_SHOWN], *more])
    return Ready(not found, words or "no action waits for an unserved command", critical=False)


def _plugins(parts: Parts) -> Ready:
    broken = [f"{each.config.pack_key}: {each.problem}" for each in parts.served.broken]
    words = "; ".join(broken) or "none is broken"
    if parts.served.not_set_up:
        names = ", ".join(each.config.pack_key for each in parts.served.not_set_up)
        words += f"; not set up: {names}"
    return Ready(not broken, words, critical=False)


def _problems(parts: Parts, of: Callable[[str], str]) -> str:
    """All packs' problems in words, each told once."""
    by_problem: dict[str, list[str]] = {}
    for pack_key in parts.served.packs:
        if problem := of(pack_key):
            by_problem.setdefault(problem, []).append(pack_key)
    return "; ".join(f"{', '.join(who)}: {problem}" for problem, who in by_problem.items())
