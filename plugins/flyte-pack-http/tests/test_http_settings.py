"""Settings that cannot be meant, and what they say."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
from flyte_pack_http import HttpPack, HttpSettings
from flyte_pack_http.settings import HttpCredential, WebhookEntry

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

URLS = ["https://a.example.com"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds: found 0, expected more than 0"),
        ({"max_response_bytes": 0}, "max_response_bytes: found 0, expected more than 0"),
        ({"max_body_bytes": -1}, "max_body_bytes: found -1, expected more than 0"),
        ({"remember_seconds": 0}, "remember_seconds: found 0, expected more than 0"),
        (
            {"replay_window_seconds": float("nan")},
            "replay_window_seconds: found nan, expected more",
        ),
        ({"max_redirects": -1}, "max_redirects: found -1, expected 0 or more"),
        ({"allowed_networks": ["10.1.2.3/8"]}, "allowed_networks: 10.1.2.3/8 has host bits set"),
        ({"listen": "8095"}, "listen: found '8095', expected one like '127.0.0.1:8095'"),
        ({"listen": "[::1]:99999"}, "listen: found '[::1]:99999', expected one like"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        HttpSettings(**settings)
    assert str(raised.value).startswith(problem)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (("github", "github", "s"), "path: found 'github', expected one like '/github'"),
        (("/ü", "github", "s"), "path: found '/ü', expected one like '/github'"),
        (("/a", "github", ""), "secret: kind 'github': found none, expected one, as the kind is"),
        (("/a", "open", "s"), "secret: kind 'open': found one, expected none"),
        (("/a", "hmac", "s"), "header: expected one with the kinds 'hmac' and 'token' only"),
        (("/a", "github", "s", "", "", "X"), "header: expected one with the kinds 'hmac' and"),
        (("/a", "token", "s", "", "", "X Y"), "header: found 'X Y', expected the name of a header"),
        (("/a", "github", "s", "", "FATAL"), "event: found 'FATAL', expected a name that does not"),
        (("/a", "standard", "whsec_?"), "secret: kind 'standard': expected base64 after 'whsec_'"),
    ],
)
def test_webhooks_that_do_not_fit(entry: Any, problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        WebhookEntry(*entry)
    assert str(raised.value).startswith(problem)


def test_a_path_belongs_to_one_webhook() -> None:
    hooks = {name: WebhookEntry("/a", "github", "secret") for name in ("one", "two")}
    with pytest.raises(ValueError, match="webhooks: found the path '/a' twice, expected once"):
        HttpSettings(webhooks=hooks)


@pytest.mark.parametrize(
    ("credential", "problem"),
    [
        ({"urls": URLS}, "token, user, header: found none, expected one of them"),
        ({"urls": URLS, "token": "t", "user": "u"}, "token, user, header: found token and user,"),
        ({"urls": URLS, "header": "X"}, "header, secret: expected the name of a header and its"),
        ({"urls": [], "token": "t"}, "urls: found none, expected the URLs that get this"),
        ({"urls": ["a.example.com"], "token": "t"}, "urls: found 'a.example.com', expected one"),
        ({"urls": ["https://a:x"], "token": "t"}, "urls: found 'https://a:x', expected one like"),
    ],
)
def test_credentials_that_do_not_fit(credential: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError) as raised:
        HttpCredential(**credential)
    assert str(raised.value).startswith(problem)


@pytest.mark.parametrize(
    ("url", "covered"),
    [
        ("https://a.example.com/v1", True),
        ("https://a.example.com/v1/x", True),
        ("https://a.example.com:443/v1", True),
        ("https://A.EXAMPLE.COM/v1", True),
        ("https://a.example.com/v10", False),
        ("https://a.example.com/", False),
        ("http://a.example.com/v1", False),
        ("https://a.example.com:8443/v1", False),
        ("https://a.example.com.evil.com/v1", False),
        ("https://a.example.com@evil.com/v1", False),
        ("https://a.example.com/v1/../x", False),
        ("https://a.example.com/v1/%2e%2e/x", False),
        ("https://a.example.com:x/v1", False),
    ],
)
def test_where_a_credential_may_go(url: str, covered: bool) -> None:
    assert HttpCredential(["https://a.example.com/v1/"], token="t").covers(url) == covered


def test_it_listens_in_a_process_of_its_own(
    flyte_server: Any, flyte_run_host: Callable[..., Any]
) -> None:
    settings = {"listen": "127.0.0.1:0", "webhooks": {"in": {"path": "/in", "kind": "open"}}}
    packs = {"http": {"isolation": "process", "settings": settings}}
    host = flyte_run_host({"http": "flyte_pack_http:HttpPack"}, packs=packs)

    def url() -> str:
        found = re.match(r"listening on (\S+):", host.page("/")[1]["webhooks"]["status"])
        return found[1] if found else ""

    answer = requests.post(f"{wait_until(url, 'it listens')}/in", "hi", timeout=PATIENCE_SECONDS)
    assert answer.json() == {"result": "accepted"}
    assert flyte_server.wait_for_event("Http", "Webhook")["text"] == "hi"


def test_two_listeners_side_by_side(flyte_server: Any, flyte_run_host: Callable[..., Any]) -> None:
    hook = {"path": "/open", "kind": "open"}
    settings = {"listen": "127.0.0.1:0", "webhooks": {"open": hook}}
    packs = {
        "inside": {"plugin": "http", "settings": settings},
        "outside": {"plugin": "http", "labels": {"for": "partners"}, "settings": settings},
    }
    host = flyte_run_host({"http": HttpPack}, packs=packs)
    assert flyte_server.packs() == ["Http", "Http.for.partners"]
    finished = flyte_server.run("Http", "Request", {"url": "http://localhost"})
    assert (finished.state, finished.event) == ("SUCCESS", "RequestFailed")
    page = host.page("/")[1]
    listening = [page[each] for each in page if "webhooks" in each]
    assert [each["healthy"] for each in listening] == [True, True]
    assert len({each["status"] for each in listening}) == 2
