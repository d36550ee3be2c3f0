"""The packs of the installed plugins, for commands that look at them.

Owns how long they are there, and how one is found by its name.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from flyte_host.config import Config, secret_variables
from flyte_host.errors import FlyteHostError, PluginError
from flyte_host.packs import ServedPack, ServedPacks, merge_packs
from flyte_host.plugins import Loader, discover
from flyte_host.secrets import Scrubber
from flyte_host.text import nearest


@contextmanager
def read_packs(config: Config, scrubber: Scrubber) -> Iterator[ServedPacks]:
    """What a host would serve; the processes of isolated plugins last as long as this."""
    hidden = secret_variables(config)
    loader = Loader(discover(), os.environ, scrubber, secret_variables=hidden)
    try:
        yield merge_packs(loader.load(config.packs), config)
    finally:
        loader.close()


def find_pack(served: ServedPacks, name: str) -> ServedPack:
    """The pack with that name, in the configuration or in flyte; raises FlyteHostError."""
    if key := served.key_of(name):
        return served.packs[key]
    for plugin in served.plugins:
        if plugin.config.pack_key == name and plugin.problem:
            raise PluginError(f"pack {name!r} is {plugin.status}: {plugin.problem}")
    known = ", ".join(served.packs) or "none"
    broken = ", ".join(each.config.pack_key for each in served.broken)
    more = f"; broken, as flyte-host packs explains: {broken}" if broken else ""
    raise FlyteHostError(f"no pack {name!r}{nearest(name, served.packs)}; there are: {known}{more}")
