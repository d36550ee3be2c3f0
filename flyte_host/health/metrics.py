"""What ``/metrics`` shows: each metric's name, labels and meaning, and where its numbers are.

Must not know the format. It reads the host's own parts, and asks neither plugins nor flyte.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flyte_host.counters import Histogram, Labels
from flyte_host.isolation.supervised_process import SupervisedProcess
from flyte_host.metadata import version
from flyte_host.pipeline.journal import Backlog
from flyte_host.pipeline.parts import Parts
from flyte_host.plugins import Status

PREFIX = "flyte_host_"


@dataclass(frozen=True, slots=True)
class View:
    """The parts at the moment of a scrape; ``backlog`` is None if the journal cannot be read,
    and ``store_bytes`` if there is no embedded flyte or its store cannot.

    ``now`` is the time of the monotonic clock that the parts use.
    """

    parts: Parts
    now: float
    backlog: Backlog | None
    journal_problem: str
    store_bytes: int | None = None


Samples = Mapping[Labels, float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; ``kind`` is ``gauge``, ``counter`` or ``histogram``."""

    name: str
    kind: str
    labels: Labels
    meaning: str
    samples: Callable[[View], Mapping[Labels, float | Histogram]]


def _of_packs(of: Callable[[View, str], float | None]) -> Callable[[View], Samples]:
    """A number for each pack that has one."""

    def samples(view: View) -> Samples:
        numbers = {(each,): of(view, each) for each in view.parts.served.packs}
        return {labels: number for labels, number in numbers.items() if number is not None}

    return samples


def _of_processes(of: Callable[[SupervisedProcess], float]) -> Callable[[View], Samples]:
    """A number for each isolated plugin."""

    def samples(view: View) -> Samples:
        own = view.parts.served.processes
        return {(pack_key,): of(process) for pack_key, process in own.items()}

    return samples


def _of_host(of: Callable[[View], float | None]) -> Callable[[View], Samples]:
    """One number, if there is one."""

    def samples(view: View) -> Samples:
        number = of(view)
        return {} if number is None else {(): number}

    return samples


def _poll_age(view: View, pack_key: str) -> float | None:
    polled = view.parts.schedule.view(pack_key).polled_at
    takes = view.parts.served.packs[pack_key].commands
    return None if polled is None or not takes else view.now - polled


def _away_seconds(view: View) -> float:
    since = view.parts.outage.since
    return 0 if since is None else view.now - since


def _entries(view: View) -> Samples:
    if view.backlog is None:
        return {}
    found = view.backlog
    return {
        ("taken",): found.taken,
        ("result",): found.results,
        ("event",): found.events,
        ("parked",): found.parked,
    }


def _oldest_seconds(view: View) -> float | None:
    if view.backlog is None:
        return None
    oldest = view.backlog.oldest_waiting
    return 0 if oldest is None else view.parts.clock.age_seconds(oldest)


def _threads(view: View) -> Samples:
    """Threads that ended because the host is stopping do not count as dead."""
    watch = view.parts.watch
    return {("alive",): len(watch.living), ("dead",): len(watch.lost)}


def _plugins(view: View) -> Samples:
    found = Counter(each.status for each in view.parts.served.plugins)
    return {(status,): found[status] for status in Status}


def _load_seconds(view: View) -> Samples:
    enabled = [each for each in view.parts.served.plugins if each.status is not Status.DISABLED]
    return {(each.config.pack_key,): each.load_seconds for each in enabled}


