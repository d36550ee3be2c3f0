"""The pages are in plain English: they have no phrase that reads as if translated."""

import re
from pathlib import Path

import pytest

from tests.support.blocks import PAGES, ROOT, prose_of
from tests.support.english import PHRASES, Phrase, translated_phrases

READERS = [*PAGES, *sorted(ROOT.glob("plugins/*/README.md"))]
QUOTED = re.compile(r'`[^`\n]+`|"[^"\n]+"')
"""Code, messages, and phrases that a page warns about."""


@pytest.mark.parametrize("path", READERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_is_in_plain_english(path: Path) -> None:
    assert list(translated_phrases(QUOTED.sub("…", prose_of(path)))) == []


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: str(phrase.example))
def test_a_phrase_is_found_in_its_example(phrase: Phrase) -> None:
    found = [each for each in translated_phrases(phrase.example) if phrase.better in each]
    assert len(found) == 1
    assert list(translated_phrases("the host waits forever while its timeout is not set")) == []
