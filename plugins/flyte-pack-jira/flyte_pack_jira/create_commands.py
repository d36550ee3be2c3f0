"""CreateIssue and CreateIncIssue.

Owns their input, payloads and texts, and which mistakes of the Go pack go with its compatible
form. Must not know HTTP beyond status codes.
"""

import re
from typing import Any

import msgspec
from flyte_pack_kit import NoAnswer, decode

from flyte_host import Event, EventDef
from flyte_pack_jira.client import JiraClient
from flyte_pack_jira.outcomes import Failed, ask
from flyte_pack_jira.people import People
from flyte_pack_jira.shapes import Created

CREATE_ISSUE = EventDef("CreateIssue")
CREATE_ISSUE_FAILURE = EventDef("CreateIssueFailure")
CREATE_INC_ISSUE = EventDef("CreateIncIssue")
CREATE_INC_ISSUE_FAILURE = EventDef("CreateIncIssueFailure")
CREATE_ISSUE_EVENTS = (CREATE_ISSUE, CREATE_ISSUE_FAILURE)

_INCIDENT = re.compile(r"INC[0-9]{7,8}")
_SUMMARY_LIMIT_BYTES = 255
_REACTION_SUMMARY_BYTES = 70
_SUPPORT_PROJECT = "RCPSUP"
_SUPPORT_FIELDS_MISSING = (
    "Please provide both issue title & description. mandatory fields missing!  "
)


class CreateInput(msgspec.Struct, frozen=True):
    """One input for both commands: a wrong type in any field fails either."""

    project: str = ""
    issuetype: str = ""
    summary: str = ""
    description: str = ""
    labels: list[str] | None = None
    incident: str = ""
    priority: str = ""
    reporter: str = ""


class CreateCommands:
    """Handlers of commands that make issues."""

    def __init__(self, jira: JiraClient, *, go_compatible: bool) -> None:
        self._jira = jira
        self._people = People(jira)
        self._go_compatible = go_compatible
        own = (CREATE_INC_ISSUE, CREATE_INC_ISSUE_FAILURE)
        self.incident_events = (*own, CREATE_ISSUE_FAILURE) if go_compatible else own

    def create(self, input: Any) -> Event:
        decoded = decode(CreateInput, input)
        if decoded.error:
            error = f"Could not marshal create client issue input: {decoded.error}"
            return _failure(error, "unknown", "unknown", "unkown")
        wanted = decoded.value
        complete = wanted.summary and wanted.description
        if wanted.project == _SUPPORT_PROJECT and not complete:
            # The description is in the place of the issue type, as in the Go pack.
            text = _SUPPORT_FIELDS_MISSING
            return _failure(text, wanted.project, wanted.description, wanted.summary)
        wanted = _with_summary(wanted)
        about = f"issueSummary='{wanted.summary}'"
        try:
            body = {"fields": self._fields(wanted)}
            created = ask(self._jira, Created, 201, about, "POST", "issue", "", body=body)
        except Failed as failure:
            error = f"Could not create issue: {failure}"
            return _failure(error, wanted.project, wanted.issuetype, wanted.summary)
        return CREATE_ISSUE(self._created(created.key, wanted))

    def _created(self, key: str, wanted: CreateInput) -> dict[str, str]:
        return {
            "id": key,
            "url": f"{self._jira.url}/browse/{key}",
            "project": wanted.project,
            "issuetype": wanted.issuetype,
            "summary": wanted.summary,
            "description": wanted.description,
            "priority": wanted.priority,
            "reporter": wanted.reporter,
        }

    def _fields(self, wanted: CreateInput) -> dict[str, Any]:
        priority, reporter = wanted.priority.strip(), wanted.reporter.strip()
        fields: dict[str, Any] = {
            "project": {"key": wanted.project.strip()},
            "issuetype": {"name": wanted.issuetype},
            "summary": wanted.summary,
            "description": wanted.description,
            "priority": {"name": priority},
            "reporter": self._people.reference(reporter) if reporter else {"name": ""},
            "labels": None,
        }
        if self._go_compatible:
            return fields
        # Jira may refuse a name that is empty; the Go pack always sent one, and never labels.
        fields["labels"] = wanted.labels
        given = {"priority": priority, "reporter": reporter, "labels": wanted.labels}
        return {key: value for key, value in fields.items() if given.get(key, True)}

    def create_incident(self, input: Any) -> Event:
        decoded = decode(CreateInput, input)
        if decoded.error:
            error = f"could not marshal create client issue input: {decoded.error}"
            unknown = CreateInput("unknown", "unknown", "unknown")
            return self._incident_failure(error, unknown)
        wanted = decoded.value
        problem = _incident_problem(wanted)
        if problem:
            return CREATE_INC_ISSUE_FAILURE({"message": problem})
        try:
            created = self._incident_created(wanted)
        except Failed as failure:
            return self._incident_failure(f"could not create issue: {failure}", wanted)
        return CREATE_INC_ISSUE(created)

    def _incident_created(self, wanted: CreateInput) -> Created:
        fields = {
            "project": {"key": wanted.project},
            "issuetype": {"name": wanted.issuetype},
            "summary": wanted.summary,
            "description": wanted.description,
            "labels": wanted.labels,
        }
        body = {"fields": fields}
        if not self._go_compatible:
            about = f"issueSummary='{wanted.summary}'"
            return ask(self._jira, Created, 201, about, "POST", "issue", "", body=body)
        # The Go pack never looks at the status: Jira's {"errors": …} is an issue without a key.
        try:
            decoded = self._jira.send("POST", "issue", "", body=body).decoded(Created)
        except NoAnswer as cause:
            raise Failed(str(cause)) from cause
        if decoded.error:
            raise Failed(decoded.error)
        return decoded.value

    def _incident_failure(self, error: str, wanted: CreateInput) -> Event:
        """The Go pack sends the failure of the other command."""
        if self._go_compatible:
            return _failure(error, wanted.project, wanted.issuetype, wanted.summary)
        return CREATE_INC_ISSUE_FAILURE({"message": error})


def _with_summary(wanted: CreateInput) -> CreateInput:
    """Issues made from a reaction in a chat get the beginning of their description as summary."""
    if wanted.summary != "ReactionBased":
        return wanted
    beginning = wanted.description.encode()[:_REACTION_SUMMARY_BYTES].decode(errors="ignore")
    return msgspec.structs.replace(wanted, summary=beginning.replace("\n", "") + "...")


def _incident_problem(wanted: CreateInput) -> str:
    if not _INCIDENT.fullmatch(wanted.incident):
        return f"{wanted.incident}: invalid incident number format"
    length = len(wanted.summary.encode())
    if length > _SUMMARY_LIMIT_BYTES:
        return f"Too long summary (lenght {length}). Limit is 255 symbols"
    return ""


def _failure(error: str, project: str, issuetype: str, summary: str) -> Event:
    return CREATE_ISSUE_FAILURE(
        {
            "error": error,
            "project": project,
            "issuetype": issuetype,
            "summary": summary,
            "description": "",
            "priority": "",
        }
    )
