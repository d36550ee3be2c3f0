"""IssueInfo, CommentIssue and IssueAssign."""

from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_jira import JiraPack

from tests.support.rest_stand_in import RestReply

from .jira_stand_in import Jira

Call = Callable[..., tuple[str, Any]]

ISSUE = {
    "id": "10001",
    "key": "FOO-1",
    "fields": {
        "summary": "It is down",
        "description": "All of it",
        "status": {"name": "Open", "id": "1"},
        "assignee": {"name": "bob", "emailAddress": "bob@example.com"},
        "reporter": {"name": "eve", "emailAddress": "eve@example.com"},
        "components": [{"name": "web"}, {"name": "db"}],
        "labels": ["urgent", "night"],
        "priority": {"name": "High"},
        "issuetype": {"name": "Bug", "avatarId": 7},
        "customfield_1": None,
    },
}
INFO = {
    "id": "FOO-1",
    "summary": "It is down",
    "status": "Open",
    "description": "All of it",
    "assignee": "bob@example.com",
    "reporter": "eve@example.com",
    "components": "web,db",
    "labels": "urgent,night",
    "priority": "High",
    "type": "Bug",
}
REFUSED = "Connection refused"


@pytest.fixture(autouse=True)
def _issue(jira: Jira) -> None:
    jira.issues["FOO-1"] = {**ISSUE, "fields": dict(ISSUE["fields"])}


@pytest.mark.parametrize(
    "document",
    ["FOO-1", "https://jira.example.com/browse/FOO-1", "<https://jira.example.com/browse/FOO-1>"],
)
def test_info(call: Call, pack: JiraPack, document: str) -> None:
    assert call(pack, "IssueInfo", document) == ("Info", INFO)


def test_info_of_an_issue_with_nothing_in_it(call: Call, pack: JiraPack, jira: Jira) -> None:
    fields = {"assignee": None, "description": None, "components": [], "labels": None}
    jira.issues["FOO-2"] = {"key": "FOO-2", "fields": fields}
    assert call(pack, "IssueInfo", "FOO-2") == ("Info", dict.fromkeys(INFO, "") | {"id": "FOO-2"})


def test_info_takes_the_first_hit_even_if_it_is_the_host(call: Call, pack: JiraPack) -> None:
    _, payload = call(pack, "IssueInfo", "https://jira-2.example.com/browse/FOO-1")
    assert payload == {
        "id": "jira-2",
        "error": "issueId=jira-2 : statusCode=404 (Issue Does Not Exist)",
    }


@pytest.mark.parametrize("document", ["nothing like an id", "", None])
def test_info_without_an_id_asks_for_no_issue(
    call: Call, pack: JiraPack, jira: Jira, document: str | None
) -> None:
    expected = {"id": "", "error": "issueId= : statusCode=404 (Issue Does Not Exist)"}
    assert call(pack, "IssueInfo", document) == ("InfoFailure", expected)
    assert [sent.raw_path for sent in jira.requests] == ["/rest/api/2/issue/"]


@pytest.mark.parametrize("status", [401, 404, 500, 201, 302])
def test_info_refused(call: Call, pack: JiraPack, jira: Jira, status: int) -> None:
    jira.next_replies.append(RestReply(status, b"<"))
    expected = {"id": "FOO-1", "error": f"issueId=FOO-1 : statusCode={status}"}
    assert call(pack, "IssueInfo", "FOO-1") == ("InfoFailure", expected)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", "not valid JSON: it is a page of HTML"),
        (b"", "not valid JSON: Input data was truncated"),
        (
            b"[" * 9999,
            "not valid JSON: maximum recursion depth exceeded while deserializing an object",
        ),
        (b'{"key": NaN}', "not valid JSON: JSON is malformed: invalid character (byte 8)"),
        (b'{"key": 5}', "json: cannot unmarshal number into field key of type string"),
        (
            b'{"fields": {"status": {"name": []}}}',
            "json: cannot unmarshal array into field fields.status.name of type string",
        ),
        (b"[]", "json: cannot unmarshal array into Go value of type object"),
    ],
)
def test_info_that_cannot_be_read(
    call: Call, pack: JiraPack, jira: Jira, body: bytes, error: str
) -> None:
    jira.next_replies.append(RestReply(200, body))
    expected = {"id": "FOO-1", "error": f"issueId=FOO-1 : err={error}"}
    assert call(pack, "IssueInfo", "FOO-1") == ("InfoFailure", expected)


def test_info_from_no_jira(call: Call, unreached_pack: JiraPack) -> None:
    name, payload = call(unreached_pack, "IssueInfo", "FOO-1")
    assert (name, payload.keys()) == ("InfoFailure", {"id", "error"})
    assert payload["error"].startswith("issueId=FOO-1 : statusCode=-1 (ConnectionError: ")
    assert REFUSED in payload["error"]


