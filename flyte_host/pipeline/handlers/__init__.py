"""Calls of handlers: their timeouts, their event loops, and what their answers mean.

``handler_call`` is one call, and ``outcome`` what it came to. ``handler_tools`` are what calls
share: ``deadlines``, and ``coroutines`` with a ``pack_loop`` for each pack and a ``loop_watch`` on
it. ``run_once`` calls a handler by hand. Must not know the schedule or the journal.
"""
