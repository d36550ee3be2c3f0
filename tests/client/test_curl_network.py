"""Many requests under way at once. What an answer is, and what fails, is in the other tests."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from flyte_host.client.engine import Engine, find_engine
from flyte_host.client.tls_files import TlsFiles
from flyte_host.client.transport import Transport
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.script import run_script
from tests.support.scripted_server import HANG, ScriptedServer, Seen, reply

pytest.importorskip("pycurl", reason="no pycurl: pip install flyte-host[curl]")

from flyte_host.client.curl_network import CurlNetwork, CurlRequest

TIMEOUT = (5.0, 5.0)


def no_thread() -> requests.Response:
    raise AssertionError("nobody blocks here")


def post(url: str, body: bytes = b"{}") -> requests.PreparedRequest:
    return requests.Request("POST", url, data=body).prepare()


@pytest.fixture
def network() -> Iterator[CurlNetwork]:
    made = CurlNetwork(largest_bytes=1000, connections_kept=4)
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        running.on("POST /", reply(200, b"yes"))
        yield running


def begin(network: CurlNetwork, url: str, timeout: tuple[float, float] = TIMEOUT) -> CurlRequest:
    request = network.make(post(url), timeout, no_thread)
    request.begin(lambda: None)
    return request


def exchange_at_once(network: CurlNetwork, server: ScriptedServer, number: int) -> None:
    """Send ``number`` requests, none of which is answered before all have arrived."""
    together = threading.Barrier(number)

    def answer(_: Seen) -> bytes:
        together.wait(PATIENCE_SECONDS)
        return reply(200)

    server.on("POST /all", [answer])
    for _ in range(number):
        begin(network, f"{server.url}/all")
    carry(network)


def carry(network: CurlNetwork) -> None:
    """Until nothing is under way."""
    while network.under_way:
        if network.look(PATIENCE_SECONDS):
            network.attend()


def exchange(network: CurlNetwork, url: str) -> requests.Response:
    request = begin(network, url)
    carry(network)
    return request.response()


def test_one_thread_has_many_requests_under_way(
    network: CurlNetwork, server: ScriptedServer
) -> None:
    together = threading.Barrier(20)

    def answer(seen: Seen) -> bytes:
        together.wait(PATIENCE_SECONDS)
        return reply(200, seen.query.encode())

    server.on("POST /all", [answer])
    made = [begin(network, f"{server.url}/all?{number}") for number in range(20)]
    assert network.under_way == 20
    carry(network)
    assert [each.response().raw.read() for each in made] == [b"%d" % each for each in range(20)]


def test_a_waiting_caller_is_woken_once_and_when_the_answer_is_there(
    network: CurlNetwork, server: ScriptedServer
) -> None:
    woken: list[int] = []
    request = network.make(post(f"{server.url}/"), TIMEOUT, no_thread)
    request.begin(lambda: woken.append(request.response().status_code))
    assert woken == []
    carry(network)
    assert woken == [200]


def test_connections_are_kept_but_not_more_than_wanted(
    network: CurlNetwork, server: ScriptedServer
) -> None:
    exchange_at_once(network, server, 6)
    for _ in range(3):
        exchange(network, f"{server.url}/")
    assert {each.connection for each in server.requests} == set(range(1, 7))
    wait_until(lambda: server.open_connections <= 4, "the others are closed")
    network.close()
    server.wait_until_idle()


def test_a_connection_that_the_server_ended_meanwhile_is_not_used(
    network: CurlNetwork, server: ScriptedServer
) -> None:
    exchange(network, f"{server.url}/")
    exchange(network, f"{server.url}/")
    server.end_connections()
    server.wait_until_idle()
    for _ in range(3):
        assert exchange(network, f"{server.url}/").status_code == 200
    assert [each.connection for each in server.requests][:3] == [1, 1, 2]


def test_what_went_out_is_not_sent_again_on_any_connection(
    network: CurlNetwork, server: ScriptedServer
) -> None:
    """Neither on a new one nor on one of those that are free."""
    exchange_at_once(network, server, 3)
    server.on("POST /end", ["close"])
    request = begin(network, f"{server.url}/end")
    carry(network)
    with pytest.raises(requests.ConnectionError):
        request.response()
    assert [each.path for each in server.requests].count("/end") == 1


def test_time_is_over_for_each_on_its_own(network: CurlNetwork, server: ScriptedServer) -> None:
    server.on("POST /never", [HANG])
    late = begin(network, f"{server.url}/never", (5.0, 0.2))
    good = begin(network, f"{server.url}/")
    carry(network)
    assert good.response().status_code == 200
    with pytest.raises(requests.ReadTimeout):
        late.response()


def test_a_request_that_cannot_begin_is_over_at_once(network: CurlNetwork) -> None:
    woken = threading.Event()
    request = network.make(
        requests.Request("PUT", "http://127.0.0.1:1/").prepare(), TIMEOUT, no_thread
    )
    request.begin(woken.set)
    assert woken.is_set()
    with pytest.raises(requests.RequestException, match="found PUT"):
        request.response()
    assert network.under_way == 0


def test_a_look_can_be_interrupted_before_and_meanwhile(network: CurlNetwork) -> None:
    network.interrupt()
    assert network.look(PATIENCE_SECONDS) is False
    found: list[bool] = []
    looking = threading.Thread(target=lambda: found.append(network.look(PATIENCE_SECONDS)))
    looking.start()
    network.interrupt()
    looking.join(PATIENCE_SECONDS)
    assert found == [False]


def test_many_calls_are_one(network: CurlNetwork) -> None:
    for _ in range(100_000):
        network.interrupt()
    assert network.look(PATIENCE_SECONDS) is False
    assert network.look(0.0) is False


def test_a_request_of_another_thread_shortens_the_look(
    network: CurlNetwork, server: ScriptedServer
) -> None:
    """Its time is over before the look would be."""
    server.on("POST /never", [HANG])
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            network.look(PATIENCE_SECONDS)
            network.attend()

    looking = threading.Thread(target=look)
    looking.start()
    request = network.make(post(f"{server.url}/never"), (5.0, 0.1), no_thread)
    request.begin(over.set)
    assert over.wait(PATIENCE_SECONDS)
    network.interrupt()
    looking.join(PATIENCE_SECONDS)
    assert not looking.is_alive()


def test_what_is_under_way_at_the_close_fails_and_so_does_what_comes_later(
    network: CurlNetwork, server: ScriptedServer
) -> None:
    server.on("POST /never", [HANG])
    woken = threading.Semaphore(0)
    made = []
    for number in range(2):
        made.append(network.make(post(f"{server.url}/never"), TIMEOUT, no_thread))
        made[-1].begin(woken.release)
        if number == 0:
            while not server.requests:
                network.look(0.05)
                network.attend()
            network.close()
    network.close()
    for each in made:
        assert woken.acquire(timeout=PATIENCE_SECONDS)
        with pytest.raises(requests.ConnectionError, match="the network is closed"):
            each.response()
    assert network.look(0.0) is False
    network.attend()
    network.interrupt()


def test_a_look_returns_at_the_close(network: CurlNetwork) -> None:
    looking = threading.Thread(target=network.look, args=(PATIENCE_SECONDS,))
    looking.start()
    network.interrupt()
    network.close()
    looking.join(PATIENCE_SECONDS)
    assert not looking.is_alive()


def test_threads_begin_and_look_as_they_like(network: CurlNetwork, server: ScriptedServer) -> None:
    """Eight begin, two look: each gets its own answer."""

    def answer(seen: Seen) -> bytes:
        return reply(200, seen.body)

    server.on("POST /echo", [answer])
    over, problems = threading.Event(), []

    def look() -> None:
        while not over.is_set():
            network.look(0.05)
            network.attend()

    def ask(name: int) -> None:
        for number in range(50):
            body, there = f"{name}.{number}".encode(), threading.Event()
            request = network.make(post(f"{server.url}/echo", body), TIMEOUT, no_thread)
            request.begin(there.set)
            if not there.wait(PATIENCE_SECONDS) or request.response().raw.read() != body:
                problems.append(body)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    askers = [threading.Thread(target=ask, args=(name,)) for name in range(8)]
    for each in [*lookers, *askers]:
        each.start()
    for each in askers:
        each.join()
    over.set()
    for each in lookers:
        each.join()
    assert problems == []
    assert network.under_way == 0


FORKING = """
import os, sys
import requests
from pathlib import Path
from flyte_host import forks
from flyte_host.client.curl_network import CurlNetwork

