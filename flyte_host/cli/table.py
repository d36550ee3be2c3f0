"""Tables for people: within the width of a terminal, and a line for each row everywhere else.

No text of others is lost, is obeyed by the terminal, or changes how a table looks. Must
not know what is shown. rich is imported when there is a table to print, and not for a help text.
"""

import io
import os
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence

import click

from flyte_host.terminal import is_terminal, shows_colour
from flyte_host.text import escape_controls

GAP = "  "
NARROWEST = 8
"""No column is wrapped narrower: the cells of a row then go below each other."""
ROWS_AT_ONCE = 50
STYLES = {
    "FATAL": "red",
    "broken": "red",
    "parked": "red",
    "RUNNING": "yellow",
    "SKIPPED": "yellow",
}
"""The styles of cells that are one of these words."""

Cells = Sequence[str]


def print_table(heads: Cells, rows: Sequence[Cells], *, wrapped: Collection[str] = ()) -> None:
    """Print it; the columns with these heads are wrapped if it is too wide for the terminal."""
    width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
    colour = shows_colour(sys.stdout, os.environ)
    for line in table_lines(heads, rows, wrapped=wrapped, width=width, colour=colour):
        click.echo(line, color=colour)


def table_lines(
    heads: Cells,
    rows: Sequence[Cells],
    *,
    wrapped: Collection[str] = (),
    width: int | None = None,
    colour: bool = False,
) -> Iterator[str]:
    """The lines of a table; without ``width`` each row is one line."""
    from rich.cells import cell_len  # noqa: PLC0415

    cells = [[escape_controls(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    if width is None:
        for row in [heads, *cells]:
            padded = [
                cell + " " * (wide - cell_len(cell)) for cell, wide in zip(row, widths, strict=True)
            ]
            yield GAP.join(padded).rstrip()
        return
    fitted = _fit(heads, widths, wrapped, width - len(GAP) * (len(heads) - 1))
    if fitted is None:
        yield from _lists(heads, cells, width, colour=colour)
        return
    for start in range(0, max(1, len(cells)), ROWS_AT_ONCE):
        part = cells[start : start + ROWS_AT_ONCE]
        yield from _render(part, fitted, heads=() if start else heads, colour=colour)


def _fit(heads: Cells, widths: list[int], wrapped: Collection[str], width: int) -> list[int] | None:
    """The widths of the columns: those that are wrapped share what the others leave."""
    shared = sorted(
        (wide, column) for column, wide in enumerate(widths) if heads[column] in wrapped
    )
    left = width - sum(widths) + sum(wide for wide, _ in shared)
    fitted = [*widths]
    for number, (wide, column) in enumerate(shared):
        fitted[column] = min(wide, left // (len(shared) - number))
        left -= fitted[column]
    is_narrow = any(fitted[column] < min(wide, NARROWEST) for wide, column in shared)
    return None if left < 0 or is_narrow else fitted


def _lists(heads: Cells, rows: Sequence[Cells], width: int, *, colour: bool) -> Iterator[str]:
    """Each row as a list of its cells, for a terminal that is too narrow for a table."""
    first = max(map(len, heads))
    widths = [first, max(NARROWEST, width - first - len(GAP))]
    for number, row in enumerate(rows):
        if number:
            yield ""
        yield from _render(list(zip(heads, row, strict=True)), widths, heads=(), colour=colour)


def _render(
    rows: Sequence[Cells], widths: Sequence[int], *, heads: Cells, colour: bool
) -> Iterator[str]:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(
        box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), show_header=bool(heads),
        header_style="bold",
    )  # fmt: skip
    for column, wide in enumerate(widths):
        head = Text(heads[column] if heads else "")
        table.add_column(head, overflow="fold", width=wide)
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    console = Console(
        file=io.StringIO(), width=sum(widths) + len(GAP) * len(widths), force_terminal=colour,
        color_system="standard" if colour else None, legacy_windows=False, _environ={},
    )  # fmt: skip
    with console.capture() as captured:
        console.print(table)
    yield from (line.rstrip() for line in captured.get().splitlines())
