"""graphite-web of the system, on a free port of 127.0.0.1 with a database of its own."""

import os
import subprocess
from pathlib import Path
from typing import Any, Self

import requests

from flyte_host.testing.waiting import wait_until
from tests.support.bad_servers import closed_port

PYTHON = "/usr/bin/python3"
INSTALLED = Path("/usr/lib/python3/dist-packages/graphite").is_dir()
SETTINGS = """
STORAGE_DIR = LOG_DIR = {folder!r}
SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["*"]
"""


class GraphiteWeb:
    """Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"http://127.0.0.1:{closed_port()}"

    def __enter__(self) -> Self:
        settings = SETTINGS.format(folder=str(self._folder))
        (self._folder / "graphite_of_tests.py").write_text(settings)
        subprocess.run(self._django("migrate", "--run-syncdb"), check=True, **self._surroundings())
        address = self.url.removeprefix("http://")
        command = self._django("runserver", "--noreload", "--nothreading", address)
        self._process = subprocess.Popen(command, **self._surroundings())
        wait_until(self._answers, "graphite-web answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def events(self) -> list[dict[str, Any]]:
        """What Graphite has, latest first."""
        found = requests.get(f"{self.url}/events/get_data", timeout=30).json()
        return sorted(found, key=lambda each: -each["id"])

    def _django(self, *arguments: str) -> list[str]:
        return [PYTHON, "-W", "ignore", "-m", "django", *arguments]

    def _surroundings(self) -> dict[str, Any]:
        names = {
            "PYTHONPATH": str(self._folder),
            "GRAPHITE_SETTINGS_MODULE": "graphite_of_tests",
            "DJANGO_SETTINGS_MODULE": "graphite.settings",
        }
        nothing = subprocess.DEVNULL
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {"env": kept | names, "stdin": nothing, "stdout": nothing, "stderr": nothing}

    def _answers(self) -> bool:
        assert self._process.poll() is None
        try:
            return requests.get(f"{self.url}/events/get_data", timeout=30).ok
        except requests.ConnectionError:
            return False
