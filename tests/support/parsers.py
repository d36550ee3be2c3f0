"""Every parser of foreign bytes, with its documented errors and first inputs for a fuzzer.

Owns what each gets and how it may fail. Must not know who makes up the bytes.
"""

import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from werkzeug.test import Client

from flyte_host.client import wire
from flyte_host.client.outage import Outage
from flyte_host.clock import Clock
from flyte_host.config import load_config
from flyte_host.embedded import EmbeddedFlyte
from flyte_host.embedded.codec import BadDocument, read_json, write_json
from flyte_host.embedded.flow import flow_document
from flyte_host.embedded.flow_checks import check_flow
from flyte_host.embedded.flow_reader import FlowInvalid, read_flow
from flyte_host.embedded.pongo2 import TemplateFailed
from flyte_host.embedded.yaml_codec import read_text, read_yaml, yaml_lines
from flyte_host.errors import ConfigError, FlyteError
from flyte_host.model import Command, Event, EventDef, PackDef, Registration
from flyte_host.plugins.bound_command import BoundCommand, InputMismatch, bind
from flyte_host.traceparent import parse_traceparent, read_trace, write_trace
from tests.support.asgi import as_wsgi
from tests.support.host_parts import client_for
from tests.support.proxy import Exchange, FaultProxy, ProxyAnswer
from tests.support.scripted_server import action, links, registered
from tests.support.template_maker import make_templates


@dataclass(frozen=True)
class Parser:
    """Any input may raise ``documented``; ``share``: its part of the runs, small if it is slow."""

    parse: Callable[[bytes], object]
    documented: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]
    share: float = 1.0


def answers() -> Parser:
    """Documents of flyte: links, registrations, actions, the audit."""
    url = "http://127.0.0.1:1"
    decoders = (
        wire.decode_links, wire.decode_registration, wire.decode_taken, wire.decode_action_states,
    )  # fmt: skip

    def parse(data: bytes) -> None:
        for decode in decoders:
            with contextlib.suppress(ValueError):
                decode(data)

    audit = b'{"flows": [{"actions": {"s": {"id": "a1", "state": {"value": "PENDING"}}}}]}'
    return Parser(parse, (), (links(url), registered(url, "D"), action(url, "D", "a1"), audit))


def calls() -> Parser:
    """Whole answers on a socket: status, headers, lengths, codings, content types."""
    proxy = FaultProxy(lambda seen: ProxyAnswer(200, links(proxy.url)))
    proxy.__enter__()
    outage = Outage(Clock(), base_seconds=0.0, cap_seconds=0.0)
    client = client_for(proxy.url, timeout_seconds=2, outage=outage)
    pack = f"{proxy.url}/v1/packs/D"
    registration = Registration("D", f"{pack}/actions/take", f"{pack}/events")
    kinds: list[tuple[str, Callable[[], object]]] = [
        ("links", client.health),
        ("register", lambda: client.register(PackDef("D"))),
        ("take", lambda: client.take(registration)),
        ("event", lambda: client.post_event(registration, b"{}")),
        ("result", lambda: client.post_result(f"{pack}/actions/a1/result", b"{}")),
        ("audit", lambda: client.action_state("D", "echo", "a1")),
    ]

    def parse(data: bytes) -> None:
        name, call = kinds[data[0] % len(kinds)] if data else kinds[0]

        def act(exchange: Exchange) -> None:
            exchange.send(data[1:])

        proxy.script(name, act)
        try:
            call()
        finally:
            proxy.script(name)

    bodies = (links(proxy.url), registered(proxy.url, "D"), action(proxy.url, "D", "a1"))
    seeds = [bytes([each]) + ProxyAnswer(200 + each % 3, body).encoded()
             for each, body in enumerate((*bodies, b"", b"", b'{"flows": []}'))]  # fmt: skip
    until = {"Retry-After": "Mon, 1 Jan 2030 00:00:00 GMT"}
    later = [b"\x02" + ProxyAnswer(503, b"", until).encoded(),
             b"\x02HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
             b"\x02HTTP/1.1 302 Found\r\nLocation: //[::1\r\n\r\n",
             b"\x02HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
             b'\x01HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer error="x"\r\n\r\n']  # fmt: skip
    return Parser(parse, (FlyteError,), (*seeds, *later), share=0.1)


