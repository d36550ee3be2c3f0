"""The LDAP pack of flyte as a plugin of flyte-host."""

from flyte_pack_ldap.pack import LdapPack
from flyte_pack_ldap.settings import LdapSettings

__all__ = ["LdapPack", "LdapSettings"]
