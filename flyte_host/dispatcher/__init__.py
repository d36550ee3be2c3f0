"""Action → its owner's handler → a result in the journal.

``dispatching`` knows packs and the journal, ``bulkhead`` counts slots, ``runner`` makes one outcome
of one call, ``deadlines`` is the clock of time-outs.
"""

from flyte_host.dispatcher.dispatching import CUT_OFF, Dispatcher

__all__ = ["CUT_OFF", "Dispatcher"]
