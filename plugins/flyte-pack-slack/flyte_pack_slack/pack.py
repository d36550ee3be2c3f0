"""The Slack pack: its commands and events, and its health.

Owns what flyte and the operator see of it as a whole.
"""

import os
from collections.abc import Callable, Mapping
from threading import Event as ThreadEvent

from flyte_pack_kit import HEALTH_LIMIT_SECONDS

from flyte_host import Command, Event, Health, HealthCheck, PackDef, hookimpl
from flyte_pack_slack import further_commands as further
from flyte_pack_slack import message_commands as messages
from flyte_pack_slack.directory import Directory
from flyte_pack_slack.settings import SlackSettings
from flyte_pack_slack.slack_api import SlackApi, SlackFailed, SlackTiming
from flyte_pack_slack.slack_events import EVENTS, SlackTranslator
from flyte_pack_slack.slack_observer import SlackObserver

HELP_URL = "https://github.com/ExpediaGroup/flyte-slack/blob/master/README.md"


class SlackPack:
    """Messages, reactions, slash commands and buttons; drop-in for the Go pack flyte-slack.

    ``environ`` is where the Go pack's variables are looked up (None: the process's own), ``timing``
    how time passes.
    """

    def __init__(
        self,
        settings: SlackSettings,
        environ: Mapping[str, str] | None = None,
        timing: SlackTiming | None = None,
    ) -> None:
        timing = timing or SlackTiming()
        self._settings = settings.completed(os.environ if environ is None else environ)
        self._api = SlackApi(self._settings, timing)
        self._directory = Directory(self._api, self._settings, timing.monotonic)
        translator = SlackTranslator(self._directory, self._settings)
        self._observer = SlackObserver(self._api, translator, self._settings, timing)

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Slack", HELP_URL, event_defs=EVENTS, commands=self._commands())

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        # Not critical: restarting the host does not repair Slack, and its other packs are fine.
        return [HealthCheck("slack", self._check, critical=False)]

    @hookimpl
    def flyte_observe(self, emit: Callable[[Event], None], stopping: ThreadEvent) -> None:
        if self._settings.app_token:
            self._observer.observe(emit, stopping)
        else:
            stopping.wait()

    def _commands(self) -> list[Command]:
        own = messages.MessageCommands(
            self._api, self._directory, go_compatible=self._settings.go_compatible
        )
        more = further.FurtherCommands(self._api)
        sent = [messages.MESSAGE_SENT, messages.SEND_MESSAGE_FAILED]
        info = [messages.GET_CHANNEL_INFO_SUCCESS, messages.GET_CHANNEL_INFO_FAIL]
        # The Go pack declares the events of SendMessage for it, and flows may rely on that.
        info = [*sent, *info] if self._settings.go_compatible else info
        rich = [messages.RICH_MESSAGE_SENT, messages.SEND_RICH_MESSAGE_FAILED]
        private = [further.EPHEMERAL_MESSAGE_SENT, further.SEND_EPHEMERAL_MESSAGE_FAILED]
        reaction = [further.REACTION_SENT, further.SEND_REACTION_FAILED]
        file = [further.FILE_SENT, further.SEND_FILE_FAILED]
        limit = self._settings.rate_limit_seconds + 4 * self._settings.timeout_seconds
        return [
            Command("SendMessage", own.send_message, sent, timeout_seconds=limit),
            Command("SendRichMessage", own.send_rich_message, rich, timeout_seconds=limit),
            Command(
                "GetChannelInfo",
                own.get_channel_info,
                info,
                timeout_seconds=limit,
                idempotent=True,
            ),
            Command(
                "SendEphemeralMessage",
                more.send_ephemeral_message,
                private,
                timeout_seconds=limit,
            ),
            Command(
                "SendReaction", more.send_reaction, reaction, timeout_seconds=limit, idempotent=True
            ),
            Command("SendFile", more.send_file, file, timeout_seconds=limit),
        ]

    def _check(self) -> Health:
        limit = min(HEALTH_LIMIT_SECONDS, self._settings.timeout_seconds)
        try:
            found = self._api.call("auth.test", limit_seconds=limit)
        except SlackFailed as cause:
            if cause.is_slacks_word:
                return Health(False, f"Slack refuses the token: {cause}")
            return Health(False, f"Slack does not answer: {cause}")
        who = f"{found.get('team', 'Slack')} knows {found.get('user', 'the bot')}"
        if not self._settings.app_token:
            return Health(True, f"{who}; without app_token it raises no events")
        if self._observer.problem:
            return Health(False, f"{who}, but sends no events: {self._observer.problem}")
        return Health(True, f"{who} and sends events")
