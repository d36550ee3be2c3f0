"""Upper, lower and title case, character by character, as Go's unicode package."""

import pytest

from flyte_host.embedded.pongo2.letter_case import to_lower, to_title, to_upper


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("straße", "STRAßE"),
        ("ŉ ǰ ﬁ ΐ", "ŉ ǰ ﬁ ΐ"),
        ("ᾳ ᾀ", "ᾼ ᾈ"),
        ("ǆ \u0131 ς é", "Ǆ I Σ É"),
        ("abc1", "ABC1"),
    ],
)
def test_to_upper(text: str, gives: str) -> None:
    assert to_upper(text) == gives


@pytest.mark.parametrize(
    ("text", "gives"), [("İI", "ii"), ("ΑΣ", "\u03b1\u03c3"), ("ÉA", "éa"), ("ẞ", "ß")]
)
def test_to_lower(text: str, gives: str) -> None:
    assert to_lower(text) == gives


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("don't STOP x-y a_b", "Don'T Stop X-Y A_b"),
        ("a…b “c” d\u00a0e", "A…b “c” D\u00a0E"),
        ("ßa ǆ", "ßa ǅ"),
        ("", ""),
    ],
)
def test_to_title(text: str, gives: str) -> None:
    assert to_title(text) == gives
