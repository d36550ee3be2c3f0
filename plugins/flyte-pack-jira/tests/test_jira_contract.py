"""That the pack keeps the contract of packs, each of its commands with an example."""

from flyte_pack_jira import JiraPack

from flyte_host.testing import Example, check_contract

from .jira_stand_in import PASSWORD, USER, Jira

FIELDS = {"summary": "It is down", "status": {"name": "Open"}, "assignee": None}
NEW = {"project": "FOO", "issuetype": "Bug", "summary": "It is down"}
INCIDENT = NEW | {"incident": "INC1234567", "description": "All", "labels": ["night"]}
ENDS = {"inwardIssue": "FOO-1", "outwardIssue": "FOO-2", "linkType": "Blocks"}
EXAMPLES = [
    Example("IssueInfo", "FOO-1", "Info"),
    Example("IssueInfo", "BAR-1", "InfoFailure"),
    Example("CreateIssue", NEW, "CreateIssue"),
    Example("CreateIssue", NEW | {"summary": ""}, "CreateIssueFailure"),
    Example("CreateIncIssue", INCIDENT, "CreateIncIssue"),
    Example("CreateIncIssue", "INC1234567", "CreateIncIssueFailure"),
    Example("CommentIssue", {"id": "FOO-1", "comment": "hi"}, "Comment"),
    Example("CommentIssue", {"id": "BAR-1", "comment": "hi"}, "CommentFailure"),
    Example("GetTransitions", {"issueId": "FOO-1"}, "GetTransitions"),
    Example("GetTransitions", {"issueId": "BAR-1"}, "GetTransitionsFailure"),
    Example("Transition", {"issueId": "FOO-1", "transitionId": "5"}, "Transition"),
    Example("Transition", {"issueId": "FOO-1", "transitionId": "6"}, "TransitionFailure"),
    Example("SearchIssues", {"query": "project = FOO"}, "SearchSuccess"),
    Example("SearchIssues", {"query": "order by created"}, "SearchFailure"),
    Example("IssueAssign", {"issueId": "FOO-1", "username": "bob"}, "Assign"),
    Example("IssueAssign", {"issueId": "FOO-1", "username": "eve"}, "AssignFailure"),
    Example("IssueCreateLink", ENDS, "Link"),
    Example("IssueCreateLink", ENDS | {"inwardIssue": "BAR-1"}, "LinkFailure"),
    Example("IssueGetLink", {"linkId": "1"}, "Link"),
    Example("IssueGetLink", {"linkId": "7"}, "LinkFailure"),
    Example("IssueDeleteLink", {"linkId": "1"}, "Link"),
    Example("IssueDeleteLink", {"linkId": "7"}, "LinkFailure"),
]


def test_it_keeps_the_contract_of_packs(jira: Jira) -> None:
    jira.issues = {key: {"key": key, "fields": dict(FIELDS)} for key in ("FOO-1", "FOO-2")}
    jira.transitions = [{"id": "5", "name": "Done"}]
    settings = {"url": jira.url, "user": USER, "password": PASSWORD, "go_compatible": False}
    check_contract(JiraPack, settings, examples=EXAMPLES)
