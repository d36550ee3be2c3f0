"""Jira Cloud: accounts instead of user names, and a search that is paged by tokens."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_jira import JiraPack, JiraSettings

from tests.support.rest_stand_in import RestReply

from .jira_stand_in import PASSWORD, USER, Jira

Call = Callable[..., tuple[str, Any]]

BOB = {
    "accountId": "5b10ac8d82e05b22cc7d4ef5",
    "emailAddress": "bob@example.com",
    "displayName": "Bob Doe",
}
EVE = {"accountId": "557058:f58131cb-b67d-43c7-b30d-6b58d40bd077", "displayName": "Eve Doe"}


@pytest.fixture(autouse=True)
def _cloud(jira: Jira) -> None:
    jira.accounts = [BOB, EVE]
    for number in range(1, 6):
        fields = {"summary": f"no. {number}", "assignee": {"accountId": BOB["accountId"]}}
        jira.issues[f"FOO-{number}"] = {"key": f"FOO-{number}", "fields": fields}


@pytest.fixture
def cloud_pack(jira: Jira) -> JiraPack:
    return JiraPack(JiraSettings(jira.url, USER, PASSWORD, cloud=True), {})


@pytest.mark.parametrize(
    ("url", "cloud", "expected"),
    [
        ("https://example.atlassian.net", None, True),
        ("https://api.atlassian.com/ex/jira/1", None, True),
        ("https://jira.example.com", None, False),
        ("https://atlassian.net.example.com", None, False),
        ("https://jira.example.com", True, True),
        ("https://example.atlassian.net", False, False),
    ],
)
def test_cloud_is_told_by_the_host_unless_it_is_set(
    url: str, cloud: bool | None, expected: bool
) -> None:
    assert JiraSettings(url, cloud=cloud).is_cloud() is expected


@pytest.mark.parametrize(
    ("start", "most", "keys"),
    [
        (0, 10, [1, 2, 3, 4, 5]),
        (1, 3, [2, 3, 4]),
        (4, 3, [5]),
        (7, 2, []),
        (0, 0, []),
        (-2, 2, [1, 2]),
        (0, -1, []),
    ],
)
def test_search_pages_by_tokens(
    call: Call, cloud_pack: JiraPack, start: int, most: int, keys: list[int]
) -> None:
    document = {"query": "project = FOO", "startIndex": start, "maxResults": most}
    name, payload = call(cloud_pack, "SearchIssues", document)
    assert (name, payload["total"]) == ("SearchSuccess", 5)
    assert [each["id"] for each in payload["issues"] or []] == [f"FOO-{each}" for each in keys]


def test_search_names_the_account_of_an_assignee(call: Call, cloud_pack: JiraPack) -> None:
    _, payload = call(cloud_pack, "SearchIssues", {"query": "project = FOO"})
    assert payload["issues"][0]["assignee"] == BOB["accountId"]


def test_search_that_is_gone_goes_the_new_way(call: Call, pack: JiraPack, jira: Jira) -> None:
    name, payload = call(pack, "SearchIssues", {"query": "project = FOO", "maxResults": 2})
    assert (name, len(payload["issues"])) == ("SearchSuccess", 2)
    assert [each.raw_path.rpartition("/2/")[2] for each in jira.requests] == [
        "search",
        "search/approximate-count",
        "search/jql",
    ]


def test_search_refused_says_what_jira_says(call: Call, cloud_pack: JiraPack, jira: Jira) -> None:
    jira.next_replies.append(RestReply(400, {"errorMessages": ["Unbounded  JQL\nqueries"]}))
    _, payload = call(cloud_pack, "SearchIssues", {"query": "order by created"})
    assert payload["error"].endswith(" : statusCode=400 (Unbounded JQL queries)")


def test_search_does_not_follow_pages_in_a_circle(
    call: Call, cloud_pack: JiraPack, jira: Jira
) -> None:
    page = RestReply(200, {"issues": [{"key": "FOO-1"}], "nextPageToken": "1"})
    jira.next_replies += [RestReply(200, {"count": 5}), page, page]
    name, payload = call(cloud_pack, "SearchIssues", {"query": "project = FOO"})
    assert name == "SearchFailure"
    assert payload["error"].endswith(" : error=a page leads back to an earlier one")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (RestReply(429, {"message": "Rate limit exceeded"}), "429 (Rate limit exceeded)"),
        (RestReply(401, b"<html>x"), "401 (a page of HTML)"),
        (RestReply(401, {"errorMessages": [f"not {PASSWORD}"]}), "401 (not ***)"),
        (
            RestReply(302, headers=(("Location", "https://sso.example.com/in?token=x"),)),
            "302 (a redirect to https://sso.example.com/in)",
        ),
    ],
    ids=["too often", "a page", "the password", "a redirect"],
)
def test_a_proxy_in_front_of_jira_is_named(
    call: Call, pack: JiraPack, jira: Jira, said: RestReply, words: str
) -> None:
    jira.next_replies.append(said)
    _, payload = call(pack, "IssueInfo", "FOO-1")
    assert payload["error"] == f"issueId=FOO-1 : statusCode={words}"


@pytest.mark.parametrize(
    "username", [BOB["accountId"], "bob@example.com", "BOB doe", "bob@example"]
)
def test_assign_finds_the_account(
    call: Call, cloud_pack: JiraPack, jira: Jira, username: str
) -> None:
    document = {"issueId": "FOO-2", "username": username}
    if username == "BOB doe":
        jira.next_replies.append(RestReply(200, [BOB, EVE]))
    assert call(cloud_pack, "IssueAssign", document) == ("Assign", document)
    assert jira.issues["FOO-2"]["fields"]["assignee"] == {"accountId": BOB["accountId"]}


@pytest.mark.parametrize("other", [rb'"\ud83d"', b'"Andr\xe9"', b"null"])
def test_another_account_does_not_spoil_the_search(
    call: Call, cloud_pack: JiraPack, jira: Jira, other: bytes
) -> None:
    """Jira cuts text in the middle of an emoji, and hides addresses."""
    known = json.dumps(BOB | {"emailAddress": None}).encode()
    found = b'[{"accountId": "a", "displayName": %s}, %s]' % (other, known)
    jira.next_replies.append(RestReply(200, found))
    document = {"issueId": "FOO-1", "username": "Bob Doe"}
    assert call(cloud_pack, "IssueAssign", document)[0] == "Assign"
    assert jira.issues["FOO-1"]["fields"]["assignee"] == {"accountId": BOB["accountId"]}


def test_assign_to_nobody_takes_the_account_away(
    call: Call, cloud_pack: JiraPack, jira: Jira
) -> None:
    assert call(cloud_pack, "IssueAssign", {"issueId": "FOO-1"})[0] == "Assign"
    assert jira.issues["FOO-1"]["fields"]["assignee"] == {"accountId": None}


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (
            RestReply(200, [BOB, EVE]),
            "Jira Cloud knows 2 users for 'Doe', expected one: use the account id",
        ),
        (
            RestReply(200, []),
            "Jira Cloud knows 0 users for 'Doe', expected one: use the account id",
        ),
        (
            RestReply(403, {"errorMessages": ["No permission"]}),
            "cannot look up 'Doe': statusCode=403 (No permission)",
        ),
        (
            RestReply(200, b"<"),
            "cannot look up 'Doe': not valid JSON: JSON is malformed: invalid character (byte 0)",
        ),
        (
            RestReply(200, {}),
            "cannot look up 'Doe': json: cannot unmarshal object into Go value of type []object",
        ),
    ],
    ids=["two", "none", "refused", "a web page", "another shape"],
)
def test_assign_to_somebody_unclear(
    call: Call, cloud_pack: JiraPack, jira: Jira, said: RestReply, error: str
) -> None:
    jira.next_replies.append(said)
    document = {"issueId": "FOO-1", "username": "Doe"}
    expected = ("AssignFailure", document | {"error": error})
    assert call(cloud_pack, "IssueAssign", document) == expected


def test_assign_at_a_cloud_that_is_not_reached(call: Call, unreached_pack: JiraPack) -> None:
    url = unreached_pack._settings.url
    pack = JiraPack(JiraSettings(url, USER, PASSWORD, cloud=True), {})
    _, payload = call(pack, "IssueAssign", {"issueId": "FOO-1", "username": "Doe"})
    assert payload["error"].startswith("cannot look up 'Doe': ConnectionError: ")


def test_create_names_the_reporter_by_account(call: Call, cloud_pack: JiraPack, jira: Jira) -> None:
    document = {"project": "BAR", "issuetype": "Bug", "summary": "s", "reporter": "Eve Doe"}
    assert call(cloud_pack, "CreateIssue", document)[0] == "CreateIssue"
    assert jira.requests[-1].body["fields"]["reporter"] == {"accountId": EVE["accountId"]}


def test_info_names_the_account_of_who_hides_the_address(call: Call, cloud_pack: JiraPack) -> None:
    assert call(cloud_pack, "IssueInfo", "FOO-1")[1]["assignee"] == BOB["accountId"]
