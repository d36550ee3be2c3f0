from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from flyte_pack_ldap import LdapPack, LdapSettings

from .ldap_server import BASE, BIND_DN, PASSWORD, SLAPD, LdapServer


@pytest.fixture(scope="session")
def ldap_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LdapServer]:
    if SLAPD is None:
        pytest.skip("slapd is not installed; it is in the system's package slapd")
    with LdapServer(tmp_path_factory.mktemp("slapd"), trustme.CA()) as running:
        yield running


@pytest.fixture
def make_pack() -> Callable[..., LdapPack]:
    def make(url: str, **settings: Any) -> LdapPack:
        usual = {
            "bind_username": BIND_DN,
            "bind_password": PASSWORD,
            "base_dn": BASE,
            "search_filter": "(&(objectClass=inetOrgPerson)(uid={username}))",
            "attributes": ("memberOf", "description"),
            "group_attribute": "cn",
        }
        return LdapPack(LdapSettings(url, **(usual | settings)), {})

    return make


@pytest.fixture
def pack(ldap_server: LdapServer, make_pack: Callable[..., LdapPack]) -> LdapPack:
    return make_pack(f"127.0.0.1:{ldap_server.port}")


@pytest.fixture
def strict_pack(ldap_server: LdapServer, make_pack: Callable[..., LdapPack]) -> LdapPack:
    """The pack without the Go pack's mistakes."""
    return make_pack(f"127.0.0.1:{ldap_server.port}", go_compatible=False)


@pytest.fixture
def call(call: Callable[..., Any]) -> Callable[[LdapPack, Any], tuple[str, Any]]:
    """Run GetGroups and give back the event's name and payload as flows see them."""
    return lambda pack, document: call(pack, "GetGroups", document)
