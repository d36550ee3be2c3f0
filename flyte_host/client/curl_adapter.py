"""requests' transport adapter on libcurl, which costs a fraction of the usual one.

Owns the handles that threads use, one at a time each. Must not know what is asked.

A handle keeps one connection, and one thread at a time uses it. They are in a list, not in
``threading.local``: a process that a plugin forks would end those of all other threads, and with
them the TLS connections that it shares with the host.
"""

import select
import socket
import threading
from typing import Any

import pycurl
import requests
from requests.adapters import BaseAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from flyte_host import forks
from flyte_host.client.curl_failures import CurlFailure
from flyte_host.client.curl_handle import CurlHandle


class CurlAdapter(BaseAdapter):
    """``read`` of a timeout bounds the whole exchange, from connecting to the last byte.

    Of a body it reads little more than ``largest_bytes``. No more than ``handles_kept`` stay open.
    """

    def __init__(self, *, largest_bytes: int, handles_kept: int) -> None:
        super().__init__()
        self._largest_bytes = largest_bytes
        self._handles_kept = handles_kept
        self._idle: list[_Handle] = []
        self._pid = forks.process_id()
        self._inherited: list[list[_Handle]] = []

    def send(  # type: ignore[override]
        self,
        request: requests.PreparedRequest,
        *,
        timeout: tuple[float, float | None],
        verify: bool | str,
        cert: str | tuple[str, str] | None = None,
        **_: Any,
    ) -> requests.Response:
        idle = self._own_idle()
        try:
            handle = idle.pop()
        except IndexError:
            handle = _Handle(self._largest_bytes)
        try:
            handle.secure(verify, cert)
            return handle.send(request, timeout)
        finally:
            self._put_back(handle, idle)

    def close(self) -> None:
        """Drop idle connections; those in use are dropped when they are put back."""
        idle, self._idle = self._own_idle(), []
        while idle:
            idle.pop().close()

    def __del__(self) -> None:
        # Left to the garbage collector, libcurl and our sockets would close the same numbers.
        self.close()

    def _own_idle(self) -> list["_Handle"]:
        """The idle handles, of which a forked process has only copies: it leaves them alone."""
        if forks.process_id() != self._pid:
            self._inherited.append(self._idle)
            self._pid, self._idle = forks.process_id(), []
        return self._idle

    def _put_back(self, handle: "_Handle", idle: list["_Handle"]) -> None:
        if idle is self._idle and len(idle) < self._handles_kept:
            idle.append(handle)
        else:
            handle.close()


class _Handle(CurlHandle):
    """Has a connection of its own."""

    def __init__(self, largest_bytes: int) -> None:
        super().__init__(largest_bytes)
        self._connections: dict[int, socket.socket] = {}
        self._readable = select.poll()
        self._tls: Any = None
        self.curl.setopt(pycurl.MAXCONNECTS, 1)
        self.curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        self.curl.setopt(pycurl.XFERINFOFUNCTION, self._on_progress)
        self.curl.setopt(pycurl.CLOSESOCKETFUNCTION, self._on_close)

    def secure(self, verify: bool | str, cert: str | tuple[str, str] | None) -> None:
        """``verify`` and ``cert`` in the words of requests."""
        if self._tls == (verify, cert):
            return
        self._tls = verify, cert
        self._set(pycurl.SSL_VERIFYPEER, int(bool(verify)))
        self._set(pycurl.SSL_VERIFYHOST, 2 if verify else 0)
        self._set(pycurl.CAINFO, verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH)
        cert_file, key_file = cert if isinstance(cert, tuple) else (cert, cert)
        self._set(pycurl.SSLCERT, cert_file)
        self._set(pycurl.SSLKEY, key_file)

    def send(
        self, request: requests.PreparedRequest, timeout: tuple[float, float | None]
    ) -> requests.Response:
        self.prepare(request, timeout, fresh=self._is_connection_over())
        return self.response(request, self._perform())

    def close(self) -> None:
        self.curl.close()

    def _is_connection_over(self) -> bool:
        """Whether the server has ended it: libcurl looks once a second, and relies on resending."""
        return bool(self._connections) and bool(self._readable.poll(0))

    def _perform(self) -> CurlFailure | None:
        # Python looks at signals only between its own instructions, and only in the main thread:
        # there it gets a turn, or Ctrl-C would wait for the answer.
        is_main = threading.current_thread() is threading.main_thread()
        self._set(pycurl.NOPROGRESS, int(not is_main))
        try:
            self.curl.perform()
        except pycurl.error as error:
            return self.failure(int(error.args[0]), str(error.args[-1]))
        except BaseException:  # Ctrl-C: the connection was closed already, without our callback
            while self._connections:
                self._connections.popitem()[1].detach()
            raise
        return None

    def _on_progress(self, *_: int) -> None:
        """There is nothing to do: Python raises KeyboardInterrupt here."""

    def _claim(self, descriptor: int) -> None:
        self._connections[descriptor] = connection = socket.socket(fileno=descriptor)
        forks.own_connection(connection)
        self._readable.register(descriptor, select.POLLIN)

    def _on_close(self, descriptor: int) -> int:
        # In a forked process this closes nothing: there the socket has let go of its number.
        self._readable.unregister(descriptor)
        self._connections.pop(descriptor).close()
        return 0
