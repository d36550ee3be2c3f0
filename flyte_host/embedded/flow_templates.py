"""The templates of flows: pongo2 with flyte's filters and functions."""

import random
from collections.abc import Callable
from datetime import datetime

from flyte_host.embedded.flyte_filters import FLYTE_FILTERS
from flyte_host.embedded.flyte_functions import Datastore, make_flyte_functions
from flyte_host.embedded.pongo2 import Templates


def make_flow_templates(
    datastore: Datastore, *, now: Callable[[], datetime], rng: random.Random
) -> Templates:
    """``datastore(key)`` gives ``(content type, bytes)``, or None for what it does not have."""
    return Templates(FLYTE_FILTERS, make_flyte_functions(datastore, rng), now=now, rng=rng)
