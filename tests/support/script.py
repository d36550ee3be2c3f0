"""A script in a Python process of its own, for what changes or ends a whole process."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT


def run_script(
    script: str,
    *arguments: object,
    status: int = 0,
    under: Sequence[str] = (),
    python: Sequence[str] = (),
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which has to be with ``status``; ``under`` is a command that starts it.

    ``python`` has options of the interpreter.
    """
    done = subprocess.run(
        [*under, sys.executable, *python, "-c", script, *map(str, arguments)],
        cwd=cwd, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done
