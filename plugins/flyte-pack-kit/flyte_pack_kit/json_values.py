"""Values in documents of others, in which anything may be missing or of another type."""

from typing import Any


def text_at(document: Any, *path: str) -> str:
    """The text there, or an empty one."""
    found = _find(document, path)
    return found if isinstance(found, str) else ""


def number_at(document: Any, *path: str) -> int:
    """The whole number there, or 0."""
    found = _find(document, path)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def object_at(document: Any, *path: str) -> dict[str, Any]:
    """The object there, or an empty one."""
    found = _find(document, path)
    return found if isinstance(found, dict) else {}


def _find(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document
