"""A stand-in for Bitbucket Data Center, from the documentation of its REST API 1.0."""

from typing import Any

from tests.support.rest_stand_in import RestReply, RestRequest, basic

USER, PASSWORD = "flyte", "pa€word"


class BitBucket:
    """Projects and the names of their repositories."""

    def __init__(self) -> None:
        self.projects: dict[str, list[str]] = {"FOO": ["old"], "~ann": []}
        self.url = ""

    def answer(self, request: RestRequest) -> RestReply:
        if request.headers.get("authorization") != basic(USER, PASSWORD):
            return _errors(401, "Authentication failed. Please check your credentials.")
        match [request.method, *request.segments]:
            case ["GET", "rest", "api", "1.0", "projects"]:
                values = [{"key": key} for key in self.projects]
                return RestReply(200, {"size": len(values), "values": values})
            case ["POST", "rest", "api", "1.0", "projects", key, "repos"] if key in self.projects:
                return self.create(key, request.body["name"])
            case ["POST", "rest", "api", "1.0", "projects", key, "repos"]:
                return _errors(404, f"Project {key} does not exist.")
        return RestReply(404, b"<html>Oops</html>")

    def create(self, key: str, name: str) -> RestReply:
        if not name:
            return _errors(400, "The repository name is required.")
        if name in self.projects[key]:
            return _errors(409, "This repository URL is already taken.")
        self.projects[key].append(name)
        href = f"{self.url}/projects/{key}/repos/{name}/browse"
        body: dict[str, Any] = {"slug": name, "name": name, "links": {"self": [{"href": href}]}}
        return RestReply(201, body)


def _errors(status: int, message: str) -> RestReply:
    error = {"context": None, "message": message, "exceptionName": "x"}
    return RestReply(status, {"errors": [error]})
