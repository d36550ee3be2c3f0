"""A new pack's project, from templates to files.

Owns which files there are, and overwrites nothing. Must not know the command line.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from flyte_host.errors import FlyteHostError
from flyte_host.scaffold.pack_name import PackName
from flyte_host.text import counted, quoted, reason

FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "gitignore": ".gitignore",
    "ci.yaml": ".github/workflows/ci.yaml",
    "Dockerfile": "Dockerfile",
    "flyte-host.toml": "flyte-host.toml",
    "flow.yaml": "flows/keep-what-is-said.yaml",
    "init.py": "$module/__init__.py",
    "pack.py": "$module/pack.py",
    "settings.py": "$module/settings.py",
    "py.typed": "$module/py.typed",
    "test_pack.py": "tests/test_pack.py",
    "test_flow.py": "tests/test_flow.py",
}
"""The template of each file; ``add_on.py`` and its test only if wanted."""
ADD_ON_FILES = {
    "add_on.py": "$module/add_on.py",
    "test_add_on.py": "tests/test_add_on.py",
}
PART = re.compile(r"^%% (\w+)\n(.*?)^%% end\n", re.MULTILINE | re.DOTALL)
"""Lines that only an option brings, or a name."""


@dataclass(frozen=True, slots=True)
class NewProject:
    """What is asked for; ``extends`` is the pack that an add-on adds to, empty for none.

    ``host_version`` is the version of flyte-host that the project is made for.
    """

    name: PackName
    host_version: str
    observer: bool = False
    extends: str = ""

    def files(self) -> Iterator[tuple[str, str]]:
        """The path of each file within the project, and its text."""
        templates = resources.files(__package__) / "templates"
        for template, path in (FILES | (ADD_ON_FILES if self.extends else {})).items():
            text = (templates / f"{template}.tmpl").read_text(encoding="utf-8")
            yield self._fill(path), self._fill(PART.sub(self._part, text))

    def write(self, folder: Path) -> list[str]:
        """Write all files into ``folder``, which is made, or empty; returns their paths.

        Raises FlyteHostError.
        """
        _refuse_used(folder)
        written = []
        for path, text in self.files():
            try:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                with (folder / path).open("x", encoding="utf-8") as file:
                    file.write(text)
            except OSError as error:
                raise FlyteHostError(
                    f"{folder / path} cannot be written: {reason(error)}"
                ) from None
            written.append(path)
        return written

    def _part(self, found: re.Match[str]) -> str:
        wanted = {
            "observer": self.observer,
            "add_on": bool(self.extends),
            "like_a_test": self.name.in_flyte.startswith("Test"),
        }
        return found[2] if wanted[found[1]] else ""

    def _fill(self, text: str) -> str:
        name = self.name
        return Template(text).substitute(
            module=name.module,
            distribution=name.distribution,
            plugin=name.plugin,
            pack=name.in_flyte,
            yaml_pack=name.in_yaml,
            speaker="Talk" if name.in_flyte == "Chat" else "Chat",
            extends=self.extends,
            host_version=self.host_version,
        )


def _refuse_used(folder: Path) -> None:
    try:
        found = sorted(os.listdir(folder))  # noqa: PTH208  names are all that is needed
    except FileNotFoundError:
        return
    except OSError as error:
        raise FlyteHostError(f"{folder}: {reason(error)}, expected a new or empty folder") from None
    if found:
        some = ", ".join(quoted(each) for each in found[:3]) + (", …" if len(found) > 3 else "")
        raise FlyteHostError(
            f"{folder} holds {counted(len(found), 'file')} already ({some}), expected a new or "
            "empty folder: nothing is overwritten; --folder names another one"
        )
