"""Every block of from-webhook-to-chat.md, as a reader would run it, against stand-ins."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.blocks import ROOT, blocks_of, read, write_files
from tests.support.own_packs import disabled_packs
from tests.support.rest_stand_in import RestReply
from tests.support.serving import Serving
from tests.support.stand_ins import load_stand_in

PAGE = ROOT / "docs" / "how-to" / "from-webhook-to-chat.md"
BLOCKS = blocks_of(PAGE)
OUTPUTS = {each.attributes["output"]: each.text for each in BLOCKS if "output" in each.attributes}
COMMANDS = [
    line for each in BLOCKS if each.language == "sh" for line in each.text.splitlines() if line
]
PACKS = ("http", "jira", "slack")
CHANNEL = "C0123456789"

jira_stand_in = load_stand_in("jira", "jira_stand_in")
slack_stand_in = load_stand_in("slack", "slack_stand_in")


def commands(program: str) -> list[list[str]]:
    return [words[1:] for words in map(shlex.split, COMMANDS) if words[0] == program]


class Walk:
    """A folder with the page's files, the stand-ins, and a shell with the page's variables."""

    def __init__(self, folder: Path, environ: dict[str, str], jira: Any, slack: Any) -> None:
        self.folder = folder
        self.jira = jira
        self.slack = slack
        exported = dict(word.split("=", 1) for [word] in commands("export"))
        ours = {
            "JIRA_PASSWORD": jira_stand_in.PASSWORD,
            "FLYTE_SLACK_TOKEN": slack_stand_in.TOKEN,
        }
        assert ours.keys() < exported.keys()
        self.environ = environ | exported | ours
        self.written = write_files(PAGE, folder)
        file = folder / "flyte-host.toml"
        text = file.read_text(encoding="utf-8")
        text, ports = re.subn(r"127\.0\.0\.1:80(80|90|95)", "127.0.0.1:0", text)
        assert (ports, text.count("https://jira.example.com")) == (3, 1)
        text = text.replace("https://jira.example.com", jira.url)
        text = text.replace(
            "[packs.slack.settings]", f'[packs.slack.settings]\napi_url = "{slack.url}"'
        )
        file.write_text(text + disabled_packs(*PACKS), encoding="utf-8")

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=self.environ, capture_output=True,
            text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def walk(tmp_path: Path, flyte_host_environ: dict[str, str]) -> Iterator[Walk]:
    with ExitStack() as stack:
        jira = stack.enter_context(jira_stand_in.Jira())
        slack = stack.enter_context(slack_stand_in.SlackStandIn())
        slack.channels = [{"id": CHANNEL, "name": "ops"}]
        yield Walk(tmp_path, flyte_host_environ, jira, slack)


def test_every_block_is_run() -> None:
    assert {each.language for each in BLOCKS} == {"sh", "toml", "yaml", "python", "text"}
    assert {words[0] for words in map(shlex.split, COMMANDS)} == {
        "python3", "export", "flyte-host",
    }  # fmt: skip
    assert OUTPUTS.keys() == {"send", "serve", "slack"}
    untitled = [each for each in BLOCKS if each.language in {"toml", "yaml", "python"}]
    assert all(each.title for each in untitled)
    assert all("output" in each.attributes for each in BLOCKS if each.language == "text")


def test_what_is_installed_exists() -> None:
    wanted = [word for words in commands("python3") if "pip" in words for word in words[3:]]
    folders = [re.sub(r"\[.*\]", "", each) for each in wanted]
    assert folders == [".", *(f"./plugins/flyte-pack-{each}" for each in ("kit", *PACKS))]


def test_from_webhook_to_chat(walk: Walk) -> None:
    checks = [words for words in commands("flyte-host") if words != ["serve"]]
    assert len(checks) == 2
    for words in checks:
        walk.run("-m", "flyte_host", *words)
    with Serving(walk.folder, walk.environ) as host:
        host.wait_ready()
        sends = [words for words in commands("python3") if words[0] == "send_webhook.py"]
        sent = "".join(walk.run(words[0], host.webhooks_url + path_of(words[1])) for words in sends)
        assert sent == OUTPUTS["send"]
        for line in OUTPUTS["serve"].splitlines():
            host.wait_for(line)
        wait_until(lambda: walk.slack.posted, "Slack has the message")
        message = {"channel": CHANNEL, "text": told_in_slack(walk)}
        assert walk.slack.posted == [message]
        [issue] = walk.jira.issues.values()
        assert issue["fields"]["description"] == "ann opened https://github.com/o/r/issues/7"
        assert host.messages("raised GitHubWebhook") == ["raised GitHubWebhook"]


def test_without_jira_somebody_complains(walk: Walk) -> None:
    walk.jira.next_replies = [RestReply(503, b"<html>gone</html>")] * 5
    with Serving(walk.folder, walk.environ) as host:
        host.wait_ready()
        walk.run("send_webhook.py", host.webhooks_url + "/github")
        wait_until(lambda: walk.slack.posted, "Slack has the message")
        [message] = walk.slack.posted
        expected = "Jira has no issue for https://github.com/o/r/issues/7: "
        assert message["text"].startswith(expected)
        assert "503" in message["text"]


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def told_in_slack(walk: Walk) -> str:
    return OUTPUTS["slack"].strip().replace("https://jira.example.com", walk.jira.url)


def test_the_page_is_linked() -> None:
    assert "how-to/from-webhook-to-chat.md" in read(ROOT / "docs" / "index.md")
