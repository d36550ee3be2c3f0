"""Many requests under way in libcurl, watched by one thread at a time.

Owns the handles, and who waits for what. Must not know who looks or what is asked.

Plain HTTP only: TLS would be done under the one lock, and its handshakes keep all others waiting.
"""

import threading
from collections.abc import Callable

import pycurl
import requests

from flyte_host import forks
from flyte_host.client.curl_failures import CurlFailure
from flyte_host.client.curl_handle import CurlHandle
from flyte_host.client.curl_watch import CurlWatch


class CurlRequest:
    """What :class:`NetworkRequest` says."""

    def __init__(
        self,
        network: "CurlNetwork",
        request: requests.PreparedRequest,
        timeout: tuple[float, float | None],
        send: Callable[[], requests.Response],
    ) -> None:
        self.request = request
        self.timeout = timeout
        self.wake: Callable[[], None] = lambda: None
        self._network = network
        self._send = send
        self._response: requests.Response | None = None
        self._error: Exception | None = None

    def begin(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self._network.begin(self)

    def stand_still(self) -> None:
        try:
            self._response = self._send()
        except Exception as error:  # for :meth:`response`
            self._error = error

    def response(self) -> requests.Response:
        if self._response is None:
            raise self._error or requests.ConnectionError("the network is closed")
        return self._response

    def end(self, handle: "DrivenHandle", failure: CurlFailure | None) -> None:
        """Keep the answer or the error."""
        try:
            self._response = handle.response(self.request, failure)
        except requests.RequestException as error:
            self._error = error

    def fail(self, error: Exception) -> None:
        """It could not even begin."""
        self._error = error


class DrivenHandle(CurlHandle):
    """Has whichever connection of the network is free."""

    def _claim(self, descriptor: int) -> None:
        forks.own_socket_number(descriptor)


class CurlNetwork:
    """Keeps no more idle connections, and idle handles, than ``connections_kept``.

    Requests have no other bound: as many are under way as are begun.
    """

    def __init__(self, *, largest_bytes: int, connections_kept: int) -> None:
        self._largest_bytes = largest_bytes
        self._connections_kept = connections_kept
        self._pid = forks.process_id()
        self._lock = threading.Lock()
        self._is_closed = False
        self._lookers = 0
        self._idle: list[DrivenHandle] = []
        self._under_way: dict[pycurl.Curl, tuple[DrivenHandle, CurlRequest]] = {}
        self._watch = CurlWatch(connections_kept)

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def carries(self, request: requests.PreparedRequest) -> bool:
        return str(request.url).startswith("http:")

    def make(
        self,
        request: requests.PreparedRequest,
        timeout: tuple[float, float | None],
        send: Callable[[], requests.Response],
    ) -> CurlRequest:
        return CurlRequest(self, request, timeout, send)

    def begin(self, begun: CurlRequest) -> None:
        """For :class:`CurlRequest`."""
        with self._lock:
            ended = self._begin(begun) if self._is_usable else [begun]
        _wake(ended)

    def look(self, seconds: float) -> bool:
        with self._lock:
            if not self._is_usable:
                return False
            self._lookers += 1
            seconds = self._watch.begin_wait(seconds)
        try:
            found = self._watch.wait(seconds)
        finally:
            with self._lock:
                self._lookers -= 1
                self._close_watch()
        return not self._is_closed and self._watch.end_wait(found)

    def attend(self) -> None:
        ended: list[CurlRequest] = []
        try:
            with self._lock:
                if self._is_usable:
                    self._watch.act()
                    self._collect(ended)
        finally:  # whatever ends this thread: nobody else would wake those
            _wake(ended)

    def interrupt(self) -> None:
        self._watch.interrupt()

    def close(self) -> None:
        if forks.process_id() != self._pid:
            return
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            left = [begun for _, begun in self._under_way.values()]
            for curl in self._under_way:
                self._watch.multi.remove_handle(curl)
            self._under_way.clear()
            self._watch.interrupt()  # for everybody who looks: the interrupt is not consumed
            self._close_watch()
        _wake(left)

    def __del__(self) -> None:
        self.close()

    @property
    def _is_usable(self) -> bool:
        """Not in a forked process, which has only a copy."""
        return not self._is_closed and forks.process_id() == self._pid

    def _close_watch(self) -> None:
        """After the close, and after the last one that looks."""
        if self._is_closed and not self._lookers:
            self._watch.close()

    def _begin(self, begun: CurlRequest) -> list[CurlRequest]:
        handle = self._idle.pop() if self._idle else DrivenHandle(self._largest_bytes)
        try:
            handle.prepare(begun.request, begun.timeout, fresh=self._watch.is_one_over())
            self._watch.multi.add_handle(handle.curl)
        except Exception as error:
            begun.fail(error)
            return [begun]
        self._under_way[handle.curl] = handle, begun
        self._watch.start()
        ended: list[CurlRequest] = []
        self._collect(ended)
        return ended

    def _collect(self, ended: list[CurlRequest]) -> None:
        """Add what is over, with its answer."""
        left = 1
        while left:
            left, good, bad = self._watch.multi.info_read()
            ended.extend(self._end(curl, None) for curl in good)
            ended.extend(self._end(curl, (code, text)) for curl, code, text in bad)

    def _end(self, curl: pycurl.Curl, failure: tuple[int, str] | None) -> CurlRequest:
        handle, begun = self._under_way.pop(curl)
        begun.end(handle, None if failure is None else handle.failure(*failure))
        self._watch.multi.remove_handle(curl)
        if len(self._idle) < self._connections_kept:
            self._idle.append(handle)
        return begun


def _wake(ended: list[CurlRequest]) -> None:
    for each in ended:
        each.wake()
