"""CreateIssue and CreateIncIssue."""

from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_jira import JiraPack, JiraSettings

from tests.support.rest_stand_in import RestReply

from .jira_stand_in import PASSWORD, USER, Jira

Call = Callable[..., tuple[str, Any]]

FULL = {
    "project": " FOO ",
    "issuetype": "Bug",
    "summary": "It is down",
    "description": "All of it",
    "priority": " High ",
    "reporter": " eve ",
}
SMALL = {"project": "FOO", "issuetype": "Bug", "summary": "It is down"}
INCIDENT = SMALL | {"incident": "INC1234567", "description": "All", "labels": ["night"]}


def failure(error: str, **echo: str) -> tuple[str, dict[str, str]]:
    payload = {"error": error, "project": "FOO", "issuetype": "Bug", "summary": "It is down"}
    return "CreateIssueFailure", payload | {"description": "", "priority": ""} | echo


def test_create(call: Call, pack: JiraPack, jira: Jira) -> None:
    expected = FULL | {"id": "FOO-1", "url": f"{jira.url}/browse/FOO-1"}
    assert call(pack, "CreateIssue", FULL | {"labels": ["ignored"]}) == ("CreateIssue", expected)
    [sent] = jira.requests
    assert (sent.method, sent.raw_path) == ("POST", "/rest/api/2/issue/")
    assert sent.body["fields"] == {
        "project": {"key": "FOO"},
        "issuetype": {"name": "Bug"},
        "summary": "It is down",
        "description": "All of it",
        "priority": {"name": "High"},
        "reporter": {"name": "eve"},
        "labels": None,
    }


def test_create_sends_what_is_missing_as_empty(call: Call, pack: JiraPack, jira: Jira) -> None:
    _, payload = call(pack, "CreateIssue", SMALL)
    missing = {"description": "", "priority": "", "reporter": ""}
    assert payload == SMALL | missing | {"id": "FOO-1", "url": f"{jira.url}/browse/FOO-1"}
    fields = jira.requests[0].body["fields"]
    assert fields["priority"] == fields["reporter"] == {"name": ""}
    assert (fields["description"], fields["labels"]) == ("", None)


def test_create_leaves_out_what_is_missing(call: Call, strict_pack: JiraPack, jira: Jira) -> None:
    assert call(strict_pack, "CreateIssue", SMALL)[0] == "CreateIssue"
    assert call(strict_pack, "CreateIssue", FULL | {"labels": ["night"]})[0] == "CreateIssue"
    small, full = (sent.body["fields"] for sent in jira.requests)
    assert small.keys() == {"project", "issuetype", "summary", "description"}
    assert full.keys() == small.keys() | {"priority", "reporter", "labels"}
    assert (full["priority"], full["labels"]) == ({"name": "High"}, ["night"])


def test_the_url_is_the_setting_unmodified(call: Call, jira: Jira) -> None:
    pack = JiraPack(JiraSettings(f"{jira.url}/", USER, PASSWORD), {})
    assert call(pack, "CreateIssue", SMALL)[1]["url"] == f"{jira.url}//browse/FOO-1"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (RestReply(400, {"errors": {}}), "statusCode=400"),
        (RestReply(200, {"key": "FOO-1"}), "statusCode=200"),
        (
            RestReply(201, b"<"),
            "err=not valid JSON: JSON is malformed: invalid character (byte 0)",
        ),
    ],
)
def test_create_refused(
    call: Call, pack: JiraPack, jira: Jira, said: RestReply, error: str
) -> None:
    jira.next_replies.append(said)
    expected = failure(f"Could not create issue: issueSummary='It is down' : {error}")
    assert call(pack, "CreateIssue", SMALL) == expected


def test_create_from_no_jira(call: Call, unreached_pack: JiraPack) -> None:
    name, payload = call(unreached_pack, "CreateIssue", FULL)
    start = "Could not create issue: issueSummary='It is down' : statusCode=-1 (ConnectionError: "
    assert payload["error"].startswith(start)
    assert (name, payload | {"error": ""}) == failure("", project=" FOO ")


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        ({"summary": 5}, "number into field summary of type string"),
        ({"labels": "night"}, "string into field labels of type []string"),
        ({"labels": ["a", 1]}, "number into field labels of type string"),
        ({"incident": False}, "bool into field incident of type string"),
    ],
)
def test_create_of_bad_input(call: Call, pack: JiraPack, bad: dict[str, Any], where: str) -> None:
    error = f"Could not marshal create client issue input: json: cannot unmarshal {where}"
    expected = failure(error, project="unknown", issuetype="unknown", summary="unkown")
    assert call(pack, "CreateIssue", SMALL | bad) == expected


