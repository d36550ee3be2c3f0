"""Jira's REST API, version 2.

Owns where it is. Must not know commands or events.
"""

from flyte_pack_kit import RestClient, RestTarget

from flyte_pack_jira.settings import JiraSettings

API = "rest/api/2"


class JiraClient(RestClient):
    """Asks one Jira as one user; ``settings`` are completed."""

    def __init__(self, settings: JiraSettings) -> None:
        self.url = settings.url
        self.is_cloud = settings.is_cloud()
        target = RestTarget(
            settings.url,
            API,
            settings.user,
            settings.password,
            timeout_seconds=settings.timeout_seconds,
            verify=settings.verify,
            ca_file=settings.ca_file,
        )
        super().__init__(target)
