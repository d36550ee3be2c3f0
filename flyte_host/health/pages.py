"""The host's health pages as an ASGI application.

Owns what each page says and when it is an error; ``readiness`` owns the lines of ``/ready``. It
looks at the running parts, says "starting" until there are any, and must not start or stop
anything.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from flyte_host.client.flyte_client import FlyteClient
from flyte_host.clock import Clock
from flyte_host.errors import FlyteError, FlyteHostError
from flyte_host.extras import needs_extra
from flyte_host.health.checks import CheckAnswer, Checks
from flyte_host.health.own_host import OwnHost
from flyte_host.health.readiness import OwnFlyte, Ready, readiness
from flyte_host.health.status_page import POLICY, STYLE, pack_rows, status_page
from flyte_host.model import Health, HealthCheck
from flyte_host.packs import ServedPack
from flyte_host.pipeline.parts import Parts
from flyte_host.plugins import Loader
from flyte_host.secrets import Scrubber
from flyte_host.text import escape_controls, escape_in_json, printable
from flyte_host.thread_watch import ThreadWatch

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from flyte_host.health.prometheus import Metrics

NOT_KEPT = {"Cache-Control": "no-store"}
DEFAULT_CHECK = {"DefaultCheck": CheckAnswer(True, "Pack is running.", True)}


class HealthApp:
    """Call :meth:`watch` once the parts run; the pages answer before that too."""

    def __init__(
        self, scrubber: Scrubber, loader: Loader, clock: Clock, threads: ThreadWatch
    ) -> None:
        self._scrubber = scrubber
        self._loader = loader
        self._clock = clock
        self._threads = threads
        self._own_flyte: OwnFlyte | None = None
        self._checks = Checks()
        self._parts: Parts | None = None
        self._flyte_check: dict[str, HealthCheck] = {}
        self._metrics: Metrics | None = None
        self._stopping = False

    def watch(self, parts: Parts, own_flyte: OwnFlyte | None = None) -> None:
        """Answer for these parts from now on, and for the flyte in this process."""
        self._own_flyte = own_flyte
        self._flyte_check = {"flyte-api": HealthCheck("flyte-api", _reach(parts.client), False)}
        self._parts = parts

    def stop(self) -> None:
        """Say from now on that the host is stopping."""
        self._stopping = True

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["path"] == "/live":  # on the loop itself, so nothing that hangs blocks it
            answer = self._json(*self._live())
        else:
            answer = await asyncio.to_thread(self._answer, scope)
        await answer(scope, receive, send)

    def _answer(self, scope: "Scope") -> Response:
        if scope["path"] == "/metrics":
            accept = dict(scope["headers"]).get(b"accept", b"")
            return self._metrics_page(accept.decode("latin-1"))
        if scope["path"] == "/status":
            return self._status_page()
        if scope["path"] == "/status.css":
            return Response(STYLE, 200, media_type="text/css")
        return self._json(*self._page(scope["path"] or "/"))

    def _json(self, status: int, document: Any) -> Response:
        text = self._scrubber.scrub(msgspec.json.encode(document).decode())
        return Response(
            f"{escape_in_json(text)}\n", status, NOT_KEPT, "application/json; charset=utf-8"
        )

    def _metrics_page(self, accept: str) -> Response:
        try:
            with needs_extra("metrics", "/metrics"):
                from flyte_host.health.prometheus import Metrics  # noqa: PLC0415  an extra
        except FlyteHostError as error:
            return self._json(404, {"error": str(error)})
        self._metrics = self._metrics or Metrics(self._scrubber, self._clock.monotonic)
        store_bytes = None if self._own_flyte is None else self._own_flyte.store_bytes
        content_type, body = self._metrics.page(self._parts, accept, store_bytes)
        return Response(body, headers=NOT_KEPT | {"Content-Type": content_type})

    def _page(self, path: str) -> tuple[int, Any]:
        pack_key = path.removeprefix("/packs/")
        if path == "/":
            return self._all_checks()
        if path == "/ready":
            return self._ready()
        if pack_key != path:
            return self._pack_checks(pack_key)
        pages = ["/", "/packs/<pack key>", "/live", "/ready", "/metrics", "/status"]
        return 404, {"error": f"no page {path}", "pages": pages}

    def _all_checks(self) -> tuple[int, Any]:
        packs = self._parts.served.packs.values() if self._parts else ()
        named = _named(list(packs), reserved=self._flyte_check)
        default = {} if named else DEFAULT_CHECK
        return _checks_page(default | self._checks.ask({**named, **self._flyte_check}))

    def _pack_checks(self, name: str) -> tuple[int, Any]:
        packs = self._parts.served.packs if self._parts else {}
        pack_key = self._parts.served.key_of(name) if self._parts else None
        if pack_key is None:
            known = ", ".join(packs) or "none yet"
            return 404, {"error": f"no pack {name!r} is served", "packs": known}
        checks = _unique((check.name, check) for check in packs[pack_key].health_checks)
        return _checks_page(self._checks.ask(checks) if checks else DEFAULT_CHECK)

    def _live(self) -> tuple[int, Any]:
        dead = self._threads.lost
        return (503 if dead else 200), {"live": not dead, "dead_threads": dead}

    def _status_page(self) -> Response:
        lines, is_ready = self._lines()
        packs = pack_rows(self._parts) if self._parts else []
        entries = OwnHost(self._parts, self._scrubber).journal() if self._parts else []
        text = self._scrubber.scrub(status_page(lines, packs, entries, is_ready=is_ready))
        headers = NOT_KEPT | {"Content-Security-Policy": POLICY}
        return Response(text.encode(errors="backslashreplace"), 200, headers, "text/html")

    def _ready(self) -> tuple[int, Any]:
        lines, is_ready = self._lines()
        checks = {
            name: asdict(each) | {"reason": escape_controls(each.reason)}
            for name, each in lines.items()
        }
        return (200 if is_ready else 503), {"ready": is_ready, "checks": checks}

    def _lines(self) -> tuple[dict[str, Ready], bool]:
        """The lines of ``/ready``, and whether the host is ready."""
        if self._stopping:
            lines = {"host": _not_ready("stopping", self._threads.problem)}
        elif self._parts is None:
            lines = {"host": _not_ready("starting: loading plugins", self._loader.problem)}
        else:
            lines = readiness(self._parts, self._clock.monotonic(), self._own_flyte)
        return lines, all(line.healthy or not line.critical for line in lines.values())


def _not_ready(state: str, problem: str) -> Ready:
    return Ready(False, "; ".join(filter(None, [state, problem])))


def _named(packs: list[ServedPack], *, reserved: Collection[str]) -> dict[str, HealthCheck]:
    """Every check by name; a name used twice gets its pack's in front."""
    checks = [(pack, check) for pack in packs for check in pack.health_checks]
    names = Counter([*reserved, *(check.name for _, check in checks)])
    return _unique(
        (check.name if names[check.name] == 1 else f"{_title(pack, packs)}: {check.name}", check)
        for pack, check in checks
    )


def _unique(checks: Iterable[tuple[str, HealthCheck]]) -> dict[str, HealthCheck]:
    """Every check by name: the second of a name becomes ``name (2)``."""
    seen: Counter[str] = Counter()
    unique = {}
    for name, check in checks:
        seen[name] += 1
        unique[name if seen[name] == 1 else f"{name} ({seen[name]})"] = check
    return unique


def _title(pack: ServedPack, packs: list[ServedPack]) -> str:
    same = [each for each in packs if each.definition.name == pack.definition.name]
    return pack.definition.name if len(same) == 1 else pack.pack_key


def _checks_page(answers: Mapping[str, CheckAnswer]) -> tuple[int, Any]:
    healthy = all(answer.healthy or not answer.critical for answer in answers.values())
    document = {
        name: {"healthy": answer.healthy, "status": _shown(answer.status)}
        for name, answer in answers.items()
    }
    return (200 if healthy else 500), document


def _shown(status: Any) -> Any:
    return printable(status) if isinstance(status, str) else status


def _reach(client: FlyteClient) -> Callable[[], Health]:
    def check() -> Health:
        try:
            client.health()
        except FlyteError as error:
            return Health(False, str(error))
        return Health(True, "flyte is healthy")

    return check
