"""A stand-in for Bamboo Data Center, from the documentation of its REST API."""

from collections import defaultdict
from typing import Any

from tests.support.rest_stand_in import RestReply, RestRequest, basic

USER, PASSWORD = "flyte", "pa€word"
BUILD, PLAN = "FOO-BAR-7", "FOO-BAR"
COMMANDS = {
    "AddLabel": ["AddedLabel", "FailedToAddLabel"],
    "DeleteLabel": ["DeletedLabel", "FailedToDeleteLabel"],
    "StartStage": ["StartStageSuccess", "FailedToStartStage"],
    "TriggerPlan": ["PlanTriggered", "FailedToTriggerPlan"],
    "EnablePlan": ["PlanEnabled", "FailedToEnablePlan"],
    "AddComment": ["CommentAdded", "FailedToAddComment"],
    "GetLifecycleState": ["GetLifeCycleState", "GetLifeCycleFailed"],
}


class BambooServer:
    """One build of one plan, and what was done to it."""

    def __init__(self) -> None:
        self.labels: dict[str, list[str]] = defaultdict(list)
        self.comments: list[str] = []
        self.queued: list[dict[str, str]] = []
        self.enabled = False
        self.not_yet = 0
        """How often a stage cannot be started yet."""

    def answer(self, request: RestRequest) -> RestReply:
        if request.headers.get("authorization") != basic(USER, PASSWORD):
            return RestReply(401, b"<html>Unauthorized</html>")
        match [request.method, *request.segments[:3], *request.segments[3:]]:
            case ["GET", "rest", "api", "latest", "currentUser"]:
                return RestReply(200, {"name": USER})
            case ["PUT" | "POST" as method, "rest", "api", "latest", "queue", key]:
                return self.queue(method, key, request.query)
            case ["POST", "rest", "api", "latest", "plan", "FOO-BAR", "enable"]:
                self.enabled = True
                return RestReply(204)
            case [method, "rest", "api", "latest", "result", key, *rest] if key.startswith(BUILD):
                return self.result(method, key, rest, request)
        return _refused(404, f"{request.segments[-1]} not found.")

    def queue(self, method: str, key: str, query: dict[str, str]) -> RestReply:
        if (method, key) not in {("PUT", BUILD), ("POST", PLAN)}:
            return _refused(404, f"Plan {key} not found.")
        if self.not_yet:
            self.not_yet -= 1
            return _refused(400, "The build is not ready.")
        self.queued.append(query)
        return RestReply(200, {"buildNumber": 7})

    def result(self, method: str, key: str, rest: list[str], request: RestRequest) -> RestReply:
        match [method, *rest]:
            case ["POST", "label"]:
                self.labels[key].append(request.body["name"])
                return RestReply(204)
            case ["DELETE", "label", label] if label in self.labels[key]:
                self.labels[key].remove(label)
                return RestReply(204)
            case ["POST", "comment"]:
                self.comments.append(request.body["content"])
                return RestReply(204)
            case ["GET"] if key == f"{BUILD}.json" and request.query == {"expand": "stages"}:
                return RestReply(200, {"key": BUILD, "stages": {"stage": STAGES}})
        return _refused(404, "Not found.")


STAGES: list[dict[str, Any]] = [
    {"name": "Build", "lifeCycleState": "Finished", "state": "Successful", "manual": False},
    {"name": "Deploy", "lifeCycleState": "NotBuilt", "state": "Unknown", "manual": True},
]


def _refused(status: int, message: str) -> RestReply:
    return RestReply(status, {"message": message, "status-code": status})
