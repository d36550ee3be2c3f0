"""The flows that people start from do what their page shows, with the packs that there are."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.blocks import ROOT, blocks_of

PAGE = ROOT / "docs" / "how-to" / "flows-to-start-from.md"
BLOCKS = [each for each in blocks_of(PAGE) if each.language in {"yaml", "json", "text"}]
FLOWS = [tuple(each.text for each in BLOCKS[at : at + 3]) for at in range(0, len(BLOCKS), 3)]
NAMES = [flow.splitlines()[0].removeprefix("name: ") for flow, _, _ in FLOWS]
SETTINGS = """
[packs.http.settings.webhooks.github]
path = "/github"
kind = "github"
secret = { env = "ANY_SECRET" }

[packs.http.settings.webhooks.alertmanager]
path = "/alerts"
kind = "alertmanager"
secret = { env = "ANY_SECRET" }
"""
VARIABLES = {
    "ANY_SECRET": "any-secret",
    "BAMBOO_HOST": "https://bamboo.example.com", "BAMBOO_USER": "a", "BAMBOO_PASS": "any-pass",
    "FLYTE_SLACK_TOKEN": "xoxb-any", "GRAPHITE_HOST": "https://graphite.example.com",
    "JIRA_HOST": "https://jira.example.com", "JIRA_USER": "a", "JIRA_PASSWORD": "any-pass",
    "LDAP_URL": "ldap://ldap.example.com", "BIND_USERNAME": "cn=a", "BIND_PASSWORD": "any-pass",
    "BASE_DN": "dc=a", "SEARCH_FILTER": "(uid={username})", "ATTRIBUTES": "memberOf",
    "GROUP_ATTRIBUTE": "cn", "SMTPSERVER": "mail.example.com:25",
}  # fmt: skip

Run = Callable[..., CompletedProcess[str]]


def test_there_are_ten() -> None:
    assert len(set(NAMES)) == 10


@pytest.mark.parametrize(("flow", "event", "shown"), FLOWS, ids=NAMES)
def test_a_flow_does_what_the_page_shows(
    flyte_host: Run, tmp_path: Path, flow: str, event: str, shown: str
) -> None:
    (tmp_path / "flow.yaml").write_text(flow)
    (tmp_path / "event.json").write_text(event)
    done = flyte_host("flows", "test", "flow.yaml", "--event", "event.json")
    assert (done.returncode, done.stdout) == (0, shown)


def test_every_name_is_one_that_a_pack_has(flyte_host: Run, tmp_path: Path) -> None:
    files = [f"{name}.yaml" for name in NAMES]
    for file, (flow, _, _) in zip(files, FLOWS, strict=True):
        (tmp_path / file).write_text(flow)
    (tmp_path / "flyte-host.toml").write_text(SETTINGS)
    done = flyte_host("flows", "check", *files, environ=VARIABLES)
    assert done.returncode == 0, done.stdout + done.stderr
    # A chat that answers in chat could answer itself; the Slack pack leaves out its own messages.
    assert set(re.findall(r" (F\d+) ", done.stdout)) <= {"F012"}, done.stdout + done.stderr
