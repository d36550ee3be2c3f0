"""Checkouts of flyte-host with a virtual environment each, so that revisions run side by side.

Owns finding them and their names in tables. A revision is checked out into a temporary folder. Must
not know what is measured.
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
GROUP = "flyte_host.packs"


@dataclass(frozen=True)
class Checkout:
    """``revision``: the short id of the commit, with ``-dirty`` if files differ from it.

    ``program`` is the ``flyte-host`` of its environment.
    """

    folder: Path
    program: Path
    revision: str

    def plugin_names(self) -> list[str]:
        """The plugins that come with the checkout and are installed in its environment."""
        found: set[str] = set()
        for path in self.folder.glob("plugins/*/pyproject.toml"):
            project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
            found |= set(project.get("entry-points", {}).get(GROUP, {}))
        return sorted(found)


@contextmanager
def checkouts(wanted: list[str]) -> Iterator[list[Checkout]]:
    """One for each of ``wanted``, a folder or a revision of git, then this one."""
    with ExitStack() as stack:
        others = [
            read_checkout(Path(each))
            if Path(each).is_dir()
            else stack.enter_context(revision_checkout(each))
            for each in wanted
        ]
        yield [*others, this_checkout()]


def this_checkout() -> Checkout:
    """The one that this module belongs to, in the environment that runs it."""
    return Checkout(ROOT, Path(sys.executable).with_name("flyte-host"), _revision(ROOT))


def read_checkout(folder: Path) -> Checkout:
    """The checkout in ``folder``; raises ValueError if it has no environment."""
    program = folder.resolve() / ".venv" / "bin" / "flyte-host"
    if not program.exists():
        raise ValueError(f"{program} does not exist: run make .venv/.host in {folder}")
    return Checkout(folder.resolve(), program, _revision(folder))


@contextmanager
def revision_checkout(revision: str) -> Iterator[Checkout]:
    with TemporaryDirectory(prefix="flyte-host-") as parent:
        folder = Path(parent) / "checkout"
        added = _git(ROOT, "worktree", "add", "--detach", str(folder), revision)
        if added.returncode:
            raise ValueError(f"{revision} is neither a folder nor a revision: {added.stderr}")
        try:
            subprocess.run(["make", "--silent", "-C", str(folder), ".venv/.host"], check=True)
            yield read_checkout(folder)
        finally:
            _git(ROOT, "worktree", "remove", "--force", str(folder))


def _revision(folder: Path) -> str:
    ran = _git(folder, "describe", "--always", "--dirty")
    return ran.stdout.strip() or "of no known revision"


def _git(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=False, capture_output=True, text=True
    )
