"""Names that are part of the API's paths."""

from urllib.parse import quote

LONGEST_IN_A_PATH = 4096
"""Characters, percent-encoded: proxies and web servers take about twice that for a whole line."""


def why_unaddressable(name: str) -> str:
    """Why no path leads to ``name``, as the end of a sentence; empty if one does."""
    if not name:
        return "is empty"
    if "/" in name:
        return 'has a "/"'
    if len(name) > LONGEST_IN_A_PATH or len(quote(name, safe="")) > LONGEST_IN_A_PATH:
        return f"has more than {LONGEST_IN_A_PATH:,} characters, percent-encoded"
    # Clients and proxies resolve these two before anybody sees them.
    return "means another path" if name in {".", ".."} else ""
