"""Makes the pictures of the documentation from a real run: ``python -m tests.support.pictures``.

Owns what they show. Needs Chromium.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import requests

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.blocks import ROOT
from tests.support.chromium import Chromium
from tests.support.serving import Serving

IMAGES = ROOT / "docs" / "images"
FLOW = """
name: disk-is-full
steps:
  - id: measure
    event: {packName: Monitor, name: DiskLow}
    command: {packName: Shell, name: Shell, input: "df --output=pcent {{ Event.Payload.path }}"}
  - id: ticket
    event: {packName: Monitor, name: DiskLow}
    criteria: "{{ Event.Payload.free < 10 }}"
    command: {packName: Jira, name: CreateIssue, input: {project: OPS}}
  - id: clean
    dependsOn: [measure]
    event: {packName: Shell, name: Output}
    command: {packName: Shell, name: Shell, input: "echo would clean"}
  - id: tell
    dependsOn: [clean]
    event: {packName: Shell, name: Output}
    command: {packName: Slak, name: SendMessage, input: {channel: ops}}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(ROOT / "docs" / "examples", folder / "example")
        environ = {key: each for key, each in os.environ.items() if not key.startswith("FLYTE_")}
        file = folder / "example" / "flyte-host.toml"
        text = file.read_text(encoding="utf-8")
        for port in ("8080", "8090"):
            text = text.replace(f"127.0.0.1:{port}", "127.0.0.1:0")
        file.write_text(text, encoding="utf-8")
        with Serving(folder / "example", environ) as host, Chromium(folder, {}) as browser:
            host.wait_ready()
            _take_pictures(host.flyte_url, browser)


def _take_pictures(url: str, browser: Chromium) -> None:
    def post(path: str, document: dict[str, Any]) -> None:
        answer = requests.post(f"{url}/v1/{path}", json=document, timeout=PATIENCE_SECONDS)
        answer.raise_for_status()

    for name in ("Monitor", "Slack"):
        post("packs", {"name": name, "events": [{"name": "DiskLow"}]})
    answer = requests.post(
        f"{url}/v1/flows", FLOW, headers={"Content-Type": "application/x-yaml"},
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    answer.raise_for_status()
    post("packs/Monitor/events", {"event": "DiskLow", "payload": {"path": "/", "free": 41}})

    def waiting() -> str | None:
        found = requests.get(
            f"{url}/v1/audit/flows?flowName=disk-is-full", timeout=PATIENCE_SECONDS
        ).json()["flows"]
        return found[0]["correlationId"] if found and "tell" in found[0]["actions"] else None

    execution = wait_until(waiting, "the flow reached its last step")
    with browser.open_page() as page:
        for name, path, height in (
            ("execution", f"/executions/{execution}", 560),
            ("overview", "/", 600),
        ):
            page.resize(900, height)
            page.type_address(url + path)
            (IMAGES / f"{name}.png").write_bytes(page.picture())


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    main()
