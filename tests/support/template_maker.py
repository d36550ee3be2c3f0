"""Templates for tests: pongo2 with flyte's filters and functions, a fixed time and seed."""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from flyte_host.embedded.flyte_filters import FLYTE_FILTERS
from flyte_host.embedded.flyte_functions import make_flyte_functions
from flyte_host.embedded.pongo2 import TemplateFailed, Templates

NOW = datetime(2018, 2, 14, 23, 18, 9, tzinfo=UTC)


def make_templates(
    items: Mapping[str, tuple[str, bytes]] | None = None, **limits: Any
) -> Templates:
    """``items`` are the datastore; ``limits`` those of :class:`Templates`."""
    rng = random.Random(7)
    functions = make_flyte_functions((items or {}).get, rng)
    return Templates(FLYTE_FILTERS, functions, now=lambda: NOW, rng=rng, **limits)


def failure_of(render: Callable[[str], str], template: str) -> str:
    """Why the template cannot be rendered."""
    with pytest.raises(TemplateFailed) as caught:
        render(template)
    return str(caught.value)
