"""What the text of a step's criteria means."""

_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_SHOWN = 200


def parse_bool(text: str) -> bool:
    """Read a bool as Go's ParseBool does.

    Raises ValueError, which names the text, for anything but 1 t T TRUE true True 0 f F FALSE
    false False.
    """
    if text in _TRUE | _FALSE:
        return text in _TRUE
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    raise ValueError(
        f"{shown!r} is not a bool: expected 1, t, T, TRUE, true, True, 0, f, F, FALSE, false or"
        " False, without spaces"
    )
