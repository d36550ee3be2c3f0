"""The health pages.

``pages`` says what each shows, ``readiness`` has the lines of ``/ready``, ``checks`` asks what
plugins check.
"""

from flyte_host.health.pages import HealthApp
from flyte_host.health.readiness import FRESH_SECONDS, JOURNAL_MARK

__all__ = ["FRESH_SECONDS", "JOURNAL_MARK", "HealthApp"]
