"""Log lines in text, as pages quote them."""

import re

LINE = re.compile(r"\d\d:\d\d:\d\d (\w+) +(\S+) +(.*?)(?:  \[[^]]*\])?")
DATE = re.compile(r"on \d{4}-\d\d-\d\d, UTC[+-]\d\d:\d\d")


def parts_of_lines(text: str) -> list[tuple[str, str, str]]:
    """Level, pack and message of each line; dates are left out."""
    lines = [line for line in text.splitlines() if not DATE.fullmatch(line)]
    return [(found[1], found[2], found[3]) for found in map(_match, lines)]


def _match(line: str) -> re.Match[str]:
    match = LINE.fullmatch(line)
    assert match is not None, line
    return match
