"""A mistake in a flow file, the codes of all mistakes, and the comments that silence them.

Must not know how mistakes are found.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flyte_host.embedded.flow_reader import Path

CODES: Mapping[str, str] = {
    "F001": "the file cannot be read, or is neither YAML nor JSON",
    "F002": "something is missing or of the wrong type; flyte refuses the flow",
    "F003": "a key that flyte ignores",
    "F004": "`dependsOn` names a step that does not exist",
    "F005": "a template that cannot be read, or an unknown filter",
    "F006": "`null` in a list",
    "F007": "`criteria` is a fixed text that is not a bool",
    "F008": "a pack that no plugin loaded here has",
    "F009": "a command or event that the pack does not have",
    "F010": "a key twice in one object; the last one wins",
    "F011": "an id of two steps; once one of them has run, the other does not",
    "F012": "a loop: a step without `dependsOn` waits for the result of what it starts",
    "F013": "a step that depends on itself, or a circle of such steps; none of them ever runs",
    "F014": "`steps` is empty",
    "F015": "a name that templates do not have",
    "F016": "a function that templates do not have",
    "F017": "a cron expression that fails or never matches",
    "F018": "a regular expression that cannot be read",
    "F019": "spaces around `criteria`, which are not part of any bool",
    "F020": "`criteria` without `{{ }}` around the expression",
    "F021": "a comparison with a number that is never equal: payloads have floats, contexts text",
    "F022": "an input that the installed command cannot decode",
    "F023": "the name of a flow in another file",
    "F024": "labels that the pack does not have",
}
"""What each code stands for; never give an old code a new meaning."""

FATAL_CODES = frozenset({"F001", "F002"})
"""Codes that no comment silences: there is no flow."""

Mistake = tuple[str, Path, str]
"""Code, place and words."""
Mistakes = Iterator[Mistake]

_ALLOW = re.compile(r"#\s*flows check: allow (F\d{3}(?:,\s*F\d{3})*)")


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake at one place of a flow file; a warning if it may be on purpose."""

    code: str
    source: str
    line: int | None
    path: str
    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        kind = "warning: " if self.is_warning else ""
        return f"{where}: {self.code} {kind}{self.path} {self.text}"


def is_silenced(finding: Finding, lines: list[str]) -> bool:
    """Whether a comment on the finding's line, or on a line of its own above, allows it."""
    if finding.line is None or finding.code in FATAL_CODES:
        return False
    number = finding.line - 1
    comments = lines[number : number + 1]
    if number > 0 and lines[number - 1].lstrip().startswith("#"):
        comments.append(lines[number - 1])
    allowed = [found for line in comments for found in _ALLOW.findall(line)]
    return any(finding.code in found for found in allowed)
