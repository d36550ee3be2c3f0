"""IssueCreateLink, IssueGetLink and IssueDeleteLink."""

from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_jira import JiraPack

from tests.support.rest_stand_in import RestReply

from .jira_stand_in import Jira

Call = Callable[..., tuple[str, Any]]

ENDS = {"inwardIssue": "FOO-1", "outwardIssue": "FOO-2", "linkType": "Blocks"}
LINK = {
    "type": {"name": "Blocks", "inward": "is blocked by", "outward": "blocks"},
    "inwardIssue": {"key": "FOO-1"},
    "outwardIssue": {"key": "FOO-2"},
    "comment": {"body": "Link related issues!"},
}
COMMANDS = [
    ("IssueCreateLink", ENDS, "Link related issues!"),
    ("IssueGetLink", {"linkId": "7"}, "7"),
    ("IssueDeleteLink", {"linkId": "7"}, "7"),
]


@pytest.fixture(autouse=True)
def _issues(jira: Jira) -> None:
    jira.issues = {"FOO-1": {}, "FOO-2": {}}
    jira.links = {"7": LINK}


def test_create_link(call: Call, pack: JiraPack, jira: Jira) -> None:
    assert call(pack, "IssueCreateLink", ENDS) == ("Link", ENDS)
    assert (jira.requests[0].method, jira.requests[0].raw_path) == ("POST", "/rest/api/2/issueLink")
    assert jira.requests[0].body == LINK | {"type": {"name": "Blocks"}}


def test_get_link(call: Call, pack: JiraPack) -> None:
    assert call(pack, "IssueGetLink", {"linkId": "7"}) == ("Link", LINK)


def test_get_link_with_nothing_in_it(call: Call, pack: JiraPack, jira: Jira) -> None:
    jira.links["8"] = {"comment": None}
    expected = {
        "type": {"name": ""},
        "inwardIssue": {"key": ""},
        "outwardIssue": {"key": ""},
        "comment": {"body": ""},
    }
    assert call(pack, "IssueGetLink", {"linkId": "8"}) == ("Link", expected)


def test_get_link_that_cannot_be_read(call: Call, pack: JiraPack, jira: Jira) -> None:
    jira.next_replies.append(RestReply(200, b"<"))
    error = "not valid JSON: JSON is malformed: invalid character (byte 0)"
    result = call(pack, "IssueGetLink", {"linkId": "7"})
    assert result == ("LinkFailure", {"linkId": "7", "error": error})


def test_delete_link(call: Call, pack: JiraPack, jira: Jira) -> None:
    assert call(pack, "IssueDeleteLink", {"linkId": "7"}) == ("Link", {"linkId": "7"})
    assert jira.links == {}


def test_delete_link_twice(call: Call, pack: JiraPack) -> None:
    call(pack, "IssueDeleteLink", {"linkId": "7"})
    error = "could not find issue or invalid link type specified (No issue link with id)"
    result = call(pack, "IssueDeleteLink", {"linkId": "7"})
    assert result == ("LinkFailure", {"linkId": "7", "error": error})


@pytest.mark.parametrize("asked", COMMANDS)
def test_a_page_of_a_login_is_not_a_success(
    call: Call, pack: JiraPack, jira: Jira, asked: tuple[str, Any, str]
) -> None:
    command, document, _ = asked
    jira.next_replies.append(RestReply(200, b"<!doctype html>"))
    name, payload = call(pack, command, document)
    assert (name, payload["error"]) == (
        "LinkFailure",
        "unsupported status code 200 found (a page of HTML)",
    )


@pytest.mark.parametrize("status", [200, 201, 208])
@pytest.mark.parametrize("asked", COMMANDS)
def test_statuses_that_mean_success(
    call: Call, pack: JiraPack, jira: Jira, asked: tuple[str, Any, str], status: int
) -> None:
    command, document, _ = asked
    jira.next_replies.append(RestReply(status, {}))
    assert call(pack, command, document)[0] == "Link"


@pytest.mark.parametrize(
    "refusal",
    [
        (400, "failed to create issue with comment {}"),
        (401, "invalid permission to link issues"),
        (404, "could not find issue or invalid link type specified"),
        (500, "error occurred when creating link or comment"),
        (403, "unsupported status code 403 found"),
        (302, "unsupported status code 302 found"),
    ],
)
@pytest.mark.parametrize("asked", COMMANDS)
def test_refused(
    call: Call,
    pack: JiraPack,
    jira: Jira,
    asked: tuple[str, dict[str, str], str],
    refusal: tuple[int, str],
) -> None:
    (command, document, about), (status, error) = asked, refusal
    jira.next_replies.append(RestReply(status, b"<"))
    expected = document | {"error": error.format(about)}
    assert call(pack, command, document) == ("LinkFailure", expected)


@pytest.mark.parametrize(("command", "document"), [each[:2] for each in COMMANDS])
def test_no_jira(
    call: Call, unreached_pack: JiraPack, command: str, document: dict[str, str]
) -> None:
    name, payload = call(unreached_pack, command, document)
    assert (name, payload | {"error": ""}) == ("LinkFailure", document | {"error": ""})
    start = "unsupported status code -1 found (ConnectionError: "
    assert payload["error"].startswith(start)


@pytest.mark.parametrize("command", [each[0] for each in COMMANDS])
def test_bad_input_echoes_what_was_good(
    call: Call, pack: JiraPack, jira: Jira, command: str
) -> None:
    error = "json: cannot unmarshal number into field linkId of type string"
    result = call(pack, command, {"linkId": 7, "linkType": "Blocks"})
    assert result == ("LinkFailure", {"linkType": "Blocks", "error": error})
    assert jira.requests == []
