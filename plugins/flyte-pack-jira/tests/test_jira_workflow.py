"""GetTransitions, Transition and SearchIssues."""

from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_jira import JiraPack, JiraSettings

from tests.support.rest_stand_in import RestReply

from .jira_stand_in import PASSWORD, USER, Jira

Call = Callable[..., tuple[str, Any]]

STEPS = [{"id": "11", "name": "Start"}, {"id": "21", "name": "Done"}]
REFUSED = "Connection refused"


@pytest.fixture(autouse=True)
def _issues(jira: Jira) -> None:
    jira.transitions = STEPS
    for number in range(1, 4):
        fields = {
            "summary": f"no. {number}",
            "status": {"name": "Open"},
            "description": None,
            "assignee": {"name": "bob", "emailAddress": "bob@example.com"},
        }
        jira.issues[f"FOO-{number}"] = {"key": f"FOO-{number}", "fields": fields}


def test_get_transitions(call: Call, pack: JiraPack, jira: Jira) -> None:
    expected = {"id": "FOO-1", "transitions": STEPS}
    assert call(pack, "GetTransitions", {"issueId": "FOO-1"}) == ("GetTransitions", expected)
    assert (jira.requests[0].method, jira.requests[0].raw_path) == (
        "GET",
        "/rest/api/2/issue/FOO-1/transitions",
    )


def test_no_transitions_are_an_empty_list(call: Call, pack: JiraPack, jira: Jira) -> None:
    jira.transitions = []
    expected = {"id": "FOO-1", "transitions": []}
    assert call(pack, "GetTransitions", {"issueId": "FOO-1"}) == ("GetTransitions", expected)


@pytest.mark.parametrize("status", [401, 404, 500, 204])
def test_get_transitions_refused(call: Call, pack: JiraPack, jira: Jira, status: int) -> None:
    jira.next_replies.append(RestReply(status))
    expected = {"id": "FOO-1", "error": "Issue does not exist"}
    result = call(pack, "GetTransitions", {"issueId": "FOO-1"})
    assert result == ("GetTransitionsFailure", expected)


def test_transitions_that_cannot_be_read(call: Call, pack: JiraPack, jira: Jira) -> None:
    jira.next_replies.append(RestReply(200, {"transitions": {}}))
    error = "json: cannot unmarshal object into field transitions of type []object"
    result = call(pack, "GetTransitions", {"issueId": "FOO-1"})
    assert result == ("GetTransitionsFailure", {"id": "FOO-1", "error": error})


def test_get_transitions_from_no_jira(call: Call, unreached_pack: JiraPack) -> None:
    name, payload = call(unreached_pack, "GetTransitions", {"issueId": "FOO-1"})
    assert (name, payload.keys(), payload["id"]) == (
        "GetTransitionsFailure",
        {"id", "error"},
        "FOO-1",
    )
    assert REFUSED in payload["error"]


def test_get_transitions_of_bad_input(call: Call, pack: JiraPack) -> None:
    error = "json: cannot unmarshal number into field issueId of type string"
    result = call(pack, "GetTransitions", {"issueId": 5})
    assert result == ("GetTransitionsFailure", {"id": "", "error": error})


def test_transition(call: Call, pack: JiraPack, jira: Jira) -> None:
    document = {"issueId": "FOO-1", "transitionId": "21"}
    expected = document | {"requestURL": "/rest/api/2/issue/FOO-1/transitions"}
    assert call(pack, "Transition", document) == ("Transition", expected)
    assert jira.requests[0].body == {"transition": {"id": "21"}}
    assert jira.issues["FOO-1"]["fields"]["status"] == {"name": "Done"}


def test_the_request_url_has_the_prefix_of_jira(call: Call, jira: Jira) -> None:
    pack = JiraPack(JiraSettings(f"{jira.url}/the%20jira/", USER, PASSWORD), {})
    jira.next_replies.append(RestReply(204))
    _, payload = call(pack, "Transition", {"issueId": "A B", "transitionId": "1"})
    assert payload["requestURL"] == "/the jira/rest/api/2/issue/A B/transitions"
    assert jira.requests[0].raw_path == "/the%20jira/rest/api/2/issue/A%20B/transitions"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "no transition specified"),
        (401, "invalid permission to transition an issue"),
        (404, "issue or user does not exist"),
        (500, "unsupported status code 500"),
        (200, "unsupported status code 200"),
    ],
)
def test_transition_refused(
    call: Call, pack: JiraPack, jira: Jira, status: int, error: str
) -> None:
    jira.next_replies.append(RestReply(status))
    document = {"issueId": "FOO-1", "transitionId": "21"}
    result = call(pack, "Transition", document)
    assert result == ("TransitionFailure", document | {"error": error})


