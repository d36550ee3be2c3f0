"""What an operator can set, with the Go pack's environment as the fallback.

Owns names, defaults and their checks. Must not know Slack's API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from flyte_pack_kit import check_more_than_zero, check_zero_or_more, complete, read_variable

_ENVIRONMENT = {"token": "FLYTE_SLACK_TOKEN", "app_token": "FLYTE_SLACK_APP_TOKEN"}
_HOURS = "RENEW_CONVERSATION_LIST"
_GO_HOURS = 24.0


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """The table ``[packs.<pack>.settings]``."""

    token: str = field(default="", repr=False)
    """The bot's token, ``xoxb-…``; empty: the variable FLYTE_SLACK_TOKEN."""

    app_token: str = field(default="", repr=False)
    """The app's token for socket mode, ``xapp-…``; empty: the variable FLYTE_SLACK_APP_TOKEN.

    Without one the pack has its commands and raises no events.
    """

    api_url: str = "https://slack.com/api/"
    """Where Slack's Web API is."""

    timeout_seconds: float = 30
    """How long Slack may take to accept a connection, and then for the whole answer."""

    rate_limit_seconds: float = 120
    """How long a call may wait in all because Slack says that there were too many."""

    own_messages: bool = False
    """Whether messages and reactions of the pack itself come back as events."""

    private_channels: bool = False
    """Whether GetChannelInfo includes private channels, for which the bot needs a scope."""

    channel_cache_hours: float = 0
    """How long the list of channels is kept; 0: RENEW_CONVERSATION_LIST, or 24."""

    user_cache_seconds: float = 3600
    """How long the pack keeps what Slack says about a user."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: those of the system."""

    go_compatible: bool = True
    """Whether to keep the Go pack's mistakes that flows may rely on; see the README."""

    def __post_init__(self) -> None:
        for name in ("timeout_seconds", "rate_limit_seconds"):
            check_more_than_zero(name, getattr(self, name))
        for name in ("channel_cache_hours", "user_cache_seconds"):
            check_zero_or_more(name, getattr(self, name))
        parts = urlsplit(self.api_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            expected = "one like 'https://slack.com/api/'"
            raise ValueError(f"api_url: found {self.api_url!r}, expected {expected}")

    def completed(self, environ: Mapping[str, str]) -> "SlackSettings":
        """Fill what was not set from the environment; raises ValueError if something is missing."""
        found = complete(self, _ENVIRONMENT, environ, frozenset({"app_token"}))
        _check_kind("token", found.token, usual="xoxb-", other="xapp-")
        _check_kind("app_token", found.app_token, usual="xapp-", other="xox")
        hours = self.channel_cache_hours or _hours(read_variable(_HOURS, environ))
        return replace(found, channel_cache_hours=hours)


def _check_kind(name: str, token: str, *, usual: str, other: str) -> None:
    """The two are easily confused; Slack judges a token with an unknown prefix."""
    if token.startswith(other):
        expected = f"a token that begins with {usual!r}"
        raise ValueError(f"{name}: found one that begins with {other!r}, expected {expected}")
    if token.startswith(('"', "'")) or token.lower().startswith("bearer "):
        raise ValueError(f"{name}: found one in quotes or after the word Bearer, expected it alone")


def _hours(text: str) -> float:
    if not text:
        return _GO_HOURS
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"{_HOURS}: found {text!r}, expected a whole number of hours")
    return float(text)
