"""The browser of the tests of this folder: its start takes longer than most of them."""

from collections.abc import Iterator

import pytest

from tests.support.chromium import Chromium, Page

NAMES = ("evil.example", "rebind.example", "named.example")
"""Hosts that the browser finds, all of them here."""


@pytest.fixture(scope="session")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One for all tests, since each new one starts a process of the browser's."""
    folder = tmp_path_factory.mktemp("chromium")
    with Chromium(folder, dict.fromkeys(NAMES, "127.0.0.1")) as browser, browser.open_page() as tab:
        yield tab


@pytest.fixture
def page(tab: Page) -> Iterator[Page]:
    """The same tab, left and alone after the test: what it opened is closed."""
    tab.resize(1000, 800)
    yield tab
    tab.close_others()
    tab.type_address("about:blank")  # a page that is left asks no more for what is new
