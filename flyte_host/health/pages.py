"""The host's health pages as a WSGI application.

Owns what each page says and when it is an error. Must not know how to start or stop anything, nor
what makes a line of ``/ready``, which is ``readiness``; it looks at the running parts, and says
"starting" until there are any.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from flyte_host.client import FlyteClient
from flyte_host.errors import FlyteError
from flyte_host.health.checks import CheckAnswer, Checks
from flyte_host.health.readiness import Parts, Ready, readiness
from flyte_host.model import Health, HealthCheck
from flyte_host.packs import ServedPack
from flyte_host.response_headers import PROTECTIVE_HEADERS
from flyte_host.secrets import Scrubber
from flyte_host.text import escape_controls, escape_in_json, printable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from flyte_host.health.prometheus import Metrics

DEFAULT_CHECK = {"DefaultCheck": CheckAnswer(True, "Pack is running.", True)}

_STATUS = {200: "200 OK", 404: "404 Not Found", 500: "500 Internal Server Error",
           503: "503 Service Unavailable"}  # fmt: skip


class HealthApp:
    """Call :meth:`watch` once the parts run; the pages answer before that too."""

    def __init__(self, scrubber: Scrubber, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._scrubber = scrubber
        self._clock = clock
        self._checks = Checks()
        self._parts: Parts | None = None
        self._flyte_check: dict[str, HealthCheck] = {}
        self._metrics: Metrics | None = None
        self.stopping = False
        self.loading: Callable[[], str] = str

    def watch(self, parts: Parts) -> None:
        """Answer for these parts from now on."""
        self._flyte_check = {"flyte-api": HealthCheck("flyte-api", _reach(parts.client), False)}
        self._parts = parts

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # WSGI gives a path's bytes as Latin-1, with no quoting left.
        path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
        if path == "/metrics":
            status, content_type, body = self._metrics_page(environ.get("HTTP_ACCEPT", ""))
        else:
            status, content_type, body = self._json(*self._page(path or "/"))
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            *PROTECTIVE_HEADERS,
        ]
        start_response(_STATUS[status], headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def _json(self, status: int, document: Any) -> tuple[int, str, bytes]:
        text = self._scrubber.scrub(msgspec.json.encode(document).decode())
        return status, "application/json; charset=utf-8", escape_in_json(text).encode()

    def _metrics_page(self, accept: str) -> tuple[int, str, bytes]:
        try:
            from flyte_host.health.prometheus import Metrics  # noqa: PLC0415  an extra
        except ImportError as error:
            what = f"/metrics needs more than is installed ({error})"
            return self._json(404, {"error": f"{what}: pip install 'flyte-host[metrics]'"})
        self._metrics = self._metrics or Metrics(self._scrubber, self._clock)
        return 200, *self._metrics.page(self._parts, accept, stopping=self.stopping)

    def _page(self, path: str) -> tuple[int, Any]:
        pack_key = path.removeprefix("/packs/")
        if path == "/":
            return self._all_checks()
        if path == "/live":
            return self._live()
        if path == "/ready":
            return self._ready()
        if pack_key != path:
            return self._pack_checks(pack_key)
        pages = ["/", "/packs/<instance>", "/live", "/ready", "/metrics"]
        return 404, {"error": f"no page {path}", "pages": pages}

    def _all_checks(self) -> tuple[int, Any]:
        packs = self._parts.registry.packs.values() if self._parts else ()
        named = _named(list(packs), reserved=self._flyte_check)
        default = {} if named else DEFAULT_CHECK
        return _checks_page(default | self._checks.ask({**named, **self._flyte_check}))

    def _pack_checks(self, pack_key: str) -> tuple[int, Any]:
        packs = self._parts.registry.packs if self._parts else {}
        if pack_key not in packs:
            known = ", ".join(packs) or "none yet"
            return 404, {"error": f"no pack {pack_key!r} is served", "packs": known}
        checks = _unique((check.name, check) for check in packs[pack_key].health_checks)
        return _checks_page(self._checks.ask(checks) if checks else DEFAULT_CHECK)

    def _live(self) -> tuple[int, Any]:
        threads = self._parts.threads() if self._parts and not self.stopping else ()
        dead = [thread.name for thread in threads if not thread.is_alive()]
        return (503 if dead else 200), {"live": not dead, "dead_threads": dead}

    def _ready(self) -> tuple[int, Any]:
        if self.stopping:
            lines = {"host": Ready(False, "stopping")}
        elif self._parts is None:
            words = ["starting: loading plugins", *filter(None, [self.loading()])]
            lines = {"host": Ready(False, "; ".join(words))}
        else:
            lines = readiness(self._parts, self._clock())
        ready = all(line.healthy or not line.critical for line in lines.values())
        checks = {
            name: asdict(each) | {"reason": escape_controls(each.reason)}
            for name, each in lines.items()
        }
        return (200 if ready else 503), {"ready": ready, "checks": checks}


def _named(packs: list[ServedPack], *, reserved: Collection[str]) -> dict[str, HealthCheck]:
    """Every check by its name; a name that somebody else uses too gets the pack's before it."""
    checks = [(pack, check) for pack in packs for check in pack.health_checks]
    names = Counter([*reserved, *(check.name for _, check in checks)])
    return _unique(
        (check.name if names[check.name] == 1 else f"{_title(pack, packs)}: {check.name}", check)
        for pack, check in checks
    )


def _unique(checks: Iterable[tuple[str, HealthCheck]]) -> dict[str, HealthCheck]:
    """By name, none left out: a second of the same name becomes ``name (2)``."""
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
