"""The health pages: ``pages`` says what each shows, ``checks`` asks what plugins check."""

from flyte_host.health.pages import FRESH_SECONDS, JOURNAL_MARK, HealthApp, Parts

__all__ = ["FRESH_SECONDS", "JOURNAL_MARK", "HealthApp", "Parts"]
