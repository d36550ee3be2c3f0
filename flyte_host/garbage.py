"""How often Python looks for garbage in cycles, in a process that is ours alone."""

import gc

YOUNG_OBJECTS = 5000
"""How many new objects Python waits for before it looks among them."""


def collect_less() -> None:
    """Look less often, and not in what is there now: it stays until the process ends."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
