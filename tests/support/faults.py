"""What can go wrong between a host and flyte, each as a script for the proxy.

Owns the list. TLS and DNS failures are not in it: ``tests/client/test_tls.py`` and
``tests/client/test_flyte_client.py`` have those.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.proxy import Act, Exchange, ProxyAnswer

GONE_SECONDS = 0.2
TIMEOUT_SECONDS = 3.0
"""Of a host that meets a slow flyte: a busy machine answers sooner. A take has more."""
SLOW_SECONDS = 3.5
LOGIN_PAGE = b"<html><body>Please log in</body></html>"


@dataclass(frozen=True)
class Fault:
    """``commits``: flyte has processed the call. ``told_takes``: a take still gets its answer,
    since it has 30 seconds. ``times``: how often in a row it happens. ``timeout_seconds``:
    what the host has, nothing that only a busy machine uses up.
    """

    act: Act
    commits: bool = False
    told_takes: bool = False
    times: int = 2
    timeout_seconds: float = PATIENCE_SECONDS


def refused(exchange: Exchange) -> None:
    exchange.reset()
    exchange.proxy.away()
    exchange.wait(GONE_SECONDS)
    exchange.proxy.back()


def reset_before(exchange: Exchange) -> None:
    exchange.reset()


def reset_after(exchange: Exchange) -> None:
    exchange.forward()
    exchange.reset()


def dropped(exchange: Exchange) -> None:
    exchange.forward()


def answered(status: int, exchange: Exchange, **headers: str) -> None:
    exchange.send(ProxyAnswer(status, b"", headers).encoded())


def answered_after(status: int, exchange: Exchange) -> None:
    exchange.forward()
    answered(status, exchange)


def slow_headers(exchange: Exchange) -> None:
    encoded = exchange.forward().encoded()
    exchange.wait(SLOW_SECONDS)
    exchange.send(encoded)


def slow_body(exchange: Exchange) -> None:
    """The status in time, the rest byte by byte; an answer without a body drips its headers."""
    encoded = exchange.forward().encoded()
    whole = encoded.index(b"\r\n") + 2
    exchange.send(encoded[:whole])
    for position in range(whole, len(encoded)):
        exchange.wait(SLOW_SECONDS / (len(encoded) - whole))
        exchange.send(encoded[position : position + 1])


def half_a_body(exchange: Exchange) -> None:
    """A body that breaks off, even where flyte would send none."""
    answer = exchange.forward()
    body = answer.body or b" " * 20
    status = 200 if answer.status == 204 else answer.status
    encoded = ProxyAnswer(status, body, answer.headers).encoded()
    exchange.send(encoded[: -(len(body) // 2)])


def garbage(exchange: Exchange) -> None:
    exchange.forward()
    exchange.send(b"\x00\xff\x13\x37 no HTTP at all\r\n\r\n")


def wrong_type(exchange: Exchange) -> None:
    """The login page of something in front of flyte."""
    exchange.send(ProxyAnswer(200, LOGIN_PAGE, {"Content-Type": "text/html"}).encoded())


def redirect(place: str, exchange: Exchange) -> None:
    answered(302, exchange, Location=f"{place}/elsewhere")


def new_token(rotate: Callable[[], None], exchange: Exchange) -> None:
    """flyte calls the token expired; a little later its file has a new one."""
    exchange.proxy.token = "the-new-token"
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    exchange.send(ProxyAnswer(401, b"", challenge).encoded())
    exchange.wait(0.1)
    rotate()


def faults(rotate: Callable[[], None], other_origin: str) -> dict[str, Fault]:
    """By name; ``rotate`` writes the new token, ``other_origin`` is where a redirect leads."""
    return {
        "connection refused": Fault(refused),
        "reset before the request is read": Fault(reset_before),
        "reset after commit": Fault(reset_after, commits=True),
        "answer dropped after commit": Fault(dropped, commits=True),
        "500 before commit": Fault(partial(answered, 500)),
        "500 after commit": Fault(partial(answered_after, 500), commits=True),
        "502": Fault(partial(answered, 502)),
        "502 after commit": Fault(partial(answered_after, 502), commits=True),
        "503 with Retry-After": Fault(partial(answered, 503, Retry_After="1"), times=1),
        "429 with Retry-After": Fault(partial(answered, 429, Retry_After="1"), times=1),
        "401, then a new token": Fault(partial(new_token, rotate), times=1),
        "404": Fault(partial(answered, 404), times=1),
        "slow headers": Fault(slow_headers, True, True, timeout_seconds=TIMEOUT_SECONDS),
        "slow body": Fault(slow_body, True, True, timeout_seconds=TIMEOUT_SECONDS),
        "half a body": Fault(half_a_body, commits=True),
        "garbage": Fault(garbage, commits=True),
        "wrong content type": Fault(wrong_type),
        "redirect to another origin": Fault(partial(redirect, other_origin)),
    }


NAMES = tuple(faults(lambda: None, ""))
