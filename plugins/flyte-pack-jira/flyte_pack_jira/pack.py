"""The Jira pack: its commands in the order of the Go pack, and its health.

Owns what flyte and the operator see of it as a whole.
"""

import os
from collections.abc import Mapping

from flyte_pack_kit import health_of

from flyte_host import Command, Health, HealthCheck, PackDef, hookimpl
from flyte_pack_jira import create_commands, issue_commands, link_commands, workflow_commands
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
        issue = issue_commands.IssueCommands(jira)
        new = create_commands.CreateCommands(jira, go_compatible=go_compatible)
        flow = workflow_commands.WorkflowCommands(jira, go_compatible=go_compatible)
        link = link_commands.LinkCommands(jira)
        link_events = link_commands.LINK_EVENTS
        return [
            Command("IssueInfo", issue.info, issue_commands.INFO_EVENTS, idempotent=True),
            Command("CreateIssue", new.create, create_commands.CREATE_ISSUE_EVENTS),
            Command("CreateIncIssue", new.create_incident, new.incident_events),
            Command("CommentIssue", issue.comment, issue_commands.COMMENT_EVENTS),
            Command(
                "GetTransitions",
                flow.get_transitions,
                workflow_commands.GET_TRANSITIONS_EVENTS,
                idempotent=True,
            ),
            Command("Transition", flow.transition, workflow_commands.TRANSITION_EVENTS),
            Command("SearchIssues", flow.search, workflow_commands.SEARCH_EVENTS, idempotent=True),
            Command("IssueAssign", issue.assign, issue_commands.ASSIGN_EVENTS),
            Command("IssueCreateLink", link.create, link_events),
            Command("IssueGetLink", link.get, link_events, idempotent=True),
            Command("IssueDeleteLink", link.delete, link_events),
        ]

    def _check(self) -> Health:
        # Asks who we are: other questions get an answer even without a valid password.
        return health_of(self._jira, "Jira", "myself")
