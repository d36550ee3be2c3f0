"""A host's life: start, stop, signals, and its servers."""

from flyte_host.host.host import Host, serve

__all__ = ["Host", "serve"]
