"""The API without a web server: a caller in this process gets its answer in its own thread.

The answer is the one that the network would give: the same routes, the same limit on bodies, the
same check of tokens. Only the header ``Flyte-Step`` is extra, for the log lines of the host in this
process. Nobody checks where a request comes from: a page in a browser cannot call it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from flyte_host.body_limit import too_large
from flyte_host.embedded.api_response import ApiResponse, error_response
from flyte_host.embedded.auth.access import Denial
from flyte_host.embedded.router import MAX_BODY_BYTES, Router, headers_of

Check = Callable[[str, str, str], Denial | None]
"""Checks a method, a path as it was sent, and the header Authorization."""


class DirectAnswer(NamedTuple):
    """``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class DirectApp:
    """Passes to ``router`` what ``check`` does not deny; safe from any thread."""

    def __init__(self, router: Router, check: Check | None = None) -> None:
        self._router = router
        self._check = check

    def answer(
        self, base: str, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> DirectAnswer:
        """``target`` is path and query as they would be sent; links in the answer are below
        ``base``; ``headers`` have lower-case names.
        """
        path, _, query = target.partition("?")
        if self._check is not None:
            denial = self._check(method, path, headers.get("authorization", ""))
            if denial is not None:
                fields = {name.lower(): value for name, value in denial.headers.items()}
                return DirectAnswer(denial.status, fields, denial.body)
        answer = self._answer(base, method, unquote(path), query, headers, body)
        fields = dict(headers_of(answer))
        if answer.step is not None:
            fields["flyte-step"] = answer.step
        return DirectAnswer(answer.status, fields, answer.body)

    def _answer(  # noqa: PLR0917
        self, base: str, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> ApiResponse:
        if len(body) > MAX_BODY_BYTES:
            return error_response(413, too_large(MAX_BODY_BYTES))
        route = self._router.find(method, path)
        if isinstance(route, ApiResponse):
            return route
        return self._router.answer(route, base, query, headers, body)
