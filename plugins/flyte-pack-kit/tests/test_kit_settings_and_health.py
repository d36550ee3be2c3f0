"""Settings of packs, and the health of the services behind them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flyte_pack_kit import (
    RestClient,
    RestTarget,
    check_both_or_none,
    check_more_than_zero,
    check_url,
    check_zero_or_more,
    complete,
    health_of,
    read_address,
)

from flyte_host import Health, NotSetUp
from tests.support.bad_servers import closed_port
from tests.support.rest_stand_in import RestReply, RestStandIn

VARIABLES = {"url": "THING_HOST", "user": "THING_USER", "token": "THING_TOKEN"}


@dataclass(frozen=True)
class ThingSettings:
    url: str = ""
    user: str = ""
    token: str = ""
    timeout_seconds: float = 30


def test_the_environment_steps_in_for_what_is_not_set() -> None:
    environ = {"THING_HOST": "there", "THING_USER": "bot", "OTHER": "x"}
    optional = frozenset({"token"})
    found = complete(ThingSettings(user="me", timeout_seconds=1), VARIABLES, environ, optional)
    assert found == ThingSettings("there", "me", "", 1)


def test_everything_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError) as raised:
        complete(ThingSettings(user="me"), VARIABLES, {"THING_HOST": ""})
    assert str(raised.value) == (
        "url: missing; set it in the pack's settings or as THING_HOST; "
        "token: missing; set it in the pack's settings or as THING_TOKEN"
    )


def test_the_end_of_a_windows_line_is_none_of_a_variable() -> None:
    given = ThingSettings(user="me", token="t")
    assert complete(given, VARIABLES, {"THING_HOST": "there\r"}).url == "there"


@pytest.mark.parametrize("value", ['"there"', "'there'"])
def test_a_variable_that_kept_its_quotes_is_named(value: str) -> None:
    with pytest.raises(
        ValueError, match="THING_HOST: found a value in quotes, expected it without"
    ):
        complete(ThingSettings(user="me", token="t"), VARIABLES, {"THING_HOST": value})


def test_a_pack_is_not_set_up_only_if_nothing_at_all_is_set() -> None:
    with pytest.raises(NotSetUp, match=r"url: missing; .*user: missing; .*token: missing; "):
        complete(ThingSettings(), VARIABLES, {"OTHER": "x"})
    for settings, environ in (
        (ThingSettings(url="there"), {}),
        (ThingSettings(), {"THING_USER": "me"}),
    ):
        with pytest.raises(ValueError, match="token: missing; ") as raised:
            complete(settings, VARIABLES, environ)
        assert not isinstance(raised.value, NotSetUp)


@pytest.mark.parametrize("url", ["thing", "ftp://thing", "https://", "localhost:8080"])
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        check_url(url, "https://thing.example.com")
    expected = f"url: found {url!r}, expected one like 'https://thing.example.com'"
    assert str(raised.value) == expected


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"^url: found a user or password in it") as raised:
        check_url("https://me:hidden@thing", "")
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("found", [0, -1.5, float("nan")])
def test_a_timeout_of_nothing(found: float) -> None:
    with pytest.raises(ValueError) as raised:
        check_more_than_zero("timeout_seconds", found)
    assert str(raised.value) == f"timeout_seconds: found {found:g}, expected more than 0"


@pytest.mark.parametrize("found", [-1, float("nan")])
def test_less_than_zero_is_refused(found: float) -> None:
    check_zero_or_more("longest", 0)
    with pytest.raises(ValueError) as raised:
        check_zero_or_more("longest", found)
    assert str(raised.value) == f"longest: found {found:g}, expected 0 or more"


def test_one_setting_without_the_other_is_refused() -> None:
    check_both_or_none(ThingSettings("there", "bot", "t"), "user", "token")
    check_both_or_none(ThingSettings("there"), "user", "token")
    for settings in (ThingSettings(user="bot"), ThingSettings(token="t")):
        with pytest.raises(ValueError, match="user, token: found one without the other, expected"):
            check_both_or_none(settings, "user", "token")


def test_an_address_is_a_host_and_a_port() -> None:
    assert read_address("at", "thing.example.com:25", "x:1") == ("thing.example.com", 25)
    assert read_address("at", "[::1]:65535", "x:1") == ("::1", 65535)
    assert read_address("at", "127.0.0.1:0", "x:1", least_port=0) == ("127.0.0.1", 0)


@pytest.mark.parametrize(
    "text", ["", "thing", ":25", "thing:", "thing:x", "thing:0", "thing:65536"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as raised:
        read_address("at", text, "thing.example.com:25")
    assert str(raised.value) == f"at: found {text!r}, expected one like 'thing.example.com:25'"


@pytest.fixture
def service() -> Iterator[RestStandIn]:
    with RestStandIn(lambda _: RestReply(200, {})) as running:
        yield running


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (RestReply(401), "{} refuses bot with 401: check user and password"),
        (RestReply(200, b"<html>"), "{} answers without JSON: set url to where Thing is"),
        (
            RestReply(302, headers=(("Location", "https://new/"),)),
            "{} sends us to https://new/: set url to where Thing is",
        ),
        (RestReply(503), "{} answers 503"),
    ],
)
def test_health_of_a_service_that_refuses(
    service: RestStandIn, reply: RestReply, status: str
) -> None:
    service.next_replies.append(reply)
    client = RestClient(RestTarget(service.url, "", "bot", "x"))
    assert health_of(client, "Thing", "me") == Health(False, status.format(service.url))


def test_health_of_a_service_that_answers(service: RestStandIn) -> None:
    known = RestClient(RestTarget(service.url, "", "bot", "x"))
    assert health_of(known, "Thing", "me", a="b") == Health(True, f"{service.url} knows bot")
    [request] = service.requests
    assert (request.raw_path, request.query) == ("/me", {"a": "b"})
    unknown = RestClient(RestTarget(service.url))
    assert health_of(unknown, "Thing") == Health(True, f"{service.url} answers")


def test_health_of_no_service() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    found = health_of(RestClient(RestTarget(url)), "Thing", "me")
    assert not found.healthy
    assert found.status.startswith(f"{url} does not answer: ConnectionError: ")
