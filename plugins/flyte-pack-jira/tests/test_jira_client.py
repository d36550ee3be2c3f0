"""Where requests go, and where the password does not."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from flyte_pack_jira import JiraSettings
from flyte_pack_jira.client import JiraClient
from flyte_pack_kit import NoAnswer

from tests.support.rest_stand_in import RestReply, basic

from .jira_stand_in import PASSWORD, USER, Jira

BASIC = basic(USER, PASSWORD)


@pytest.fixture
def client(jira: Jira) -> JiraClient:
    return JiraClient(JiraSettings(jira.url, USER, PASSWORD))


def test_the_password_is_sent_as_utf_8(client: JiraClient, jira: Jira) -> None:
    assert client.send("GET", "myself").status == 200
    assert jira.requests[0].headers["authorization"] == BASIC


def test_one_slash_at_the_end_of_the_url_is_fine(jira: Jira) -> None:
    client = JiraClient(JiraSettings(f"{jira.url}/", USER, PASSWORD))
    assert client.send("GET", "myself").status == 200
    assert jira.requests[0].raw_path == "/rest/api/2/myself"


@pytest.mark.parametrize(
    ("issue_id", "raw_path"),
    [
        ("A/../../secret", "/rest/api/2/issue/A%2F..%2F..%2Fsecret"),
        ("A?x=1#y", "/rest/api/2/issue/A%3Fx%3D1%23y"),
        ("ä %2F", "/rest/api/2/issue/%C3%A4%20%252F"),
        ("", "/rest/api/2/issue/"),
    ],
)
def test_ids_cannot_lead_elsewhere(
    client: JiraClient, jira: Jira, issue_id: str, raw_path: str
) -> None:
    client.send("GET", "issue", issue_id)
    assert jira.requests[0].raw_path == raw_path


@pytest.mark.parametrize("issue_id", [".", ".."])
def test_dots_are_not_ids(client: JiraClient, jira: Jira, issue_id: str) -> None:
    with pytest.raises(NoAnswer) as raised:
        client.send("POST", "issue", issue_id, "comment")
    assert str(raised.value) == f"{issue_id!r} is not an id"
    assert jira.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(client: JiraClient, jira: Jira, status: int) -> None:
    with Jira() as elsewhere:
        place = f"{elsewhere.url}/x"
        jira.next_replies.append(RestReply(status, headers=(("Location", place),)))
        answer = client.send("GET", "myself")
    assert (answer.status, answer.location) == (status, place)
    assert elsewhere.requests == []


def test_neither_netrc_nor_proxies_of_the_environment_are_used(
    client: JiraClient, jira: Jira, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login eve password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert client.send("GET", "myself").status == 200
    assert jira.requests[0].headers["authorization"] == BASIC


def test_a_silent_jira_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = JiraClient(JiraSettings(url, USER, PASSWORD, timeout_seconds=0.2))
        with pytest.raises(NoAnswer, match=r"^ReadTimeout: .*read timeout=0\.2"):
            client.send("GET", "myself")
        with pytest.raises(NoAnswer, match=r"^ReadTimeout: .*read timeout=0\.1"):
            client.send("GET", "myself", limit_seconds=0.1)


def test_every_thread_has_its_session(client: JiraClient) -> None:
    sessions = {id(client._session()), id(client._session())}
    thread = threading.Thread(target=lambda: sessions.add(id(client._session())))
    thread.start()
    thread.join()
    assert len(sessions) == 2


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_url(authority: trustme.CA) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Jira(context) as served:
        yield served.url


def test_a_certificate_nobody_vouches_for_is_refused(tls_url: str) -> None:
    client = JiraClient(JiraSettings(tls_url, USER, PASSWORD))
    with pytest.raises(NoAnswer, match=r"SSLError: .*CERTIFICATE_VERIFY_FAILED"):
        client.send("GET", "myself")


def test_an_authority_of_ones_own(tls_url: str, authority: trustme.CA, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    settings = JiraSettings(tls_url, USER, PASSWORD, ca_file=str(ca_file))
    assert JiraClient(settings).send("GET", "myself").status == 200


def test_a_missing_ca_file_is_named(tls_url: str, tmp_path: Path) -> None:
    ca_file = str(tmp_path / "gone.pem")
    client = JiraClient(JiraSettings(tls_url, USER, PASSWORD, ca_file=ca_file))
    with pytest.raises(NoAnswer, match=f"OSError: .*{ca_file}"):
        client.send("GET", "myself")


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verification_can_be_turned_off(tls_url: str) -> None:
    client = JiraClient(JiraSettings(tls_url, USER, PASSWORD, verify=False))
    assert client.send("GET", "myself").status == 200