@dataclass
class Ticket:
    """An input with everything that annotations can say."""

    title: Annotated[str, msgspec.Meta(max_length=5, pattern="^[a-z ]*$")]
    when: datetime | None = None
    tags: frozenset[str] = frozenset()
    below: "tuple[Ticket, ...]" = ()


KINDS = (Any, Ticket, list[Ticket], dict[str, int | float | None], tuple[int, bytes], datetime, str)
"""The inputs of some commands' handlers."""


def taking(kind: Any) -> BoundCommand:
    """A command whose handler takes that input."""

    def handler(input: Any) -> Event:
        return Event(EventDef("Taken"), input)

    handler.__annotations__["input"] = kind
    return bind(Command("run", handler, []), "fuzz")


def inputs() -> Parser:
    """Inputs of commands, for handlers with all kinds of annotations."""
    bound = [taking(kind) for kind in KINDS]

    def parse(data: bytes) -> None:
        for each in bound:
            with contextlib.suppress(InputMismatch):
                each.decode(data)

    seeds = (b'{"title": "a b", "when": "2030-01-01T00:00:00Z", "tags": ["x"], "below": [{}]}',
             b'[{"title": "a"}]', b'{"a": 1, "b": null, "c": 1e3}', b'[1, "AAAA"]', b'"\\ud800"',
             b'"2030-02-29T24:00:00+99:99"')  # fmt: skip
    return Parser(parse, (), seeds)


def flows() -> Parser:
    """Flow files, as ``flyte-host flows`` and embedded flyte read them."""

    def parse(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "replace")
        checked = check_flow(text, source="fuzz.yaml")
        try:
            flow = read_flow(read_text(text), source="fuzz.yaml", lines=yaml_lines(text))
        except (BadDocument, FlowInvalid):
            assert checked.findings
        else:
            assert read_flow({"steps": []} | flow_document(flow)) == flow  # as the store has it

    seed = b"""name: f
description: d
steps:
  - id: a
    event: {name: E, packName: P, packLabels: {env: dev}}
    criteria: "{{ Event.Payload.n > 1 }}"
    context: {x: "{{ Event.Payload }}", y: &a 017}
    command: {name: c, packName: Q, input: {a: [1, "{% if x %}y{% endif %}", *a]}}
  - {dependsOn: [a], event: {name: F, packName: P}, command: {name: c, packName: Q}}
"""
    return Parser(
        parse,
        (),
        (seed, b'{"name": "f", "steps": []}', b"a: !!binary aGk=\n<<: {b: 1}"),
        share=0.25,
    )


def documents() -> Parser:
    """JSON and YAML bodies of embedded flyte."""

    def parse(data: bytes) -> None:
        for read in (read_json, read_yaml):
            with contextlib.suppress(BadDocument):
                write_json(read(data))

    seeds = (b'{"a": [1, 2.5, null, "\\ud800"]} tail', b"a: 2030-01-01\nb: [0x1F, .inf, ~]\n? c\n",
             b"[" * 300, b'{"a": 1e999}', b"\xff\xfea\0", b"&a [*a]")  # fmt: skip
    return Parser(parse, (), seeds)


