"""IssueCreateLink, IssueGetLink and IssueDeleteLink.

Owns their input, payloads and texts. Must not know HTTP beyond status codes.
"""

from typing import Any

import msgspec
from flyte_pack_kit import NoAnswer, RestAnswer, decode

from flyte_host import Event, EventDef
from flyte_pack_jira.client import JiraClient
from flyte_pack_jira.outcomes import words_of
from flyte_pack_jira.shapes import Link

LINK = EventDef("Link")
LINK_FAILURE = EventDef("LinkFailure")
LINK_EVENTS = (LINK, LINK_FAILURE)

_COMMENT = "Link related issues!"
_ERRORS = {
    401: "invalid permission to link issues",
    404: "could not find issue or invalid link type specified",
    500: "error occurred when creating link or comment",
}


class LinkInput(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The input of all three; also their payload, without what is empty."""

    link_id: str = ""
    inward_issue: str = ""
    outward_issue: str = ""
    link_type: str = ""


class LinkCommands:
    """Handlers of commands about links between issues."""

    def __init__(self, jira: JiraClient) -> None:
        self._jira = jira

    def create(self, input: Any) -> Event:
        decoded = decode(LinkInput, input)
        wanted = decoded.value
        body = {
            "type": {"name": wanted.link_type},
            "inwardIssue": {"key": wanted.inward_issue},
            "outwardIssue": {"key": wanted.outward_issue},
            "comment": {"body": _COMMENT},
        }
        error = decoded.error or self._done(_COMMENT, "POST", "issueLink", body=body)
        return _failure(wanted, error) if error else LINK(wanted)

    def get(self, input: Any) -> Event:
        decoded = decode(LinkInput, input)
        if decoded.error:
            return _failure(decoded.value, decoded.error)
        link_id = decoded.value.link_id
        try:
            answer = self._jira.send("GET", "issueLink", link_id)
        except NoAnswer as cause:
            return _failure(decoded.value, _unreached(cause))
        link = answer.decoded(Link)
        error = _error_of(answer, link_id) or link.error
        return _failure(decoded.value, error) if error else LINK(_payload(link.value))

    def delete(self, input: Any) -> Event:
        decoded = decode(LinkInput, input)
        link_id = decoded.value.link_id
        error = decoded.error or self._done(link_id, "DELETE", "issueLink", link_id)
        return _failure(decoded.value, error) if error else LINK(decoded.value)

    def _done(self, about: str, method: str, *segments: str, body: Any = None) -> str:
        try:
            return _error_of(self._jira.send(method, *segments, body=body), about)
        except NoAnswer as cause:
            return _unreached(cause)


def _error_of(answer: RestAnswer, about: str) -> str:
    """What is wrong with the answer; nothing if it means success."""
    if 200 <= answer.status <= 208 and not answer.stranger:
        return ""
    told = _ERRORS.get(answer.status, f"unsupported status code {answer.status} found")
    if answer.status == 400:
        told = f"failed to create issue with comment {about}"
    return told + words_of(answer)


def _unreached(cause: NoAnswer) -> str:
    return f"unsupported status code -1 found ({cause})"


def _failure(wanted: LinkInput, error: str) -> Event:
    return LINK_FAILURE(msgspec.to_builtins(wanted) | {"error": error})


def _payload(link: Link) -> dict[str, Any]:
    return {
        "type": link.type.payload(),
        "inwardIssue": link.inward_issue,
        "outwardIssue": link.outward_issue,
        "comment": link.comment,
    }
