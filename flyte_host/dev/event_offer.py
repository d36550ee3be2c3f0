"""Which events set the flows going, as commands to copy.

Owns the command and its example of a payload. Must not know where flows come from.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_host.embedded.flow import Flow, FlowStep

MOST_ITEMS = 10
PAYLOAD_PATH = re.compile(r"Event\.Payload((?:\.\w+)+)")


@dataclass(frozen=True, slots=True)
class EventOffer:
    """An event of a pack; ``payload`` has what templates read of it."""

    pack: str
    event: str
    labels: tuple[tuple[str, str], ...]
    payload: str

    def command(self, program: str, url: str) -> str:
        """What raises it at the flyte ``url``, for a shell; ``program`` is flyte-host."""
        labels = [word for key, value in self.labels for word in ("--label", f"{key}={value}")]
        words = [self.pack, self.event, self.payload, "--register", "--watch", *labels]
        return shlex.join([program, "event", *words, "--url", url])


def offer_events(flows: "Iterable[Flow]") -> list[EventOffer]:
    """What starts the flows, each event once."""
    wanted: dict[tuple[str, str, tuple[tuple[str, str], ...]], Any] = {}
    for step in (step for flow in flows for step in flow.steps if not step.depends_on):
        awaited = step.event
        key = awaited.pack_name, awaited.name, tuple(awaited.pack_labels.items())
        for path in [[], *_payload_paths(step)]:
            wanted[key] = _with_path(wanted.get(key, {}), path)
    return [
        EventOffer(pack, event, labels, json.dumps(payload, ensure_ascii=False))
        for (pack, event, labels), payload in wanted.items()
    ]


def _payload_paths(step: "FlowStep") -> Iterator[list[str]]:
    for text in _texts([step.criteria, step.context, step.command.input, step.command.pack_labels]):
        for found in PAYLOAD_PATH.finditer(text):
            yield found[1].split(".")[1:]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _with_path(value: Any, path: list[str], name: str = "") -> Any:
    """``value`` with an example of what a template reads at ``path``: a text named like its key."""
    if not path:
        return name if value is None else value
    key, *rest = path
    if key.isdigit():
        items = value if isinstance(value, list) and value else [None]
        number = min(int(key), MOST_ITEMS - 1) + 1
        return [_with_path(items[0], rest, name)] * max(number, len(items))
    fields = value if isinstance(value, dict) else {}
    return {**fields, key: _with_path(fields.get(key), rest, key)}