@pytest.mark.parametrize(("document", "found"), [({"id": "FOO-1"}, "object"), (True, "bool")])
def test_info_of_bad_input(call: Call, pack: JiraPack, document: Any, found: str) -> None:
    error = f"json: cannot unmarshal {found} into Go value of type string"
    assert call(pack, "IssueInfo", document) == ("InfoFailure", {"id": "", "error": error})


def test_comment(call: Call, pack: JiraPack, jira: Jira) -> None:
    document = {"id": "FOO-1", "comment": "<b> & ü"}
    assert call(pack, "CommentIssue", document) == ("Comment", document)
    assert jira.comments == {"FOO-1": ["<b> & ü"]}


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (RestReply(400, {}), "Could not leave comment: issueId=FOO-1 : statusCode=400"),
        (RestReply(200, {}), "Could not leave comment: issueId=FOO-1 : statusCode=200"),
        (
            RestReply(201),
            "Could not leave comment: issueId=FOO-1 : err=not valid JSON: Input data was truncated",
        ),
    ],
)
def test_comment_refused(
    call: Call, pack: JiraPack, jira: Jira, said: RestReply, error: str
) -> None:
    jira.next_replies.append(said)
    document = {"id": "FOO-1", "comment": "hi"}
    assert call(pack, "CommentIssue", document) == ("CommentFailure", document | {"error": error})


def test_comment_from_no_jira(call: Call, unreached_pack: JiraPack) -> None:
    _, payload = call(unreached_pack, "CommentIssue", {"id": "FOO-1", "comment": "hi"})
    start = "Could not leave comment: issueId=FOO-1 : statusCode=-1 (ConnectionError: "
    assert payload["error"].startswith(start)


def test_comment_of_bad_input(call: Call, pack: JiraPack, jira: Jira) -> None:
    error = (
        "Could not marshal comment into json: "
        "json: cannot unmarshal number into field id of type string"
    )
    expected = {"id": "unknown", "comment": "unkown", "error": error}
    result = call(pack, "CommentIssue", {"id": 5, "comment": "hi"})
    assert result == ("CommentFailure", expected)
    assert jira.requests == []


def test_assign(call: Call, pack: JiraPack, jira: Jira) -> None:
    document = {"issueId": "FOO-1", "username": "bob"}
    assert call(pack, "IssueAssign", document) == ("Assign", document)
    [sent] = jira.requests
    assert (sent.method, sent.headers["content-type"], sent.body) == (
        "PUT",
        "application/json",
        {"name": "bob"},
    )
    assert jira.issues["FOO-1"]["fields"]["assignee"] == {"name": "bob"}


@pytest.mark.parametrize("username", [{}, {"username": ""}, {"username": None}])
def test_assign_to_nobody(call: Call, pack: JiraPack, jira: Jira, username: dict[str, str]) -> None:
    result = call(pack, "IssueAssign", {"issueId": "FOO-1"} | username)
    assert result == ("Assign", {"issueId": "FOO-1"})
    assert jira.requests[0].body == {}


def test_assign_refused_by_jira(call: Call, pack: JiraPack) -> None:
    document = {"issueId": "FOO-1", "username": "nobody"}
    error = "invalid user representation (User 'nobody' does not exist.)"
    expected = document | {"error": error}
    assert call(pack, "IssueAssign", document) == ("AssignFailure", expected)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "invalid user representation"),
        (401, "invalid permission to assign to issue"),
        (404, "issue or user does not exist"),
        (415, "unsupported status code 415"),
        (200, "unsupported status code 200"),
    ],
)
def test_assign_refused(call: Call, pack: JiraPack, jira: Jira, status: int, error: str) -> None:
    jira.next_replies.append(RestReply(status))
    expected = {"issueId": "FOO-1", "error": error}
    assert call(pack, "IssueAssign", {"issueId": "FOO-1"}) == ("AssignFailure", expected)


def test_assign_from_no_jira(call: Call, unreached_pack: JiraPack) -> None:
    name, payload = call(unreached_pack, "IssueAssign", {"issueId": "F-1", "username": "bob"})
    assert (name, payload.keys()) == ("AssignFailure", {"issueId", "username", "error"})
    assert REFUSED in payload["error"]


def test_assign_of_bad_input_echoes_what_was_good(call: Call, pack: JiraPack, jira: Jira) -> None:
    error = "json: cannot unmarshal number into field username of type string"
    result = call(pack, "IssueAssign", {"username": 5, "issueId": "FOO-1"})
    assert result == ("AssignFailure", {"issueId": "FOO-1", "error": error})
    assert jira.requests == []
