"""A client that counts how its calls end.

Owns which method is which call. Must not know what a call does.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.counters import Counters
from flyte_host.errors import FlyteError
from flyte_host.model import PackDef, Registration, Taken

_P = ParamSpec("_P")
_T = TypeVar("_T")


class CountingClient(FlyteClient):
    """Counters every call once, also one that is not sent since flyte is away.

    ``settings`` are those of FlyteClient.
    """

    def __init__(self, url: str, *, counts: Counters, **settings: Any) -> None:
        super().__init__(url, **settings)
        self._counts = counts

    def register(self, pack: PackDef) -> Registration:
        return self._counted("register", super().register, pack)

    def take(self, registration: Registration) -> Taken | None:
        return self._counted("take", super().take, registration)

    def post_result(self, result_href: str, body: bytes) -> None:
        return self._counted("result", super().post_result, result_href, body)

    def post_event(self, registration: Registration, body: bytes) -> None:
        return self._counted("event", super().post_event, registration, body)

    def health(self) -> None:
        return self._counted("health", super().health)

    def action_state(self, pack_name: str, command: str, action_id: str) -> str | None:
        return self._counted("audit", super().action_state, pack_name, command, action_id)

    def _counted(
        self, name: str, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        try:
            answer = call(*args, **kwargs)
        except FlyteError as error:
            self._counts.called(name, error.word)
            raise
        self._counts.called(name, "ok")
        return answer
