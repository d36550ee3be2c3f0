"""Whatever flyte answers: the client and the pipeline do not crash, hang, or lose it silently."""

import json
import queue
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast

import pytest
from hypothesis import strategies as st

from flyte_host.client import wire
from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.outage import Outage
from flyte_host.clock import Clock
from flyte_host.errors import FlyteError
from flyte_host.model import PackDef, Registration, Taken
from flyte_host.testing.waiting import wait_until
from tests.support.exploring import explore
from tests.support.figures import Figures
from tests.support.host_parts import ECHO, PackPlugin, client_for
from tests.support.pipeline_rig import PipelineRig
from tests.support.proxy import Act, Exchange, FaultProxy, ProxyAnswer
from tests.support.scripted_server import Seen, action, links, registered

FLYTE = "http://127.0.0.1:1"
WORDS = ["links", "href", "rel", "id", "command", "input", "flows", "actions", "state", "value",
         "takeAction", "/event", "actionResult", "pack/listPacks", "/v1/packs/D/actions/a/result",
         "http://[", "//", "\ud800", "", "\x00", "http://127.0.0.1:1/v1", "mailto:x"]  # fmt: skip
texts = st.sampled_from(WORDS) | st.text(max_size=8)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
genuine = st.sampled_from(
    [
        links(FLYTE),
        registered(FLYTE, "Demo"),
        action(FLYTE, "Demo", "a1"),
        b'{"flows": [{"actions": {"s": {"id": "a1", "state": {"value": "PENDING"}}}}]}',
    ]
)


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """A genuine document with one value replaced, somewhere."""
    document = json.loads(draw(genuine))
    place = document
    while isinstance(place, dict | list) and place:
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or draw(st.booleans()):
            place[key] = draw(values)
            break
        place = place[key]
    return json.dumps(document).encode(errors="surrogatepass")


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A genuine document with some bytes of it replaced."""
    document = draw(genuine)
    start = draw(st.integers(0, len(document)))
    end = draw(st.integers(start, len(document)))
    return document[:start] + draw(st.binary(max_size=8)) + document[end:]


bodies = st.one_of(
    st.binary(max_size=64),
    values.map(lambda value: json.dumps(value).encode()),
    altered(),
    broken(),
    genuine,
    st.just(b"[" * 5000),
)
good, bad = [200, 201, 202, 204], [200, 301, 400, 401, 404, 409, 429, 500, 503]
answers = st.builds(ProxyAnswer, st.sampled_from(good * 4 + bad), bodies)
replies = answers | st.binary(max_size=48)
"""An answer, or bytes in the place of one."""


def act_of(reply: ProxyAnswer | bytes) -> Act:
    def act(exchange: Exchange) -> None:
        exchange.send(reply if isinstance(reply, bytes) else encoded(reply))

    return act


def encoded(answer: ProxyAnswer) -> bytes:
    return ProxyAnswer(answer.status, b"" if answer.status == 204 else answer.body).encoded()


def client_of(proxy: FaultProxy) -> FlyteClient:
    clock = Clock()
    outage = Outage(clock, base_seconds=0.0, cap_seconds=0.0)
    return client_for(proxy.url, timeout_seconds=5, outage=outage)


DECODERS = (
    wire.decode_links, wire.decode_registration, wire.decode_taken, wire.decode_action_states,
)  # fmt: skip


def decode(body: bytes) -> None:
    for each in DECODERS:
        with suppress(ValueError):
            each(body)


def converse(client: FlyteClient, proxy: FaultProxy, replies: list[ProxyAnswer | bytes]) -> None:
    """Every call of the client, each with its own answer; it raises only FlyteError."""
    calls: list[tuple[str, Callable[[], Any], type]] = [
        ("links", client.health, type(None)),
        ("register", lambda: client.register(PackDef("Demo")), Registration),
        ("take", lambda: client.take(here(proxy)), Taken | None),  # type: ignore[list-item]
        ("event", lambda: client.post_event(here(proxy), b"{}"), type(None)),
        ("result", lambda: client.post_result(f"{proxy.url}{RESULT}", b"{}"), type(None)),
        ("audit", lambda: client.action_state("Demo", "echo", "a1"), str | None),  # type: ignore[list-item]
    ]
    for (name, call, kind), reply in zip(calls, replies, strict=True):
        proxy.script(name, act_of(reply))
        with suppress(FlyteError):
            assert isinstance(call(), kind)
        proxy.script(name)


RESULT = "/v1/packs/Demo/actions/a1/result"
CALLS = 6


def here(proxy: FaultProxy) -> Registration:
    pack = f"{proxy.url}/v1/packs/Demo"
    return Registration("Demo", f"{pack}/actions/take", f"{pack}/events")


def plain(seen: Seen) -> ProxyAnswer:
    """A flyte for which nothing is scripted."""
    url = f"http://{seen.headers['host']}"
    if seen.path == "/v1":
        return ProxyAnswer(200, links(url))
    if seen.path == "/v1/packs":
        return ProxyAnswer(201, registered(url, "Demo"))
    return ProxyAnswer(200, b'{"flows": []}')


class Hurry(random.Random):
    """No pause at all."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


