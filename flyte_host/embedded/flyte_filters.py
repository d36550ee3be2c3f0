"""The filters that flyte adds to pongo2's."""

from collections.abc import Mapping
from typing import Any

from flyte_host.embedded.cron import matches_cron, read_clock
from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.filters import Filter
from flyte_host.embedded.pongo2.regex import PatternFault, search
from flyte_host.embedded.pongo2.values import kind_of, pick, take_out, to_int, to_text


def _key(value: Any, argument: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TemplateFault(f"key:{to_text(argument)!r} needs a map, not a {kind_of(value)}")
    return take_out(value.get(to_text(argument)))


def _match(value: Any, argument: Any) -> bool:
    try:
        return search(to_text(argument), to_text(value)) is not None
    except PatternFault:
        return False


def _extract_match(value: Any, argument: Any) -> str:
    whole = to_text(value)
    try:
        found = search(to_text(argument), whole)
    except PatternFault as error:
        shown = to_text(argument)[:100]
        raise TemplateFault(f"extractMatch: {shown!r} is not a pattern: {error}") from None
    return found[1] if found and len(found) > 1 else whole


def _kvp(value: Any, _argument: Any) -> dict[str, str]:
    pairs = (part.split("=") for part in to_text(value).split(","))
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def _index(value: Any, argument: Any) -> Any:
    return pick(value, to_int(argument)) if kind_of(value) in {"slice", "string"} and value else ""


def _matches_cron(value: Any, argument: Any) -> bool:
    try:
        return matches_cron(read_clock(to_text(value)), to_text(argument))
    except ValueError as error:
        raise TemplateFault(f"matchesCron: {error}") from None


def _join_spaces(value: Any, _argument: Any) -> str:
    # Not str.split: Go's \s knows five spaces, and a no-break space is not one of them.
    shown = to_text(value).translate(str.maketrans("\t\n\f\r", "    "))
    kept = [word for word in shown.split(" ") if word]
    return (" " if shown.startswith(" ") and kept else "") + " ".join(kept)


FLYTE_FILTERS: dict[str, Filter] = {
    "extractMatch": _extract_match,
    "index": _index,
    "key": _key,
    "kvp": _kvp,
    "match": _match,
    "matchesCron": _matches_cron,
    "removedupwhitespaces": _join_spaces,
    "safecopypaste": lambda value, _: to_text(value).replace("\u00a0", " "),
}
