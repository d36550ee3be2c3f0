"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from typing import Any

from flyte_pack_ldap import LdapPack

from .ldap_server import LdapServer


def test_two_directories_side_by_side(
    flyte_server: Any, flyte_run_host: Callable[..., Any], ldap_server: LdapServer
) -> None:
    settings = ldap_server.settings
    secure = settings | {
        "url": f"ldaps://localhost:{ldap_server.tls_port}",
        "ca_file": ldap_server.ca_file,
    }
    packs = {
        "ldap": {"settings": settings},
        "secure": {"plugin": "ldap", "labels": {"at": "secure"}, "settings": secure},
    }
    host = flyte_run_host({"ldap": LdapPack}, packs=packs)
    assert flyte_server.packs() == ["ldap", "ldap.at.secure"]
    finished = flyte_server.run("ldap", "GetGroups", {"username": "ann"})
    assert (finished.state, finished.event) == ("SUCCESS", "GroupsRetrieved")
    assert finished.payload["usergroups"] == ["admins", "Site, EU", "not first"]
    checks = {name: each["healthy"] for name, each in host.page("/")[1].items()}
    assert len(checks) == 3
    assert set(checks.values()) == {True}
