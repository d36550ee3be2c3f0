"""Bamboo's REST API in the words of the Go pack.

Owns which call does what, and what a refusal is called. Must not know events.
"""

from collections.abc import Mapping
from threading import Event as ThreadEvent
from typing import Any

import msgspec
from flyte_pack_kit import NoAnswer, RestAnswer, RestClient, health_of

from flyte_host import Health
from flyte_pack_bamboo.settings import BambooSettings

_NOTHING = ""
"""An empty body, but as JSON: Bamboo refuses what a form on a foreign page could have sent."""
LEAST_DELAY_SECONDS = 1
"""What no delay counts as."""
_NOT_YET = 400
"""What Bamboo says while a build cannot continue to the stage."""


class BambooRefused(Exception):
    """Bamboo did not do it; the text is what the failure event says."""


class StageState(msgspec.Struct, frozen=True, rename="camel"):
    """A stage of a build, from Bamboo."""

    name: str = ""
    life_cycle_state: str = ""
    state: str = ""


class StageList(msgspec.Struct, frozen=True):
    stage: list[StageState] = []


class BuildResult(msgspec.Struct, frozen=True):
    stages: StageList = StageList()


class BambooMessage(msgspec.Struct, frozen=True):
    message: str = ""


class BambooApi:
    """Does what commands ask; every method raises BambooRefused. ``settings`` are completed."""

    def __init__(self, settings: BambooSettings) -> None:
        self._client = RestClient(settings.target())
        self._max_retry_seconds = settings.max_retry_seconds
        self._stopping = ThreadEvent()

    def stop(self) -> None:
        """Stop waiting for another attempt."""
        self._stopping.set()

    def health(self) -> Health:
        # Asks who we are: other questions get an answer even without a valid password.
        return health_of(self._client, "Bamboo", "currentUser")

    def add_label(self, build: str, label: str) -> None:
        segments = ("POST", "result", build, "label")
        self._do("Could not apply label", f"label={label}", 204, *segments, body={"name": label})

    def delete_label(self, build: str, label: str) -> None:
        segments = ("DELETE", "result", build, "label", label)
        self._do("could not delete label", f"label={label}", 204, *segments)

    def add_comment(self, build: str, comment: str) -> None:
        segments = ("POST", "result", build, "comment")
        body = {"content": comment}
        self._do("could not apply Comment", f"comment={comment}", 204, *segments, body=body)

    def enable_plan(self, plan: str) -> None:
        segments = ("POST", "plan", plan, "enable")
        self._do("could not enable plan", f"plan={plan}", 204, *segments)

    def trigger_plan(self, plan: str) -> None:
        query = {"executeAllStages": "false"}
        self._do("Could not start Plan", f"plan={plan}", 200, "POST", "queue", plan, query=query)

    def stage(self, build: str, name: str) -> StageState | None:
        """The stage of a build; None if it has none with this name."""
        segments = ("result", f"{build}.json")
        about = f"GET failed: path={self._client.path(*segments)} : stage={name}"
        answer = self._send(about, "GET", *segments, query={"expand": "stages"})
        if answer.status != 200:
            raise BambooRefused(f"{about} : statusCode={answer.status}{_words_of(answer)}")
        result = answer.decoded(BuildResult)
        if result.error:
            raise BambooRefused(f"{about} : err={result.error}")
        return next((each for each in result.value.stages.stage if each.name == name), None)

    def start_stage(
        self, build: str, stage: str, variables: Mapping[str, str], *, attempts: int, delay: int
    ) -> None:
        """Start the stage, and again after ``delay`` seconds while Bamboo says: not yet."""
        query = {"stage": stage, "executeAllStages": "false"}
        query |= {f"bamboo.variable.{name}": value for name, value in variables.items()}
        # Without a delay too: a flow that wants a million attempts must not keep asking for hours.
        most = int(self._max_retry_seconds / max(delay, LEAST_DELAY_SECONDS))
        waits = min(max(attempts, 1) - 1, most)
        for _ in range(waits):
            if self._started(build, stage, query):
                return
            if self._stopping.wait(max(delay, 0)):
                raise BambooRefused("no further attempt, because the host is stopping")
        if not self._started(build, stage, query):
            reached = f"failed to progress reached maximum number of retryCount: [{attempts}]"
            raise BambooRefused(reached)

    def _started(self, build: str, stage: str, query: Mapping[str, str]) -> bool:
        about = f"Build: {build},stage: {stage}"
        failed = f"bamboo is not answering. {about}"
        answer = self._send(failed, "PUT", "queue", build, body=_NOTHING, query=query)
        if answer.is_html or (answer.status != _NOT_YET and not 200 <= answer.status < 299):
            told = f"bamboo is returning a {answer.status} error. {about}{_words_of(answer)}"
            raise BambooRefused(told)
        return answer.status != _NOT_YET

    def _do(
        self,
        failed: str,
        about: str,
        expected_status: int,
        method: str,
        *segments: str,
        body: Any = _NOTHING,
        query: Mapping[str, str] | None = None,
    ) -> None:
        path = self._client.path(*segments)
        told = f"{failed}: {method} failed: path={path} : {about}"
        answer = self._send(told, method, *segments, body=body, query=query)
        if answer.is_html or answer.status != expected_status:
            raise BambooRefused(f"{told} : statusCode={answer.status}{_words_of(answer)}")

    def _send(
        self,
        failed: str,
        method: str,
        *segments: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> RestAnswer:
        try:
            return self._client.send(method, *segments, query=query, body=body)
        except NoAnswer as cause:
            raise BambooRefused(f"{failed} : err={cause}") from cause


def _words_of(answer: RestAnswer) -> str:
    """`` (Bamboo's own sentence)`` to append to the Go pack's text, or nothing."""
    message = answer.stranger or answer.decoded(BambooMessage).value.message
    return answer.words.in_brackets(message)
