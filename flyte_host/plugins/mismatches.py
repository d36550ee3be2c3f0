"""msgspec's words for a value that does not fit a type, as the rest of the host would say it."""

from typing import Any

from flyte_host.plugins.allowed_values import allowed_words


def mismatch_words(text: str, root: str, kind: Any) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.a[0]`" as "input.a[0]: expected int, got str".

    ``root`` is the name of the whole document, ``kind`` its type: of an enum, a Literal or a tag
    the values that it allows are named as well.
    """
    problem, at, place = text.rpartition(" - at `")
    if not at:
        problem, place = text, "$`"
    place = place.replace("`", "")
    is_of_values = problem.startswith(("Invalid enum value", "Invalid value")) and place[:1] == "$"
    allowed = allowed_words(kind, place) if is_of_values else ""
    problem = problem.replace("`", "")
    return f"{place.replace('$', root, 1)}: {problem[:1].lower()}{problem[1:]}{allowed}"
