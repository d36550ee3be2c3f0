"""requests' transport adapter, with an end to every answer."""

from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from flyte_pack_kit.timed_answer import TimedAnswer


class WholeAnswerAdapter(HTTPAdapter):
    """The read timeout bounds the whole answer, from the request to the last byte."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}


class _PlainConnection(HTTPConnection):
    response_class = TimedAnswer


class _TlsConnection(HTTPSConnection):
    response_class = TimedAnswer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
