"""The Slack pack of flyte as a plugin of flyte-host."""

from flyte_pack_slack.pack import SlackPack
from flyte_pack_slack.settings import SlackSettings

__all__ = ["SlackPack", "SlackSettings"]
