"""flyte's own filters and functions.

Owns what flyte adds to pongo2. Must not know how templates are read or rendered: ``template()``
gets that from the runtime.
"""

import base64
import binascii
import json
import random
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from flyte_host.embedded.pongo2.filters import Filter
from flyte_host.embedded.pongo2.regex import BadPattern, search
from flyte_host.embedded.pongo2.times import matches_cron, parse_rfc3339
from flyte_host.embedded.pongo2.values import (
    WIDEST,
    Fault,
    at,
    element,
    integer,
    kind,
    text,
)

_JSON_TYPES = ("application/json", "text/json")
_GO_SPACES = r"[\t\n\f\r ]+"

Datastore = Callable[[str], tuple[str, bytes] | None]


@dataclass(frozen=True, slots=True)
class Function:
    """``parameters`` are the types that Go asks for; ``any`` takes everything but nil."""

    parameters: tuple[str, ...]
    call: Callable[..., Any]


def _key(value: Any, argument: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise Fault(f"key:{text(argument)!r} needs a map, not a {kind(value)}")
    return element(value.get(text(argument)))


def _match(value: Any, argument: Any) -> bool:
    try:
        return search(text(argument), text(value)) is not None
    except BadPattern:
        return False


def _extract_match(value: Any, argument: Any) -> str:
    whole = text(value)
    try:
        found = search(text(argument), whole)
    except BadPattern as error:
        raise Fault(f"extractMatch: {text(argument)[:100]!r} is no pattern: {error}") from None
    return found[1] if found and len(found) > 1 else whole


def _kvp(value: Any, _argument: Any) -> dict[str, str]:
    pairs = (part.split("=") for part in text(value).split(","))
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def _index(value: Any, argument: Any) -> Any:
    return at(value, integer(argument)) if kind(value) in {"slice", "string"} and value else ""


def _matches_cron(value: Any, argument: Any) -> bool:
    try:
        return matches_cron(parse_rfc3339(text(value)), text(argument))
    except ValueError as error:
        raise Fault(f"matchesCron: {error}") from None


def _one_space(value: Any, _argument: Any) -> str:
    # Not str.split: Go's \s knows five spaces, and a no-break space is none of them.
    shown = text(value).translate(str.maketrans("\t\n\f\r", "    "))
    kept = [word for word in shown.split(" ") if word]
    return (" " if shown.startswith(" ") and kept else "") + " ".join(kept)


FILTERS: dict[str, Filter] = {
    "extractMatch": _extract_match,
    "index": _index,
    "key": _key,
    "kvp": _kvp,
    "match": _match,
    "matchesCron": _matches_cron,
    "removedupwhitespaces": _one_space,
    "safecopypaste": lambda value, _: text(value).replace("\u00a0", " "),
}


def functions(datastore: Datastore, chance: random.Random) -> dict[str, Function]:
    def random_int(bound: int) -> int:
        if bound <= 0:
            raise Fault(f"randomInt needs a bound above zero, not {bound}")
        return chance.randrange(bound)

    def random_alpha(size: int) -> str:
        if not 0 <= size <= WIDEST:
            raise Fault(f"randomAlpha makes 0 to {WIDEST:,} letters, not {size}")
        return "".join(chance.choices(string.ascii_letters, k=size))

    return {
        "base64Decode": Function(("string",), _base64_decode),
        "base64Encode": Function(("string",), _base64_encode),
        "datastore": Function(("string",), lambda key: _stored(datastore, key)),
        "randomAlpha": Function(("int",), random_alpha),
        "randomInt": Function(("int",), random_int),
        "unmarshalJson": Function(("string",), _unmarshal),
    }


def _base64_encode(plain: str) -> str:
    return base64.urlsafe_b64encode(plain.encode(errors="replace")).rstrip(b"=").decode()


def _base64_decode(encoded: str) -> str:
    compact = encoded.replace("\r", "").replace("\n", "")
    try:
        if set(compact) <= set(string.ascii_letters + string.digits + "-_"):
            return base64.urlsafe_b64decode(compact + "=" * (-len(compact) % 4)).decode(
                errors="replace"
            )
    except binascii.Error:
        pass
    raise Fault(f"base64Decode: {encoded[:60]!r} is not base64 of the URL alphabet without padding")


def _stored(datastore: Datastore, key: str) -> Any:
    found = datastore(key)
    if found is None:
        raise Fault(f"there is no datastore item {key!r}")
    content_type, raw = found
    if not content_type.startswith(_JSON_TYPES):
        return raw.decode(errors="replace")
    return _object(raw, f"the datastore item {key!r}")


def _unmarshal(document: str) -> dict[str, Any]:
    return _object(document, "what unmarshalJson was given")


def _object(document: str | bytes, what: str) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        # Numbers are float64 in flyte, and Python refuses to read ints of very many digits.
        value = json.loads(document, parse_int=float, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Fault(f"{what} is no JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Fault(f"{what} is JSON but no object: a {kind(value)}")
    return value
