"""What a person types → all names of a pack and its project.

Owns how words are found, and which names are impossible.
"""

import re
from dataclasses import dataclass

from flyte_host.text import quoted

LONGEST = 28
"""In characters: lines of the project's code that hold the name twice stay short enough."""
ALLOWED = (
    "expected letters a to z and digits, the first a letter; words may be separated by spaces, "
    '"-", "_", "." or capitals, such as pager-duty or PagerDuty'
)
_PREFIX = re.compile(r"flyte[-_. ]+pack([-_. ]+|$)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[-_. ]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_YAML_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_WORDS = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_. ]+[A-Za-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class PackName:
    """The words of a name, as they were typed."""

    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "PackName":
        """Read ``PagerDuty``, ``pager duty``, ``pager_duty`` or ``flyte-pack-pager-duty``.

        Raises ValueError with what is allowed.
        """
        name = _PREFIX.sub("", text.strip(), count=1)
        if not _WORDS.fullmatch(name):
            raise ValueError(f"found {quoted(text)}, {ALLOWED}")
        if len(name) > LONGEST:
            raise ValueError(
                f"found {len(name)} characters, expected at most {LONGEST}: modules and classes "
                "are named after it"
            )
        return cls(tuple(word for part in _SEPARATORS.split(name) for word in _HUMP.split(part)))

    @property
    def in_flyte(self) -> str:
        """``PagerDuty``: the name of the pack, and the beginning of its classes' names."""
        return "".join(word[0].upper() + word[1:] for word in self.words)

    @property
    def in_yaml(self) -> str:
        """``PagerDuty``, or ``"Null"``: in quotes where YAML would read something else."""
        return f'"{self.in_flyte}"' if self.in_flyte.lower() in _YAML_WORDS else self.in_flyte

    @property
    def plugin(self) -> str:
        """``pager-duty``: the name of the entry point, and so of the table in ``[packs]``."""
        return "-".join(self.words).lower()

    @property
    def distribution(self) -> str:
        """``flyte-pack-pager-duty``: what pip installs, and the folder of the project."""
        return f"flyte-pack-{self.plugin}"

    @property
    def module(self) -> str:
        """``flyte_pack_pager_duty``: what Python imports."""
        return self.distribution.replace("-", "_")
