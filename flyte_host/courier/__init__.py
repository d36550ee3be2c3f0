"""Results and events on their way to flyte, until flyte has them or they are parked.

``lanes`` has what must keep its order, ``delivering`` the threads, ``posting`` what answers mean.
"""

from flyte_host.courier.delivering import BACKLOG_EVENTS, THREADS, Courier
from flyte_host.courier.posting import ATTEMPTS_BEFORE_FATAL, UNCERTAIN_BEFORE_ASKING

__all__ = [
    "ATTEMPTS_BEFORE_FATAL",
    "BACKLOG_EVENTS",
    "THREADS",
    "UNCERTAIN_BEFORE_ASKING",
    "Courier",
]
