"""The digits of floats, as many as Go writes."""

from decimal import Decimal


def shortest_float(value: float) -> str:
    """Format a float as Go's ``%v``: the digits it needs, an exponent from a million up."""
    decimal = _exact(value)
    digits = significant_digits(value)
    power = decimal.adjusted() if value else 0
    if -5 < power < 6:
        return f"{value:.{max(digits - 1 - power, 0)}f}"
    return f"{decimal:.{digits - 1}e}".partition("e")[0] + f"e{power:+03}"


def significant_digits(value: float) -> int:
    """How many digits tell the float from every other one."""
    return len(_exact(value).as_tuple().digits)


def _exact(value: float) -> Decimal:
    return Decimal(repr(value)).normalize()