def test_transition_from_no_jira(call: Call, unreached_pack: JiraPack) -> None:
    document = {"issueId": "FOO-1", "transitionId": "21"}
    name, payload = call(unreached_pack, "Transition", document)
    assert (name, payload | {"error": ""}) == ("TransitionFailure", document | {"error": ""})
    assert REFUSED in payload["error"]


def test_transition_of_bad_input_echoes_what_was_good(call: Call, pack: JiraPack) -> None:
    error = "json: cannot unmarshal number into field transitionId of type string"
    result = call(pack, "Transition", {"issueId": "FOO-1", "transitionId": 21})
    expected = {"issueId": "FOO-1", "transitionId": "", "error": error}
    assert result == ("TransitionFailure", expected)


def test_search(call: Call, pack: JiraPack, jira: Jira) -> None:
    document = {"query": "project = FOO", "startIndex": 1, "maxResults": 1}
    found = {
        "id": "FOO-2",
        "summary": "no. 2",
        "status": "Open",
        "description": "",
        "assignee": "bob",
    }
    expected = document | {"total": 3, "issues": [found]}
    assert call(pack, "SearchIssues", document) == ("SearchSuccess", expected)
    assert jira.requests[0].body == {
        "jql": "project = FOO",
        "startAt": 1,
        "maxResults": 1,
        "fields": ["summary", "assignee", "labels", "status", "description", "priority"],
    }


@pytest.mark.parametrize("more", [{}, {"maxResults": None, "startIndex": None}])
def test_search_has_defaults(call: Call, pack: JiraPack, more: dict[str, Any]) -> None:
    _, payload = call(pack, "SearchIssues", {"query": "project = FOO"} | more)
    assert (payload["startIndex"], payload["maxResults"], len(payload["issues"])) == (0, 10, 3)


def test_search_that_finds_nothing_has_null_issues(call: Call, pack: JiraPack) -> None:
    _, payload = call(pack, "SearchIssues", {"query": "project = BAR"})
    assert payload == {
        "query": "project = BAR",
        "startIndex": 0,
        "maxResults": 10,
        "total": 0,
        "issues": None,
    }


@pytest.mark.parametrize("document", [{}, {"query": ""}, {"query": None}, None])
def test_search_for_nothing(call: Call, pack: JiraPack, jira: Jira, document: Any) -> None:
    expected = {"query": "", "startIndex": 0, "maxResults": 10, "error": "Empty query string"}
    assert call(pack, "SearchIssues", document) == ("SearchFailure", expected)
    assert jira.requests == []


def test_search_refused(call: Call, pack: JiraPack) -> None:
    jira_says = "Error in the JQL Query: 'nonsense'"
    error = f"Could not search for issues: query='nonsense' : statusCode=400 ({jira_says})"
    expected = {"query": "nonsense", "startIndex": 0, "maxResults": 10, "error": error}
    assert call(pack, "SearchIssues", {"query": "nonsense"}) == ("SearchFailure", expected)


def test_search_that_cannot_be_read(call: Call, pack: JiraPack, jira: Jira) -> None:
    jira.next_replies.append(RestReply(200, {"total": 1.0}))
    name, payload = call(pack, "SearchIssues", {"query": "q"})
    error = "json: cannot unmarshal number into field total of type int"
    assert name == "SearchFailure"
    assert payload["error"] == f"Could not search for issues: query='q' : error={error}"


def test_search_from_no_jira(call: Call, unreached_pack: JiraPack) -> None:
    name, payload = call(unreached_pack, "SearchIssues", {"query": "q"})
    assert (name, payload.keys()) == (
        "SearchFailure",
        {"query", "startIndex", "maxResults", "error"},
    )
    start = "Could not search for issues: query='q' : error=ConnectionError: "
    assert payload["error"].startswith(start)


@pytest.mark.parametrize("bad", [10.0, "10", True, 2**63])
def test_search_of_bad_input_is_fatal(
    call: Call, pack: JiraPack, strict_pack: JiraPack, bad: Any
) -> None:
    document = {"query": "project = FOO", "maxResults": bad}
    assert call(pack, "SearchIssues", document) == ("FATAL", {})
    name, payload = call(strict_pack, "SearchIssues", document)
    assert name == "FATAL"
    assert payload.startswith("input is not valid: json: cannot unmarshal ")
    assert payload.endswith(" into field maxResults of type int")


def test_search_survives_a_lone_surrogate(call: Call, pack: JiraPack, jira: Jira) -> None:
    """Go reads it as U+FFFD; a pair is the character that it stands for."""
    fields = rb'{"summary": "a\ud800b\ud83d\ude00"}'
    body = b'{"total": 1, "issues": [{"key": "FOO-1", "fields": ' + fields + b"}]}"
    jira.next_replies.append(RestReply(200, body))
    _, payload = call(pack, "SearchIssues", {"query": "project = FOO"})
    assert payload["issues"][0]["summary"] == "a\ufffdb\U0001f600"
