"""Projects of packs, installed into a folder and run from there.

Owns how a program sees what is installed, and fails the test if it fails.
"""

import os
import subprocess
import sys
from pathlib import Path

from flyte_host.testing.waiting import PATIENCE_SECONDS


def run_module(*command: str | Path, cwd: Path, site: Path) -> str:
    """The stdout of ``python -m`` with what is in ``site``; fails if the exit code is not 0."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd, env=kept | {"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install_projects(site: Path, *projects: Path) -> None:
    """Install them as pip does, into the folder ``site``, with what is here."""
    run_module("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", site,
               *projects, cwd=site.parent, site=site)  # fmt: skip
