"""Every call, against a real HTTP server that answers as flyte, a proxy or a foe would."""

import contextlib
import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flyte_host.client import wire
from flyte_host.client.failures import explain
from flyte_host.client.flyte_client import FlyteClient
from flyte_host.client.outage import Outage
from flyte_host.client.token import Token
from flyte_host.client.transport import retry_after_seconds
from flyte_host.clock import Clock
from flyte_host.errors import (
    ConfigError,
    FlyteAway,
    FlyteBadAnswer,
    FlyteError,
    FlyteFailed,
    FlyteRefused,
    FlyteUnauthorized,
    FlyteUnknown,
)
from flyte_host.model import Command, EventDef, PackDef, Registration, Taken
from flyte_host.secrets import SecretRef
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.host_parts import client_for
from tests.support.scripted_server import (
    CLOSE,
    HANG,
    RESET,
    ScriptedServer,
    Seen,
    action,
    chunked,
    links,
    port_of_nobody,
    registered,
    reply,
)

pytestmark = pytest.mark.usefixtures("engine")
ECHOED = EventDef("Echoed")
PACK = PackDef("M", "http://127.0.0.1/help", {}, (), [Command("echo", EventDef("Done"), [ECHOED])])
BODY = wire.encode_event(ECHOED({"n": 1}), datetime(2026, 11, 23, tzinfo=UTC))
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TAKE = "POST /v1/packs/M/actions/take"
RESULT = "POST /v1/packs/M/actions/6b04/result"
EVENTS = "POST /v1/packs/M/events"
AUDIT = "GET /v1/audit/flows"
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield well(server)


def well(server: ScriptedServer) -> ScriptedServer:
    """As a flyte in good health that has nothing to do."""
    server.on("GET /v1", reply(200, links(server.url)))
    server.on("GET /health", reply(200))
    server.on("POST /v1/packs", reply(201, registered(server.url, "M"), Content_Type="text/plain"))
    server.on(TAKE, reply(204))
    server.on(RESULT, reply(202))
    server.on(EVENTS, reply(202))
    return server


@contextlib.contextmanager
def client_of(url: str, **settings: Any) -> Iterator[FlyteClient]:
    clock = Clock()
    client = client_for(url, clock, **{"outage": Outage(clock)} | settings)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[FlyteClient]:
    with client_of(server.url) as client:
        yield client


def at(server: ScriptedServer, pack_id: str = "M") -> Registration:
    pack = f"{server.url}/v1/packs/{pack_id}"
    return Registration(pack_id, f"{pack}/actions/take", f"{pack}/events")


def result_at(server: ScriptedServer) -> str:
    return f"{server.url}/v1/packs/M/actions/6b04/result"


CALLS: dict[str, Callable[[FlyteClient, ScriptedServer], Any]] = {
    "POST /v1/packs": lambda client, _: client.register(PACK),
    TAKE: lambda client, server: client.take(at(server)),
    RESULT: lambda client, server: client.post_result(result_at(server), BODY),
    EVENTS: lambda client, server: client.post_event(at(server), BODY),
    "GET /health": lambda client, _: client.health(),
    AUDIT: lambda client, _: client.action_state("M", "echo", "6b04"),
    "GET /v1": lambda client, _: client.health(),
}
EVERY_CALL = pytest.mark.parametrize("line", list(CALLS))


def failing(call: Callable[[], Any], kind: type[FlyteError]) -> Any:
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert "0x" not in str(caught.value)
    return caught.value


# What a healthy flyte answers


def test_register(server: ScriptedServer, client: FlyteClient) -> None:
    assert client.register(PACK) == at(server)
    entry, registration = server.requests
    assert (entry.method, entry.path, entry.body) == ("GET", "/v1", b"")
    assert json.loads(registration.body) == {
        "name": "M",
        "events": [{"name": "Echoed"}],
        "commands": [{"name": "echo", "events": ["Echoed"]}],
        "links": [{"href": "http://127.0.0.1/help", "rel": "help"}],
    }


def test_headers(server: ScriptedServer, client: FlyteClient) -> None:
    client.register(PACK)
    entry, registration = server.requests
    assert registration.headers["accept"] == entry.headers["accept"] == "application/json"
    assert registration.headers["content-type"] == "application/json"
    assert "content-type" not in entry.headers
    assert registration.headers["user-agent"].startswith("flyte-host/")
    assert "authorization" not in registration.headers


def test_the_links_are_asked_for_once(server: ScriptedServer, client: FlyteClient) -> None:
    client.register(PACK)
    client.register(PACK)
    client.health()
    paths = [seen.path for seen in server.requests]
    assert paths == ["/v1", "/v1/packs", "/v1/packs", "/health"]


def test_a_pack_cannot_redirect_its_own_events(server: ScriptedServer, client: FlyteClient) -> None:
    own = {"href": "http://x/mine", "rel": "myevent"}, {"href": "http://x/1", "rel": "a/event"}
    server.on("POST /v1/packs", reply(201, registered(server.url, "M", *own)))
    assert client.register(PACK) == at(server)


