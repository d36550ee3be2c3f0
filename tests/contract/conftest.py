"""The server under test, reached by HTTP alone.

``FLYTE_CONTRACT_URL`` names it (the Go server, or any other flyte); without it an embedded one is
served on a free port.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests

from flyte_host.embedded import EmbeddedFlyte
from flyte_host.testing.waiting import PATIENCE_SECONDS
from flyte_host.web.web_server import WebServer
from tests.support.postgres import PostgresServer, store_kinds

DROPPED = "the connection was dropped"
QUIET_SECONDS = 0.5


class ContractServer:
    """What tests ask of a server; ``is_ours`` tells which side of a difference to expect."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.host = self.url.removeprefix("http://").removeprefix("https://")
        self.session = requests.Session()
        self.session.trust_env = False
        described = self.call("GET", "/v1/swagger")
        self.is_ours = described.headers["Content-Type"].startswith("application/json")

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        url = path if path.startswith("http") else f"{self.url}{path}"
        return self.session.request(method, url, timeout=PATIENCE_SECONDS, **options)

    def status(self, method: str, path: str, **options: Any) -> int | str:
        try:
            return self.call(method, path, **options).status_code
        except requests.ConnectionError:
            return DROPPED

    def differs(self, *, here: Any, go: Any, why: str) -> Any:
        """What to expect where we differ from the Go server on purpose."""
        assert why
        return here if self.is_ours else go

    def name(self, prefix: str) -> str:
        return f"{prefix}{uuid.uuid4().hex[:12]}"

    def pack(self, name: str | None = None, **fields: Any) -> str:
        """Register a pack and return its id."""
        body = {"name": name or self.name("Pack"), "events": [], "commands": [], "links": []}
        answer = self.call("POST", "/v1/packs", json=body | fields)
        assert answer.status_code == 201
        return str(answer.json()["id"])

    def flow(self, *steps: dict[str, Any], name: str | None = None) -> str:
        body = {"name": name or self.name("flow"), "steps": list(steps)}
        answer = self.call("POST", "/v1/flows", json=body)
        assert answer.status_code == 201, answer.text
        return str(body["name"])

    def event(self, pack: str, name: str, payload: Any = None) -> None:
        body = {"event": name, "payload": payload}
        answer = self.call("POST", f"/v1/packs/{pack}/events", json=body)
        assert answer.status_code == 202, answer.text

    def until(self, found: Callable[[], Any]) -> Any:
        """What ``found`` returns once that is something: the Go server may take a moment."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (value := found()):
            assert time.monotonic() < deadline, "it never came"
            threading.Event().wait(0.02)
        return value

    def taken(self, pack: str, query: str = "") -> requests.Response:
        """The answer with the next action."""
        path = f"/v1/packs/{pack}/actions/take{query}"

        def answer() -> requests.Response | None:
            answer = self.call("POST", path)
            return answer if answer.status_code == 200 else None

        found: requests.Response = self.until(answer)
        return found

    def take(self, pack: str, query: str = "") -> dict[str, Any]:
        """The next action."""
        return dict(self.taken(pack, query).json())

    def quiet(self, pack: str) -> None:
        """Assert that no action waits for the pack, nor comes within a moment."""
        deadline = time.monotonic() + (0 if self.is_ours else QUIET_SECONDS)
        while True:
            answer = self.call("POST", f"/v1/packs/{pack}/actions/take")
            assert answer.status_code == 204, answer.text
            if time.monotonic() >= deadline:
                return
            threading.Event().wait(0.05)

    def finish(self, action: dict[str, Any], event: str, payload: Any = None) -> None:
        href = action["links"][0]["href"]
        answer = self.call("POST", href, json={"event": event, "payload": payload})
        assert answer.status_code == 202, answer.text

    def executions(self, flow: str, query: str = "") -> list[dict[str, Any]]:
        answer = self.call("GET", f"/v1/audit/flows?flowName={flow}{query}")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["flows"])


def step(
    event: str,
    command: str,
    *,
    id: str = "",
    on: str = "Change",
    input: Any = None,
    **fields: Any,
) -> dict[str, Any]:
    """A step for ``pack/command`` on ``pack`` (of ``event``, ``Pack`` or ``Pack/Event``)."""
    event_pack, _, event_name = event.partition("/")
    command_pack, _, command_name = command.partition("/")
    document: dict[str, Any] = {
        "event": {"name": event_name or on, "packName": event_pack},
        "command": {"name": command_name, "packName": command_pack, "input": input},
    }
    document |= {"id": id} if id else {}
    return document | fields


ON_BOTH = {"test_actions", "test_flows"}
"""The modules that run on both stores of embedded flyte."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "flyte" in metafunc.fixturenames:
        module = metafunc.module.__name__.rpartition(".")[2]
        is_for_both = module in ON_BOTH and not os.environ.get("FLYTE_CONTRACT_URL")
        kinds = store_kinds(metafunc.config, is_for_both=is_for_both)
        metafunc.parametrize("flyte", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def sqlite_flyte() -> Iterator[ContractServer]:
    with served(":memory:") as server:
        yield server


@pytest.fixture(scope="session")
def postgres_flyte(postgres: PostgresServer) -> Iterator[ContractServer]:
    with postgres.database() as store, served(store) as server:
        yield server


@pytest.fixture(scope="session")
def flyte(request: pytest.FixtureRequest) -> ContractServer:
    """The server of a test's store: it outlives a test on the other one."""
    if url := os.environ.get("FLYTE_CONTRACT_URL"):
        return ContractServer(url)
    found: ContractServer = request.getfixturevalue(f"{request.param}_flyte")
    return found


@contextmanager
def served(store: str) -> Iterator[ContractServer]:
    with ExitStack() as exits:
        embedded = EmbeddedFlyte(store)
        exits.callback(embedded.close)
        server = WebServer(embedded.asgi, ("127.0.0.1", 0), name="contract")
        server.start()
        exits.callback(server.stop)
        yield ContractServer(server.url)


@pytest.fixture(scope="session", name="step")
def step_fixture() -> Any:
    return step
