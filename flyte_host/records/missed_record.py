"""What had no effect, as embedded flyte tells it: steps not run, events that no flow waits for."""

from datetime import datetime

import msgspec

from flyte_host.records.execution_record import EventRecord


class DecisionRecord(msgspec.Struct, rename="camel"):
    """A step that ``event`` did not start; without ``correlation_id`` no execution began."""

    flow: str
    step_id: str
    event: EventRecord
    reason: str
    time: datetime
    correlation_id: str = ""


class UnheardRecord(msgspec.Struct):
    """An event that no flow waits for; ``nearest`` ends its sentence, or is empty."""

    event: EventRecord
    time: datetime
    nearest: str = ""


class MissedRecord(msgspec.Struct):
    """Newest first."""

    decisions: list[DecisionRecord] | None = None
    unheard: list[UnheardRecord] | None = None