def test_nothing_to_take(server: ScriptedServer, client: FlyteClient) -> None:
    assert client.take(at(server)) is None
    assert server.requests[0].body == b"null"


def test_an_action_is_taken(server: ScriptedServer, client: FlyteClient) -> None:
    server.on(TAKE, reply(200, action(server.url, "M", "6b04", input={"who": "Ada"})))
    taken = client.take(at(server))
    assert taken == Taken("6b04", "echo", b'{"who": "Ada"}', "v1/packs/M/actions/6b04/result")
    client.post_result(taken.result_href, BODY)
    assert server.requests[-1].body == BODY


@pytest.mark.parametrize("state", ["", "vendor=1"])
def test_a_trace_comes_with_an_action_and_goes_with_what_is_posted(
    server: ScriptedServer, client: FlyteClient, state: str
) -> None:
    headers = {"traceparent": PARENT} | ({"tracestate": state} if state else {})
    server.on(TAKE, reply(200, action(server.url, "M", "6b04"), **headers), reply(204))
    taken = client.take(at(server))
    assert taken is not None
    assert taken.trace == f"{PARENT} {state}".strip()
    client.post_result(taken.result_href, BODY, taken.trace)
    client.post_event(at(server), BODY, taken.trace)
    client.take(at(server))
    *_, result, event, take = server.requests
    for each in (result, event):
        assert headers.items() <= each.headers.items()
        assert each.headers["content-length"] == str(len(BODY))
        assert (each.body, "tracestate" in each.headers) == (BODY, bool(state))
    assert "traceparent" not in take.headers


def test_a_second_try_with_another_token_has_the_trace(server: ScriptedServer) -> None:
    environ = {"T": "old"}
    server.on(EVENTS, reply(401), reply(202))
    with client_of(server.url, token=Token(SecretRef(env="T"), environ)) as client:
        environ["T"] = "new"
        client.post_event(at(server), BODY, PARENT)
    assert [each.headers["traceparent"] for each in server.requests] == [PARENT, PARENT]


def test_a_result_follows_flyte_to_its_new_address(server: ScriptedServer) -> None:
    """Taken from one address, even below a path, delivered at another, with the token."""
    server.on("POST /old/v1/packs/M/actions/take", reply(200, action(server.url, "M", "6b04")))
    with client_of(f"{server.url}/old") as client:
        take_href = f"{server.url}/old/v1/packs/M/actions/take"
        taken = client.take(replace(at(server), take_href=take_href))
    assert taken is not None
    assert taken.result_href == "v1/packs/M/actions/6b04/result"
    with ScriptedServer() as moved:
        for prefix in ("", "/v1", "/new/place"):
            moved.on(f"POST {prefix}/v1/packs/M/actions/6b04/result", reply(202))
            token = Token(SecretRef(env="TOKEN"), {"TOKEN": "tok-en"})
            with client_of(moved.url + prefix, token=token) as client:
                client.post_result(taken.result_href, BODY)
            assert moved.requests[-1].headers["authorization"] == "Bearer tok-en"


@pytest.mark.parametrize(
    "href", ["http://127.0.0.2:1/v1/packs/M/actions/6b04/result", "/else/M/actions/6b04/result"]
)
def test_a_result_href_that_is_not_of_flytes_api_stays_absolute(
    server: ScriptedServer, client: FlyteClient, href: str
) -> None:
    links = [{"href": href, "rel": "http://example.com/swagger#!/action/actionResult"}]
    document = {"command": "echo", "input": None, "links": links}
    server.on(TAKE, reply(200, json.dumps(document).encode()))
    taken = client.take(at(server))
    assert taken is not None
    assert taken.result_href == (href if href.startswith("http") else server.url + href)


def test_a_chunked_action(server: ScriptedServer, client: FlyteClient) -> None:
    document = action(server.url, "M", "6b04", input="x" * 5000)
    server.on(TAKE, chunked(200, document[:2048], document[2048:]))
    taken = client.take(at(server))
    assert taken is not None
    assert len(taken.input) == 5002
    assert client.take(at(server)) == taken
    assert server.connections == 1


def test_an_event_is_posted(server: ScriptedServer, client: FlyteClient) -> None:
    client.post_event(at(server), BODY)
    assert (server.requests[0].path, server.requests[0].body) == ("/v1/packs/M/events", BODY)


