"""What the Go pack did, against a stand-in for Bitbucket, and where this one differs on purpose."""

from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_bitbucket import BitBucketPack, BitBucketSettings

from flyte_host import Health
from flyte_host.testing import Example, check_contract
from tests.support.bad_servers import HTTP, NEEDING_PATIENCE, bad_server, closed_port
from tests.support.rest_stand_in import RestReply, RestStandIn

from .bitbucket_stand_in import PASSWORD, USER, BitBucket

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., BitBucketPack]

FOO = {"project": "FOO", "name": "new"}


def failed(project: str, name: str, told: str, prefix: str = "") -> tuple[str, Any]:
    path = f"{prefix}/rest/api/1.0/projects/{project}/repos"
    error = f"Fail: Could not create repo: POST failed: path={path} : repo={name} : {told}"
    return "createRepoFailure", {"project": project, "name": name, "error": error}


def test_the_definition_is_the_go_packs(make_pack: MakePack) -> None:
    definition = make_pack("http://bitbucket").flyte_pack()
    assert (definition.name, dict(definition.labels)) == ("BitBucket", {})
    help_url = "https://github.com/ExpediaGroup/flyte-bitbucket/blob/master/README.md"
    assert definition.help_url == help_url
    assert list(definition.event_defs) == []
    [command] = definition.commands
    events = [each.name for each in command.output_events]
    assert (command.name, events) == ("createRepo", ["createRepo", "createRepoFailure"])
    assert not command.idempotent


def test_it_keeps_the_contract_of_packs(served: RestStandIn) -> None:
    settings = {"url": served.url, "user": USER, "password": PASSWORD}
    examples = [
        Example("createRepo", {"project": "FOO", "name": "x"}, "createRepo"),
        Example("createRepo", {"project": "FOO", "name": "old"}, "createRepoFailure"),
    ]
    # In a process of its own, the second repository would be there already.
    check_contract(BitBucketPack, settings, examples=examples, isolated=False)


@pytest.mark.parametrize("project", ["FOO", "~ann"])
def test_a_repository(
    bitbucket: BitBucket, served: RestStandIn, make_pack: MakePack, call: Call, project: str
) -> None:
    document = {"PROJECT": project, "name": "new", "other": 1}
    url = f"{served.url}/projects/{project}/repos/new/browse"
    expected = ("createRepo", {"project": project, "name": "new", "url": url})
    assert call(make_pack(served.url), document) == expected
    assert "new" in bitbucket.projects[project]
    assert served.requests[0].body == {"name": "new"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (FOO | {"name": "old"}, "statusCode=409 (This repository URL is already taken.)"),
        (FOO | {"project": "BAR"}, "statusCode=404 (Project BAR does not exist.)"),
        ({"project": "FOO", "name": ""}, "statusCode=400 (The repository name is required.)"),
        ({"project": "", "name": ""}, "statusCode=404 (Project  does not exist.)"),
    ],
)
def test_what_bitbucket_refuses(
    served: RestStandIn, make_pack: MakePack, call: Call, document: dict[str, str], told: str
) -> None:
    expected = failed(document["project"], document["name"], " ".join(told.split()))
    assert call(make_pack(served.url), document) == expected


def test_nothing_given(served: RestStandIn, make_pack: MakePack, call: Call) -> None:
    expected = failed("", "", "statusCode=404 (Project does not exist.)")
    assert call(make_pack(served.url), None) == expected


def test_bitbucket_repeats_the_password(
    served: RestStandIn, make_pack: MakePack, call: Call
) -> None:
    reply = RestReply(401, {"errors": [{"message": f"not {PASSWORD}\n"}, {"message": "\x1b[1m"}]})
    served.next_replies.append(reply)
    expected = failed("FOO", "new", "statusCode=401 (not *** ; \\x1b[1m)")
    assert call(make_pack(served.url), FOO) == expected


@pytest.mark.parametrize(
    ("project", "raw_path"),
    [
        ("../../../admin", "..%2F..%2F..%2Fadmin/repos"),
        ("FOO/repos/old?x=", "FOO%2Frepos%2Fold%3Fx%3D/repos"),
    ],
)
def test_a_project_cannot_lead_elsewhere(
    served: RestStandIn, make_pack: MakePack, call: Call, project: str, raw_path: str
) -> None:
    assert call(make_pack(served.url), FOO | {"project": project})[0] == "createRepoFailure"
    assert served.requests[0].raw_path == f"/rest/api/1.0/projects/{raw_path}"
    expected = failed("..", "new", "err='..' is not an id")
    assert call(make_pack(served.url), FOO | {"project": ".."}) == expected


