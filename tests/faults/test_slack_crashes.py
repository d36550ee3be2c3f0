"""kill -9 under a host that listens to Slack: what Slack was told to forget is in the journal."""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from flyte_host.pipeline.delivery import courier
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.waiting import wait_until
from tests.support.own_packs import disabled_packs
from tests.support.serving import Serving
from tests.support.stand_ins import load_stand_in

FEW, MANY = 150, 5_000
slack_stand_in = load_stand_in("slack", "slack_stand_in")


def write_config(folder: Path, flyte_url: str, api_url: str) -> None:
    (folder / "flyte-host.toml").write_text(
        f'[flyte]\nurl = "{flyte_url}"\n[health]\nlisten = "127.0.0.1:0"\n'
        f'[packs.slack.settings]\napi_url = "{api_url}"\n' + disabled_packs("slack"),
        encoding="utf-8",
    )


def texts(flyte: FlyteServer) -> Counter[str]:
    return Counter(payload["message"] for _, _, payload in flyte.events("Slack"))


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_slacks_events_across_a_kill(
    count: int, tmp_path: Path, flyte_server: FlyteServer, flyte_host_environ: dict[str, str]
) -> None:
    """None is lost. Only what Slack still had, or what flyte was being sent, may come twice."""
    environ = flyte_host_environ | {
        "FLYTE_SLACK_TOKEN": slack_stand_in.TOKEN,
        "FLYTE_SLACK_APP_TOKEN": slack_stand_in.APP_TOKEN,
    }
    with slack_stand_in.SlackStandIn() as slack:
        write_config(tmp_path, flyte_server.url, slack.url)
        with Serving(tmp_path, environ) as first:
            wait_until(lambda: slack.connected, "the pack is connected")
            for number in range(count):
                message = {"type": "message", "channel": "C1", "user": "UANN", "ts": "1.2"}
                slack.tell_event(message | {"text": f"{number}"})
            wait_until(lambda: slack.waiting <= count // 2, "half is acknowledged")
            os.kill(first.pid, signal.SIGKILL)
            first.ended()
            left = slack.waiting
        with Serving(tmp_path, environ) as second:
            wait_until(lambda: slack.waiting == 0, "all are acknowledged")
            wait_until(lambda: len(texts(flyte_server)) == count, "flyte has all of them")
            second.signal(signal.SIGTERM)
            second.ended()
    found = texts(flyte_server)
    assert set(found) == {f"{number}" for number in range(count)}
    again = found.total() - count
    assert left > 0
    assert again <= left + courier.THREADS
    sys.stdout.write(f"\n{count} events of Slack, a kill -9 with {left} open: {again} twice\n")
