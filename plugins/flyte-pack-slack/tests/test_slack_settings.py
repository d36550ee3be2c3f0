"""Settings, the Go pack's environment, what the README promises, and the pack in a host."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flyte_pack_slack import SlackPack, SlackSettings

from flyte_host.testing.waiting import wait_until

from .slack_stand_in import APP_TOKEN, TOKEN, SlackStandIn

README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds: found 0, expected more than 0"),
        ({"rate_limit_seconds": -1}, "rate_limit_seconds: found -1, expected more than 0"),
        ({"channel_cache_hours": -1}, "channel_cache_hours: found -1, expected 0 or more"),
        ({"user_cache_seconds": -1}, "user_cache_seconds: found -1, expected 0 or more"),
        ({"api_url": "slack.com"}, "api_url: found 'slack.com', expected one like 'https://slack"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        SlackSettings(**settings)
    assert str(raised.value).startswith(problem)


@pytest.mark.parametrize(
    ("settings", "environ", "problem"),
    [
        ({}, {}, "token: missing; set it in the pack's settings or as FLYTE_SLACK_TOKEN"),
        (
            {"token": "xapp-1"},
            {},
            "token: found one that begins with 'xapp-', expected a token that begins with 'xoxb-'",
        ),
        (
            {"token": TOKEN},
            {"FLYTE_SLACK_APP_TOKEN": "xoxb-1"},
            "app_token: found one that begins with 'xox', expected a token that begins with",
        ),
        (
            {},
            {"FLYTE_SLACK_TOKEN": '"xoxb-1"'},
            "FLYTE_SLACK_TOKEN: found a value in quotes, expected it without",
        ),
        (
            {"token": TOKEN, "app_token": "Bearer xapp-1"},
            {},
            "app_token: found one in quotes or after the word Bearer, expected it alone",
        ),
        (
            {"token": TOKEN},
            {"RENEW_CONVERSATION_LIST": "1.5"},
            "RENEW_CONVERSATION_LIST: found '1.5', expected a whole number of hours",
        ),
    ],
)
def test_a_missing_or_confused_token_is_refused(
    settings: dict[str, str], environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(ValueError) as raised:
        SlackSettings(**settings).completed(environ)  # type: ignore[arg-type]
    assert str(raised.value).startswith(problem)
    assert "xoxb-1" not in problem


def test_the_environment_steps_in() -> None:
    environ = {
        "FLYTE_SLACK_TOKEN": "xoxb-env\r",
        "FLYTE_SLACK_APP_TOKEN": "xapp-env",
        "RENEW_CONVERSATION_LIST": "2",
    }
    found = SlackSettings().completed(environ)
    assert (found.token, found.app_token, found.channel_cache_hours) == ("xoxb-env", "xapp-env", 2)
    own = SlackSettings("xoxb-own", "xapp-own", channel_cache_hours=3).completed(environ)
    assert (own.token, own.app_token, own.channel_cache_hours) == ("xoxb-own", "xapp-own", 3)
    assert SlackSettings("xoxb-own").completed({}).channel_cache_hours == 24


def test_the_example_answers_once(flyte_server: Any, flyte_run_host: Callable[..., Any]) -> None:
    flyte_server.put_flow(README.split("```yaml\n")[1].split("```")[0])
    with SlackStandIn() as one, SlackStandIn() as other:
        packs = {
            name: {
                "plugin": "slack",
                "labels": {"workspace": name},
                "settings": {"token": TOKEN, "app_token": APP_TOKEN, "api_url": slack.url},
            }
            for name, slack in {"one": one, "other": other}.items()
        }
        host = flyte_run_host({"slack": SlackPack}, packs=packs)
        wait_until(lambda: one.connected and other.connected, "both are connected")
        message = {"type": "message", "channel": "C1", "user": "UANN", "text": "hello", "ts": "1.2"}
        one.tell_event(message)
        wait_until(lambda: one.posted or other.posted, "it is answered")
        sent = {"channel": "C1", "thread_ts": "1.2", "text": "Hello, Ann!"}
        assert [*one.posted, *other.posted] == [sent]
        assert flyte_server.packs() == ["Slack.workspace.one", "Slack.workspace.other"]
        status, page = host.page("/")
        assert (status, [each["healthy"] for each in page.values()]) == (200, [True] * len(page))
