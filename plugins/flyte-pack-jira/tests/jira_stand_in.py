"""A small Jira for tests: real HTTP on a free port of this machine, with facts of REST v2."""

import base64
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from ssl import SSLContext
from typing import Any, Self
from urllib.parse import unquote, unquote_plus
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

GONE = "The requested API has been removed. Please migrate to /rest/api/3/search/jql."
USER, PASSWORD = "flyte", "pa€word"


@dataclass(frozen=True)
class Sent:
    """A request as it arrived; ``raw_path`` still has its escapes."""

    method: str
    raw_path: str
    authorization: str
    content_type: str
    body: Any
    query: str = ""


@dataclass(frozen=True)
class SaidToJira:
    """An answer; ``body`` is JSON unless it is bytes."""

    status: int
    body: Any = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Jira:
    """Issues, links, and what was asked; ``next_answers`` go before the real ones."""

    issues: dict[str, dict[str, Any]] = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)
    transitions: list[dict[str, str]] = field(default_factory=list)
    links: dict[str, dict[str, Any]] = field(default_factory=dict)
    users: set[str] = field(default_factory=lambda: {"bob"})
    accounts: list[dict[str, str]] = field(default_factory=list)
    """Not empty: this is a Jira Cloud, with these users."""
    sent: list[Sent] = field(default_factory=list)
    next_answers: list[SaidToJira] = field(default_factory=list)
    url: str = ""

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        sent = _sent(environ)
        self.sent.append(sent)
        said = self.next_answers.pop(0) if self.next_answers else self.answer(sent)
        content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        headers = [("Content-Length", str(len(content))), *said.headers]
        start(f"{said.status} {HTTPStatus(said.status).phrase}", headers)
        return [content] if said.status != 204 else []

    def answer(self, sent: Sent) -> SaidToJira:
        if sent.authorization != _basic():
            return SaidToJira(401, b"<html>Unauthorized (401)</html>")
        if sent.method in {"POST", "PUT"} and sent.content_type != "application/json":
            return SaidToJira(415)
        segments = unquote(sent.raw_path.partition("?")[0]).split("/")[4:]
        match segments:
            case ["issue", key, *rest] if key in self.issues:
                return self.existing_issue(sent.method, key, rest, sent.body)
            case ["issueLink", link_id]:
                return self.existing_link(sent.method, link_id)
        return self.other(sent, segments)

    def other(self, sent: Sent, segments: list[str]) -> SaidToJira:  # noqa: PLR0911  one for each call
        body = sent.body
        match [sent.method, *segments]:
            case ["GET", "myself"]:
                return SaidToJira(200, {"name": USER})
            case ["POST", "search"]:
                return (
                    SaidToJira(410, {"errorMessages": [GONE]})
                    if self.accounts
                    else self.search(**body)
                )
            case ["POST", "search", "jql"] if self.accounts:
                return self.page(**body)
            case ["POST", "search", "approximate-count"] if self.accounts:
                return SaidToJira(200, {"count": len(self.hits(body["jql"]))})
            case ["GET", "user", "search"] if self.accounts:
                return SaidToJira(200, [each for each in self.accounts if sent.query in str(each)])
            case ["POST", "issue", ""]:
                return self.create(body["fields"])
            case ["POST", "issueLink"]:
                return self.link(body)
        return SaidToJira(404, {"errorMessages": ["Issue Does Not Exist"], "errors": {}})

    def existing_issue(self, method: str, key: str, rest: list[str], body: Any) -> SaidToJira:
        match [method, *rest]:
            case ["GET"]:
                return SaidToJira(200, self.issues[key])
            case ["POST", "comment"]:
                self.comments.setdefault(key, []).append(body["body"])
                return SaidToJira(201, {"id": "10000", "body": body["body"]})
            case ["PUT", "assignee"]:
                return self.assign_account(key, body) if self.accounts else self.assign(key, body)
            case ["GET", "transitions"]:
                return SaidToJira(200, {"expand": "transitions", "transitions": self.transitions})
            case ["POST", "transitions"]:
                return self.move(key, body["transition"]["id"])
        return SaidToJira(405)

    def create(self, fields: dict[str, Any]) -> SaidToJira:
        if not fields["summary"]:
            errors = {"summary": "You must specify a summary of the issue."}
            return SaidToJira(400, {"errorMessages": [], "errors": errors})
        key = f"{fields['project']['key']}-{len(self.issues) + 1}"
        self.issues[key] = {"id": "10001", "key": key, "fields": fields}
        own = f"{self.url}/rest/api/2/issue/10001"
        return SaidToJira(201, {"id": "10001", "key": key, "self": own})

    def assign_account(self, key: str, body: dict[str, str | None]) -> SaidToJira:
        known = {each["accountId"] for each in self.accounts}
        if set(body) != {"accountId"} or body["accountId"] not in {*known, None}:
            return SaidToJira(
                400, {"errorMessages": ["'accountId' must be the only user reference"]}
            )
        self.issues[key]["fields"]["assignee"] = body
        return SaidToJira(204)

    def assign(self, key: str, body: dict[str, Any]) -> SaidToJira:
        name = body.get("name")
        if name is not None and name not in self.users:
            return SaidToJira(400, {"errors": {"assignee": f"User '{name}' does not exist."}})
        self.issues[key]["fields"]["assignee"] = name and {"name": name}
        return SaidToJira(204)

    def move(self, key: str, transition_id: str) -> SaidToJira:
        for each in self.transitions:
            if each["id"] == transition_id:
                self.issues[key]["fields"]["status"] = {"name": each["name"]}
                return SaidToJira(204)
        return SaidToJira(400, {"errorMessages": ["It seems that the transition is not valid"]})

    def search(self, jql: str, startAt: int, maxResults: int, fields: list[str]) -> SaidToJira:  # noqa: N803
        if not jql.startswith("project = "):
            return SaidToJira(400, {"errorMessages": [f"Error in the JQL Query: {jql!r}"]})
        found = self.hits(jql)
        issues = _shown(found[startAt : startAt + maxResults], fields)
        body = {"startAt": startAt, "maxResults": maxResults, "total": len(found)}
        return SaidToJira(200, body | {"issues": issues})

    def hits(self, jql: str) -> list[dict[str, Any]]:
        project = jql.removeprefix("project = ")
        return [each for key, each in self.issues.items() if key.startswith(f"{project}-")]

    def page(
        self,
        jql: str,
        maxResults: int,  # noqa: N803
        fields: list[str],
        nextPageToken: str = "0",  # noqa: N803
    ) -> SaidToJira:
        """At most two at once, as Jira Cloud may give fewer than asked for."""
        start = int(nextPageToken)
        end = start + min(maxResults, 2)
        found = self.hits(jql)
        more = {"nextPageToken": str(end)} if end < len(found) else {"isLast": True}
        return SaidToJira(200, {"issues": _shown(found[start:end], fields)} | more)

    def link(self, body: dict[str, Any]) -> SaidToJira:
        ends = {body["inwardIssue"]["key"], body["outwardIssue"]["key"]}
        if not ends <= self.issues.keys():
            return SaidToJira(404, {"errorMessages": ["Issue Does Not Exist"]})
        self.links[str(len(self.links) + 1)] = body
        return SaidToJira(201)

    def existing_link(self, method: str, link_id: str) -> SaidToJira:
        if link_id not in self.links:
            return SaidToJira(404, {"errorMessages": ["No issue link with id"]})
        if method == "DELETE":
            del self.links[link_id]
            return SaidToJira(204)
        return SaidToJira(200, {"id": link_id} | self.links[link_id])


def _shown(issues: list[dict[str, Any]], fields: list[str]) -> list[dict[str, Any]]:
    return [
        {"key": each["key"], "fields": {key: each["fields"].get(key) for key in fields}}
        for each in issues
    ]


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def get_environ(self) -> dict[str, Any]:
        return super().get_environ() | {"RAW_PATH": self.path}


class Served:
    """A WSGI application on a free port; use as a context manager."""

    def __init__(self, application: Any, tls: SSLContext | None = None) -> None:
        self._server = make_server("127.0.0.1", 0, application, WSGIServer, _Quiet)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _sent(environ: dict[str, Any]) -> Sent:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    content = environ["wsgi.input"].read(length) if length else b""
    return Sent(
        environ["REQUEST_METHOD"],
        environ["RAW_PATH"],
        environ.get("HTTP_AUTHORIZATION", ""),
        environ.get("CONTENT_TYPE", "").split(";")[0],
        json.loads(content) if content else None,
        unquote_plus(environ.get("QUERY_STRING", "").removeprefix("query=")),
    )


def _basic() -> str:
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
