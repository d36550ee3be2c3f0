"""The page of a flow: its text with what is wrong in it, its outcomes, and a trial of an event.

Owns which event a trial begins with. Must not know routes.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.finding import Finding
from flyte_host.embedded.flow import Flow, flow_document
from flyte_host.embedded.flow_checks import check_flow
from flyte_host.embedded.flow_templates import make_flow_templates
from flyte_host.embedded.flow_trial import FlowTrial, document, read_trial_event, sender_of
from flyte_host.embedded.forms import read_form
from flyte_host.embedded.pages.page_source import ExecutionFilter, PageSource, as_json, as_record
from flyte_host.embedded.pages.page_templates import PageAnswer
from flyte_host.embedded.pages.step_graph import draw_steps
from flyte_host.embedded.yaml_codec import write_yaml
from flyte_host.records.execution_record import EventRecord
from flyte_host.text import escape_in_json

OUTCOMES = 50


class FlowPage:
    """Renders the page of any flow. ``get_item`` reads the datastore, for trials."""

    def __init__(
        self,
        source: PageSource,
        render: Callable[..., PageAnswer],
        get_item: Callable[[str], tuple[str, bytes] | None],
    ) -> None:
        self._source = source
        self._render = render
        self._get_item = get_item

    def show(
        self,
        flow: Flow,
        *,
        version: str = "",
        tried: str = "",
        problem: str = "",
        trial: Any = None,
    ) -> PageAnswer:
        """``version`` has its uuid if it is not the current one; the rest is of a trial."""
        outcomes = self._source.executions(ExecutionFilter(flow=flow.name)).executions[:OUTCOMES]
        text = write_yaml(flow_document(flow)).decode()
        findings = check_flow(text, source=flow.name, packs=self._source.pack_names()).findings
        if not tried and outcomes and (last := outcomes[0].trigger()):
            tried = as_json(event_to_try(last))
        record = as_record(flow)
        return self._render(
            "flow.html",
            flow=record,
            lines=_numbered(text, findings),
            loose=[each for each in findings if each.line is None],
            graph=draw_steps(record.steps or [], {}),
            outcomes=outcomes,
            decisions=self._source.decisions(flow.name),
            version=version,
            versions=self._source.versions(flow.name),
            tried=escape_in_json(self._source.scrub(tried)),
            problem=problem,
            trial=trial,
        )

    def try_event(self, flow: Flow, content_type: str, body: bytes) -> PageAnswer:
        """The page with what the event of a form would start; nothing is stored or run."""
        text = ""
        try:
            text = read_form(content_type, body).fields.get("event", "")
            said = read_trial_event(text.encode(), is_result=False)
            event = said.event(sender_of(said.pack, said.labels), self._source.now())
        except BadDocument as error:
            return self.show(flow, tried=text, problem=str(error))
        templates = make_flow_templates(self._get_item, now=self._source.now, rng=random.Random())  # noqa: S311
        return self.show(flow, tried=text, trial=document(FlowTrial(flow, templates).event(event)))


def event_to_try(event: EventRecord) -> dict[str, Any]:
    """An event as a trial reads it."""
    labels = {"labels": event.pack.labels} if event.pack.labels else {}
    return {"pack": event.pack.name, **labels, "event": event.event, "payload": event.payload}


def _numbered(text: str, findings: Sequence[Finding]) -> list[tuple[int, str, list[Finding]]]:
    """Lines with their numbers and what was found in each."""
    return [
        (number, line, [each for each in findings if each.line == number])
        for number, line in enumerate(text.splitlines(), 1)
    ]
