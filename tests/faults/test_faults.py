"""Every fault on every call: nothing is lost, no result is taken twice, the host recovers."""

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.fault_rig import Reckoning, Rig, Worker, host_for
from tests.support.faults import NAMES, Fault, faults
from tests.support.figures import Figures

CALLS = ("take", "result", "event", "register")
ACTIONS = 5
EVENTS = 5


@pytest.fixture
def other_origin() -> Iterator[socket.socket]:
    """Where redirects lead; nobody must ever connect."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        yield listener


def rotate(folder: Path) -> None:
    (folder / "token.new").write_text("the-new-token\n", encoding="utf-8")
    os.replace(folder / "token.new", folder / "token")  # noqa: PTH105


def tried(folder: Path, name: str, call: str, place: str) -> tuple[Reckoning, float]:
    """The account, and the seconds from the last fault until all was settled."""
    folder.mkdir(parents=True)
    (folder / "token").write_text("the-old-token\n", encoding="utf-8")
    fault = faults(lambda: rotate(folder), place)[name]
    with Rig(folder) as rig:
        rig.proxy.token = "the-old-token"
        rig.load(ACTIONS)
        rig.want_events(EVENTS)
        rig.proxy.script(call, *[fault.act] * fault.times)
        host = host_for(
            folder, rig.proxy.url, Worker(folder), timeout_seconds=fault.timeout_seconds
        )
        host.start()
        try:
            rig.wait_settled()
            rig.proxy.wait_faulted(fault.times)
            seconds = time.monotonic() - max(rig.proxy.faulted_at)
        finally:
            left = host.stop(drain_seconds=PATIENCE_SECONDS)
        assert (left, rig.proxy.scripted(call)) == (0, 0)
        account = rig.account()
        assert account.gap == gap(fault, call, rig)
        return account, seconds


def gap(fault: Fault, call: str, rig: Rig) -> int:
    """Actions whose take flyte committed, and whose answer the fault kept from the host."""
    return rig.proxy.forwarded["take", 200] if call == "take" and not fault.told_takes else 0


def check(name: str, call: str, account: Reckoning) -> None:
    fault = faults(lambda: None, "")[name]
    assert (account.actions, account.events) == (ACTIONS, EVENTS)
    assert (account.lost, account.twice, account.events_lost) == ((), (), ()), (name, call)
    assert account.parked == 0
    assert account.repeated <= (fault.times if fault.commits and call == "event" else 0)
    assert account.gap in range(fault.times + 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_on_each_call(name: str, tmp_path: Path, other_origin: socket.socket) -> None:
    place = f"http://127.0.0.1:{other_origin.getsockname()[1]}"
    with ThreadPoolExecutor(len(CALLS)) as pool:
        cases = {
            call: pool.submit(tried, tmp_path / call, name, call, place) for call in CALLS
        }  # fmt: skip
        for call, case in cases.items():
            account, _ = case.result()
            check(name, call, account)
    with pytest.raises(BlockingIOError):
        other_origin.accept()


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_every_fault_many_times(
    tmp_path: Path, other_origin: socket.socket, figures: Figures
) -> None:
    rounds = 8
    place = f"http://127.0.0.1:{other_origin.getsockname()[1]}"
    with ThreadPoolExecutor(6) as pool:
        for name in NAMES:
            cases = [
                (call, pool.submit(tried, tmp_path / name / f"{call}{turn}", name, call, place))
                for turn in range(rounds)
                for call in CALLS
            ]
            accounts, seconds = [], []
            for call, case in cases:
                account, took = case.result()
                check(name, call, account)
                accounts.append(account)
                seconds.append(took)
            figures.add(name, len(cases), accounts, seconds)
