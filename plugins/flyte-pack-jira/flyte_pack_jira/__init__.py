"""The Jira pack of flyte as a plugin of flyte-host."""

from flyte_pack_jira.pack import JiraPack
from flyte_pack_jira.settings import JiraSettings

__all__ = ["JiraPack", "JiraSettings"]