def test_health(server: ScriptedServer, client: FlyteClient) -> None:
    client.health()
    assert [seen.path for seen in server.requests] == ["/v1", "/health"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("My Pack", "/v1/packs/My%20Pack"),
        ("na\u00efve", "/v1/packs/na%C3%AFve"),
        ("50%off", "/v1/packs/50%25off"),
        ("a%20b", "/v1/packs/a%2520b"),
        ("q?#", "/v1/packs/q%3F%23"),
        ("~x_y-z.k.v", "/v1/packs/~x_y-z.k.v"),
    ],
)
def test_odd_names_work(server: ScriptedServer, client: FlyteClient, name: str, path: str) -> None:
    server.on("POST /v1/packs", reply(201, registered(server.url, name)))
    server.on(f"POST {path}/actions/take", reply(200, action(server.url, name, "6b04")))
    server.on(f"POST {path}/actions/6b04/result", reply(202))
    server.on(f"POST {path}/events", reply(202))
    registration = client.register(PackDef(name))
    taken = client.take(registration)
    assert taken is not None
    client.post_result(taken.result_href, BODY)
    client.post_event(registration, BODY)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_path_before_flyte(server: ScriptedServer, slash: str) -> None:
    """A proxy that cuts off /sub: flyte's links do not have it, its paths behind it do."""
    server.on("GET /sub/v1", reply(200, links(server.url)))
    server.on("POST /sub/v1/packs", reply(201, registered(server.url, "M")))
    server.on("POST /sub/v1/packs/M/actions/take", reply(200, action(server.url, "M", "6b04")))
    server.on("POST /sub/v1/packs/M/actions/6b04/result", reply(202))
    with client_of(f"{server.url}/sub{slash}") as client:
        registration = client.register(PACK)
        assert registration.events_href == f"{server.url}/sub/v1/packs/M/events"
        taken = client.take(registration)
        assert taken is not None
        client.post_result(taken.result_href, BODY)


def test_a_path_that_flyte_knows_of_is_not_doubled(server: ScriptedServer) -> None:
    server.on("GET /sub/v1", reply(200, links(f"{server.url}/sub")))
    server.on("GET /sub/health", reply(200))
    with client_of(f"{server.url}/sub") as client:
        client.health()


def test_relative_links(server: ScriptedServer, client: FlyteClient) -> None:
    server.on("GET /v1", reply(200, b'{"links":[{"href":"/health","rel":"x/info/health"}]}'))
    client.health()


# The audit


def audited(*states: tuple[str, str]) -> bytes:
    flows = [{"actions": {"s": {"id": id_, "state": {"value": state}}}} for id_, state in states]
    return reply(200, json.dumps({"flows": flows}).encode())


@pytest.mark.parametrize("state", ["NEW", "PENDING", "SUCCESS", "FATAL"])
def test_the_state_of_an_action(server: ScriptedServer, client: FlyteClient, state: str) -> None:
    server.on(AUDIT, audited(("1", "NEW"), ("6b04", state)))
    assert client.action_state("My Pack", "a&b", "6b04") == state
    query = "actionPackName=My+Pack&actionName=a%26b&start=0&limit=50"
    assert server.requests[-1].query == query


def test_an_action_on_a_later_page(server: ScriptedServer, client: FlyteClient) -> None:
    server.on(AUDIT, audited(("1", "NEW")), audited(("2", "NEW")), audited(("6b04", "FATAL")))
    assert client.action_state("M", "echo", "6b04") == "FATAL"
    starts = [seen.query.split("&")[2] for seen in server.requests[1:]]
    assert starts == ["start=0", "start=50", "start=100"]


def test_an_action_that_is_not_there(server: ScriptedServer, client: FlyteClient) -> None:
    server.on(AUDIT, audited(("1", "NEW")), audited())
    assert client.action_state("M", "echo", "6b04") is None
    assert len(server.requests) == 3


def test_an_endless_audit_is_left(server: ScriptedServer, client: FlyteClient) -> None:
    server.on(AUDIT, audited(("1", "NEW")))
    assert client.action_state("M", "echo", "6b04") is None
    assert len(server.requests) == 21


# Answers that say no


@EVERY_CALL
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FlyteRefused),
        (403, FlyteRefused),
        (405, FlyteRefused),
        (413, FlyteRefused),
        (404, FlyteUnknown),
        (401, FlyteUnauthorized),
        (500, FlyteFailed),
        (418, FlyteRefused),
        (206, FlyteBadAnswer),
    ],
)
def test_a_status_is_not_an_outage(
    server: ScriptedServer, line: str, status: int, kind: type[FlyteError]
) -> None:
    outage = Outage(Clock())
    server.on(line, reply(status, b"Not Found"))
    with client_of(server.url, outage=outage) as client:
        error = failing(lambda: CALLS[line](client, server), kind)
    method, path = line.split()
    assert str(error).startswith(f"{method} {server.url}{path} was answered with {status}")
    assert outage.since is None


