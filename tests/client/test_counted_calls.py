"""Every call of flyte is counted once, by its outcome."""

from collections.abc import Callable, Iterator

import pytest

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.counters import CALLS, Counters
from flyte_host.errors import FlyteError
from flyte_host.model import PackDef, Registration
from tests.support.host_parts import client_for, flyte_script
from tests.support.scripted_server import CLOSE, Reply, ScriptedServer, action, reply

pytestmark = pytest.mark.usefixtures("engine")
PACK = PackDef("Demo")
Call = Callable[[FlyteClient, Registration], object]
MADE: dict[str, tuple[str, Call]] = {
    "register": ("POST /v1/packs", lambda client, _: client.register(PACK)),
    "take": ("POST /v1/packs/Demo/actions/take", lambda client, known: client.take(known)),
    "result": ("POST /v1/r", lambda client, _: client.post_result("/v1/r", b"{}")),
    "event": ("POST /v1/packs/Demo/events", lambda client, known: client.post_event(known, b"{}")),
    "health": ("GET /health", lambda client, _: client.health()),
    "audit": ("GET /v1/audit/flows", lambda client, _: client.action_state("Demo", "echo", "a1")),
}
WRONG: dict[str, Reply] = {
    "outage": [CLOSE],
    "unauthorized": reply(401),
    "unknown": reply(404),
    "refused": reply(400),
    "failed": reply(500),
    "bad_answer": reply(302),
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running, "Demo")
        running.on("GET /health", reply(200))
        running.on("POST /v1/r", reply(202))
        running.on("GET /v1/audit/flows", reply(200, b'{"flows": []}'))
        yield running


@pytest.fixture
def counts() -> Counters:
    return Counters()


@pytest.fixture
def client(server: ScriptedServer, counts: Counters) -> Iterator[FlyteClient]:
    made = client_for(server.url, counters=counts, timeout_seconds=5)
    yield made
    made.close()


def counted(counts: Counters) -> dict[tuple[str, ...], int]:
    return {labels: number for labels, number in counts.calls.read().items() if number}


def test_every_call_is_known() -> None:
    assert tuple(MADE) == CALLS


@pytest.mark.parametrize("call", MADE)
def test_a_call_that_ends_well(client: FlyteClient, counts: Counters, call: str) -> None:
    registration = client.register(PACK)
    expected = {("register", "ok"): 1}
    MADE[call][1](client, registration)
    expected[call, "ok"] = expected.get((call, "ok"), 0) + 1
    assert counted(counts) == expected


@pytest.mark.parametrize("word", WRONG)
@pytest.mark.parametrize("call", MADE)
def test_a_call_that_goes_wrong(
    client: FlyteClient, counts: Counters, server: ScriptedServer, call: str, word: str
) -> None:
    registration = client.register(PACK)
    server.on(MADE[call][0], WRONG[word])
    with pytest.raises(FlyteError):
        MADE[call][1](client, registration)
    assert counted(counts) == {("register", "ok"): 1, (call, word): 1}


def test_a_call_that_is_not_sent_counts_as_outage(
    client: FlyteClient, counts: Counters, server: ScriptedServer
) -> None:
    registration = client.register(PACK)
    server.on(MADE["take"][0], reply(503, Retry_After="60"))
    for _ in range(3):
        with pytest.raises(FlyteError):
            client.take(registration)
    assert counted(counts) == {("register", "ok"): 1, ("take", "outage"): 3}
    assert len([each for each in server.requests if each.path.endswith("take")]) == 1


def test_what_is_counted_is_also_returned(client: FlyteClient, server: ScriptedServer) -> None:
    registration = client.register(PACK)
    assert registration.pack_id == "Demo"
    assert client.take(registration) is None
    server.on(MADE["take"][0], reply(200, action(server.url, "Demo", "a7")))
    taken = client.take(registration)
    assert taken is not None
    assert taken.id == "a7"
