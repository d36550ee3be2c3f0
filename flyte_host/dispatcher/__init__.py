"""Action → its owner's handler → a result in the journal.

``dispatching`` knows packs and the journal, ``running`` one action, ``bulkhead`` counts slots,
``runner`` makes one outcome of one call, ``coroutines`` is the event loop of async handlers,
``watchdog`` looks at it, ``deadlines`` is the clock of time-outs.
"""

from flyte_host.dispatcher.dispatching import CUT_OFF, Dispatcher

__all__ = ["CUT_OFF", "Dispatcher"]