@pytest.mark.parametrize("missing", ["summary", "description"])
def test_the_support_project_needs_both(
    call: Call, pack: JiraPack, jira: Jira, missing: str
) -> None:
    document = FULL | {"project": "RCPSUP", missing: ""}
    error = "Please provide both issue title & description. mandatory fields missing!  "
    echo = {"issuetype": document["description"], "summary": document["summary"]}
    assert call(pack, "CreateIssue", document) == failure(error, project="RCPSUP", **echo)
    assert jira.requests == []


def test_the_support_project_with_both(call: Call, pack: JiraPack) -> None:
    assert call(pack, "CreateIssue", FULL | {"project": "RCPSUP"})[0] == "CreateIssue"


def test_a_reaction_gets_its_summary_from_the_description(
    call: Call, pack: JiraPack, jira: Jira
) -> None:
    description = "a\nb" + "ü" * 60
    document = SMALL | {"summary": "ReactionBased", "description": description}
    _, payload = call(pack, "CreateIssue", document)
    assert payload["summary"] == "ab" + "ü" * 33 + "..."
    assert jira.requests[0].body["fields"]["summary"] == payload["summary"]


def test_incident(call: Call, pack: JiraPack, jira: Jira) -> None:
    own = f"{jira.url}/rest/api/2/issue/10001"
    expected = {"id": "10001", "key": "FOO-1", "self": own}
    assert call(pack, "CreateIncIssue", INCIDENT) == ("CreateIncIssue", expected)
    assert jira.requests[0].body["fields"] == {
        "project": {"key": "FOO"},
        "issuetype": {"name": "Bug"},
        "summary": "It is down",
        "description": "All",
        "labels": ["night"],
    }


@pytest.mark.parametrize("status", [400, 401, 500])
def test_incident_takes_any_json_for_success(
    call: Call, pack: JiraPack, jira: Jira, status: int
) -> None:
    jira.next_replies.append(RestReply(status, {"errorMessages": ["no"]}))
    expected = {"id": "", "key": "", "self": ""}
    assert call(pack, "CreateIncIssue", INCIDENT) == ("CreateIncIssue", expected)


def test_incident_refused_is_a_failure_when_not_compatible(
    call: Call, strict_pack: JiraPack, jira: Jira
) -> None:
    jira.next_replies.append(RestReply(400, {"errorMessages": ["no"]}))
    message = "could not create issue: issueSummary='It is down' : statusCode=400 (no)"
    result = call(strict_pack, "CreateIncIssue", INCIDENT)
    assert result == ("CreateIncIssueFailure", {"message": message})
    assert call(strict_pack, "CreateIncIssue", INCIDENT)[0] == "CreateIncIssue"


def test_incident_without_json_fails_as_the_other_command(
    call: Call, pack: JiraPack, jira: Jira
) -> None:
    jira.next_replies.append(RestReply(401, b"<html>"))
    error = "could not create issue: not valid JSON: it is a page of HTML"
    assert call(pack, "CreateIncIssue", INCIDENT) == failure(error)


def test_incident_from_no_jira(call: Call, unreached_pack: JiraPack) -> None:
    name, payload = call(unreached_pack, "CreateIncIssue", INCIDENT)
    assert payload["error"].startswith("could not create issue: ConnectionError: ")
    assert (name, payload | {"error": ""}) == failure("")


@pytest.mark.parametrize(
    "incident",
    ["", "INC123456", "INC123456789", "inc1234567", "INC1234567\n", "xINC1234567", "INC123456٣"],
)
def test_incident_numbers(
    call: Call, pack: JiraPack, strict_pack: JiraPack, jira: Jira, incident: str
) -> None:
    document = INCIDENT | {"incident": incident}
    expected = {"message": f"{incident}: invalid incident number format"}
    assert call(pack, "CreateIncIssue", document) == ("CreateIncIssueFailure", expected)
    assert call(strict_pack, "CreateIncIssue", document) == ("CreateIncIssueFailure", expected)
    assert jira.requests == []


def test_incident_summaries_are_measured_in_bytes(call: Call, pack: JiraPack) -> None:
    fits, too_long = INCIDENT | {"summary": "ü" * 127 + "u"}, INCIDENT | {"summary": "ü" * 128}
    assert call(pack, "CreateIncIssue", fits)[0] == "CreateIncIssue"
    message = "Too long summary (lenght 256). Limit is 255 symbols"
    result = call(pack, "CreateIncIssue", too_long)
    assert result == ("CreateIncIssueFailure", {"message": message})


def test_incident_of_bad_input(call: Call, pack: JiraPack, strict_pack: JiraPack) -> None:
    error = (
        "could not marshal create client issue input: "
        "json: cannot unmarshal string into Go value of type object"
    )
    unknown = dict.fromkeys(("project", "issuetype", "summary"), "unknown")
    assert call(pack, "CreateIncIssue", "INC1234567") == failure(error, **unknown)
    result = call(strict_pack, "CreateIncIssue", "INC1234567")
    assert result == ("CreateIncIssueFailure", {"message": error})
