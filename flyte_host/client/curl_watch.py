"""What libcurl waits for while many requests are under way: sockets, and one timer.

Owns what is watched until when. Must not know the requests. ``curl_network`` guards it with its
lock, except :meth:`CurlWatch.wait` and :meth:`CurlWatch.interrupt`.
"""

import math
import select
import socket
import time
from contextlib import suppress

import pycurl

from flyte_host import forks

EVENTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}

_kept: set["CurlWatch"] = set()
"""Until they are closed: if a process that a plugin forks freed one, the numbers that libcurl
closes would be those of other files there."""


class CurlWatch:
    """Keeps ``connections_kept`` idle connections at most."""

    def __init__(self, connections_kept: int) -> None:
        self._timer_at = self._waits_until = math.inf
        self._watched: dict[int, int] = {}
        self._unused = select.poll()
        self._epoll = select.epoll()
        self._caller, self._called = socket.socketpair()
        self._caller.setblocking(False)
        self._called.setblocking(False)
        self._called_number = self._called.fileno()
        self._epoll.register(self._called_number, select.EPOLLIN)
        forks.own_descriptor(self._epoll.fileno())
        forks.own_connection(self._caller)
        forks.own_connection(self._called)
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_MAXCONNECTS, connections_kept)
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_change)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        _kept.add(self)

    def begin_wait(self, seconds: float) -> float:
        """How long :meth:`wait` may last; a timer that is set from now on ends it."""
        now = time.monotonic()
        self._waits_until = min(now + seconds, self._timer_at)
        return max(0.0, self._waits_until - now)

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """What has come."""
        return self._epoll.poll(seconds)

    def end_wait(self, found: list[tuple[int, int]]) -> bool:
        """Whether there is something to act on, not only a call."""
        self._waits_until = -math.inf
        calls = [descriptor for descriptor, _ in found if descriptor == self._called_number]
        if calls:
            with suppress(OSError):
                while self._called.recv(4096):
                    pass
        return len(found) > len(calls) or self._timer_at <= time.monotonic()

    def interrupt(self) -> None:
        """Let :meth:`wait` return."""
        with suppress(OSError):  # it was called very often, or is closed
            self._caller.send(b"\0")

    def act(self) -> None:
        """Have libcurl do what can be done now."""
        for descriptor, events in self._epoll.poll(0):
            if descriptor != self._called_number:
                self.multi.socket_action(descriptor, _selected(events))
        if self._timer_at <= time.monotonic():
            self.start()

    def start(self) -> None:
        """Have libcurl do what has just been added, and what is due."""
        self._timer_at = math.inf
        self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def is_one_over(self) -> bool:
        """Whether the server has ended a connection that is not in use.

        libcurl looks once a second, and relies on resending. Numbers that it closed may be those of
        other files by now.
        """
        for descriptor, _ in self._unused.poll(0):
            if forks.is_own_socket_number(descriptor):
                return True
            self._unused.unregister(descriptor)
        return False

    def close(self) -> None:
        """After the last request, and when nobody waits."""
        self.multi.close()
        forks.disown_descriptor(self._epoll.fileno())
        self._epoll.close()
        self._caller.close()
        self._called.close()
        _kept.discard(self)

    def _on_change(self, what: int, descriptor: int, *_: object) -> None:
        """libcurl says what it waits for; what comes on a connection out of use is its end."""
        known, events = self._watched.pop(descriptor, None), EVENTS.get(what)
        if events is None:
            if known is not None:
                self._epoll.unregister(descriptor)
                self._unused.register(descriptor, select.POLLIN)
            return
        self._watched[descriptor] = events
        if known is None:
            self._epoll.register(descriptor, events)
            with suppress(KeyError):
                self._unused.unregister(descriptor)
        elif events != known:
            self._epoll.modify(descriptor, events)

    def _on_timer(self, milliseconds: int) -> None:
        self._timer_at = time.monotonic() + milliseconds / 1000 if milliseconds >= 0 else math.inf
        if self._timer_at < self._waits_until:
            self.interrupt()


def _selected(events: int) -> int:
    """In libcurl's words."""
    return (
        (pycurl.CSELECT_IN if events & select.EPOLLIN else 0)
        | (pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0)
        | (pycurl.CSELECT_ERR if events & (select.EPOLLERR | select.EPOLLHUP) else 0)
    )
