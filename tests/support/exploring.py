"""Endless made-up cases: hypothesis outside of its decorators.

Owns how many cases there are; what is checked is the caller's.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def explore(strategy: st.SearchStrategy[Any], cases: int, check: Callable[[Any], None]) -> None:
    """Check that many cases; the smallest that fails is shown."""

    @settings(max_examples=cases, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def run(case: Any) -> None:
        check(case)

    run()
