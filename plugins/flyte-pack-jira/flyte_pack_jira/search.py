"""Finding issues by JQL, at Jira Server and Data Center, and at Jira Cloud.

Owns both ways to ask. Must not know events. Jira Cloud has no start index and no total: a
page leads to the next one by a token, and the number of hits takes a separate request.
"""

from typing import Any, TypeVar

import msgspec
from flyte_pack_kit import NoAnswer, RestAnswer

from flyte_pack_jira.client import JiraClient
from flyte_pack_jira.outcomes import Failed, words_of
from flyte_pack_jira.shapes import Count, Issue, SearchResult

T = TypeVar("T")

FIELDS = ["summary", "assignee", "labels", "status", "description", "priority"]
GONE = 410
"""What Jira Cloud answers where Jira Server searches."""
LARGEST_PAGE = 100
MOST_PAGES = 100


class SearchInput(msgspec.Struct, frozen=True, rename="camel"):
    query: str = ""
    start_index: int = 0
    max_results: int = 10


class Search:
    """Searches of one Jira; every method raises Failed."""

    def __init__(self, jira: JiraClient) -> None:
        self._jira = jira

    def find(self, wanted: SearchInput) -> SearchResult:
        """The hits from ``start_index`` on, and how many there are."""
        if not self._jira.is_cloud:
            body = {
                "jql": wanted.query,
                "startAt": wanted.start_index,
                "maxResults": wanted.max_results,
                "fields": FIELDS,
            }
            answer = self._post(wanted, body, "search")
            if answer.status != GONE:
                return self._read(wanted, answer, SearchResult)
        return SearchResult(self._count(wanted), self._pages(wanted))

    def _pages(self, wanted: SearchInput) -> list[Issue]:
        """Read from the first hit on, since only tokens lead to later ones."""
        start = max(wanted.start_index, 0)
        end = start + wanted.max_results
        found: list[Issue] = []
        token, followed = "", set()
        for _ in range(MOST_PAGES):
            size = min(end - len(found), LARGEST_PAGE)
            if size <= 0:
                break
            page = self._page(wanted, token, size)
            found += page.issues or ()
            token = page.next_page_token
            if not token:
                break
            if token in followed:
                raise Failed(f"{_about(wanted)} : error=a page leads back to an earlier one")
            followed.add(token)
        return found[start:end]

    def _page(self, wanted: SearchInput, token: str, size: int) -> SearchResult:
        body: dict[str, Any] = {"jql": wanted.query, "maxResults": size, "fields": FIELDS}
        if token:
            body["nextPageToken"] = token
        return self._read(wanted, self._post(wanted, body, "search", "jql"), SearchResult)

    def _count(self, wanted: SearchInput) -> int:
        answer = self._post(wanted, {"jql": wanted.query}, "search", "approximate-count")
        return self._read(wanted, answer, Count).count

    def _post(self, wanted: SearchInput, body: Any, *segments: str) -> RestAnswer:
        try:
            return self._jira.send("POST", *segments, body=body)
        except NoAnswer as cause:
            raise Failed(f"{_about(wanted)} : error={cause}") from cause

    def _read(self, wanted: SearchInput, answer: RestAnswer, kind: type[T]) -> T:
        if answer.status != 200:
            raise Failed(f"{_about(wanted)} : statusCode={answer.status}{words_of(answer)}")
        decoded = answer.decoded(kind)
        if decoded.error:
            raise Failed(f"{_about(wanted)} : error={decoded.error}")
        return decoded.value


def _about(wanted: SearchInput) -> str:
    return f"Could not search for issues: query='{wanted.query}'"
