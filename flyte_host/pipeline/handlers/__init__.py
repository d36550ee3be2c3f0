"""Calls of handlers: their timeouts, their event loops, and what their answers mean.

Must not know the schedule or the journal.
"""
