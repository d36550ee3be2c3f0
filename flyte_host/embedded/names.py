"""Names that are part of the API's paths."""


def why_unaddressable(name: str) -> str:
    """Why no path leads to ``name``, as the end of a sentence; empty if one does."""
    if not name:
        return "is empty"
    if "/" in name:
        return 'has a "/"'
    # Clients and proxies resolve these two before anybody sees them.
    return "means another path" if name in {".", ".."} else ""
