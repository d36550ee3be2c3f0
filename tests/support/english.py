"""Phrases that read as if translated, each with an example and what to write instead.

Owns the list. Must not know which texts are checked.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


class Phrase(NamedTuple):
    """A pattern, a text that has it, and a better one."""

    pattern: str
    example: str
    better: str


PHRASES = (
    Phrase(
        r"\b(?:is|are) no (?:valid )?(?:JSON|TOML|YAML|bool|string|int|Event)\b",
        "the payload is no JSON",
        "is not valid JSON",
    ),
    Phrase(r"\b(?:for|at) (?:most )?so (?:long|many|much)\b", "waits for so long", "a number"),
    Phrase(r"\bso (?:long|many) as\b", "so long as it runs", "while"),
    Phrase(r"\bfor as long as\b", "counted for as long as it is there", "while"),
    Phrase(r"\b[Tt]ime-outs?\b", "its time-out passed", "timeout"),
    Phrase(r"\bset-ups?\b", "small set-ups", "setup"),
    Phrase(r"\bany more\b", "not configured any more", "no longer"),
    Phrase(r"\banew\b", "the token is read anew", "again"),
    Phrase(r"\bfor ever\b", "waits for ever", "forever"),
    Phrase(r"\bfrom (?:its|their|the) \w+ on\b", "from its start on", "after, since"),
    Phrase(r"(?:^|[.!?] )Flyte\b", "Flyte answers 500", "a small f, and another first word"),
    Phrase(r"(?:^|[.;:] )[Ww]ho(?:ever)? [a-z]+s\b", "Who listens may be a plugin", "anybody who"),
    Phrase(r"\bha(?:s|ve) to do with\b", "has to do with flyte", "concerns"),
    Phrase(r"\bin vain\b", "waited in vain", "without success"),
    Phrase(r"\b(?:is|are) to be (?:seen|found|had)\b", "none is to be seen", "there is none"),
    Phrase(r"\bwould not have\b", "results flyte would not have", "refuses"),
    Phrase(r"\bas ever\b", "returns as ever", "as usual"),
    Phrase(r"\b(?:is|are) so\b(?=[.;:]|$)", "whether that is so.", "say the thing itself"),
    Phrase(r"\bmind that\b", "mind that it is a name", "say the thing itself"),
    Phrase(r"\bnobody (?:caught|could catch)\b", "nobody caught what it raised", "uncaught"),
    Phrase(r"\bthis is a bug of\b", "this is a bug of flyte-host", "internal error"),
    Phrase(r"\b(?:is|are) ill\b", "flyte is ill", "has a problem"),
    Phrase(
        r"(?:^|[.;:] )So (?:much|often) (?!that\b)", "So often it is tried.", "how much, how often"
    ),
    Phrase(r"\b(?:listen|try|wait) no more\b", "it is told to try no more", "stop"),
    Phrase(r"\bshall\b", "observers shall stop", "should, must, will"),
    Phrase(
        r", also (?:after|as|if|in|that|those|what|when|where)\b",
        "kept, also after a crash",
        "even, including",
    ),
    Phrase(
        r"\b(?:first|last|latest|newest|oldest) (?:changed|one) first\b",
        "flows, the last changed first",
        "most recently changed first",
    ),
    Phrase(r"\bthe (?:latest|newest|oldest) first\b", "errors, the newest first", "newest first"),
    Phrase(r"(?:^|[.!?] )So (?:long|many)\b", "So many are kept.", "how long, how many"),
    Phrase(r"\bagain and again\b", "is asked again and again", "repeatedly, keeps asking"),
    Phrase(r"\bone after the other\b", "runs them one after the other", "in turn, one at a time"),
    Phrase(
        r"(?<![Tt]here )\b(?:is|are) no (?!longer\b|more\b)",
        "a second call is no error",
        "is not a",
    ),
    Phrase(r"\bwhat (?:came|comes) of\b", "what came of an event", "outcome, leads to"),
    Phrase(r"\b(?:became|becomes?) of\b", "what became of a step", "outcome, happened to"),
    Phrase(r"\bgets? to know\b", "what flyte gets to know", "learns"),
    Phrase(r"\bthe other way round\b", "or the other way round", "vice versa"),
    Phrase(r"\baltogether\b", "how long it may take altogether", "in all"),
    Phrase(r"\bhand(?:s|ed)? (?:it |them )?on\b", "handed on to the app", "pass"),
    Phrase(r"\b(?:is|are) looked (?:at|for)\b", "addresses are looked at", "checked"),
    Phrase(r"\bwithout end\b", "it grows without end", "endless, forever"),
    Phrase(r"\bmends\b", "an edit that mends it", "fixes"),
    Phrase(r"\blikewise\b", "bodies likewise", "too"),
    Phrase(
        r"\b(?:stands|stood) (?!alone\b|for\b|in for\b|still\b)",
        "the date stands on a line",
        "is",
    ),
    Phrase(r"\blies (?!outside\b)", "no poll lies between", "is"),
    Phrase(r"\bthat run go on\b", "executions that run go on", "running ones continue"),
    Phrase(r"\bstand(?:s|ing)? still\b", "no worker stands still", "block"),
    Phrase(r"\b[Ww]ho(?:m)?ever\b", "wakes whoever waits", "anybody who, or the thing itself"),
    Phrase(r"(?<![Aa]ll )\b(?:is|are) (?:not )?well\b(?!-)", "if flyte is well", "is healthy"),
    Phrase(r"\bat last\b", "result accepted at last", "after all, finally"),
    Phrase(r"\ball the same\b", "it goes on all the same", "still, anyway"),
    Phrase(r"\bto be had\b", "there is no thread to be had", "say what cannot be done"),
    Phrase(r"\btwice is allowed\b", "stop; twice is allowed", "a second call does nothing"),
    Phrase(r"\bsettles\b", "the next start settles it", "say what happens to it"),
    Phrase(r"\bruns? on past\b", "handlers run on past their timeout", "still run after"),
    Phrase(r"\bsees? to it\b", "sees to it that one looks", "makes sure"),
    Phrase(r"\btells of\b", "flyte tells of actions", "announces, reports"),
    Phrase(
        r"\b(?:since|because) (?:the host|flyte-host) stops\b",
        "killed because the host stops",
        "is stopping",
    ),
    Phrase(r"\bOwns that\b", "Owns that each one ends", "say what it does"),
    Phrase(
        r"\b[Mm]ust not know [^.;]*, nor\b",
        "Must not know HTTP, nor how it is shown",
        "HTTP or how",
    ),
)


ANY = re.compile("|".join(each.pattern for each in PHRASES), re.MULTILINE)


def translated_phrases(text: str) -> Iterator[str]:
    """Each phrase of the list that the text has, with its line and a better one."""
    if not ANY.search(text):
        return
    for each in PHRASES:
        for found in re.finditer(each.pattern, text, re.MULTILINE):
            line = text.count("\n", 0, found.start()) + 1
            yield f"line {line}: {found[0].strip()!r}, better: {each.better}"
