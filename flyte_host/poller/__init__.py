"""When to ask flyte for which pack's actions, and the threads that ask.

``schedule`` has every rule as plain data, ``polling`` the threads and what answers mean for it.
"""

from flyte_host.poller.polling import Poller

__all__ = ["Poller"]