@pytest.mark.parametrize(
    ("document", "read", "told"),
    [
        ({"project": "FOO", "name": 5}, ("FOO", ""), "number into field name of type string"),
        ("FOO", ("", ""), "string into Go value of type object"),
    ],
)
def test_bad_input(
    make_pack: MakePack, call: Call, document: Any, read: tuple[str, str], told: str
) -> None:
    error = {"error": f"Fail: input is not valid: json: cannot unmarshal {told}"}
    expected = {"project": "unknown", "name": "unknown"} | error
    assert call(make_pack("http://x"), document) == ("createRepoFailure", expected)
    strict = make_pack("http://x", go_compatible=False)
    expected = {"project": read[0], "name": read[1]} | error
    assert call(strict, document) == ("createRepoFailure", expected)


def test_an_answer_without_a_link(served: RestStandIn, make_pack: MakePack, call: Call) -> None:
    """The Go pack crashed, although the repository was there."""
    served.next_replies.append(RestReply(201, {"links": {}}))
    assert call(make_pack(served.url), FOO) == ("createRepo", FOO | {"url": ""})


@pytest.mark.parametrize("body", [b"<html>", {"links": {"self": 5}}])
def test_an_answer_that_cannot_be_read(
    served: RestStandIn, make_pack: MakePack, call: Call, body: Any
) -> None:
    served.next_replies.append(RestReply(201, body))
    name, payload = call(make_pack(served.url), FOO)
    assert name == "createRepoFailure"
    assert " : repo=new : err=" in payload["error"]


@pytest.mark.parametrize("kind", HTTP)
def test_servers_that_misbehave(make_pack: MakePack, call: Call, kind: str) -> None:
    limit = 0.2 if kind in NEEDING_PATIENCE else 10
    with bad_server(HTTP[kind]) as port:
        pack = make_pack(f"http://127.0.0.1:{port}", timeout_seconds=limit)
        name, payload = call(pack, FOO)
        assert (name, payload | {"error": ""}) == ("createRepoFailure", FOO | {"error": ""})
        assert not health(pack).healthy


def test_nobody_listens(make_pack: MakePack, call: Call) -> None:
    pack = make_pack(f"http://127.0.0.1:{closed_port()}/git/")
    name, payload = call(pack, FOO)
    assert name == "createRepoFailure"
    assert payload["error"].startswith(failed("FOO", "new", "err=Conn", "/git")[1]["error"])
    assert not health(pack).healthy


def test_a_wrong_password(served: RestStandIn, make_pack: MakePack, call: Call) -> None:
    pack = make_pack(served.url, password="wrong-secret")
    told = "statusCode=401 (Authentication failed. Please check your credentials.)"
    assert call(pack, FOO) == failed("FOO", "new", told)
    refused = f"{served.url} refuses flyte with 401: check user and password"
    assert health(pack) == Health(False, refused)


def health(pack: BitBucketPack) -> Health:
    [check] = pack.flyte_health_checks()
    assert (check.name, check.critical) == ("bitbucket", False)
    return check.check()


def test_health(served: RestStandIn, make_pack: MakePack) -> None:
    assert health(make_pack(served.url)) == Health(True, f"{served.url} knows {USER}")


ENVIRONMENT = {
    "BITBUCKET_HOST": "https://env",
    "BITBUCKET_USER": "envuser",
    "BITBUCKET_PASS": "envpassword",
}


def test_the_environment_steps_in(monkeypatch: pytest.MonkeyPatch) -> None:
    found = BitBucketSettings().completed(ENVIRONMENT)
    assert found == BitBucketSettings("https://env", "envuser", "envpassword")
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    assert BitBucketPack(BitBucketSettings()).flyte_pack().name == "BitBucket"


def test_settings_reach_the_connection() -> None:
    settings = BitBucketSettings("https://x", USER, PASSWORD, 3, verify=False, ca_file="ca.pem")
    target = settings.target()
    assert (target.timeout_seconds, target.verify, target.ca_file) == (3, False, "ca.pem")
    assert PASSWORD not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"url": "https://x", "user": "u"},
            "password: missing; set it in the pack's settings or a",
        ),
        ({"url": "x", "user": "u", "password": "p"}, "url: found 'x', expected one like 'https://"),
        ({"timeout_seconds": 0}, "timeout_seconds: found 0, expected more than 0"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], text: str) -> None:
    """The Go pack read its variables when the first command came, and exited then."""
    with pytest.raises(ValueError) as raised:
        BitBucketPack(BitBucketSettings(**settings), {})
    assert str(raised.value).startswith(text)
