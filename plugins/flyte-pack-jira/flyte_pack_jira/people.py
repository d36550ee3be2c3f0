"""How to name people to Jira: by user name, or by account id at Jira Cloud.

Owns finding the account of a person. Must not know commands or events.
"""

import re
from typing import Any

import msgspec
from flyte_pack_kit import NoAnswer

from flyte_pack_jira.client import JiraClient
from flyte_pack_jira.outcomes import Failed, words_of

_ACCOUNT_ID = re.compile(r"[0-9a-f]{24}|[0-9a-z]+:[0-9a-zA-Z-]+")


class Account(msgspec.Struct, frozen=True, rename="camel"):
    account_id: str = ""
    email_address: str = ""
    display_name: str = ""

    def is_called(self, name: str) -> bool:
        return name.casefold() in {self.email_address.casefold(), self.display_name.casefold()}


class People:
    """The users of one Jira."""

    def __init__(self, jira: JiraClient) -> None:
        self._jira = jira

    def reference(self, name: str) -> dict[str, Any]:
        """The fields that name a person; raises Failed if Jira Cloud knows no one such account.

        At Jira Cloud ``name`` is an account id, an e-mail address or a display name.
        """
        if not self._jira.is_cloud:
            return {"name": name}
        if _ACCOUNT_ID.fullmatch(name):
            return {"accountId": name}
        return {"accountId": self._account_id(name)}

    def nobody(self) -> dict[str, Any]:
        """The fields that take an assignee away."""
        return {"accountId": None} if self._jira.is_cloud else {}

    def _account_id(self, name: str) -> str:
        found = self._search(name)
        exact = [each for each in found if each.is_called(name)] or found
        if len(exact) != 1:
            raise Failed(
                f"Jira Cloud knows {len(exact)} users for {name!r}, expected one: "
                "use the account id"
            )
        return exact[0].account_id

    def _search(self, name: str) -> list[Account]:
        try:
            answer = self._jira.send("GET", "user", "search", query={"query": name})
        except NoAnswer as cause:
            raise Failed(f"cannot look up {name!r}: {cause}") from cause
        if answer.status != 200:
            raise Failed(f"cannot look up {name!r}: statusCode={answer.status}{words_of(answer)}")
        found = answer.decoded(list[Account])
        if found.error:
            raise Failed(f"cannot look up {name!r}: {found.error}")
        return found.value
