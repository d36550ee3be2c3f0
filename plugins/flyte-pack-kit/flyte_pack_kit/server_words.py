"""What a server said, in the texts of events and health pages.

Such words are short, on one line, printable, and without the secrets that we sent: servers and
proxies repeat what they were sent, even as base64 or escaped.
"""

from flyte_host import Scrubber

LONGEST_WORDS = 500


class ServerWords:
    """Shows what one server said; safe in any thread.

    ``secrets`` are what the server was sent; empty ones and those of fewer than 4 characters are
    not looked for, since they would eat ordinary text.
    """

    def __init__(self, *secrets: str, longest: int = LONGEST_WORDS) -> None:
        self._scrubber = Scrubber()
        self._longest = longest
        for each in secrets:
            self._scrubber.learn(each)

    def show(self, told: str | bytes) -> str:
        """The words on one line, cut to ``longest`` characters, with ``***`` for secrets."""
        words = " ".join(self.hide(_text(told)).split())
        if len(words) > self._longest:
            words = f"{words[: self._longest]} …"
        return "".join(map(_printable, words))

    def in_brackets(self, told: str | bytes) -> str:
        """The words as `` (words)``, to follow a text of ours; nothing if there are none."""
        words = self.show(told)
        return f" ({words})" if words else ""

    def hide(self, told: str) -> str:
        """Everything as it is, but with ``***`` for secrets."""
        # Before anything is cut off: half a secret would not be found.
        return self._scrubber.scrub(told)


def _text(told: str | bytes) -> str:
    return told.decode(errors="backslashreplace") if isinstance(told, bytes) else told


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()
