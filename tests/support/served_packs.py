"""The packs of plugins that need no process of their own, for parts of a host."""

from flyte_host.packs import ServedPacks
from flyte_host.secrets import Scrubber
from flyte_host.testing.serving import Plugins, Tables, serving


def served_packs(plugins: Plugins, packs: Tables, scrubber: Scrubber) -> ServedPacks:
    """What a host would serve."""
    with serving(plugins, packs, scrubber) as served:
        return served
