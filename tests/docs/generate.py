"""The parts of the documentation that the code knows best: ``python tests/docs/generate.py``.

A page has a part between ``<!-- generated: NAME -->`` and ``<!-- end -->``; GENERATORS says what
stands there. Running this file rewrites every page, ``test_generated.py`` asserts that nothing
would change.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flyte_host.config import ENVIRONMENT
from flyte_host.reading import keys_of
from flyte_host.tables import TABLES

ROOT = Path(__file__).parents[2]
PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def configuration() -> str:
    return "\n".join(_section(name, table) for name, table in TABLES.items())


def environment() -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in ENVIRONMENT.items()]
    return "\n".join(["| variable | takes the place of |", "|---|---|", *rows, ""])


def _section(name: str, table: type) -> str:
    rows = [
        f"| `{key.name}` | {key.words} | {_toml(key.default)} | {key.meaning} |"
        for key in keys_of(table).values()
    ]
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"### `[{name}]`", "", str(table.__doc__).strip(), "", *head, *rows, ""])


def _toml(value: Any) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"`{value:g}`"
        case None | "":
            return "not set"
        case str() | Path():
            return f'`"{value}"`'
        case Mapping():
            return "`{}`"
        case _:
            return "`[]`"


GENERATORS: dict[str, Callable[[], str]] = {
    "configuration": configuration,
    "environment": environment,
}


def generated(page: str) -> str:
    """A page with all its generated parts as the code wants them now."""
    return PART.sub(lambda part: f"{part[1]}\n{GENERATORS[part[2]]()}\n{part[3]}", page)


def pages(root: Path) -> Iterator[Path]:
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))


def main(root: Path) -> None:
    for path in pages(root):
        page = path.read_text(encoding="utf-8")
        if page != generated(page):
            path.write_text(generated(page), encoding="utf-8")


if __name__ == "__main__":
    main(ROOT)
