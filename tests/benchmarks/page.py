"""Writes the figures and charts to the documentation.

Owns the part of the page between the markers, and how the machine is described.
"""

import os
import platform
import re
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

BEGIN, END = "<!-- measured: make bench -->", "<!-- end of what was measured -->"


def heading(runs: int, now: datetime, load: float) -> str:
    """``load`` is the machine's load average before the run."""
    return (
        f"Rounds: {runs}. Date: {now:%d %B %Y}. Machine: {os.cpu_count()} cores with a load of "
        f"{load:.1f} before the run. Versions: Python {platform.python_version()}, "
        f"{_version('requests')}, {_version('pycurl')}, Linux {_kernel()}."
    )


def write_page(path: Path, text: str, images: Mapping[str, str]) -> None:
    """Raises ValueError if the page has no markers."""
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no part between {BEGIN} and {END}")
    shown = []
    for name, image in images.items():
        file = path.with_name(f"{path.stem}-{name}.svg")
        file.write_text(image, encoding="utf-8")
        shown.append(f"![{_title(image)}]({file.name})\n\n")
    path.write_text(f"{before}{begin}\n\n{''.join(shown)}{text}\n{end}{after}", encoding="utf-8")


def _title(image: str) -> str:
    found = re.search(r"<text[^>]*>([^<]*)<", image)
    return found[1] if found else ""


def _kernel() -> str:
    return ".".join(platform.release().split(".")[:2])


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"
