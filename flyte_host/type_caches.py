"""Types made ready for msgspec, before threads decode into them.

Owns the one thing that msgspec needs for that. When a type is decoded into for the first time,
msgspec notes what it has to know about it on the type, and a second thread that uses the half
filled note crashes the process. So whatever threads decode into is given here first: at the import
of its module, or when a plugin is loaded.
"""

import threading
from typing import Any

import msgspec

_lock = threading.Lock()


def fill_type_caches(*kinds: Any) -> None:
    """Have msgspec note all that it needs of the types; raises what a Decoder of them raises."""
    with _lock:
        for kind in kinds:
            msgspec.json.Decoder(kind)