forks.own_file(Path("journal.db"))
url = sys.argv[1]
network = CurlNetwork(largest_bytes=1000, connections_kept=4)

def exchange():
    request = requests.Request("POST", url, data=b"{}").prepare()
    begun = network.make(request, (5.0, 5.0), None)
    begun.begin(lambda: None)
    while network.under_way:
        if network.look(5.0):
            network.attend()
    return begun.response().status_code

def sockets():
    found = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return [each for each in found if os.path.exists(each) or os.path.islink(each)
            if os.readlink(each).startswith(("socket:", "anon_inode:[eventpoll]"))]

before = sockets()
exchange()
child = os.fork()
if child == 0:
    assert sockets() == [], sockets()
    try:
        exchange()
    except requests.ConnectionError:
        pass
    else:
        os._exit(1)
    taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]  # numbers that it had
    del network
    import gc
    gc.collect()
    for each in taken:
        os.fstat(each)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert exchange() == 200
network.close()
assert len(sockets()) < len(before) or sockets() == [], sockets()
"""


def test_a_forked_process_has_nothing_of_the_network(server: ScriptedServer) -> None:
    done = run_script(FORKING, f"{server.url}/")
    assert not done.stderr
    assert [seen.connection for seen in server.requests] == [1, 1]


def test_a_network_that_nobody_closed_leaves_no_descriptor() -> None:
    before = descriptors_left()
    CurlNetwork(largest_bytes=1000, connections_kept=4)
    wait_until(lambda: descriptors_left() <= before, "its descriptors are closed")


def descriptors_left() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("url", "opens"),
    [("http://h:1", True), ("https://h:1", False)],
)
def test_only_plain_http_goes_without_threads(url: str, opens: bool) -> None:
    transport = Transport(url, TlsFiles())
    try:
        assert (transport.open_network() is not None) is opens
    finally:
        transport.close()


def test_a_link_that_leads_to_https_has_a_thread(network: CurlNetwork) -> None:
    assert network.carries(post("http://h:1/a"))
    assert not network.carries(post("https://h:1/a"))


def test_an_engine_without_a_network_has_threads(server: ScriptedServer) -> None:
    found = find_engine()
    transport = Transport(server.url, TlsFiles(), engine=Engine(found.name, found.make_adapter))
    assert transport.open_network() is None
    transport.close()
