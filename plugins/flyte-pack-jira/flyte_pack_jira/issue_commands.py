"""IssueInfo, CommentIssue and IssueAssign.

Owns their inputs, payloads and texts. Must not know HTTP beyond status codes.
"""

import re
from typing import Any

import msgspec
from flyte_pack_kit import NoAnswer, decode

from flyte_host import Event, EventDef
from flyte_pack_jira.client import JiraClient
from flyte_pack_jira.outcomes import Failed, ask, error_of
from flyte_pack_jira.people import People
from flyte_pack_jira.shapes import Issue, User

INFO = EventDef("Info")
INFO_FAILURE = EventDef("InfoFailure")
COMMENT = EventDef("Comment")
COMMENT_FAILURE = EventDef("CommentFailure")
ASSIGN = EventDef("Assign")
ASSIGN_FAILURE = EventDef("AssignFailure")
INFO_EVENTS = (INFO, INFO_FAILURE)
COMMENT_EVENTS = (COMMENT, COMMENT_FAILURE)
ASSIGN_EVENTS = (ASSIGN, ASSIGN_FAILURE)

_ISSUE_ID = re.compile(r"\w+-\d+", re.ASCII)
_ASSIGN_ERRORS = {
    400: "invalid user representation",
    401: "invalid permission to assign to issue",
    404: "issue or user does not exist",
}


class CommentInput(msgspec.Struct, frozen=True):
    id: str = ""
    comment: str = ""


class AssignInput(msgspec.Struct, frozen=True, rename="camel"):
    issue_id: str = ""
    username: str = ""

    def payload(self) -> dict[str, str]:
        payload = {"issueId": self.issue_id}
        return payload | {"username": self.username} if self.username else payload


class IssueCommands:
    """Handlers of commands about one issue that exists."""

    def __init__(self, jira: JiraClient) -> None:
        self._jira = jira
        self._people = People(jira)

    def info(self, input: Any) -> Event:
        decoded = decode(str, input)
        if decoded.error:
            return INFO_FAILURE({"id": "", "error": decoded.error})
        found = _ISSUE_ID.search(decoded.value)
        issue_id = found[0] if found else ""
        try:
            issue = ask(self._jira, Issue, 200, f"issueId={issue_id}", "GET", "issue", issue_id)
        except Failed as failure:
            return INFO_FAILURE({"id": issue_id, "error": str(failure)})
        return INFO(_info(issue))

    def comment(self, input: Any) -> Event:
        decoded = decode(CommentInput, input)
        if decoded.error:
            error = f"Could not marshal comment into json: {decoded.error}"
            return COMMENT_FAILURE({"id": "unknown", "comment": "unkown", "error": error})
        wanted = decoded.value
        about = f"issueId={wanted.id}"
        body = {"body": wanted.comment}
        try:
            ask(self._jira, Issue, 201, about, "POST", "issue", wanted.id, "comment", body=body)
        except Failed as failure:
            error = f"Could not leave comment: {failure}"
            return COMMENT_FAILURE({"id": wanted.id, "comment": wanted.comment, "error": error})
        return COMMENT({"id": wanted.id, "comment": wanted.comment})

    def assign(self, input: Any) -> Event:
        decoded = decode(AssignInput, input)
        error = decoded.error or self._assigned(decoded.value)
        payload = decoded.value.payload()
        return ASSIGN_FAILURE(payload | {"error": error}) if error else ASSIGN(payload)

    def _assigned(self, wanted: AssignInput) -> str:
        people = self._people
        try:
            body = people.reference(wanted.username) if wanted.username else people.nobody()
            answer = self._jira.send("PUT", "issue", wanted.issue_id, "assignee", body=body)
        except (NoAnswer, Failed) as cause:
            return str(cause)
        return error_of(answer, _ASSIGN_ERRORS)


def _info(issue: Issue) -> dict[str, str]:
    fields = issue.fields
    return {
        "id": issue.key,
        "summary": fields.summary,
        "status": fields.status.name,
        "description": fields.description,
        "assignee": _address(fields.assignee),
        "reporter": _address(fields.reporter),
        "components": ",".join(each.name for each in fields.components or ()),
        "labels": ",".join(fields.labels or ()),
        "priority": fields.priority.name,
        "type": fields.issuetype.name,
    }


def _address(user: User) -> str:
    return user.email_address or user.account_id
