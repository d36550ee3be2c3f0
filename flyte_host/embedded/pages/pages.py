"""The pages: which address shows what, and how it is rendered.

Owns routes, templates, and the headers that let a page load only its own style and script.
Must not know SQL or any web server.
"""

import logging
import mimetypes
from collections.abc import Callable, Mapping
from importlib.resources import files
from urllib.parse import urlencode

from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.flow_checks import PackNames
from flyte_host.embedded.forms import read_query
from flyte_host.embedded.model import FATAL, with_lists
from flyte_host.embedded.pages.flow_page import FlowPage, event_to_try
from flyte_host.embedded.pages.page_source import (
    ExecutionFilter,
    PackUse,
    PageSource,
    uses_of,
)
from flyte_host.embedded.pages.page_templates import PageAnswer, PageTemplates
from flyte_host.embedded.pages.step_graph import draw_steps
from flyte_host.embedded.pages.time_bars import draw_time_line
from flyte_host.errors import StoreAway
from flyte_host.records.execution_record import STATES, ExecutionRecord
from flyte_host.records.explanation import explain_steps
from flyte_host.records.host_view import NoHost
from flyte_host.records.schema_field import schema_fields

log = logging.getLogger("flyte_host.embedded")

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Pages:
    """Answers the requests of browsers; safe from any thread.

    ``get_item`` reads the datastore, for trials of flows.
    """

    def __init__(
        self, source: PageSource, get_item: Callable[[str], tuple[str, bytes] | None]
    ) -> None:
        self._source = source
        self._render = PageTemplates(source.scrub).render
        self._flow_page = FlowPage(source, self._render, get_item)
        self._routes: Mapping[str, Callable[[str, Mapping[str, str]], PageAnswer | None]] = {
            "": self._overview,
            "executions": self._executions,
            "flows": self._flows,
            "packs": self._packs,
            "datastore": self._datastore,
            "journal": self._journal,
            "pages": _asset,
        }

    def is_page(self, method: str, path: str, accept: str) -> bool:
        """Whether a request is for a page; ``/`` is one only if HTML is asked for."""
        head = path.removeprefix("/").partition("/")[0]
        if head not in self._routes or method not in {"GET", "HEAD", "POST"}:
            return False
        return bool(head) or (method != "POST" and "text/html" in accept)

    def show(self, path: str, query: str) -> PageAnswer:
        """The page of a path; ``query`` is percent-encoded."""
        head, _, rest = path.removeprefix("/").partition("/")
        try:
            fields = read_query(query)
        except BadDocument:
            fields = {}
        try:
            return self._routes[head](rest, fields) or self._missing(path)
        except StoreAway:
            return self._render("failed.html", status=503)
        except Exception:
            log.exception("internal error in the page %s (please report this)", path)
            return self._render("failed.html", status=500)

    def try_flow(self, path: str, content_type: str, body: bytes) -> PageAnswer:
        """The page of a flow with what an event would start; nothing is stored or run."""
        head, _, name = path.removeprefix("/").partition("/")
        flow = self._source.flow(name.removesuffix("/try"))
        if head != "flows" or flow is None:
            return self._missing(path)
        return self._flow_page.try_event(flow, content_type, body)

    def _missing(self, path: str) -> PageAnswer:
        return self._render("missing.html", status=404, path=path)

    def _overview(self, _rest: str, _query: Mapping[str, str]) -> PageAnswer:
        source = self._source
        counts = source.executions_per_minute()
        return self._render(
            "overview.html",
            packs=source.packs(),
            waiting=source.waiting(),
            executions=source.executions(ExecutionFilter()).executions[:10],
            counts=counts,
            most=max(*counts, 1),
            now=source.now(),
        )

    def _executions(self, rest: str, query: Mapping[str, str]) -> PageAnswer | None:
        if rest:
            found = self._source.execution(rest)
            return self._execution(found) if found else None
        wanted = ExecutionFilter(
            query.get("flow", ""),
            query.get("pack", ""),
            query.get("state", ""),
            query.get("text", ""),
            _number(query.get("start", "")),
        )
        found_list = self._source.executions(wanted)
        following = {**query, "start": str(found_list.next_start)}
        return self._render(
            "executions.html",
            executions=found_list.executions,
            wanted=wanted,
            states=STATES,
            decisions=[] if wanted.start else self._source.decisions(wanted.flow),
            unheard=[] if wanted.start or wanted.flow else self._source.unheard(),
            following=urlencode(following) if found_list.next_start is not None else "",
            searched=found_list.searched_from(wanted.start),
            is_live=wanted.start == 0,
        )

    def _execution(self, execution: ExecutionRecord) -> PageAnswer:
        now = self._source.now()
        explained = list(explain_steps(execution, self._source.packs(), now))
        states = {each.step: each.did for each in explained}
        host = self._source.host
        return self._render(
            "execution.html",
            execution=execution,
            explained=explained,
            graph=draw_steps(execution.steps or [], states),
            bars=draw_time_line(execution.all_actions(), now),
            event=event_to_try(execution.trigger()),
            entries=host.entries_of([each.id for each in execution.all_actions()]),
            is_live=execution.state == "RUNNING",
        )

    def _flows(self, rest: str, query: Mapping[str, str]) -> PageAnswer | None:
        if not rest:
            return self._render("flows.html", flows=self._source.flows())
        uuid = query.get("version", "")
        flow = self._source.version(rest, uuid) if uuid else self._source.flow(rest)
        return self._flow_page.show(flow, version=uuid) if flow else None

    def _packs(self, rest: str, _query: Mapping[str, str]) -> PageAnswer | None:
        now = self._source.now()
        if not rest:
            return self._render("packs.html", packs=self._source.packs(), now=now)
        pack = self._source.pack(rest)
        if pack is None:
            return None
        names = self._source.pack_names()[pack.sender.name]
        uses = [
            (use, "" if _exists(use, names) else "the pack has none with that name")
            for use in uses_of(pack.sender.name, self._source.flows())
        ]
        schemas = self._source.host.input_schemas(rest)
        fields = {name: schema_fields(schema) for name, schema in schemas.items()}
        return self._render("pack.html", pack=with_lists(pack), uses=uses, fields=fields)

    def _datastore(self, rest: str, _query: Mapping[str, str]) -> PageAnswer | None:
        return None if rest else self._render("datastore.html", items=self._source.items())

    def _journal(self, rest: str, _query: Mapping[str, str]) -> PageAnswer | None:
        host = self._source.host
        has_host = not isinstance(host, NoHost)
        if rest:
            return None
        return self._render("journal.html", entries=host.journal(), has_host=has_host)


def _exists(use: PackUse, names: PackNames) -> bool:
    return use.name in (names.commands if use.verb == "runs" else {*names.events, FATAL})


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _asset(rest: str, _query: Mapping[str, str]) -> PageAnswer | None:
    if rest not in {"style.css", "live.js"}:
        return None
    body = (files(__package__) / "static" / rest).read_bytes()
    kind = mimetypes.guess_type(rest)[0] or "text/plain"
    return PageAnswer(200, f"{kind}; charset=utf-8", body)
