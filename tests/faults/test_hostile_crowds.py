"""Sixteen hostile requests of a kind at once: the host stays alive, and its memory small."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.own_packs import disabled_packs
from tests.support.serving import Serving

pytestmark = pytest.mark.soak

CROWD = 16
MOST_MEGABYTES = 100
LARGE = b"x" * 15_900_000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
YAML = {"Content-Type": "application/x-yaml"}
FLOW: dict[str, Any] = {
    "name": "f",
    "steps": [
        {"id": "a", "event": {"packName": "P", "name": "Go"},
         "command": {"packName": "P", "name": "c", "input": "{{ Event.Payload }}"}},
    ],
}  # fmt: skip
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9)
)
PARAMETERS = b'--B\r\nContent-Disposition: form-data; name="' + b";" * 9000 + b"\r\n\r\n\r\n"
TAGS = f"%TAG !e! tag:{'x' * 400_000}\n---\n[{'!e!t x, ' * 60_000}]"
Send = Callable[[str], requests.Response]


def post(url: str, path: str, data: bytes | str, headers: dict[str, str]) -> requests.Response:
    return requests.post(f"{url}/v1{path}", data, headers=headers, timeout=PATIENCE_SECONDS)


KINDS: dict[str, Send] = {
    "a large form": lambda url: post(url, "/packs/P/actions/take", b"a=" + LARGE, FORM),
    "a large item": lambda url: requests.put(
        f"{url}/v1/datastore/k", files={"value": ("f", LARGE)}, timeout=PATIENCE_SECONDS
    ),
    "many parts": lambda url: requests.put(
        f"{url}/v1/datastore/k", files=[("value", ("f", LARGE[:16_000]))] * 980,
        timeout=PATIENCE_SECONDS,
    ),
    "parts with many parameters": lambda url: requests.put(
        f"{url}/v1/datastore/k", PARAMETERS * 900 + b"--B--", timeout=PATIENCE_SECONDS,
        headers={"Content-Type": "multipart/form-data; boundary=B"},
    ),
    "long tags": lambda url: post(url, "/flows", TAGS, YAML),
    "numbers that are slow to read": lambda url: post(
        url, "/packs/P/events", b'{"event":"E","payload":[' + b"1e300," * 90_000 + b"0]}", {}
    ),
    "many values": lambda url: post(url, "/flows", b"[" + b"{}," * 5_000_000 + b"{}]", {}),
    "merge keys": lambda url: post(url, "/flows", MERGES, YAML),
    "the whole audit": lambda url: requests.get(
        f"{url}/v1/audit/flows?limit=999999999", timeout=PATIENCE_SECONDS
    ),
}  # fmt: skip


def megabytes(pid: int, key: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in text.splitlines())
    return int(fields[key].split()[0]) // 1024


@pytest.mark.parametrize("kind", KINDS)
def test_a_crowd(kind: str, tmp_path: Path, flyte_host_environ: dict[str, str]) -> None:
    (tmp_path / "flyte-host.toml").write_text(
        "[flyte.embedded]\nlisten = '127.0.0.1:0'\n[health]\nlisten = '127.0.0.1:0'\n"
        + disabled_packs()
    )
    with Serving(tmp_path, flyte_host_environ) as host:
        url = host.flyte_url
        requests.post(f"{url}/v1/packs", json={"name": "P"}, timeout=PATIENCE_SECONDS)
        requests.post(f"{url}/v1/flows", json=FLOW, timeout=PATIENCE_SECONDS)
        event = {"event": "Go", "payload": "y" * 1_000_000}
        for _ in range(20):
            requests.post(f"{url}/v1/packs/P/events", json=event, timeout=PATIENCE_SECONDS)
        before = megabytes(host.pid, "VmRSS")
        statuses: list[int] = []
        crowd = [
            threading.Thread(target=lambda: statuses.append(KINDS[kind](url).status_code))
            for _ in range(CROWD)
        ]
        for each in crowd:
            each.start()
        slowest = 0.0
        while any(each.is_alive() for each in crowd):
            live = requests.get(f"{host.health_url}/live", timeout=PATIENCE_SECONDS)
            slowest = max(slowest, live.elapsed.total_seconds())
            assert live.status_code == 200
        grown = megabytes(host.pid, "VmHWM") - before
    words = f"{CROWD} times {kind} at once: {grown} MB more, /live within {slowest:.2f} s"
    sys.stdout.write(f"\n{words}\n")
    assert len(statuses) == CROWD
    assert not any(status >= 500 for status in statuses)
    assert grown < MOST_MEGABYTES
