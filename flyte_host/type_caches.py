"""Types made ready for msgspec, before threads decode into them.

When a type is decoded into for the first time, msgspec stores what it needs to know about it on the
type, and a second thread that uses the half filled store crashes the process. So every type that
threads decode into is passed here first: when its module is imported, or when a plugin is loaded.
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
