"""Values in documents of others."""

from typing import Any

import pytest
from flyte_pack_kit import number_at, object_at, text_at

DOCUMENT = {"issue": {"key": "FOO-1", "number": 7, "open": True}, "none": None, "list": [{}]}


def test_values_that_are_there() -> None:
    assert text_at(DOCUMENT, "issue", "key") == "FOO-1"
    assert number_at(DOCUMENT, "issue", "number") == 7
    assert object_at(DOCUMENT, "issue") == DOCUMENT["issue"]


@pytest.mark.parametrize(
    "path", ["issue", "issue.number.key", "none.x", "list.0", "other", "issue.open"]
)
@pytest.mark.parametrize("document", [DOCUMENT, None, [DOCUMENT], "issue"], ids=type)
def test_values_that_are_not_there_are_empty(document: Any, path: str) -> None:
    steps = path.split(".")
    assert text_at(document, *steps) == ""
    assert number_at(document, *steps) == 0
    if path != "issue":
        assert object_at(document, *steps) == {}
