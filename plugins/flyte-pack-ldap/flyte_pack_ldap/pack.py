"""The LDAP pack: GetGroups, and whether the directory lets the pack search.

Owns what flyte and the operator see of it as a whole.
"""

import os
from collections.abc import Mapping
from typing import Any

import msgspec
from flyte_pack_kit import HEALTH_LIMIT_SECONDS, decode

from flyte_host import Command, Event, EventDef, Health, HealthCheck, PackDef, fatal_event, hookimpl
from flyte_pack_ldap.directory import DirectoryFailed, LdapDirectory
from flyte_pack_ldap.group_names import group_names
from flyte_pack_ldap.settings import LdapSettings

HELP_URL = "https://github.com/ExpediaGroup/flyte-ldap/blob/master/README.md"
GROUPS_RETRIEVED = EventDef("GroupsRetrieved")
"""Payload: ``{username, usergroups: [str]}``; with ``go_compatible`` no key for no groups."""
GROUPS_RETRIEVAL_ERROR = EventDef("GroupsRetrievalError")
"""Payload: ``{username, error}``; with ``go_compatible`` no key for an empty username."""


class GetGroupsInput(msgspec.Struct, frozen=True):
    username: str = ""


class LdapPack:
    """Tells the groups of a user; drop-in for the Go pack flyte-ldap.

    ``environ`` is where the Go pack's variables are looked up (None: the process's own).
    """

    def __init__(self, settings: LdapSettings, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings.completed(os.environ if environ is None else environ)
        self._directory = LdapDirectory(self._settings)

    @hookimpl
    def flyte_pack(self) -> PackDef:
        events = [GROUPS_RETRIEVED, GROUPS_RETRIEVAL_ERROR]
        command = Command("GetGroups", self._get_groups, events, idempotent=True)
        return PackDef("ldap", HELP_URL, commands=[command])

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: a restart would not repair the directory, and its other packs are fine.
        return [HealthCheck("ldap", self._check, critical=False)]

    def _get_groups(self, input: Any) -> Event:
        decoded = decode(GetGroupsInput, input)
        username = decoded.value.username
        if decoded.error:
            return self._unreadable(f"Json unmarshalling error: {decoded.error}")
        if not username:
            return self._failed(username, "No Username provided.")
        try:
            entries = self._directory.entries(username)
        except DirectoryFailed as cause:
            return self._failed(username, str(cause))
        return self._found(username, entries)

    def _found(self, username: str, entries: list[list[str]]) -> Event:
        compatible = self._settings.go_compatible
        if not compatible and len(entries) != 1:
            return self._failed(username, f"LDAP group error: {len(entries)} users found")
        groups = group_names(entries[0] if entries else [], self._settings.group_attribute)
        told = {} if compatible and not groups else {"usergroups": groups}
        return GROUPS_RETRIEVED({"username": username} | told)

    def _unreadable(self, error: str) -> Event:
        if self._settings.go_compatible:
            return fatal_event({"error": error})
        return self._failed("", error)

    def _failed(self, username: str, error: str) -> Event:
        told = {} if self._settings.go_compatible and not username else {"username": username}
        return GROUPS_RETRIEVAL_ERROR(told | {"error": error})

    def _check(self) -> Health:
        try:
            self._directory.probe(HEALTH_LIMIT_SECONDS)
        except DirectoryFailed as cause:
            return Health(False, f"{self._settings.url}: {cause}")
        return Health(True, f"{self._settings.url} lets {self._settings.bind_username} search")
