"""The parts of a running pipeline, and which one is made from which.

Health pages, metrics and ``flyte-host ctl`` read a host's state from them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from flyte_host.client.configured_conversation import make_conversation
from flyte_host.client.direct_calls import Application
from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.outage import Outage
from flyte_host.client.registrations import Registrations
from flyte_host.clock import Clock
from flyte_host.config import Config
from flyte_host.counters import Counters
from flyte_host.packs import ServedPacks
from flyte_host.pipeline.delivery.attempts import Attempts
from flyte_host.pipeline.delivery.courier import Courier
from flyte_host.pipeline.delivery.deliveries import Deliveries
from flyte_host.pipeline.delivery.refusals import Refusals
from flyte_host.pipeline.emitter import Emitter
from flyte_host.pipeline.handlers.handler_tools import HandlerTools
from flyte_host.pipeline.journal import Journal
from flyte_host.pipeline.observers import Observers
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.tracer import Tracer
from flyte_host.pipeline.wake_listener import WakeListener
from flyte_host.pipeline.workers.run import Runner
from flyte_host.pipeline.workers.taker import Taker
from flyte_host.pipeline.workers.worker_pool import WorkerPool
from flyte_host.secrets import Scrubber
from flyte_host.thread_watch import ThreadWatch


@dataclass(frozen=True, slots=True)
class Parts:
    """All of them; ``served`` are the packs."""

    served: ServedPacks
    clock: Clock
    counters: Counters
    schedule: Schedule
    client: FlyteClient
    registrations: Registrations
    journal: Journal
    handler_tools: HandlerTools
    deliveries: Deliveries
    courier: Courier
    runner: Runner
    workers: WorkerPool
    observers: Observers
    listener: WakeListener
    watch: ThreadWatch
    tracer: Tracer

    @property
    def outage(self) -> Outage:
        """Whether flyte is away."""
        return self.client.outage


def make_parts(  # noqa: PLR0917
    config: Config,
    url: str,
    served: ServedPacks,
    schedule: Schedule,
    scrubber: Scrubber,
    environ: Mapping[str, str] = os.environ,
    *,
    clock: Clock,
    watch: ThreadWatch,
    application: Application | None = None,
    tracer: Tracer | None = None,
) -> Parts:
    """The parts of a pipeline for flyte at ``url``; nothing runs yet. Raises ConfigError.

    ``application`` is flyte itself, if it is in this process. ``tracer`` records spans, if any.
    """
    packs = served.packs
    counters = Counters({key: pack.commands for key, pack in packs.items()})
    conversation = make_conversation(
        config.flyte, url, scrubber, environ, clock=clock, application=application
    )
    return wire_parts(
        served=served,
        schedule=schedule,
        client=FlyteClient(conversation, counters, clock),
        journal=Journal(config.host.state, clock),
        handler_tools=HandlerTools(scrubber, clock, counters, watch),
        clock=clock,
        counters=counters,
        watch=watch,
        tracer=tracer or Tracer(),
    )


def wire_parts(
    *,
    served: ServedPacks,
    schedule: Schedule,
    client: FlyteClient,
    journal: Journal,
    handler_tools: HandlerTools,
    clock: Clock,
    counters: Counters,
    watch: ThreadWatch,
    tracer: Tracer,
) -> Parts:
    """The parts above those that the caller has made."""
    packs = served.packs
    for pack in packs.values():
        schedule.add(pack)
    if (network := client.transport.open_network()) is not None:
        schedule.open(network)
    definitions = {key: pack.definition for key, pack in packs.items()}
    registrations = Registrations(client, definitions)
    refusals = Refusals(journal, client, registrations, clock, counters)
    attempts = Attempts(journal, client, registrations, schedule.hints, counters, refusals=refusals)
    deliveries = Deliveries(journal, attempts, client.outage, clock)
    taker = Taker(packs, client, registrations, journal, clock, counters)
    emitter = Emitter(journal, deliveries, clock, counters, tracer)
    runner = Runner(
        packs, handler_tools, schedule.turns, journal, deliveries, clock, counters, tracer
    )
    return Parts(
        served=served,
        clock=clock,
        counters=counters,
        schedule=schedule,
        client=client,
        registrations=registrations,
        journal=journal,
        handler_tools=handler_tools,
        deliveries=deliveries,
        courier=Courier(deliveries, journal, client.outage, clock, watch),
        runner=runner,
        workers=WorkerPool(schedule.turns, journal, taker, runner, watch),
        observers=Observers(packs.values(), emitter, clock, watch),
        listener=WakeListener(client, packs.values(), schedule, clock, watch),
        watch=watch,
        tracer=tracer,
    )
