"""How a pack trusts the server that it calls over TLS.

For protocols other than HTTP: a RestTarget has its own ``verify`` and ``ca_file``.
"""

import ssl


def make_tls_context(ca_file: str | None, *, verify: bool) -> ssl.SSLContext:
    """A context that trusts the authorities of a PEM file, or of the system, or anyone."""
    context = ssl.create_default_context(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
