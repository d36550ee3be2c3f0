"""kill -9 under a host that receives webhooks: what it answered with 200 is in its journal."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.own_packs import disabled_packs
from tests.support.scripted_server import port_of_nobody
from tests.support.serving import Serving
from tests.support.signed_webhooks import SECRET, WebhookSenders, forgeries

FEW, MANY = 200, 10_000


def write_config(folder: Path, flyte_url: str, port: int) -> None:
    (folder / "flyte-host.toml").write_text(
        f'[flyte]\nurl = "{flyte_url}"\n[health]\nlisten = "127.0.0.1:0"\n'
        f'[packs.http.settings]\nlisten = "127.0.0.1:{port}"\nremember_file = "webhooks.db"\n'
        f'[packs.http.settings.webhooks.github]\npath = "/github"\nkind = "github"\n'
        'secret = { env = "WEBHOOK_SECRET" }\n' + disabled_packs("http"),
        encoding="utf-8",
    )


@pytest.fixture
def port() -> Iterator[int]:
    """One that both runs of the host take, and nobody else."""
    with port_of_nobody() as held:
        yield held


def numbers(flyte: FlyteServer) -> Counter[int]:
    return Counter(payload["number"] for _, _, payload in flyte.events("Http"))


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_webhooks_across_a_kill(
    count: int, port: int, tmp_path: Path, flyte_server: FlyteServer
) -> None:
    """Every one that was answered arrives in flyte; then forgeries and copies, and none does."""
    write_config(tmp_path, flyte_server.url, port)
    environ = {**os.environ, "WEBHOOK_SECRET": SECRET}
    first = Serving(tmp_path, environ)
    first.wait_ready()

    def kill(answered: int) -> None:
        if answered == count // 2:
            os.kill(first.pid, signal.SIGKILL)
            first.ended()
            hosts.append(Serving(tmp_path, environ))

    hosts = [first]
    senders = WebhookSenders(f"http://127.0.0.1:{port}/github", kill)
    try:
        senders.send(count)
        wait_until(
            lambda: len(numbers(flyte_server)) == count,
            "flyte has all of them",
            look_seconds=count / 10_000,
        )
        arrived = numbers(flyte_server)
        again = arrived.total() - count
        assert set(arrived) == set(range(count))
        # Only what was in hand at the kill can come twice: its sender got no answer.
        assert again <= senders.tries_without_answer
        taken = send_forgeries(senders.url, count)
        hosts[-1].signal(signal.SIGTERM)
        hosts[-1].ended()
        assert taken == []
        assert numbers(flyte_server) == arrived
    finally:
        for each in hosts:
            each.__exit__(None, None, None)
    sys.stdout.write(
        f"\n{count} webhooks, a kill -9 in the middle: {count} in flyte, {again} of them twice,"
        f" {senders.tries_without_answer} tries without an answer;"
        f" {count} forged or sent again: {len(taken)} taken\n"
    )


def send_forgeries(url: str, count: int) -> list[int]:
    """The numbers of those that were taken."""
    taken = []
    with requests.Session() as session:
        for number in range(count):
            headers, body = forgeries(number)
            answer = session.post(url, body, headers=headers, timeout=PATIENCE_SECONDS)
            if answer.status_code == 200 and answer.json() != {"result": "duplicate"}:
                taken.append(number)
    return taken
