"""The inputs and payloads that a test gives, as a flow would.

Tells a test which part of them JSON cannot hold.
"""

from collections.abc import Mapping
from typing import Any

from flyte_host.json_encoding import encode_finite_json
from flyte_host.testing.no_host_frames import NoHostFrames


def encoded(what: str, value: Any) -> bytes:
    """``value`` as JSON; raises ValueError, with no frame of the host."""
    __tracebackhide__ = True
    with NoHostFrames(ValueError):
        return encode_finite_json(what, value, root=what)


def literal(value: Any) -> Any:
    """The value with template marks escaped: a test's input arrives as it is written."""
    if isinstance(value, str):
        for mark in ("{{", "{%", "{#"):
            value = value.replace(mark, f"{{\0'{mark}'\0}}")
        return value.replace("{\0", "{{ ").replace("\0}", " }}")
    if isinstance(value, Mapping):
        return {key: literal(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [literal(each) for each in value]
    return value
