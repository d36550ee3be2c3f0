"""Whom a context for another protocol than HTTP trusts."""

import ssl
from pathlib import Path

import pytest
import trustme
from flyte_pack_kit import make_tls_context


def test_a_context_trusts_the_authorities_of_a_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    context = make_tls_context(str(path), verify=True)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(context.get_ca_certs()) == 1


def test_a_context_that_does_not_verify_trusts_anyone() -> None:
    context = make_tls_context(None, verify=False)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    with pytest.raises(ssl.SSLError):
        make_tls_context(str(path), verify=True)
