"""The inputs and payloads that a test gives, as a flow would.

Tells a test which part of them JSON cannot hold.
"""

from typing import Any

from flyte_host.json_encoding import encode_finite_json
from flyte_host.testing.no_host_frames import NoHostFrames


def encoded(what: str, value: Any) -> bytes:
    """``value`` as JSON; raises ValueError, with no frame of the host."""
    __tracebackhide__ = True
    with NoHostFrames(ValueError):
        return encode_finite_json(what, value, root=what)
