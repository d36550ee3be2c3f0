"""What the Go pack did, and where this one differs on purpose, against a real slapd."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flyte_pack_ldap import LdapPack
from flyte_pack_ldap.group_names import group_names

from flyte_host.testing import Example, check_contract

from .ldap_server import LdapServer

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., LdapPack]


def test_the_definition_is_the_go_packs(make_pack: MakePack) -> None:
    definition = make_pack("ldap:389").flyte_pack()
    assert (definition.name, dict(definition.labels)) == ("ldap", {})
    assert definition.help_url == "https://github.com/ExpediaGroup/flyte-ldap/blob/master/README.md"
    assert list(definition.event_defs) == []
    [command] = definition.commands
    events = [each.name for each in command.output_events]
    assert (command.name, events) == ("GetGroups", ["GroupsRetrieved", "GroupsRetrievalError"])
    assert command.idempotent


def test_it_keeps_the_contract_of_packs(ldap_server: LdapServer) -> None:
    examples = [
        Example("GetGroups", {"username": "ann"}, "GroupsRetrieved"),
        Example("GetGroups", {}, "GroupsRetrievalError"),
    ]
    check_contract(LdapPack, ldap_server.settings, examples=examples)


@pytest.mark.parametrize("key", ["username", "UserName"])
def test_the_groups_of_a_user(pack: LdapPack, call: Call, key: str) -> None:
    groups = ["admins", "Site, EU", "not first", "by hand"]
    expected = {"username": "ann", "usergroups": groups}
    assert call(pack, {key: "ann", "other": 1}) == ("GroupsRetrieved", expected)


def test_attributes_of_another_length(
    ldap_server: LdapServer, make_pack: MakePack, call: Call
) -> None:
    """The Go pack always cut three characters off."""
    pack = make_pack(
        f"127.0.0.1:{ldap_server.port}", group_attribute="UID", attributes=("MEMBEROF",)
    )
    assert call(pack, {"username": "ann"})[1]["usergroups"] == ["9"]


@pytest.mark.parametrize("username", ["bob", "nobody"])
def test_no_groups(pack: LdapPack, call: Call, username: str) -> None:
    assert call(pack, {"username": username}) == ("GroupsRetrieved", {"username": username})


def test_no_groups_without_compatibility(strict_pack: LdapPack, call: Call) -> None:
    expected = {"username": "bob", "usergroups": []}
    assert call(strict_pack, {"username": "bob"}) == ("GroupsRetrieved", expected)
    expected = {"username": "nobody", "error": "LDAP group error: 0 users found"}
    assert call(strict_pack, {"username": "nobody"}) == ("GroupsRetrievalError", expected)


def test_two_users_of_a_name(pack: LdapPack, strict_pack: LdapPack, call: Call) -> None:
    assert call(pack, {"username": "twin"})[0] == "GroupsRetrieved"
    expected = {"username": "twin", "error": "LDAP group error: 2 users found"}
    assert call(strict_pack, {"username": "twin"}) == ("GroupsRetrievalError", expected)


@pytest.mark.parametrize(
    "username",
    [
        "*",
        "an*",
        "ann)(uid=*",
        "*)(objectClass=*))(|(uid=*",
        "ann\0",
        "\\61nn",
        "ann\\",
        "(",
        ")",
        "é",
    ],
)
def test_a_username_is_never_a_part_of_the_filter(
    strict_pack: LdapPack, call: Call, username: str
) -> None:
    expected = {"username": username, "error": "LDAP group error: 0 users found"}
    assert call(strict_pack, {"username": username}) == ("GroupsRetrievalError", expected)


def test_odd_names_are_found(strict_pack: LdapPack, call: Call) -> None:
    name, payload = call(strict_pack, {"username": "eve (*\\)"})
    assert (name, payload["usergroups"]) == ("GroupsRetrieved", ["odd name"])


@pytest.mark.parametrize("document", [None, {}, {"username": ""}, {"username": None}])
def test_no_username(pack: LdapPack, strict_pack: LdapPack, call: Call, document: Any) -> None:
    error = {"error": "No Username provided."}
    assert call(pack, document) == ("GroupsRetrievalError", error)
    assert call(strict_pack, document) == ("GroupsRetrievalError", error | {"username": ""})


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"username": 5}, "number into field username of type string"),
        ({"username": ["ann"]}, "array into field username of type string"),
        ("ann", "string into Go value of type object"),
    ],
)
def test_bad_input(
    pack: LdapPack, strict_pack: LdapPack, call: Call, document: Any, told: str
) -> None:
    error = {"error": f"Json unmarshalling error: json: cannot unmarshal {told}"}
    assert call(pack, document) == ("FATAL", error)
    assert call(strict_pack, document) == ("GroupsRetrievalError", error | {"username": ""})


def test_many_at_once(pack: LdapPack) -> None:
    """The Go pack's actions closed each other's connection."""
    handler = pack.flyte_pack().commands[0].handler
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(handler, [{"username": "ann"}] * 40))
    assert {each.event_def.name for each in found} == {"GroupsRetrieved"}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("CN=a,OU=b", "a"),
        ("OU=b, cn = a , DC=c", "a"),
        ("cn=a+uid=b", "a"),
        ("uid=b+cn=a", "a"),
        ("cn=a\\,b\\+c\\=d", "a,b+c=d"),
        ("cn=\\C3\\A9\\2C x", "é, x"),
        ("cn=a=b", "a=b"),
        ("cn=\\FF", "\ufffd"),
        ("cn=a\\", "a"),
        ("ou=a", None),
        ("cnx=a", None),
        ("just text", None),
        ("", None),
    ],
)
def test_names_in_dns(value: str, name: str | None) -> None:
    assert group_names([value], "Cn") == ([] if name is None else [name])
