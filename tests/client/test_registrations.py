"""Each pack is registered once, however many need it, and again when flyte forgot it."""

import json
import logging
import threading
from collections.abc import Iterator

import pytest

from flyte_host.client.registrations import Registrations
from flyte_host.errors import FlyteAway, FlyteFailed
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.host_parts import ECHO, PackPlugin, client_for, definitions, flyte_script, served
from tests.support.scripted_server import ScriptedServer, registered, reply

pytestmark = pytest.mark.usefixtures("engine")
PACKS = definitions(served({"demo": PackPlugin(ECHO), "bare": PackPlugin(name="Bare")}))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        flyte_script(running)
        yield running


@pytest.fixture
def registrations(server: ScriptedServer) -> Iterator[Registrations]:
    client = client_for(server.url)
    yield Registrations(client, PACKS)
    client.close()


def posts(server: ScriptedServer) -> list[str]:
    """The names of the packs that were registered, in order."""
    return [json.loads(each.body)["name"] for each in server.requests if each.method == "POST"]


def test_it_knows_which_packs_are_configured(registrations: Registrations) -> None:
    assert "demo" in registrations
    assert "other" not in registrations


def test_nothing_is_registered_before_it_is_needed(
    registrations: Registrations, server: ScriptedServer
) -> None:
    assert registrations.problem("demo") == "not registered yet"
    assert posts(server) == []


def test_a_pack_is_registered_once(
    registrations: Registrations, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.client.registrations")
    first = registrations.get("demo")
    assert first.take_href == f"{server.url}/v1/packs/Demo/actions/take"
    assert registrations.get("demo") is first
    assert posts(server) == ["Demo"]
    assert registrations.problem("demo") == ""
    registrations.get("bare")
    assert caplog.messages == [
        "registered as Demo: commands echo",
        "registered as Bare: commands none",
    ]
    assert vars(caplog.records[0])["pack"] == "demo"


def test_eight_threads_register_once(registrations: Registrations, server: ScriptedServer) -> None:
    go_on = threading.Event()
    server.on(
        "POST /v1/packs",
        [go_on, reply(201, registered(server.url, "Demo"))],
        reply(500),
    )
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(registrations.get("demo"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    server.wait_for(2)  # the links, the registration
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert len(found) == 8
    assert len({id(each) for each in found}) == 1
    assert posts(server) == ["Demo"]


def test_a_registration_that_is_made_again_leaves_no_line(
    registrations: Registrations, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A pack without commands is registered every four minutes."""
    caplog.set_level(logging.INFO, "flyte_host.client.registrations")
    first = registrations.get("demo", anew=True)
    assert registrations.get("demo") is first
    assert registrations.get("demo", anew=True) is not first
    assert posts(server) == ["Demo", "Demo"]
    assert len(caplog.messages) == 1


def test_what_flyte_forgot_is_registered_again(
    registrations: Registrations, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.client.registrations")
    known = registrations.get("demo")
    registrations.forget("demo", known)
    assert registrations.problem("demo") == "flyte forgot the pack; it is registered again"
    again = registrations.get("demo")
    assert again is not known
    assert registrations.problem("demo") == ""
    assert posts(server) == ["Demo", "Demo"]
    assert caplog.messages[1:] == [
        "flyte no longer knows pack Demo; registering it again",
        "registered again as Demo",
    ]


def test_a_pack_that_is_renewed_leaves_a_line(
    registrations: Registrations, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.client.registrations")
    known = registrations.get("demo")
    assert registrations.known("demo") is known
    registrations.renew("demo", known)
    registrations.renew("demo", known)  # another result of the same time
    assert posts(server) == ["Demo", "Demo"]
    assert caplog.messages[1:] == [
        "flyte does not know an action of pack Demo; registering it again",
        "registered again as Demo",
    ]


def test_a_first_registration_is_told_once_however_often_it_failed_before(
    registrations: Registrations, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flyte_host.client.registrations")
    good = reply(201, registered(server.url, "Demo"))
    server.on("POST /v1/packs", reply(500), good, reply(500), good)
    for _ in range(2):
        with pytest.raises(FlyteFailed):
            registrations.get("demo", anew=True)
        registrations.get("demo")
    assert caplog.messages == ["registered as Demo: commands echo", "registered again as Demo"]


def test_only_what_is_known_can_be_forgotten(
    registrations: Registrations, server: ScriptedServer
) -> None:
    """Two threads got a 404; the second one must not undo the registration that the first made."""
    known = registrations.get("demo")
    assert registrations.forget("demo", known)
    assert not registrations.forget("demo", known)
    again = registrations.get("demo")
    assert not registrations.forget("demo", known)
    assert registrations.problem("demo") == ""
    assert registrations.get("demo") is again
    assert posts(server) == ["Demo", "Demo"]


def test_a_failed_registration_is_told_and_tried_again(
    registrations: Registrations, server: ScriptedServer
) -> None:
    server.on("POST /v1/packs", reply(500), reply(201, registered(server.url, "Demo")))
    with pytest.raises(FlyteFailed):
        registrations.get("demo")
    assert registrations.problem("demo") == (
        f"registration failed: POST {server.url}/v1/packs was answered with 500"
    )
    registrations.get("demo")
    assert registrations.problem("demo") == ""


def test_a_pack_that_could_not_be_renewed_is_not_called_registered(
    registrations: Registrations, server: ScriptedServer
) -> None:
    first = registrations.get("demo")
    server.on("POST /v1/packs", reply(500), reply(201, registered(server.url, "Demo")))
    with pytest.raises(FlyteFailed):
        registrations.get("demo", anew=True)
    assert "registration failed" in registrations.problem("demo")
    assert registrations.get("demo") is not first  # a new registration, not the earlier one
    assert registrations.problem("demo") == ""


def test_one_packs_failure_is_not_the_others(
    registrations: Registrations, server: ScriptedServer
) -> None:
    registrations.get("bare")
    server.end_connections()
    server.on("POST /v1/packs", reply(503))
    with pytest.raises(FlyteAway):
        registrations.get("demo")
    assert registrations.problem("bare") == ""
    assert registrations.problem("demo").startswith("registration failed: ")