@EVERY_CALL
@pytest.mark.parametrize(
    ("status", "arrived"),
    [(408, False), (429, False), (502, True), (503, True), (504, True), (520, True)],
)
def test_a_status_that_is_an_outage(
    server: ScriptedServer, line: str, status: int, arrived: bool
) -> None:
    outage = Outage(Clock(monotonic=lambda: 0.0))
    server.on(line, reply(status, b"<html>", Retry_After="7"))
    with client_of(server.url, outage=outage) as client:
        error = failing(lambda: CALLS[line](client, server), FlyteAway)
        before = len(server.requests)
        again = failing(lambda: CALLS["GET /health"](client, server), FlyteAway)
    method, path = line.split()
    assert str(error) == f"{method} {server.url}{path} was answered with {status}"
    assert (error.retry_in_seconds, error.may_have_arrived) == (7.0, arrived)
    assert outage.reason == str(error)
    assert f": not sent, since flyte is away: {error}" in str(again)
    assert not again.may_have_arrived
    assert 7.0 <= again.retry_in_seconds < 8.0
    assert len(server.requests) == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "the store is away: it\\nrestarts"}', ": the store is away: it\\nrestarts"),
        (b'{"error": "%s"}' % (b"x" * 9_000), f": {'x' * 500}"),
        (b'{"error": 7}', ""),
        (b"Service Unavailable", ""),
    ],
    ids=["words", "many", "a number", "no JSON"],
)
def test_embedded_flyte_says_why_it_is_away(
    server: ScriptedServer, body: bytes, words: str
) -> None:
    server.on("GET /health", reply(503, body))
    with client_of(server.url) as client:
        error = failing(lambda: CALLS["GET /health"](client, server), FlyteAway)
    assert str(error) == f"GET {server.url}/health was answered with 503{words}"


@pytest.mark.parametrize(
    ("line", "status", "expected"),
    [
        ("POST /v1/packs", 200, "201"),
        (TAKE, 201, "200 or 204"),
        (RESULT, 200, "202"),
        (EVENTS, 204, "202"),
        ("GET /health", 202, "200"),
    ],
)
def test_another_success_is_none(
    server: ScriptedServer, client: FlyteClient, line: str, status: int, expected: str
) -> None:
    server.on(line, reply(status, b"" if status == 204 else b"<html>Log in</html>"))
    error = failing(lambda: CALLS[line](client, server), FlyteBadAnswer)
    assert str(error).endswith(f" was answered with {status}, expected {expected}")


@pytest.mark.parametrize(
    ("challenge", "why"),
    [
        ({}, "flyte's policy does not allow it"),
        ({"WWW_Authenticate": 'Bearer realm="token"'}, "flyte requires a token"),
        (
            {"WWW_Authenticate": 'Bearer realm="token", error="invalid_token"'},
            "flyte says the token is invalid or expired",
        ),
    ],
)
def test_why_a_token_is_not_enough(
    server: ScriptedServer, client: FlyteClient, challenge: dict[str, Any], why: str
) -> None:
    server.on(TAKE, reply(401, **challenge))
    error = failing(lambda: client.take(at(server)), FlyteUnauthorized)
    assert str(error).endswith(f"/take was answered with 401: {why}")


@pytest.mark.parametrize(
    ("line", "body", "found"),
    [
        ("GET /v1", b"<html>", "expected links as JSON, found 6 bytes: a web page"),
        ("GET /v1", b'{"links":[]}', "expected a link whose rel ends with info/health"),
        ("POST /v1/packs", b"{}", "expected a registered pack as JSON, found 2 bytes"),
        ("POST /v1/packs", b"", "expected a registered pack as JSON, found 0 bytes"),
        (TAKE, b"{}", "expected an action as JSON"),
        (TAKE, b'{"command":"c"}', "expected a link whose rel ends with actionResult"),
        (TAKE, b"\x1f\x8b garbage", "expected an action as JSON"),
        (AUDIT, b"[]", "expected audited flows as JSON"),
    ],
)
def test_bodies_that_make_no_sense(
    server: ScriptedServer, client: FlyteClient, line: str, body: bytes, found: str
) -> None:
    status = 201 if line == "POST /v1/packs" else 200
    server.on(line, reply(status, body))
    error = failing(lambda: CALLS[line](client, server), FlyteBadAnswer)
    assert f"{line.split()[1]} was answered with {status}: {found}" in str(error)


def test_a_body_that_is_too_large(server: ScriptedServer, client: FlyteClient) -> None:
    server.on(TAKE, [HEAD + b"Content-Length: 40000000\r\n\r\n", bytes(33 * 1024 * 1024), HANG])
    error = failing(lambda: client.take(at(server)), FlyteBadAnswer)
    assert str(error).endswith("/take was answered with 200 and more than 32 MB")


def test_a_large_body_that_is_not_too_large(server: ScriptedServer, client: FlyteClient) -> None:
    server.on(TAKE, reply(200, action(server.url, "M", "6b04", input="x" * 31_000_000)))
    taken = client.take(at(server))
    assert taken is not None
    assert len(taken.input) == 31_000_002


def test_an_error_page_that_never_ends_is_still_its_status(server: ScriptedServer) -> None:
    server.on(TAKE, [b"HTTP/1.1 404 Gone\r\nContent-Length: 9\r\n\r\nabc", CLOSE])
    server.on(EVENTS, [b"HTTP/1.1 500 Oh\r\n\r\nabc", HANG])
    with client_of(server.url, timeout_seconds=1) as client:
        failing(lambda: client.take(at(server)), FlyteUnknown)
        failing(lambda: client.post_event(at(server), BODY), FlyteFailed)


