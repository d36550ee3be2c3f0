"""The fields of log lines about an action, for every part that writes some."""

from flyte_host.model import StepRun
from flyte_host.traceparent import trace_id_of


def about_action(
    pack_key: str, command: str, action_id: str, step: StepRun | None, trace: str = ""
) -> dict[str, str]:
    """What a line is about, as ``log_fields`` names it."""
    fields = {"pack": pack_key, "command": command, "action": action_id}
    if step is not None:
        fields |= {"flow": step.flow, "step": step.step, "execution": step.execution}
    if trace:
        fields["trace"] = trace_id_of(trace)
    return fields
