"""slapd, OpenLDAP's server, on free ports of 127.0.0.1 and with a few people."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

import trustme

from flyte_host.testing.waiting import wait_until
from tests.support.bad_servers import closed_port

SLAPD = shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin")
SCHEMA, MODULES = Path("/etc/ldap/schema"), Path("/usr/lib/ldap")
BASE = "dc=example,dc=com"
BIND_DN, PASSWORD = f"cn=reader,{BASE}", "correct-horse"

CONFIG = """
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
moduleload memberof
pidfile {folder}/slapd.pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
suffix "{base}"
rootdn "cn=root,{base}"
directory {folder}/db
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by dn="cn=reader,{base}" read by * none
"""
PEOPLE = f"""
dn: {BASE}
objectClass: dcObject
objectClass: organization
o: example

dn: cn=reader,{BASE}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {PASSWORD}

dn: uid=ann,{BASE}
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: A
memberOf: cn=admins,ou=groups,{BASE}
memberOf: CN=Site\\, EU+uid=9,ou=groups,{BASE}
memberOf: ou=odd,cn=not first,{BASE}
memberOf: ou=none,{BASE}
description: cn=by hand

dn: uid=bob,{BASE}
objectClass: inetOrgPerson
uid: bob
uid: twin
cn: Bob
sn: B

dn: uid=eve,{BASE}
objectClass: inetOrgPerson
uid: eve (*\\)
uid: twin
uid: eve
cn: Eve
sn: E
description: cn=odd name
"""


class LdapServer:
    """Use as a context manager."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        self._folder = folder
        self.ca_file = str(folder / "ca.pem")
        self.port, self.tls_port = closed_port(), closed_port()
        authority.cert_pem.write_to_path(self.ca_file)
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(folder / "server.key")
        issued.cert_chain_pems[0].write_to_path(folder / "server.pem")

    def __enter__(self) -> Self:
        folder = self._folder
        config, people = folder / "slapd.conf", folder / "people.ldif"
        places = {"schema": SCHEMA, "modules": MODULES, "folder": folder, "base": BASE}
        config.write_text(CONFIG.format(**places))
        people.write_text(PEOPLE)
        (folder / "db").mkdir()
        assert SLAPD is not None
        add = [SLAPD, "-T", "add", "-q", "-f", config, "-l", people]
        subprocess.run(add, check=True, capture_output=True, timeout=60)
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        self._process = subprocess.Popen(
            [SLAPD, "-d", "0", "-f", config, "-h", urls],
            env=os.environ | {"LDAPNOINIT": "1"},
            stdin=subprocess.DEVNULL,
        )
        wait_until(self._listens, "slapd listens")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a pack that looks for the groups of this server's people."""
        return {
            "url": f"127.0.0.1:{self.port}",
            "bind_username": BIND_DN,
            "bind_password": PASSWORD,
            "base_dn": BASE,
            "search_filter": "(uid={username})",
            "attributes": ["memberOf"],
            "group_attribute": "cn",
        }

    def _listens(self) -> bool:
        assert self._process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
        except OSError:
            return False
        return True