# Links that change


def test_links_without_the_wanted_one_are_not_kept(
    server: ScriptedServer, client: FlyteClient
) -> None:
    server.on("GET /v1", reply(200, b'{"links":[]}'), reply(200, links(server.url)))
    failing(client.health, FlyteBadAnswer)
    client.health()


def test_a_missing_link_is_asked_for_again(server: ScriptedServer, client: FlyteClient) -> None:
    first = b'{"links":[{"href":"/health","rel":"x/info/health"}]}'
    server.on("GET /v1", reply(200, first), reply(200, links(server.url)))
    client.health()
    assert client.register(PACK) == at(server)


def test_a_registration_that_leads_nowhere_asks_for_links_again(
    server: ScriptedServer, client: FlyteClient
) -> None:
    old = json.dumps({"links": [{"href": f"{server.url}/old", "rel": "x/pack/listPacks"}]})
    server.on("GET /v1", reply(200, old.encode()), reply(200, links(server.url)))
    failing(lambda: client.register(PACK), FlyteUnknown)
    assert client.register(PACK) == at(server)


def test_a_bad_answer_asks_for_links_again(server: ScriptedServer, client: FlyteClient) -> None:
    client.health()
    server.on(TAKE, reply(200, b"<html>"))
    failing(lambda: client.take(at(server)), FlyteBadAnswer)
    client.health()
    assert [seen.path for seen in server.requests].count("/v1") == 2


@pytest.mark.parametrize(
    "href",
    ["ftp://h/x", "http://[bad", "http://h:port/", "http://\u00e9..x/", "mailto:x"],
)
def test_links_that_are_none(server: ScriptedServer, client: FlyteClient, href: str) -> None:
    server.on("GET /v1", reply(200, links(server.url, **{"z/info/health": href})))
    error = failing(client.health, FlyteBadAnswer)
    assert str(error).startswith("flyte gave a link that is not a URL: '")
    assert str(error).endswith("', expected http(s)://host[:port][/path]")
    error = failing(lambda: client.post_result(href, BODY), FlyteBadAnswer)
    assert str(error).startswith("flyte gave a link that is not a URL: '")


# Redirects and other origins


@EVERY_CALL
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server: ScriptedServer, line: str, status: int) -> None:
    with ScriptedServer() as other:
        to = f"{other.url.replace('://', '://me:pw@')}/v1?secret=1"
        server.on(line, reply(status, b"moved", Location=to))
        with client_of(server.url, token=token("s3cret")) as client:
            error = failing(lambda: CALLS[line](client, server), FlyteBadAnswer)
        assert f"answered with {status}, a redirect to {other.url} (never followed)" in str(error)
        assert "pw" not in str(error)
        assert other.requests == []


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/login", "http://localhost:{port}"),
        ("http://[x", "something that is not an HTTP URL"),
        ("//o:1/", "http://o:1"),
    ],
)
def test_where_a_redirect_leads(
    server: ScriptedServer, client: FlyteClient, location: str, shown: str
) -> None:
    server.on(TAKE, reply(302, Location=location))
    error = failing(lambda: client.take(at(server)), FlyteBadAnswer)
    assert f"a redirect to {shown.format(port=server.port)} (never" in str(error)


