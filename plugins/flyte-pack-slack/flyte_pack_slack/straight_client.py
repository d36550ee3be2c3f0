"""Slack's SDK without redirects.

Owns how its requests are sent. Must not know methods of the API.

The SDK follows a redirect anywhere and sends the token along, even to another host or without TLS.
"""

from typing import Any
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

from slack_sdk import WebClient


class StraightClient(WebClient):
    """A redirect is a failure with its status, like any other answer but 200."""

    def _perform_urllib_http_request_internal(
        self,
        url: str,  # noqa: ARG002  the request has it
        req: Request,
    ) -> dict[str, Any]:
        handlers: list[Any] = [_NoRedirects, HTTPSHandler(context=self.ssl)]
        if self.proxy:
            handlers.append(ProxyHandler({"http": self.proxy, "https": self.proxy}))
        with build_opener(*handlers).open(req, timeout=self.timeout) as answer:
            charset = answer.headers.get_content_charset() or "utf-8"
            body = answer.read().decode(charset)
        return {"status": answer.status, "headers": answer.headers, "body": body}


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """There is no next request."""
