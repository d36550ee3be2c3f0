"""What flytes on one store tell each other, as text.

Owns their format. Each text is a hint, or for people to look at: losing one does no harm.
"""

from collections.abc import Mapping, Sequence

import msgspec

from flyte_host.embedded.decision_log import KeptDecision, UnheardEvent
from flyte_host.embedded.pongo2.nanosecond_time import JSON_ENCODER


class PacksChanged(msgspec.Struct, frozen=True, tag="packs"):
    """Packs or their commands have changed."""


class PackDeleted(msgspec.Struct, frozen=True, tag="deleted"):
    """A pack with this name and these labels is no longer registered."""

    pack_name: str
    labels: Mapping[str, str]


class ActionWaits(msgspec.Struct, frozen=True, tag="waits"):
    """An action waits for packs with this name and these labels."""

    pack_name: str
    labels: Mapping[str, str]


class StepsDeclined(msgspec.Struct, frozen=True, tag="declined"):
    """An event did not start these steps."""

    kept: Sequence[KeptDecision]


class EventUnheard(msgspec.Struct, frozen=True, tag="unheard"):
    """No flow waits for this event."""

    kept: UnheardEvent


Announcement = PacksChanged | PackDeleted | ActionWaits | StepsDeclined | EventUnheard

_DECODER: "msgspec.json.Decoder[Announcement]" = msgspec.json.Decoder(Announcement)


def write_announcement(announcement: Announcement) -> str:
    return JSON_ENCODER.encode(announcement).decode()


def read_announcement(text: str) -> Announcement | None:
    """The announcement; None if this version does not know its kind, or it is none."""
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
