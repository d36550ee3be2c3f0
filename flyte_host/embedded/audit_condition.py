"""Which executions an audit is asked for, as SQL."""

import msgspec

from flyte_host.embedded.model import AuditFilter

Condition = tuple[str, tuple[str, ...]]
"""SQL and the values of its placeholders."""


def audit_condition(wanted: AuditFilter) -> Condition:
    """``wanted`` as SQL; the step and action parts must be true of one and the same action."""
    flow = [_equal("flow_name", wanted.flow_name)] if wanted.flow_name else []
    step = [_equal("step_id", wanted.step_id)] if wanted.step_id else []
    action = [_equal("name", wanted.action_name)] if wanted.action_name else []
    action += [_equal("pack_name", wanted.action_pack_name)] if wanted.action_pack_name else []
    action += [
        ("replace(pack_labels, ?, '') <> pack_labels", (_label_text(*label),))
        for label in wanted.action_pack_labels.items()
    ]
    if action:
        return _all([*flow, _has("action", step + action)])
    if step:
        either = (_has("action", step), _has("skipped", step))
        return _all([*flow, (f"({either[0][0]} OR {either[1][0]})", either[0][1] + either[1][1])])
    return _all(flow)


def _label_text(key: str, value: str) -> str:
    """A label as written in the text of labels, unambiguous because quotes are escaped."""
    return msgspec.json.encode({key: value}).decode()[1:-1]


def _equal(column: str, value: str) -> Condition:
    return f"{column} = ?", (value,)


def _has(table: str, conditions: list[Condition]) -> Condition:
    more, values = _all(conditions)
    text = (
        f"EXISTS (SELECT 1 FROM {table} AS it "  # noqa: S608 (only texts of this module)
        f"WHERE it.correlation_id = execution.correlation_id {more})"
    )
    return text, values


def _all(conditions: list[Condition]) -> Condition:
    text = " ".join(f"AND {text}" for text, _ in conditions)
    return text, tuple(value for _, values in conditions for value in values)
