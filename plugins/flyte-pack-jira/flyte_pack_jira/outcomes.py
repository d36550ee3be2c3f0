"""What an answer of Jira means to a command, in the words of the Go pack.

Must not know commands or events.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from flyte_pack_kit import NoAnswer, RestAnswer

from flyte_pack_jira.client import JiraClient

T = TypeVar("T")


class Complaint(msgspec.Struct, frozen=True, rename="camel"):
    message: str = ""
    """From a proxy of Jira Cloud, to users that are not logged in or ask too often."""
    error_messages: list[str] = []
    errors: dict[str, str] = {}


class Failed(Exception):
    """Jira did not do it; the text is what the failure event says."""


def ask(
    jira: JiraClient,
    wanted: type[T],
    expected_status: int,
    about: str,
    method: str,
    *segments: str,
    body: Any = None,
) -> T:
    """Jira's answer, if it has the expected status and can be read; else raises Failed."""
    try:
        answer = jira.send(method, *segments, body=body)
    except NoAnswer as cause:
        # The Go pack had the number alone; the cause follows it, because texts are only shown.
        raise Failed(f"{about} : statusCode=-1 ({cause})") from cause
    if answer.status != expected_status:
        raise Failed(f"{about} : statusCode={answer.status}{words_of(answer)}")
    decoded = answer.decoded(wanted)
    if decoded.error:
        raise Failed(f"{about} : err={decoded.error}")
    return decoded.value


def words_of(answer: RestAnswer) -> str:
    """`` (Jira's own sentence)`` to append to the Go pack's text, or nothing."""
    return answer.words.in_brackets("; ".join(_complaints(answer)))


def error_of(answer: RestAnswer, errors: Mapping[int, str]) -> str:
    """What is wrong with an answer that should be 204; nothing if it is."""
    if answer.status == 204:
        return ""
    told = errors.get(answer.status, f"unsupported status code {answer.status}")
    return told + words_of(answer)


def _complaints(answer: RestAnswer) -> list[str]:
    """What Jira itself says is wrong; nothing if it says nothing that can be read."""
    complaint = answer.decoded(Complaint).value
    told = [answer.stranger, complaint.message, *complaint.error_messages]
    told += complaint.errors.values()
    return [each.strip() for each in told if each.strip()]
