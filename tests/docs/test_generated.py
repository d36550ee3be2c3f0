"""The generated parts of the documentation are up to date."""

from pathlib import Path

import pytest

from tests.support.generate import GENERATORS, PART, ROOT, generated, main, pages

pytestmark = pytest.mark.xdist_group("sources")

PAGES = list(pages(ROOT))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_would_not_change(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert generated(page) == page, "run python tests/support/generate.py"


def test_generators_are_all_used() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    used = {part[2] for part in PART.finditer(text)}
    assert used == set(GENERATORS)


def test_a_part_is_rewritten_and_the_rest_is_kept() -> None:
    page = "before\n<!-- generated: environment -->\nold\n<!-- end -->\nafter\n"
    rewritten = generated(page)
    assert rewritten.startswith("before\n<!-- generated: environment -->\n")
    assert rewritten.endswith("<!-- end -->\nafter\n")
    assert "FLYTE_LABELS" in rewritten
    assert "old" not in rewritten
    assert generated(rewritten) == rewritten


def test_every_page_is_rewritten(tmp_path: Path) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    paths = [tmp_path / "README.md", tmp_path / "docs" / "deep" / "page.md"]
    for path in paths:
        path.write_text("<!-- generated: environment -->\n<!-- end -->\n", encoding="utf-8")
    main(tmp_path)
    assert ["FLYTE_LABELS" in path.read_text(encoding="utf-8") for path in paths] == [True, True]