class Polled:
    """A pipeline whose takes are answered from ``replies``, and which delivers nothing."""

    def __init__(self, proxy: FaultProxy, folder: Path) -> None:
        proxy.behind = self._answer
        self.replies: queue.Queue[ProxyAnswer] = queue.Queue()
        self.silent: list[ProxyAnswer] = []
        self._ended = 0
        self._last: ProxyAnswer | None = None
        self._rig = PipelineRig(
            cast(Any, proxy), folder / "journal.db", {"demo": PackPlugin(ECHO)},
            slots=1, client=client_of(proxy), interval_seconds=0.001, rng=Hurry(),
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._rig.parts.deliveries.close()
        self._rig.parts.handler_tools.start()
        self._rig.parts.workers.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.replies.put(ProxyAnswer(204))
        assert self._rig.close(0.1) == self._ended

    def _answer(self, seen: Seen) -> ProxyAnswer:
        if not seen.path.endswith("/take"):
            return plain(seen)
        # The pack has one slot: what came before this take has been dealt with.
        last = self._last
        if last and last.status == 200 and not is_action(last) and not self._rig.view().problem:
            self.silent.append(last)
        try:
            self._last = self.replies.get(timeout=0.01)
        except queue.Empty:
            self._last = ProxyAnswer(204)
        return ProxyAnswer(self._last.status, b"" if self._last.status == 204 else self._last.body)

    def _results(self) -> int:
        return self._rig.parts.journal.backlog().results

    def run(self, replies: list[ProxyAnswer]) -> None:
        """Answer takes so; every action among the answers is run, and a good one after them."""
        last = ProxyAnswer(200, action(FLYTE, "Demo", "last"))
        actions = sum(each.status == 200 and is_action(each) for each in [*replies, last])
        for each in [*replies, last]:
            self.replies.put(each)
        self._ended += actions
        wait_until(lambda: self._results() >= self._ended, "all actions end", timeout_seconds=20)
        wait_until(self.replies.empty, "all takes are made")
        assert self._results() == self._ended
        assert self.silent == []


def is_action(answer: ProxyAnswer) -> bool:
    """Whether the client should take it for an action: the link is one, too."""
    try:
        href = wire.decode_taken(answer.body).result_href
    except ValueError:
        return False
    return linked(href)


def linked(href: str) -> bool:
    try:
        return bool(client_for(FLYTE).transport.address.absolute(href))
    except ValueError:
        return False


@contextmanager
def fuzzed(folder: Path) -> Iterator[tuple[FaultProxy, FlyteClient, Polled]]:
    with FaultProxy(plain) as proxy, FaultProxy(plain) as other, Polled(other, folder) as polled:
        client = client_of(proxy)
        yield proxy, client, polled
        client.close()


conversations = st.lists(replies, min_size=CALLS, max_size=CALLS)
takes = st.lists(answers.filter(lambda each: each.status not in {429, 503}), max_size=8)


def test_whatever_flyte_answers(tmp_path: Path) -> None:
    with fuzzed(tmp_path) as (proxy, client, polled):
        explore(bodies, 100, decode)
        explore(conversations, 25, lambda case: converse(client, proxy, case))
        explore(takes, 25, polled.run)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_whatever_flyte_answers_100000_times(tmp_path: Path, figures: Figures) -> None:
    with fuzzed(tmp_path) as (proxy, client, polled):
        explore(bodies, 20_000, decode)
        explore(conversations, 6_000, lambda case: converse(client, proxy, case))
        explore(takes, 1_000, polled.run)
        counted = 20_000 * len(DECODERS), 6_000 * CALLS, 1_000
    figures.note(
        f"fuzzing: {counted[0]:,} documents decoded, {counted[1]:,} calls of the client, "
        f"{counted[2]:,} series of takes: no crash, no hang, no silent loss"
    )