def test_another_origin_gets_no_token(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    with ScriptedServer() as other, client_of(server.url, token=token("s3cret")) as client:
        well(other)
        server.on("GET /v1", reply(200, links(other.url)))
        assert client.register(PACK) == at(other)
        client.take(at(other))
        assert {seen.headers.get("authorization") for seen in other.requests} == {None}
        assert server.requests[0].headers["authorization"] == "Bearer s3cret"
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(
        f"flyte at {server.url} links to {other.url}, where no token is sent; if that is flyte"
    )


def test_the_same_host_by_another_name_is_another_origin(server: ScriptedServer) -> None:
    href = f"http://127.0.0.1:{server.port}/health"
    server.on("GET /v1", reply(200, links(server.url, **{"z/info/health": href})))
    with client_of(server.url, token=token("s3cret")) as client:
        client.health()
    assert [seen.headers.get("authorization") for seen in server.requests] == [
        "Bearer s3cret",
        None,
    ]


def test_the_same_origin_written_otherwise_is_the_same(server: ScriptedServer) -> None:
    href = f"HTTP://LOCALHOST:{server.port}/health"
    server.on("GET /v1", reply(200, links(server.url, **{"z/info/health": href})))
    with client_of(server.url, token=token("s3cret")) as client:
        client.health()
    assert {seen.headers["authorization"] for seen in server.requests} == {"Bearer s3cret"}


# Credentials


def token(value: str) -> Token:
    return Token(SecretRef(env="T"), {"T": value})


def test_the_token_is_sent_with_every_request(server: ScriptedServer) -> None:
    with client_of(server.url, token=token("s3cret")) as client:
        client.register(PACK)
        client.take(at(server))
        client.health()
    assert {seen.headers["authorization"] for seen in server.requests} == {"Bearer s3cret"}


@pytest.fixture
def netrc(server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that would be read by requests, and a proxy that would be asked by it."""
    file = tmp_path / "netrc"
    file.write_text("machine localhost login eve password pw\ndefault login eve password pw\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")


@pytest.mark.parametrize(("given", "sent"), [("s3cret", "Bearer s3cret"), (None, None)])
@pytest.mark.usefixtures("netrc")
def test_netrc_and_proxies_of_the_environment_do_not_apply(
    server: ScriptedServer, given: str | None, sent: str | None
) -> None:
    with client_of(server.url, token=token(given) if given else None) as client:
        client.health()
    assert {seen.headers.get("authorization") for seen in server.requests} == {sent}


def test_user_info_is_basic_and_never_shown(server: ScriptedServer) -> None:
    url = server.url.replace("://", "://ada:p%40ss@")
    server.on("GET /health", reply(404))
    with client_of(url) as client:
        error = failing(client.health, FlyteUnknown)
    assert str(error) == f"GET {server.url}/health was answered with 404"
    assert {seen.headers["authorization"] for seen in server.requests} == {"Basic YWRhOnBAc3M="}


def test_a_token_goes_before_user_info(server: ScriptedServer) -> None:
    with client_of(server.url.replace("://", "://ada:pass@"), token=token("s3cret")) as client:
        client.health()
    assert {seen.headers["authorization"] for seen in server.requests} == {"Bearer s3cret"}


def test_a_token_file_that_changes_is_read_again(server: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    with client_of(server.url, token=Token(SecretRef(file=file), {})) as client:
        client.health()
        file.write_text("the-second\n")
        client.health()
    sent = [seen.headers["authorization"] for seen in server.requests]
    assert sent == ["Bearer first"] * 2 + ["Bearer the-second"]


def test_after_a_401_a_new_token_is_tried_once(server: ScriptedServer) -> None:
    environ = {"T": "old"}
    server.on(TAKE, reply(401), reply(200, action(server.url, "M", "6b04")))
    with client_of(server.url, token=Token(SecretRef(env="T"), environ)) as client:
        environ["T"] = "new"
        assert client.take(at(server)) is not None
    assert [seen.headers["authorization"] for seen in server.requests] == [
        "Bearer old",
        "Bearer new",
    ]


def test_a_new_token_that_is_refused_as_well(server: ScriptedServer) -> None:
    environ = {"T": "old"}
    server.on(TAKE, reply(401))
    with client_of(server.url, token=Token(SecretRef(env="T"), environ)) as client:
        environ["T"] = "new"
        failing(lambda: client.take(at(server)), FlyteUnauthorized)
        assert len(server.requests) == 2
        failing(lambda: client.take(at(server)), FlyteUnauthorized)
        assert len(server.requests) == 3


def test_a_token_that_another_thread_renewed_meanwhile(server: ScriptedServer) -> None:
    environ = {"T": "old"}
    shared = Token(SecretRef(env="T"), environ)

    def refuse(_: Seen) -> bytes:
        environ["T"] = "new"
        assert shared.refresh()
        return reply(401)

    server.on(EVENTS, [refuse], reply(202))
    with client_of(server.url, token=shared) as client:
        client.post_event(at(server), BODY)
    assert server.requests[1].headers["authorization"] == "Bearer new"


def test_a_foreign_401_does_not_renew_the_token(server: ScriptedServer) -> None:
    environ = {"T": "old"}
    with ScriptedServer() as other:
        other.on(EVENTS, reply(401))
        with client_of(server.url, token=Token(SecretRef(env="T"), environ)) as client:
            environ["T"] = "new"
            failing(lambda: client.post_event(at(other), BODY), FlyteUnauthorized)
        assert len(other.requests) == 1


# Below HTTP


def test_connection_refused() -> None:
    outage = Outage(Clock())
    with (
        port_of_nobody() as port,
        client_of(f"http://127.0.0.1:{port}", outage=outage) as client,
    ):
        error = failing(client.health, FlyteAway)
    refused = f"connection refused by 127.0.0.1:{port}"
    assert str(error) == f"GET http://127.0.0.1:{port}/v1: {refused}"
    assert (outage.reason, error.may_have_arrived) == (refused, False)
    assert 0.0 <= error.retry_in_seconds <= 0.5


def test_no_such_host() -> None:
    with client_of("http://nonexistent.invalid") as client:
        error = failing(client.health, FlyteAway)
    found = "the host name of nonexistent.invalid:80 was not found: "
    assert str(error).startswith(f"GET http://nonexistent.invalid/v1: {found}")
    assert not error.may_have_arrived


def test_a_network_without_a_way() -> None:
    with client_of("http://255.255.255.255") as client:
        error = failing(client.health, FlyteAway)
    assert "/v1: no connection to 255.255.255.255:80: " in str(error)
    assert not error.may_have_arrived


def test_what_has_no_words_of_its_own() -> None:
    full = OSError(28, "No space left on device")
    found = explain(full, "h:1", 1, 2)
    assert found.reason == "the exchange with h:1 failed: No space left on device"
    assert (found.may_have_arrived, found.broke_off) == (True, False)
    assert explain(RuntimeError("0x7f"), "h:1", 1, 2).reason == (
        "the exchange with h:1 failed: RuntimeError"
    )


def test_a_port_at_which_nobody_accepts() -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        while True:  # until the kernel's queue of this port is full
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(("127.0.0.1", port))
            except TimeoutError:
                break
        client = stack.enter_context(client_of(f"http://127.0.0.1:{port}", timeout_seconds=0.2))
        error = failing(client.health, FlyteAway)
    assert str(error).endswith(f"/v1: no connection to 127.0.0.1:{port} within 0.2 s")
    assert not error.may_have_arrived


BROKEN = [
    ([HANG], "no whole answer from {host} within 0.3 s"),
    ([HEAD, HANG], "no whole answer from {host} within 0.3 s"),
    ([HEAD + b"Content-Length: 9\r\n\r\nabc", HANG], "no whole answer from {host} within 0.3 s"),
    ([CLOSE], "{host} closed the connection without an answer"),
    ([RESET], "{host} reset the connection"),
    ([HEAD + b"Content-Length: 9\r\n\r\nabc", CLOSE], "the answer of {host} broke off"),
    (
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc", CLOSE],
        "the answer of {host} broke off",
    ),
    (
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc", CLOSE],
        "the answer of {host} broke off",
    ),
    ([b"SSH-2.0-OpenSSH_9.2\r\n", CLOSE], "the answer of {host} is not HTTP"),
    ([b"x" * 70_000, CLOSE], "the answer of {host} is not HTTP"),
    ([HEAD + b"A: 1\r\n" * 200, CLOSE], "the answer of {host} is not HTTP"),
]


LOST = ("closed the connection", "reset the connection", "broke off")


@pytest.mark.parametrize(("steps", "reason"), BROKEN)
def test_answers_that_are_none(
    server: ScriptedServer, steps: list[Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage(Clock())
    server.on("GET /health", steps)
    limit = 0.3 if HANG in steps else PATIENCE_SECONDS
    with client_of(server.url, timeout_seconds=limit, outage=outage) as client:
        error = failing(client.health, FlyteAway)
    expected = reason.format(host=f"localhost:{server.port}")
    assert str(error) == f"GET {server.url}/health: {expected}"
    assert (outage.reason, error.may_have_arrived) == (expected, True)
    lost = any(each in reason for each in LOST)
    assert any("is away" in each for each in caplog.messages) is not lost


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_header_that_contradicts_itself(server: ScriptedServer, client: FlyteClient) -> None:
    server.on("GET /health", [HEAD + b"Content-Length: 1, 2\r\n\r\n", CLOSE])
    message = str(failing(client.health, FlyteAway))
    assert message.endswith(f"/health: the answer of localhost:{server.port} is not HTTP")
    gc.collect()  # urllib3 leaves this answer's socket to it


def test_a_body_that_drips(server: ScriptedServer) -> None:
    """Each byte comes in time, the whole never would."""
    drops = []

    def drop(_: Seen) -> bytes:
        server.stopping.wait(0.05)
        drops.append(1)
        return b"x"

    server.on("GET /health", [HEAD + b"Content-Length: 400\r\n\r\n", *[drop] * 400])
    with client_of(server.url, timeout_seconds=0.3) as client:
        error = failing(client.health, FlyteAway)
    assert len(drops) < 200
    assert str(error).endswith(
        f"/health: no whole answer from localhost:{server.port} within 0.3 s"
    )
    assert error.may_have_arrived


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_headers_that_drip(server: ScriptedServer) -> None:
    """Each header comes in time, the last never would."""
    drops = []

    def drop(_: Seen) -> bytes:
        server.stopping.wait(0.05)
        drops.append(1)
        return b"X: y\r\n"

    server.on("GET /health", [HEAD, *[drop] * 90])
    with client_of(server.url, timeout_seconds=0.3) as client:
        error = failing(client.health, FlyteAway)
    assert len(drops) < 80
    assert str(error).endswith(
        f"/health: no whole answer from localhost:{server.port} within 0.3 s"
    )
    assert error.may_have_arrived


@pytest.mark.parametrize("reply_there", [reply(503), [CLOSE]])
def test_a_result_link_that_leads_away_says_nothing_about_flyte(
    server: ScriptedServer, reply_there: Any
) -> None:
    with ScriptedServer() as elsewhere, client_of(server.url) as client:
        elsewhere.on(RESULT, reply_there)
        failing(lambda: client.post_result(result_at(elsewhere), BODY), FlyteAway)
        error = failing(lambda: client.post_result(result_at(elsewhere), BODY), FlyteAway)
        assert "not sent, since a server to which flyte links is away: " in str(error)
        assert client.outage.since is None
        client.post_result(result_at(server), BODY)


def test_a_result_link_that_leads_away_is_followed_in_an_outage(server: ScriptedServer) -> None:
    with ScriptedServer() as elsewhere, client_of(server.url) as client:
        elsewhere.on(RESULT, reply(202))
        client.outage.failed("flyte has a problem", 60)
        client.post_result(result_at(elsewhere), BODY)
        assert client.outage.since is not None


def test_an_address_to_which_flyte_leads_its_packs_is_flytes_own(server: ScriptedServer) -> None:
    with ScriptedServer() as other, client_of(server.url) as client:
        well(other)
        server.on("POST /v1/packs", reply(201, registered(other.url, "M")))
        client.register(PACK)
        other.on(RESULT, reply(503))
        failing(lambda: client.post_result(result_at(other), BODY), FlyteAway)
        assert client.outage.since is not None


def test_a_take_waits_longer_than_other_calls(server: ScriptedServer) -> None:
    slow = threading.Event()
    server.on(TAKE, [slow, reply(200, action(server.url, "M", "6b04"))])
    server.on("GET /health", [HANG])
    with (
        client_of(server.url, timeout_seconds=0.2) as client,
        client_of(server.url, timeout_seconds=0.2) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        taking = pool.submit(client.take, at(server))
        server.wait_for(1)
        failing(other.health, FlyteAway)  # by now the usual time is over
        slow.set()
        assert taking.result(PATIENCE_SECONDS) is not None


def test_no_timeout_at_all(server: ScriptedServer) -> None:
    with client_of(server.url, timeout_seconds=0) as client:
        client.health()
        assert client.take(at(server)) is None


def test_a_take_is_never_sent_twice(server: ScriptedServer) -> None:
    server.on(TAKE, [CLOSE])
    with client_of(server.url) as client:
        client.health()  # so that the take goes out on a connection that was good
        failing(lambda: client.take(at(server)), FlyteAway)
    assert [seen.path for seen in server.requests].count("/v1/packs/M/actions/take") == 1


def test_connections_are_kept(server: ScriptedServer, client: FlyteClient) -> None:
    server.on(RESULT, reply(500, b"some words"))
    for _ in range(3):
        client.register(PACK)
        client.take(at(server))
        client.post_event(at(server), BODY)
        failing(lambda: client.post_result(result_at(server), BODY), FlyteFailed)
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_not_an_outage(
    server: ScriptedServer, client: FlyteClient
) -> None:
    assert client.take(at(server)) is None
    server.end_connections()
    server.wait_until_idle()
    assert client.take(at(server)) is None
    assert [seen.connection for seen in server.requests] == [1, 2]


def test_an_answer_after_an_outage_ends_it(server: ScriptedServer) -> None:
    outage = Outage(Clock(), base_seconds=1e-9)
    server.on("GET /health", reply(503), reply(500), reply(200))
    with client_of(server.url, outage=outage) as client:
        failing(client.health, FlyteAway)
        assert outage.failures == 1
        failing(client.health, FlyteFailed)
        assert outage.since is None
        client.health()


def test_eight_threads_share_a_client(server: ScriptedServer, client: FlyteClient) -> None:
    server.on(TAKE, reply(200, action(server.url, "M", "6b04")))

    def work(_: int) -> int:
        registration = client.register(PACK)
        for _ in range(10):
            taken = client.take(registration)
            assert taken is not None
            client.post_result(taken.result_href, BODY)
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 8
    assert [seen.path for seen in server.requests].count("/v1") == 1
    assert len(server.requests) == 1 + 8 * 21
    assert server.connections <= 8


def test_a_pack_that_is_not_json_is_not_sent(server: ScriptedServer, client: FlyteClient) -> None:
    with pytest.raises(ValueError, match="is not valid JSON"):
        client.register(PackDef("\ud800"))
    assert server.requests == []


# What cannot be used


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("flyte.example.com", "flyte.example.com"),
        ("ftp://ada:pass@h/x", "ftp://h/x"),
        ("http://", "http://"),
        ("http://ada:pa/ss@h", "http://h"),
        ("http://ada:pa?ss@h:x", "http://h:x"),
        ("http://h:99999", "http://h:99999"),
        ("http://[::1", "http://[::1"),
        ("http://" + "a" * 64 + ".example", "http://" + "a" * 64 + ".example"),
        ("", ""),
    ],
)
def test_urls_that_cannot_be_used(url: str, shown: str) -> None:
    with pytest.raises(ConfigError) as caught:
        client_for(url)
    assert caught.value.problems == [
        f"flyte's URL cannot be used: found '{shown}', expected http(s)://host[:port][/path]"
    ]


NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("9" * 400, float("inf")),
        ("-5", None),
        ("nan", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("\u0663", None),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 13:00:30 +0100", 30.0),
        ("Mon, 99 Nov 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds
