"""libcurl's network for callers that block, so that all tests of the client run on it as well."""

import threading
from collections.abc import Callable

import requests

from flyte_host.client.curl_network import CurlNetwork, CurlRequest

LOOK_SECONDS = 0.02
"""Several threads look here at once, so that one may get what another was called for."""


class DrivenRequest(CurlRequest):
    def __init__(
        self,
        network: "DrivenNetwork",
        request: requests.PreparedRequest,
        timeout: tuple[float, float | None],
        send: Callable[[], requests.Response],
    ) -> None:
        super().__init__(network, request, timeout, send)
        self._driven = network

    def stand_still(self) -> None:
        over = threading.Event()
        self.begin(over.set)
        while not over.is_set():
            self._driven.look(LOOK_SECONDS)
            self._driven.attend()


class DrivenNetwork(CurlNetwork):
    """The thread that waits for an answer looks for all."""

    def make(
        self,
        request: requests.PreparedRequest,
        timeout: tuple[float, float | None],
        send: Callable[[], requests.Response],
    ) -> CurlRequest:
        return DrivenRequest(self, request, timeout, send)
