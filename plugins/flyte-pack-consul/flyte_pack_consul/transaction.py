"""A transaction: from the input of TransactKV to what Consul gets, and what its answer means.

Owns the input's keys and how values are stored. Must not know HTTP.
"""

import base64
from typing import Any

import msgspec
from flyte_pack_kit import ServerWords, parse_json

VERBS = {
    *("set", "delete", "delete-cas", "delete-tree", "cas", "lock", "unlock", "get", "get-tree"),
    *("check-session", "check-index", "check-not-exists"),
}


class KeyOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step; the last three are additions to the Go pack, which could not give them."""

    verb: str = ""
    key: str = ""
    value: Any = None
    index: int = 0
    session: str = ""
    flags: int = 0

    def problems(self) -> list[str]:
        """What Consul need not be asked about."""
        missing = [] if self.key else ["key is missing"]
        return missing if self.verb in VERBS else [*missing, f"{self.verb} verb is not valid"]

    def told(self) -> dict[str, Any]:
        """As events repeat it."""
        own = {"verb": self.verb, "key": self.key, "value": self.value}
        given: dict[str, Any] = msgspec.to_builtins(self)
        return own | given

    def document(self, *, go_compatible: bool) -> dict[str, Any]:
        """As Consul gets it."""
        return {
            "KV": {
                "Verb": self.verb,
                "Key": self.key,
                "Value": _stored(self.value, go_compatible=go_compatible),
                "Index": self.index,
                "Session": self.session,
                "Flags": self.flags,
            }
        }


class Transaction(msgspec.Struct, frozen=True):
    """The input of TransactKV."""

    dc: str = ""
    operations: list[KeyOperation] | None = None

    def told(self) -> dict[str, Any]:
        """As events repeat it."""
        operations = self.operations
        told = None if operations is None else [each.told() for each in operations]
        return {"dc": self.dc, "operations": told}

    def problems(self) -> list[dict[str, Any]]:
        """Problems of operations, in the shape of Consul's."""
        return [
            {"index": index, "error": error}
            for index, each in enumerate(self.operations or [])
            for error in each.problems()
        ]


class StoredValue(msgspec.Struct, frozen=True, rename="pascal"):
    """A key as Consul sends it."""

    key: str = ""
    value: str | None = None


class TransactionResult(msgspec.Struct, frozen=True):
    kv: StoredValue = StoredValue()


class TransactionError(msgspec.Struct, frozen=True, rename="pascal"):
    op_index: int = 0
    what: str = ""


class TransactionAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    """What Consul says, whether it was done or rolled back."""

    results: list[TransactionResult] | None = None
    errors: list[TransactionError] | None = None

    def told_results(self) -> list[dict[str, Any]] | None:
        """As in Go, none are null; their index is their own, not that of the operation."""
        found = [each.kv for each in self.results or []]
        told = [
            {"index": index, "key": each.key, "value": _read(each.value)}
            for index, each in enumerate(found)
        ]
        return told or None

    def told_errors(self, words: ServerWords) -> list[dict[str, Any]] | None:
        return [
            {"index": each.op_index, "error": words.show(each.what)} for each in self.errors or []
        ] or None


def _stored(value: Any, *, go_compatible: bool) -> str | None:
    """The value in base64. The Go pack stores JSON, so a text has its quotes."""
    if value is None:
        return None
    plain = isinstance(value, str) and not go_compatible
    content = value.encode() if plain else msgspec.json.encode(value)
    return base64.b64encode(content).decode()


def _read(stored: str | None) -> Any:
    """A stored value as JSON, or as text if it is not; the Go pack never answered then."""
    if stored is None:
        return None
    try:
        content = base64.b64decode(stored, validate=True)
    except ValueError:
        return stored
    try:
        return parse_json(content)
    except ValueError:
        return content.decode(errors="replace")
