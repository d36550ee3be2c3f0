"""A flow as flyte's API tells it."""

import msgspec

from flyte_host.records.execution_record import StepRecord


class FlowRecord(msgspec.Struct):
    """A flow; a list of flows has no ``steps``."""

    name: str
    description: str = ""
    steps: list[StepRecord] | None = None
