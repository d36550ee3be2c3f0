"""The few exceptions that somebody catches.

Owns their meaning and, for those that end a command, the exit code.
"""

from typing import ClassVar


class FlyteHostError(Exception):
    """Ends a command with a message for people, without a traceback.

    Each of ``lines`` stays one line, whatever is in it: they may name foreign paths and packs.
    """

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class ConfigError(FlyteHostError):
    """The configuration cannot be used; ``problems`` has all of them, a sentence each."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__(*problems)
        self.problems = problems


class PluginError(FlyteHostError):
    """A plugin is broken; the sentence says which and why."""

    exit_code = 3


class HandlerFailed(Exception):
    """A handler in another process failed; the text is its FATAL, all of it.

    ``timed_out``: it ended after its timeout, which was reported already.
    """

    def __init__(self, text: str, *, timed_out: bool = False) -> None:
        super().__init__(text)
        self.timed_out = timed_out


class StoreAway(FlyteHostError):
    """Embedded flyte's database cannot be reached now; nothing was done unless it says so."""


class FlyteError(Exception):
    """A call to flyte failed; the subclasses say what to do about it.

    ``word`` is what metrics call it.
    """

    word: ClassVar[str]


class FlyteAway(FlyteError):
    """It cannot be reached, or asked for patience (connection errors, 429, a status above 500).

    ``retry_in_seconds`` is when the next call makes sense. ``may_have_arrived`` is False only
    where it is certain that flyte never saw the request.
    """

    word = "outage"

    def __init__(self, message: str, retry_in_seconds: float, *, may_have_arrived: bool) -> None:
        super().__init__(message)
        self.retry_in_seconds = retry_in_seconds
        self.may_have_arrived = may_have_arrived


class FlyteUnauthorized(FlyteError):
    """A 401: the token is missing, expired or not allowed to do this."""

    word = "unauthorized"


class FlyteUnknown(FlyteError):
    """A 404: flyte does not know the pack or the action."""

    word = "unknown"


class FlyteRefused(FlyteError):
    """Another 4xx: sending the same again cannot help."""

    word = "refused"


class FlyteFailed(FlyteError):
    """A 500: a lost race, an action that is finished already, or a real failure."""

    word = "failed"


class FlyteFinished(FlyteFailed):
    """A 500 that says why: the action has a result already. Only embedded flyte says so."""


class FlyteBadAnswer(FlyteError):
    """An answer that flyte's API does not have."""

    word = "bad_answer"