METRICS = (
    Metric(
        "build_info", "gauge", ("version",), "Always 1; the label says which flyte-host runs.",
        lambda _: {(version("flyte-host"),): 1},
    ),
    Metric(
        "flyte_reachable", "gauge", (),
        "1 while flyte can be reached, as far as the host knows; 0 while it is away.",
        _of_host(lambda view: view.parts.outage.since is None),
    ),
    Metric(
        "flyte_away_seconds", "gauge", (),
        "How long flyte has been away; 0 while it is not.",
        _of_host(_away_seconds),
    ),
    Metric(
        "flyte_calls_total", "counter", ("call", "answer"),
        "Calls of flyte by outcome, including those not sent because flyte is away (outage).",
        lambda view: view.parts.counters.calls.read(),
    ),
    Metric(
        "pack_registered", "gauge", ("pack",),
        "1 if flyte knows the pack, 0 if it does not, or forgot it.",
        _of_packs(lambda view, each: not view.parts.registrations.problem(each)),
    ),
    Metric(
        "pack_paused", "gauge", ("pack",),
        "1 while somebody has paused the pack: it takes no actions.",
        _of_packs(lambda view, each: view.parts.schedule.view(each).paused_since is not None),
    ),
    Metric(
        "last_poll_age_seconds", "gauge", ("pack",),
        "Time since flyte last answered a poll of the pack well; only for packs with commands, "
        "after their first poll. A pack without a free slot is not polled.",
        _of_packs(_poll_age),
    ),
    Metric(
        "takes_total", "counter", ("pack", "result"),
        "Takes by outcome: an action, nothing (empty), or a problem.",
        lambda view: view.parts.counters.takes.read(),
    ),
    Metric(
        "extra_polls_total", "counter", (),
        "Polls made sooner than the poll interval because flows may have queued work.",
        _of_host(lambda view: view.parts.schedule.extra_polls),
    ),
    Metric(
        "slots", "gauge", ("pack",),
        "How many actions of the pack may run at once.",
        _of_packs(lambda view, each: view.parts.schedule.view(each).slots),
    ),
    Metric(
        "slots_in_use", "gauge", ("pack",),
        "Slots of actions that run or are being taken.",
        _of_packs(lambda view, each: view.parts.schedule.view(each).running),
    ),
    Metric(
        "stuck_handlers", "gauge", ("pack",),
        "Handlers that still run after their timeout.",
        _of_packs(lambda view, each: view.parts.schedule.view(each).stuck),
    ),
    Metric(
        "pack_quarantined", "gauge", ("pack",),
        "1 while as many handlers are stuck as the pack has slots: it takes no actions.",
        _of_packs(lambda view, each: view.parts.schedule.view(each).quarantined),
    ),
    Metric(
        "plugin_process_running", "gauge", ("pack",),
        "1 while the process of the pack's plugin runs, 0 while it waits for its restart; only for "
        "isolated plugins.",
        _of_processes(lambda process: process.child is not None),
    ),
    Metric(
        "plugin_process_deaths_total", "counter", ("pack",),
        "How often the process of the pack's plugin ended or failed to start.",
        _of_processes(lambda process: process.deaths),
    ),
    Metric(
        "actions_ended_total", "counter", ("pack", "command", "outcome"),
        "Actions by outcome; timeout is a FATAL that the host returned in the handler's place.",
        lambda view: view.parts.counters.endings.read(),
    ),
    Metric(
        "handler_duration_seconds", "histogram", ("pack", "command"),
        "From the start of a handler to its event, or to its timeout.",
        lambda view: view.parts.counters.durations.read(),
    ),
    Metric(
        "loop_blocked", "gauge", ("pack",),
        "1 while one coroutine handler blocks the pack's others.",
        _of_packs(lambda view, each: bool(view.parts.handler_tools.coroutines.problem_of(each))),
    ),
    Metric(
        "loop_blockages_total", "counter", ("pack",),
        "How often one coroutine handler was found blocking the pack's others.",
        lambda view: view.parts.counters.blockages.read(),
    ),
    Metric(
        "events_raised_total", "counter", ("pack",),
        "Events that the pack raised on its own and that are in the journal.",
        lambda view: view.parts.counters.events.read(),
    ),
    Metric(
        "deliveries_waiting", "gauge", ("pack",),
        "Results and events of the pack that flyte does not have yet.",
        _of_packs(lambda view, each: view.parts.deliveries.waiting(each)),
    ),
    Metric(
        "deliveries_total", "counter", ("pack", "kind", "outcome"),
        "Attempts to deliver a result or an event.",
        lambda view: view.parts.counters.deliveries.read(),
    ),
    Metric(
        "journal_usable", "gauge", (),
        "1 if the journal can be read and written; while it is 0 no action is taken.",
        _of_host(lambda view: view.backlog is not None and not view.journal_problem),
    ),
    Metric(
        "journal_entries", "gauge", ("state",),
        "What the journal holds: actions without a result (taken), results and events that wait "
        "for flyte, and what flyte refused (parked). Missing while it cannot be read.",
        _entries,
    ),
    Metric(
        "journal_oldest_waiting_seconds", "gauge", (),
        "How long the oldest result or event has waited for flyte; 0 if none does.",
        _of_host(_oldest_seconds),
    ),
    Metric(
        "embedded_store_bytes", "gauge", (),
        "Size of embedded flyte's store; missing without it, and while it cannot be read.",
        _of_host(lambda view: view.store_bytes),
    ),
    Metric(
        "threads", "gauge", ("state",),
        "Threads that the host needs. A dead one ends the process.",
        _threads,
    ),
    Metric(
        "plugin_load_seconds", "gauge", ("pack",),
        "How long the import and the constructor of the pack's plugin took.",
        _load_seconds,
    ),
    Metric(
        "plugins", "gauge", ("status",),
        "Plugins by status.",
        _plugins,
    ),
)  # fmt: skip
"""In the order of the page; their names lack PREFIX."""
