"""The packs of the installed plugins, for commands that look at them.

Owns how long they are there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from flyte_host.config import Config, secret_variables
from flyte_host.packs import ServedPacks, merge_packs
from flyte_host.plugins import Loader, discover
from flyte_host.secrets import Scrubber


@contextmanager
def read_packs(config: Config, scrubber: Scrubber) -> Iterator[ServedPacks]:
    """What a host would serve; the processes of isolated plugins last as long as this."""
    hidden = secret_variables(config)
    loader = Loader(discover(), os.environ, scrubber, secret_variables=hidden)
    try:
        yield merge_packs(loader.load(config.packs), config)
    finally:
        loader.close()
