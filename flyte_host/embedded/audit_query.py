"""The query of a request to the audit → what it asks for.

Owns which values are accepted and the defaults for what is left out.
"""

import re
from collections.abc import Mapping

from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.model import AuditFilter

MAX_LABELS = 100
"""The limit in a query, where each label is a condition for the database."""


def read_audit_query(query: Mapping[str, str]) -> AuditFilter:
    """Which executions ``query`` asks for; raises :class:`BadDocument`."""
    return AuditFilter(
        flow_name=query.get("flowName", ""),
        step_id=query.get("stepId", ""),
        action_name=query.get("actionName", ""),
        action_pack_name=query.get("actionPackName", ""),
        action_pack_labels=_read_labels(query.get("actionPackLabels", "")),
        start=_read_number(query, "start", 0, at_least=0),
        limit=_read_number(query, "limit", 50, at_least=1),
    )


def _read_labels(text: str) -> dict[str, str]:
    if text.count(",") >= MAX_LABELS:
        raise BadDocument(f"found more than {MAX_LABELS} labels, expected fewer")
    pairs = (part.partition(":") for part in text.split(","))
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def _read_number(query: Mapping[str, str], key: str, default: int, *, at_least: int) -> int:
    text = query.get(key) or str(default)
    if not re.fullmatch(r"\+?[0-9]{1,18}", text) or int(text) < at_least:
        raise BadDocument(f"{key} is {text[:60]!r}, expected a number, {at_least} or more")
    return int(text)
