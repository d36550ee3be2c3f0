"""msgspec's words for a value that does not fit a type, as the rest of the host would say it."""


def mismatch_words(text: str, root: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.a[0]`" as "input.a[0]: expected int, got str".

    ``root`` is the name of the whole document.
    """
    problem, at, place = text.rpartition(" - at `")
    if not at:
        problem, place = text, "$`"
    place = place.replace("$", root, 1).replace("`", "")
    problem = problem.replace("`", "")
    return f"{place}: {problem[:1].lower()}{problem[1:]}"
