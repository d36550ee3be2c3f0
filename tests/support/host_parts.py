"""Packs, parts and clocks for the tests of the flyte side of the host; every part is real."""

import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flyte_host import Command, Event, EventDef, HealthCheck, PackDef, hookimpl
from flyte_host import clock as clocks
from flyte_host.client.bearer_token import BearerToken
from flyte_host.client.conversation import Conversation
from flyte_host.client.direct_calls import Application
from flyte_host.client.engine import Engine
from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.outage import Outage
from flyte_host.client.tls_files import TlsFiles
from flyte_host.client.transport import Transport
from flyte_host.counters import Counters
from flyte_host.model import Taken
from flyte_host.packs import ServedPack
from flyte_host.secrets import Scrubber
from tests.support.scripted_server import ScriptedServer, links, registered, reply
from tests.support.served_packs import served_packs

OK = EventDef("Ok")


class ChosenEngine:
    """The adapter of every client here; None: the best that is installed."""

    engine: Engine | None = None
    opens_network = False


def utc_now() -> datetime:
    return datetime.now(UTC)


def echo(input: Any) -> Event:
    return OK(input)


ECHO = Command("echo", echo, [OK])


class PackPlugin:
    """A plugin that owns one pack."""

    def __init__(
        self,
        *commands: Command,
        name: str = "Demo",
        event_defs: Sequence[EventDef] = (),
        checks: Sequence[HealthCheck] = (),
    ) -> None:
        self._pack = PackDef(name, commands=commands, event_defs=event_defs)
        self._checks = checks

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return self._pack

    @hookimpl
    def flyte_health_checks(self, pack: PackDef) -> Sequence[HealthCheck]:
        return self._checks


class ObservingPlugin(PackPlugin):
    def __init__(
        self,
        observe: Callable[[Callable[[Event], None], threading.Event], None],
        *commands: Command,
        **more: Any,
    ) -> None:
        super().__init__(*commands, **more)
        self._observe = observe

    @hookimpl
    def flyte_observe(
        self, pack: PackDef, emit: Callable[[Event], None], stopping: threading.Event
    ) -> None:
        self._observe(emit, stopping)


def served(
    plugins: Mapping[str, object], packs: Mapping[str, Mapping[str, Any]] | None = None
) -> Mapping[str, ServedPack]:
    """The packs by pack key, as a host would serve them."""
    registry = served_packs(plugins, packs or {}, Scrubber())
    assert not registry.broken, registry.broken
    return registry.packs


class Middle(random.Random):
    """Draws the middle of every range."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def taken(number: int = 1, command: str = "echo", input: Any = None, url: str = "") -> Taken:
    href = f"{url}/v1/packs/Demo/actions/a{number}/result"
    return Taken(f"a{number}", command, json.dumps(input).encode(), href)


def client_for(
    url: str,
    clock: clocks.Clock | None = None,
    *,
    outage: Outage | None = None,
    counters: Counters | None = None,
    timeout_seconds: float = 10,
    token: BearerToken | None = None,
    application: Application | None = None,
    **tls: Any,
) -> FlyteClient:
    """A client whose outages are over soon; ``tls`` are the arguments of TlsFiles."""
    clock = clock or clocks.Clock()
    transport = Transport(
        url, TlsFiles(**tls), token=token, application=application, engine=ChosenEngine.engine
    )
    if ChosenEngine.opens_network:
        transport.open_network()
    outage = outage or Outage(clock, base_seconds=0.02, cap_seconds=0.05)
    conversation = Conversation(transport, outage, clock, timeout_seconds=timeout_seconds)
    return FlyteClient(conversation, counters or Counters(), clock)


def definitions(packs: Mapping[str, ServedPack]) -> dict[str, PackDef]:
    """What flyte learns of each."""
    return {pack_key: pack.definition for pack_key, pack in packs.items()}


def flyte_script(server: ScriptedServer, *pack_ids: str) -> None:
    """Links, and a registration that succeeds for each of the packs."""

    def answer(seen: Any) -> bytes:
        document = json.loads(seen.body)
        labels = document.get("labels", {})
        pack_id = document["name"] + "".join(f".{key}.{labels[key]}" for key in sorted(labels))
        return reply(201, registered(server.url, pack_id))

    server.on("GET /v1", reply(200, links(server.url)))
    server.on("POST /v1/packs", [answer])
    for pack_id in pack_ids:
        server.on(f"POST /v1/packs/{pack_id}/actions/take", reply(204))
        server.on(f"POST /v1/packs/{pack_id}/events", reply(202))
