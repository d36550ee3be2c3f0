"""The inputs and payloads that a test gives, as a flow would.

Tells a test which part of them JSON cannot hold.
"""

from typing import Any

from flyte_host.json_encoding import encode_finite_json


def encoded(what: str, value: Any) -> bytes:
    """``value`` as JSON; raises ValueError, with no frame of the host."""
    __tracebackhide__ = True
    try:
        return encode_finite_json(what, value, root=what)
    except ValueError as error:
        raise error.with_traceback(None) from None
