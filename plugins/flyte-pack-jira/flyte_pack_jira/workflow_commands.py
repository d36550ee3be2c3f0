"""GetTransitions, Transition and SearchIssues.

Owns their inputs, payloads and texts. Must not know HTTP beyond status codes.
"""

from typing import Any

import msgspec
from flyte_pack_kit import NoAnswer, decode

from flyte_host import Event, EventDef, fatal_event
from flyte_pack_jira.client import JiraClient
from flyte_pack_jira.outcomes import Failed, error_of, words_of
from flyte_pack_jira.search import Search, SearchInput
from flyte_pack_jira.shapes import Issue, Transitions

GET_TRANSITIONS = EventDef("GetTransitions")
GET_TRANSITIONS_FAILURE = EventDef("GetTransitionsFailure")
TRANSITION = EventDef("Transition")
TRANSITION_FAILURE = EventDef("TransitionFailure")
SEARCH_SUCCESS = EventDef("SearchSuccess")
SEARCH_FAILURE = EventDef("SearchFailure")
GET_TRANSITIONS_EVENTS = (GET_TRANSITIONS, GET_TRANSITIONS_FAILURE)
TRANSITION_EVENTS = (TRANSITION, TRANSITION_FAILURE)
SEARCH_EVENTS = (SEARCH_SUCCESS, SEARCH_FAILURE)

_TRANSITION_ERRORS = {
    400: "no transition specified",
    401: "invalid permission to transition an issue",
    404: "issue or user does not exist",
}


class TransitionInput(msgspec.Struct, frozen=True, rename="camel"):
    issue_id: str = ""
    transition_id: str = ""


class WorkflowCommands:
    """Handlers of commands that find issues and move them."""

    def __init__(self, jira: JiraClient, *, go_compatible: bool) -> None:
        self._jira = jira
        self._search = Search(jira)
        self._go_compatible = go_compatible

    def get_transitions(self, input: Any) -> Event:
        decoded = decode(TransitionInput, input)
        issue_id = decoded.value.issue_id
        found, error = (None, decoded.error) if decoded.error else self._transitions(issue_id)
        if error:
            return GET_TRANSITIONS_FAILURE({"id": issue_id, "error": error})
        return GET_TRANSITIONS({"id": issue_id, "transitions": found})

    def _transitions(self, issue_id: str) -> tuple[Any, str]:
        try:
            answer = self._jira.send("GET", "issue", issue_id, "transitions")
        except NoAnswer as cause:
            return None, str(cause)
        if answer.status != 200:
            return None, f"Issue does not exist{words_of(answer)}"
        result = answer.decoded(Transitions)
        return result.value.transitions, result.error

    def transition(self, input: Any) -> Event:
        decoded = decode(TransitionInput, input)
        wanted = decoded.value
        segments = ("issue", wanted.issue_id, "transitions")
        error = decoded.error or self._moved(segments, wanted.transition_id)
        payload = {"issueId": wanted.issue_id, "transitionId": wanted.transition_id}
        if error:
            return TRANSITION_FAILURE(payload | {"error": error})
        return TRANSITION(payload | {"requestURL": self._jira.path(*segments)})

    def _moved(self, segments: tuple[str, ...], transition_id: str) -> str:
        body = {"transition": {"id": transition_id}}
        try:
            return error_of(self._jira.send("POST", *segments, body=body), _TRANSITION_ERRORS)
        except NoAnswer as cause:
            return str(cause)

    def search(self, input: Any) -> Event:
        decoded = decode(SearchInput, input)
        if decoded.error:
            # The Go pack lost the text: an error of Go is {} in JSON.
            text = f"input is not valid: {decoded.error}"
            return fatal_event({} if self._go_compatible else text)
        wanted = decoded.value
        payload = msgspec.to_builtins(wanted)
        if not wanted.query:
            return SEARCH_FAILURE(payload | {"error": "Empty query string"})
        try:
            result = self._search.find(wanted)
        except Failed as failure:
            return SEARCH_FAILURE(payload | {"error": str(failure)})
        issues = [_found(issue) for issue in result.issues or ()]
        # As in Go, no issues are null, not an empty list.
        return SEARCH_SUCCESS(payload | {"total": result.total, "issues": issues or None})


def _found(issue: Issue) -> dict[str, str]:
    return {
        "id": issue.key,
        "summary": issue.fields.summary,
        "status": issue.fields.status.name,
        "description": issue.fields.description,
        "assignee": issue.fields.assignee.name or issue.fields.assignee.account_id,
    }
