"""A real Serf agent on free ports of 127.0.0.1."""

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from flyte_host.testing.waiting import wait_until
from tests.support.bad_servers import closed_port

SERF = shutil.which("serf")
AUTH_KEY = "correct-horse"


class SerfAgent:
    """Use as a context manager; ``stop`` and ``start`` take it away and bring it back."""

    def __init__(self, folder: Path, name: str, auth_key: str = "") -> None:
        self._name = name
        self._config = folder / f"{name}.json"
        self._config.write_text(json.dumps({"rpc_auth": auth_key} if auth_key else {}))
        self.gossip_address = f"127.0.0.1:{closed_port()}"
        self.rpc_address = f"127.0.0.1:{closed_port()}"
        self._auth_key = auth_key
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, join: str = "") -> None:
        assert SERF is not None
        places = [f"-bind={self.gossip_address}", f"-rpc-addr={self.rpc_address}"]
        joining = [f"-join={join}"] if join else []
        command = [SERF, "agent", f"-node={self._name}", f"-config-file={self._config}"]
        self._process = subprocess.Popen(
            [*command, "-profile=local", *places, *joining],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._listens, "the Serf agent listens")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def send(self, name: str, payload: str = "") -> None:
        """Raise a user event with Serf's own command."""
        key = [f"-rpc-auth={self._auth_key}"] if self._auth_key else []
        options = [f"-rpc-addr={self.rpc_address}", "-coalesce=false", *key]
        command = [str(SERF), "event", *options, name, payload]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None
        host, _, port = self.rpc_address.partition(":")
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            return False
        return True