def bodies() -> Parser:
    """Requests to embedded flyte: multipart for the datastore, JSON and YAML for the rest."""
    client = Client(as_wsgi(EmbeddedFlyte(":memory:").asgi))
    client.post("/v1/packs", json={"name": "P"})
    places = (("PUT", "/v1/datastore/k"), ("POST", "/v1/packs"), ("POST", "/v1/flows"),
              ("POST", "/v1/packs/P/events"), ("GET", "/v1/audit/flows"))  # fmt: skip

    def parse(data: bytes) -> None:
        """The first byte chooses the place, the first line is the content type."""
        method, path = places[data[0] % len(places)] if data else places[0]
        content_type, _, body = data[1:].partition(b"\n")
        environ = {"CONTENT_TYPE": content_type.decode("latin-1")}
        query = content_type.decode("latin-1") if method == "GET" else ""
        answer = client.open(
            path, method=method, input_stream=io.BytesIO(body), query_string=query,
            environ_overrides={**environ, "CONTENT_LENGTH": str(len(body))},
        )  # fmt: skip
        assert answer.status_code < 500, (answer.status, answer.text)
        client.get("/v1/datastore/k").close()

    multipart = b"\0multipart/form-data; boundary=b\n"
    part = b'--b\r\nContent-Disposition: form-data; name="value"; filename="f"\r\n'
    seeds = (multipart + part + b"\r\nhello\r\n--b--\r\n",
             multipart + part + b"Content-Type: a/b\r\n\r\n\xff\r\n--b",
             b'\x01application/json\n{"name": "Q", "labels": {"a": "b"}, "commands": []}',
             b"\x02application/x-yaml; charset=utf-8\nname: f\nsteps: []\n",
             b'\x03application/json\n{"event": "E", "payload": [1], "createdAt": "2030-01-01"}',
             b"\x04start=0&limit=5&actionPackLabels=a:b,c:d\n")  # fmt: skip
    return Parser(parse, (), seeds, share=0.5)


def templates() -> Parser:
    """Templates of flows, within their limits of time and size."""
    variables = {"Event": {"Name": "E", "Payload": {"n": 7.0, "s": "text", "l": [1.0, None]}}}
    items = {"k": ("text/plain", b"item")}
    made = make_templates(items, max_output_characters=10_000, max_seconds=0.5)

    def parse(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        with contextlib.suppress(TemplateFailed):
            made.check(text)
        made.render(text, variables)

    seeds = (b"{{ Event.Payload.n|add:1 }}", b"{% for x in Event.Payload.l %}{{ x }}{% endfor %}",
             b"{% if Event.Name == 'E' and not 1 in Event.Payload.l %}y{% else %}n{% endif %}",
             b'{{ datastore("k")|safe }}{# c #}', b"{% set a = 2 ^ 3 %}{{ a|floatformat:2 }}",
             b"{% with a=1 %}{{ a }}{% endwith %}", b'{{ Event.Payload.s|date:"Mon 2 Jan" }}',
             b"{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1) }}", b'{{ template("{{ 1 }}") }}',
             b"{% filter upper %}x{% endfilter %}", b'{{ "%5.2f"|stringformat:1.5 }}')  # fmt: skip
    return Parser(parse, (TemplateFailed,), seeds, share=0.5)


def configuration() -> Parser:
    """TOML files."""
    path = Path(tempfile.mkdtemp()) / "fuzz.toml"

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        load_config(path, {})

    seeds = (b'[flyte]\nurl = "http://u:p@flyte:1/x"\ntoken = {env = "T"}\ntimeout_seconds = 5\n',
             b'[flyte.embedded]\nlisten = "127.0.0.1:0"\nflows = "f"\n',
             b'[packs.a]\nplugin = "b"\nmax_concurrent = 3\nlabels = {a = "b"}\nsettings = {}\n',
             b"[host]\npoll_interval_seconds = 1e400\ndrain_seconds = nan\nstate = ''\n",
             b"a.b = 2030-01-01T00:00:00Z\n[[c]]\n" + b"9" * 5000)  # fmt: skip
    return Parser(parse, (ConfigError,), seeds, share=0.5)


def trace_headers() -> Parser:
    """``traceparent`` and ``tracestate``, on lines of their own."""

    def parse(data: bytes) -> None:
        parent, _, state = data.decode("latin-1").partition("\n")
        trace = read_trace({"traceparent": parent, "tracestate": state})
        assert trace.isprintable()
        assert read_trace(write_trace(trace)) == trace
        assert not trace or str(parse_traceparent(trace)) == trace

    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    seeds = (parent, b"cc" + parent[2:] + b"-later\na=1", parent + b"\na=1, 1b@c=x y\t,d=")
    return Parser(parse, (), seeds)


PARSERS = {
    each.__name__: each
    for each in (
        answers, calls, inputs, flows, documents, bodies, templates, configuration, trace_headers,
    )
}  # fmt: skip
