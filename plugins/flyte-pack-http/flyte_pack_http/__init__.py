"""Requests to any web service, and webhooks as events: a plugin of flyte-host."""

from flyte_pack_http.pack import HttpPack
from flyte_pack_http.settings import HttpSettings

__all__ = ["HttpPack", "HttpSettings"]
