"""The Jira pack: its commands in the order of the Go pack, and its health.

Owns what flyte and the operator see of it as a whole.
"""

import os
from collections.abc import Mapping

from flyte_pack_kit import health_of

from flyte_host import Command, Health, HealthCheck, PackDef, hookimpl
from flyte_pack_jira import commands_create, commands_issues, commands_links, commands_workflow
from flyte_pack_jira.client import JiraClient
from flyte_pack_jira.settings import JiraSettings

HELP_URL = "https://github.com/ExpediaGroup/flyte-jira/blob/master/README.md"


class JiraPack:
    """Issues, transitions, search and links; drop-in for the Go pack flyte-jira.

    ``environ`` is where the Go pack's variables are looked up (None: the process's own).
    """

    def __init__(self, settings: JiraSettings, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings.completed(os.environ if environ is None else environ)
        self._jira = JiraClient(self._settings)

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Jira", HELP_URL, commands=self._commands())

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: restarting the host does not repair Jira, and its other packs are fine.
        return [HealthCheck("jira", self._check, critical=False)]

    def _commands(self) -> list[Command]:
        jira, go_compatible = self._jira, self._settings.go_compatible
        issue = commands_issues.IssueCommands(jira)
        new = commands_create.CreateCommands(jira, go_compatible=go_compatible)
        flow = commands_workflow.WorkflowCommands(jira, go_compatible=go_compatible)
        link = commands_links.LinkCommands(jira)
        link_events = commands_links.LINK_EVENTS
        return [
            Command("IssueInfo", issue.info, commands_issues.INFO_EVENTS, idempotent=True),
            Command("CreateIssue", new.create, commands_create.CREATE_ISSUE_EVENTS),
            Command("CreateIncIssue", new.create_incident, new.incident_events),
            Command("CommentIssue", issue.comment, commands_issues.COMMENT_EVENTS),
            Command(
                "GetTransitions",
                flow.get_transitions,
                commands_workflow.GET_TRANSITIONS_EVENTS,
                idempotent=True,
            ),
            Command("Transition", flow.transition, commands_workflow.TRANSITION_EVENTS),
            Command("SearchIssues", flow.search, commands_workflow.SEARCH_EVENTS, idempotent=True),
            Command("IssueAssign", issue.assign, commands_issues.ASSIGN_EVENTS),
            Command("IssueCreateLink", link.create, link_events),
            Command("IssueGetLink", link.get, link_events, idempotent=True),
            Command("IssueDeleteLink", link.delete, link_events),
        ]

    def _check(self) -> Health:
        # Asks who we are: other questions get an answer even without a valid password.
        return health_of(self._jira, "Jira", "myself")
