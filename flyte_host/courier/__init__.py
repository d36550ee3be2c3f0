"""Results and events on their way to flyte, until flyte has them or they are parked.

``lanes`` has what must keep its order, ``delivering`` the threads and what each answer means.
"""

from flyte_host.courier.delivering import (
    ATTEMPTS_BEFORE_FATAL,
    BACKLOG_EVENTS,
    THREADS,
    UNCERTAIN_BEFORE_ASKING,
    Courier,
)

__all__ = [
    "ATTEMPTS_BEFORE_FATAL",
    "BACKLOG_EVENTS",
    "THREADS",
    "UNCERTAIN_BEFORE_ASKING",
    "Courier",
]
