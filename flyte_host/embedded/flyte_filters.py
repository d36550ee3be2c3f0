"""The filters that flyte adds to pongo2's."""

from collections.abc import Mapping
from typing import Any

from flyte_host.embedded.cron import matches_cron, read_clock
from flyte_host.embedded.pongo2.faults import PatternFault, TemplateFault
from flyte_host.embedded.pongo2.limits import MAX_PARTS_TEXT, MAX_TEXT, check_items
from flyte_host.embedded.pongo2.regex import find_group, find_match
from flyte_host.embedded.pongo2.template_filter import TemplateFilter, limit_filters
from flyte_host.embedded.pongo2.values import kind_of, pick, take_out, to_int, to_text


def _key(value: Any, argument: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        key = to_text(argument)[:60]
        raise TemplateFault(f"key:{key!r} needs a map, not a {kind_of(value)}")
    return take_out(value.get(to_text(argument)))


def _match(value: Any, argument: Any) -> bool:
    try:
        return find_match(to_text(argument), to_text(value))
    except PatternFault:
        return False


def _extract_match(value: Any, argument: Any) -> str:
    whole = to_text(value)
    try:
        found = find_group(to_text(argument), whole)
    except PatternFault as error:
        shown = to_text(argument)[:100]
        raise TemplateFault(f"extractMatch: {shown!r} is not a pattern: {error}") from None
    return whole if found is None else found


def _kvp(value: Any, _argument: Any) -> dict[str, str]:
    shown = to_text(value)
    check_items(shown.count(",") + 1, "kvp")
    pairs = (part.split("=") for part in shown.split(","))
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


FLYTE_FILTERS: dict[str, TemplateFilter] = (
    limit_filters({"index": _index, "key": _key}, None)
    | limit_filters(
        {
            "extractMatch": _extract_match,
            "match": _match,
            "matchesCron": _matches_cron,
            "safecopypaste": lambda value, _: to_text(value).replace("\u00a0", " "),
        },
        MAX_TEXT,
    )
    | limit_filters({"kvp": _kvp, "removedupwhitespaces": _join_spaces}, MAX_PARTS_TEXT)
)
