"""What installed distributions say about themselves: name and version.

Two lines are read here. Python's own functions would parse a whole file for each of them, and
import a parser of mail headers, which keeps 1 MB.
"""

import re
from functools import cache
from typing import Any

FILES = ("METADATA", "PKG-INFO", "")
"""In a wheel, in an egg, and where the egg is a file itself."""
FIELD = re.compile(r"^(name|version):(.*)", re.IGNORECASE | re.MULTILINE)


def read_metadata(dist: Any) -> dict[str, str]:
    """The ``name`` and ``version`` of a distribution, as far as it has them."""
    texts = (dist.read_text(each) for each in FILES)
    head = next(filter(None, texts), "").partition("\n\n")[0]
    return {field.lower(): value.strip() for field, value in FIELD.findall(head)}


@cache
def version(name: str) -> str:
    """The version of an installed distribution."""
    from importlib_metadata import distribution  # noqa: PLC0415  20 ms, and --help needs none

    return read_metadata(distribution(name))["version"]
