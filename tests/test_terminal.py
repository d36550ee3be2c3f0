"""Colours are for terminals that show them, and for people who want them."""

import io
import os

import pytest

from flyte_host.terminal import shows_colour

XTERM = {"TERM": "xterm"}


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (XTERM, True),
        ({**XTERM, "NO_COLOR": ""}, True),
        ({**XTERM, "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
    ids=["terminal", "empty", "NO_COLOR", "dumb", "unknown"],
)
def test_a_terminal_shows_colours_if_it_can(environ: dict[str, str], expected: bool) -> None:
    assert shows_colour(Screen(), environ) is expected


def test_a_file_shows_none() -> None:
    assert not shows_colour(io.StringIO(), XTERM)
    with open(os.devnull) as closed:  # noqa: PTH123  as streams are opened
        pass
    assert not shows_colour(closed, XTERM)
