"""The scenarios: a workload each, and the subjects that do it.

Owns the list. Must not know how figures are shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.benchmarks.checkout import ROOT, Checkout
from tests.benchmarks.subjects import HostSubject, ReferenceSubject, Subject
from tests.benchmarks.workload import Workload

LATENCY_SECONDS = 0.025
NEAR_SECONDS = 0.005
CONTENTION_SECONDS = 0.008
PACKS = (100, 500, 2000)
FLOW_PACKS = 20
FLOWS = 10
FLOW_ANSWER_SECONDS = 0.002
FLOW_WARM_UP_SECONDS = 12.0
"""Some flows, from which a host learns which pack has work after which."""
POLL_SECONDS = 5
SLOTS = 32

REQUESTS = ReferenceSubject("bare `requests` loop", "reference_requests")
REQUESTS_THREADS = ReferenceSubject(
    f"`requests`, {SLOTS} threads", "reference_requests", ("--takers", str(SLOTS))
)


@dataclass(frozen=True)
class Scenario:
    """``references`` are names of subjects; the fastest of them is the reference.

    Without any, figures stand alone.
    """

    key: str
    title: str
    workload: Workload
    subjects: Sequence[Subject]
    references: Sequence[str]


def curl(takers: int = 1) -> ReferenceSubject:
    name = "R, the bare libcurl loop" if takers == 1 else f"libcurl, {takers} threads"
    return ReferenceSubject(name, "reference_curl", ("--takers", str(takers)))


def poller(packs: int) -> ReferenceSubject:
    return ReferenceSubject(
        f"serial poller, each pack every {POLL_SECONDS} s",
        "reference_curl",
        ("--packs", str(packs), "--every", str(POLL_SECONDS)),
    )


def hosts(
    checkouts: Sequence[Checkout], *, packs: int = 1, slots: int = 16, isolated: bool = False
) -> list[Subject]:
    where = ", isolated" if isolated else ""
    return [
        HostSubject(f"{host_name(each)}{where}", each, packs, slots, isolated) for each in checkouts
    ]


def scenarios(checkouts: Sequence[Checkout]) -> list[Scenario]:
    at_once = Workload()
    late = Workload(latency_seconds=LATENCY_SECONDS, warm_up_seconds=1.0, seconds=1.5)
    at_once_subjects: list[Subject] = [curl(), REQUESTS, *hosts(checkouts)]
    late_subjects: list[Subject] = [
        curl(),
        curl(SLOTS),
        REQUESTS_THREADS,
        *hosts(checkouts, slots=SLOTS),
    ]
    return [
        Scenario("sync", "Answers at once", at_once, at_once_subjects, [curl().name]),
        Scenario(
            "async",
            "Answers at once, a command that is a coroutine",
            replace(at_once, command="echo-async"),
            at_once_subjects,
            [curl().name],
        ),
        Scenario(
            "late",
            f"Every answer {LATENCY_SECONDS * 1000:.0f} ms late, `max_concurrent = {SLOTS}`",
            late,
            late_subjects,
            [curl().name],
        ),
        _contention("contention", checkouts, 0.0, takers=(1, 2, 4, 8)),
        _contention("near-contention", checkouts, NEAR_SECONDS, takers=(1, 2, 4, 8)),
        _contention("late-contention", checkouts, LATENCY_SECONDS, takers=(1, 4, 8, 16)),
        _flows(checkouts),
        *(_packs(each, checkouts) for each in PACKS),
        Scenario(
            "isolation",
            "A plugin in a process of its own",
            at_once,
            [*hosts(checkouts[-1:]), *hosts(checkouts[-1:], isolated=True)],
            [hosts(checkouts)[-1].name],
        ),
    ]


def _flows(checkouts: Sequence[Checkout]) -> Scenario:
    workload = Workload(
        packs=FLOW_PACKS,
        flows=FLOWS,
        latency_seconds=FLOW_ANSWER_SECONDS,
        warm_up_seconds=FLOW_WARM_UP_SECONDS,
    )
    return Scenario(
        "flows",
        f"A flow of {workload.flow_steps} steps over as many packs, among {FLOW_PACKS}",
        workload,
        [poller(FLOW_PACKS), *hosts(checkouts, packs=FLOW_PACKS)],
        [poller(FLOW_PACKS).name],
    )


def _packs(packs: int, checkouts: Sequence[Checkout]) -> Scenario:
    """A serial poller of more packs could not ask each of them in time."""
    pollers: list[Subject] = [poller(packs)] if packs == PACKS[0] else []
    return Scenario(
        f"packs-{packs}",
        f"{packs:,} packs with nothing to do",
        Workload(
            packs=packs,
            idle=True,
            latency_seconds=LATENCY_SECONDS,
            warm_up_seconds=POLL_SECONDS,
            seconds=POLL_SECONDS,
        ),
        [*pollers, *hosts(checkouts, packs=packs)],
        [each.name for each in pollers],
    )


def _contention(
    key: str, checkouts: Sequence[Checkout], latency_seconds: float, takers: Sequence[int]
) -> Scenario:
    """The reference is the best fixed number of takers."""
    late = f", every answer {latency_seconds * 1000:.0f} ms late" if latency_seconds else ""
    fixed = [curl(each) for each in takers]
    return Scenario(
        key,
        f"Takes of one pack collide for {CONTENTION_SECONDS * 1000:.0f} ms{late}",
        Workload(
            contention_seconds=CONTENTION_SECONDS,
            latency_seconds=latency_seconds,
            warm_up_seconds=1.5,
            seconds=1.5,
        ),
        [*fixed, *hosts(checkouts, slots=SLOTS)],
        [each.name for each in fixed],
    )


def host_name(checkout: Checkout) -> str:
    here = ", this one" if checkout.folder == ROOT else ""
    return f"flyte-host {checkout.revision}{here}"
