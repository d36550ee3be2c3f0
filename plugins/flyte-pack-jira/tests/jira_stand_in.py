"""A small Jira for tests: real HTTP on a free port of this machine, with facts of REST v2."""

from ssl import SSLContext
from typing import Any

from tests.support.rest_stand_in import RestReply, RestRequest, RestStandIn, basic

GONE = "The requested API has been removed. Please migrate to /rest/api/3/search/jql."
USER, PASSWORD = "flyte", "pa€word"


class Jira(RestStandIn):
    """Issues and links; ``accounts``, if there are any, are the users of a Jira Cloud."""

    def __init__(self, tls: SSLContext | None = None) -> None:
        super().__init__(self.reply, tls)
        self.issues: dict[str, dict[str, Any]] = {}
        self.comments: dict[str, list[str]] = {}
        self.transitions: list[dict[str, str]] = []
        self.links: dict[str, dict[str, Any]] = {}
        self.users = {"bob"}
        self.accounts: list[dict[str, str]] = []

    def reply(self, sent: RestRequest) -> RestReply:
        if sent.headers.get("authorization") != basic(USER, PASSWORD):
            return RestReply(401, b"<html>Unauthorized (401)</html>")
        if sent.method in {"POST", "PUT"} and sent.headers["content-type"] != "application/json":
            return RestReply(415)
        segments = sent.segments[3:]
        match segments:
            case ["issue", key, *rest] if key in self.issues:
                return self.existing_issue(sent.method, key, rest, sent.body)
            case ["issueLink", link_id]:
                return self.existing_link(sent.method, link_id)
        return self.other(sent, segments)

    def other(self, sent: RestRequest, segments: list[str]) -> RestReply:  # noqa: PLR0911  one for each call
        body = sent.body
        match [sent.method, *segments]:
            case ["GET", "myself"]:
                return RestReply(200, {"name": USER})
            case ["POST", "search"]:
                return (
                    RestReply(410, {"errorMessages": [GONE]})
                    if self.accounts
                    else self.search(**body)
                )
            case ["POST", "search", "jql"] if self.accounts:
                return self.page(**body)
            case ["POST", "search", "approximate-count"] if self.accounts:
                return RestReply(200, {"count": len(self.hits(body["jql"]))})
            case ["GET", "user", "search"] if self.accounts:
                return RestReply(
                    200, [each for each in self.accounts if sent.query["query"] in str(each)]
                )
            case ["POST", "issue", ""]:
                return self.create(body["fields"])
            case ["POST", "issueLink"]:
                return self.link(body)
        return RestReply(404, {"errorMessages": ["Issue Does Not Exist"], "errors": {}})

    def existing_issue(self, method: str, key: str, rest: list[str], body: Any) -> RestReply:
        match [method, *rest]:
            case ["GET"]:
                return RestReply(200, self.issues[key])
            case ["POST", "comment"]:
                self.comments.setdefault(key, []).append(body["body"])
                return RestReply(201, {"id": "10000", "body": body["body"]})
            case ["PUT", "assignee"]:
                return self.assign_account(key, body) if self.accounts else self.assign(key, body)
            case ["GET", "transitions"]:
                return RestReply(200, {"expand": "transitions", "transitions": self.transitions})
            case ["POST", "transitions"]:
                return self.move(key, body["transition"]["id"])
        return RestReply(405)

    def create(self, fields: dict[str, Any]) -> RestReply:
        if not fields["summary"]:
            errors = {"summary": "You must specify a summary of the issue."}
            return RestReply(400, {"errorMessages": [], "errors": errors})
        key = f"{fields['project']['key']}-{len(self.issues) + 1}"
        self.issues[key] = {"id": "10001", "key": key, "fields": fields}
        own = f"{self.url}/rest/api/2/issue/10001"
        return RestReply(201, {"id": "10001", "key": key, "self": own})

    def assign_account(self, key: str, body: dict[str, str | None]) -> RestReply:
        known = {each["accountId"] for each in self.accounts}
        if set(body) != {"accountId"} or body["accountId"] not in {*known, None}:
            return RestReply(
                400, {"errorMessages": ["'accountId' must be the only user reference"]}
            )
        self.issues[key]["fields"]["assignee"] = body
        return RestReply(204)

    def assign(self, key: str, body: dict[str, Any]) -> RestReply:
        name = body.get("name")
        if name is not None and name not in self.users:
            return RestReply(400, {"errors": {"assignee": f"User '{name}' does not exist."}})
        self.issues[key]["fields"]["assignee"] = name and {"name": name}
        return RestReply(204)

    def move(self, key: str, transition_id: str) -> RestReply:
        for each in self.transitions:
            if each["id"] == transition_id:
                self.issues[key]["fields"]["status"] = {"name": each["name"]}
                return RestReply(204)
        return RestReply(400, {"errorMessages": ["It seems that the transition is not valid"]})

    def search(self, jql: str, startAt: int, maxResults: int, fields: list[str]) -> RestReply:  # noqa: N803
        if not jql.startswith("project = "):
            return RestReply(400, {"errorMessages": [f"Error in the JQL Query: {jql!r}"]})
        found = self.hits(jql)
        issues = _shown(found[startAt : startAt + maxResults], fields)
        body = {"startAt": startAt, "maxResults": maxResults, "total": len(found)}
        return RestReply(200, body | {"issues": issues})

    def hits(self, jql: str) -> list[dict[str, Any]]:
        project = jql.removeprefix("project = ")
        return [each for key, each in self.issues.items() if key.startswith(f"{project}-")]

    def page(
        self,
        jql: str,
        maxResults: int,  # noqa: N803
        fields: list[str],
        nextPageToken: str = "0",  # noqa: N803
    ) -> RestReply:
        """At most two at once, as Jira Cloud may give fewer than asked for."""
        start = int(nextPageToken)
        end = start + min(maxResults, 2)
        found = self.hits(jql)
        more = {"nextPageToken": str(end)} if end < len(found) else {"isLast": True}
        return RestReply(200, {"issues": _shown(found[start:end], fields)} | more)

    def link(self, body: dict[str, Any]) -> RestReply:
        ends = {body["inwardIssue"]["key"], body["outwardIssue"]["key"]}
        if not ends <= self.issues.keys():
            return RestReply(404, {"errorMessages": ["Issue Does Not Exist"]})
        self.links[str(len(self.links) + 1)] = body
        return RestReply(201)

    def existing_link(self, method: str, link_id: str) -> RestReply:
        if link_id not in self.links:
            return RestReply(404, {"errorMessages": ["No issue link with id"]})
        if method == "DELETE":
            del self.links[link_id]
            return RestReply(204)
        return RestReply(200, {"id": link_id} | self.links[link_id])


def _shown(issues: list[dict[str, Any]], fields: list[str]) -> list[dict[str, Any]]:
    return [
        {"key": each["key"], "fields": {key: each["fields"].get(key) for key in fields}}
        for each in issues
    ]
