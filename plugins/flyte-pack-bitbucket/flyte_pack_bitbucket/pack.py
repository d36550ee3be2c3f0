"""The BitBucket pack: createRepo, and whether Bitbucket knows the pack's user.

Owns what flyte and the operator see of it as a whole.
"""

import os
from collections.abc import Mapping
from typing import Any

import msgspec
from flyte_pack_kit import NoAnswer, RestAnswer, RestClient, decode, health_of

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, hookimpl
from flyte_pack_bitbucket.settings import BitBucketSettings

HELP_URL = "https://github.com/ExpediaGroup/flyte-bitbucket/blob/master/README.md"
CREATE_REPO = EventDef("createRepo")
"""Payload: ``{project, name, url}``."""
CREATE_REPO_FAILURE = EventDef("createRepoFailure")
"""Payload: ``{project, name, error}``."""


class CreateRepoInput(msgspec.Struct, frozen=True):
    project: str = ""
    name: str = ""


class RepoLink(msgspec.Struct, frozen=True):
    href: str = ""


class RepoLinks(msgspec.Struct, frozen=True):
    own: list[RepoLink] = msgspec.field(name="self", default_factory=list)


class CreatedRepo(msgspec.Struct, frozen=True):
    links: RepoLinks = RepoLinks()


class BitBucketMessage(msgspec.Struct, frozen=True):
    message: str = ""


class BitBucketErrors(msgspec.Struct, frozen=True):
    errors: list[BitBucketMessage] = []


class BitBucketPack:
    """Creates repositories; drop-in for the Go pack flyte-bitbucket.

    ``environ`` is where the Go pack's variables are looked up (None: the process's own).
    """

    def __init__(
        self, settings: BitBucketSettings, environ: Mapping[str, str] | None = None
    ) -> None:
        self._settings = settings.completed(os.environ if environ is None else environ)
        self._bitbucket = RestClient(self._settings.target())

    @hookimpl
    def flyte_pack(self) -> PackDef:
        # Not idempotent: there is no second repository of the same name.
        events = [CREATE_REPO, CREATE_REPO_FAILURE]
        return PackDef(
            "BitBucket", HELP_URL, commands=[Command("createRepo", self._create, events)]
        )

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: restarting the host does not repair Bitbucket, and its other packs are fine.
        return [HealthCheck("bitbucket", self._check, critical=False)]

    def _create(self, input: Any) -> Event:
        decoded = decode(CreateRepoInput, input)
        wanted = decoded.value
        if decoded.error:
            if self._settings.go_compatible:
                wanted = CreateRepoInput("unknown", "unknown")
            return _failed(wanted, f"Fail: input is not valid: {decoded.error}")
        segments = ("projects", wanted.project, "repos")
        about = f"POST failed: path={self._bitbucket.path(*segments)} : repo={wanted.name}"
        try:
            answer = self._bitbucket.send("POST", *segments, body={"name": wanted.name})
        except NoAnswer as cause:
            return _failed(wanted, f"Fail: Could not create repo: {about} : err={cause}")
        return _answered(wanted, answer, f"Fail: Could not create repo: {about}")

    def _check(self) -> Health:
        return health_of(self._bitbucket, "Bitbucket", "projects", limit="1")


def _answered(wanted: CreateRepoInput, answer: RestAnswer, about: str) -> Event:
    if answer.status != 201:
        return _failed(wanted, f"{about} : statusCode={answer.status}{_words_of(answer)}")
    decoded = answer.decoded(CreatedRepo)
    if decoded.error:
        return _failed(wanted, f"{about} : err={decoded.error}")
    links = decoded.value.links.own
    # Bitbucket has it, even if it does not say where.
    url = links[0].href if links else ""
    return CREATE_REPO({"project": wanted.project, "name": wanted.name, "url": url})


def _failed(wanted: CreateRepoInput, error: str) -> Event:
    told = {"project": wanted.project, "name": wanted.name, "error": error}
    return CREATE_REPO_FAILURE(told)


def _words_of(answer: RestAnswer) -> str:
    """`` (Bitbucket's own sentence)`` to append to the Go pack's text, or nothing."""
    errors = answer.decoded(BitBucketErrors).value.errors
    told = [answer.stranger, *(each.message for each in errors)]
    return answer.words.in_brackets("; ".join(filter(None, told)))
