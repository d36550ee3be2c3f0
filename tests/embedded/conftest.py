"""An embedded flyte with a clock of the test's own, called as WSGI or served on loopback."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import Client, TestResponse

from flyte_host.clock import Clock
from flyte_host.embedded import EmbeddedFlyte
from flyte_host.web.web_server import WebServer
from tests.support.asgi import as_wsgi
from tests.support.postgres import POSTGRES, SQLITE, PostgresServer, store_kinds


class MovableTime:
    """A time of day that moves only when told to; ``clock`` is what parts take."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 21, 0, 0, 123456, tzinfo=UTC)
        self.seconds = self.lived = 0.0
        self.clock = Clock(now=self, monotonic=lambda: self.seconds, elapsed=lambda: self.lived)

    def __call__(self) -> datetime:
        return self.time

    def pass_(self, **length: float) -> None:
        self.suspend(**length)
        self.seconds += timedelta(**length).total_seconds()

    def suspend(self, **length: float) -> None:
        """The machine sleeps: time passes, but not for waits."""
        self.jump(**length)
        self.lived += timedelta(**length).total_seconds()

    def jump(self, **length: float) -> None:
        """Set the time of day, although no time passes."""
        self.time += timedelta(**length)


class EmbeddedCaller:
    """Calls an embedded flyte's WSGI app; safe to share between threads."""

    def __init__(self, flyte: EmbeddedFlyte) -> None:
        self.flyte = flyte

    def __call__(self, method: str, path: str, json: Any = None, **options: Any) -> TestResponse:
        if json is not None:
            options["json"] = json
        return Client(as_wsgi(self.flyte.asgi)).open(path, method=method, **options)

    def pack(self, name: str = "P", **fields: Any) -> str:
        answer = self("POST", "/v1/packs", {"name": name} | fields)
        assert answer.status_code == 201
        return str(answer.get_json(force=True)["id"])

    def flow(self, *steps: dict[str, Any], name: str = "flow") -> None:
        answer = self("POST", "/v1/flows", {"name": name, "steps": list(steps)})
        assert answer.status_code == 201, answer.text

    def event(self, name: str, payload: Any = None, *, pack: str = "P") -> None:
        answer = self("POST", f"/v1/packs/{pack}/events", {"event": name, "payload": payload})
        assert answer.status_code == 202, answer.text

    def take(self, pack: str = "P") -> dict[str, Any] | None:
        answer = self("POST", f"/v1/packs/{pack}/actions/take")
        assert answer.status_code in {200, 204}, answer.text
        return answer.get_json() if answer.status_code == 200 else None

    def finish(self, action: dict[str, Any] | None, event: str, payload: Any = None) -> int:
        assert action is not None
        path = action["links"][0]["href"].removeprefix("http://localhost")
        return self("POST", path, {"event": event, "payload": payload}).status_code

    def executions(self, query: str = "") -> list[dict[str, Any]]:
        answer = self("GET", f"/v1/audit/flows{query}")
        assert answer.status_code == 200, answer.text
        return list(answer.get_json()["flows"])


def step(event: str, command: str, **fields: Any) -> dict[str, Any]:
    """A step of pack P: on ``event``, asks P to ``command``."""
    return {
        "event": {"name": event, "packName": "P"},
        "command": {"name": command, "packName": "P", "input": fields.pop("input", None)},
    } | fields


@pytest.fixture(name="step")
def step_fixture() -> Callable[..., dict[str, Any]]:
    return step


@pytest.fixture
def clock() -> MovableTime:
    return MovableTime()


ON_BOTH = {
    "test_concurrency", "test_decisions", "test_embedded_flyte", "test_flow_runner", "test_pages",
    "test_store", "test_trace_context",
}  # fmt: skip
"""The modules whose tests run on both stores, except those marked ``sqlite``."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store_kind" in metafunc.fixturenames:
        module = metafunc.module.__name__.rpartition(".")[2]
        kinds = store_kinds(metafunc.config, is_for_both=module in ON_BOTH)
        if metafunc.definition.get_closest_marker("sqlite"):
            kinds = [SQLITE]
        if module in {"test_postgres_database", "test_shared_store"}:
            kinds = [POSTGRES]
        metafunc.parametrize("store_kind", kinds)


@pytest.fixture
def store(store_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path | str]:
    """Where an empty store is: a path for SQLite, a URL for PostgreSQL."""
    if store_kind == SQLITE:
        yield tmp_path / "flyte.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture
def start(store: Path | str, clock: MovableTime) -> Iterator[Callable[..., EmbeddedCaller]]:
    """Starts embedded flytes, by default on one file and with the test's clock."""
    started = []

    def start(path: str | Path = store, **options: Any) -> EmbeddedCaller:
        flyte = EmbeddedFlyte(path, **{"clock": clock.clock} | options)
        started.append(flyte)
        return EmbeddedCaller(flyte)

    yield start
    for flyte in started:
        flyte.close()


@pytest.fixture
def call(start: Callable[..., EmbeddedCaller]) -> EmbeddedCaller:
    """An embedded flyte with pack P registered."""
    caller = start()
    caller.pack()
    return caller


@pytest.fixture
def url(call: EmbeddedCaller) -> Iterator[str]:
    """The address of ``call``'s flyte, served on loopback."""
    server = WebServer(call.flyte.asgi, ("127.0.0.1", 0), name="embedded")
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session
