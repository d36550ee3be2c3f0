"""Horizontal bars as SVG, without a library: a bar to the median, a line from least to most."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from tests.benchmarks.rounds import Range

WIDTH = 760
NAMES_WIDTH = 250
VALUES_WIDTH = 60
BAR_HEIGHT = 16
ROW_HEIGHT = 24
HEADING_HEIGHT = 30
MARGIN = 12
COLORS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377")


@dataclass(frozen=True)
class Bar:
    name: str
    value: Range


@dataclass(frozen=True)
class BarGroup:
    """Bars under one heading, with a scale of their own."""

    title: str
    bars: Sequence[Bar]


def bar_chart(title: str, groups: Sequence[BarGroup]) -> str:
    """A line at 1.0 marks the reference."""
    lines: list[str] = []
    top = float(MARGIN + HEADING_HEIGHT)
    for group in groups:
        lines += _group(group, top)
        top += HEADING_HEIGHT + ROW_HEIGHT * len(group.bars) + MARGIN
    return svg(title, WIDTH, top, lines)


def svg(title: str, width: float, height: float, parts: Iterable[str]) -> str:
    """A picture under its title."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
        f'width="{width}" height="{height:.0f}" font-family="sans-serif" font-size="12">'
    )
    background = f'<rect width="{width}" height="{height:.0f}" fill="white"/>'
    heading = text(MARGIN, MARGIN + 12, title, 'font-size="15" font-weight="bold"')
    return "\n".join([head, background, heading, *parts, "</svg>", ""])


def _group(group: BarGroup, top: float) -> Iterator[str]:
    yield text(MARGIN, top + 16, group.title, 'font-weight="bold"')
    most = max(1.0, *(bar.value.most for bar in group.bars))
    scale = (WIDTH - NAMES_WIDTH - VALUES_WIDTH - MARGIN) / most
    first = top + HEADING_HEIGHT
    for number, bar in enumerate(group.bars):
        yield from _bar(bar, first + number * ROW_HEIGHT, scale, COLORS[number % len(COLORS)])
    bottom = first + ROW_HEIGHT * len(group.bars)
    yield line(NAMES_WIDTH + scale, first - 4, NAMES_WIDTH + scale, bottom, 'stroke-dasharray="4"')


def _bar(bar: Bar, top: float, scale: float, color: str) -> Iterator[str]:
    value, middle = bar.value, top + BAR_HEIGHT / 2
    yield text(NAMES_WIDTH - 8, middle + 4, bar.name, 'text-anchor="end"')
    yield (
        f'<rect x="{NAMES_WIDTH}" y="{top:.1f}" width="{value.median * scale:.1f}" '
        f'height="{BAR_HEIGHT}" fill="{color}"/>'
    )
    left, right = NAMES_WIDTH + value.least * scale, NAMES_WIDTH + value.most * scale
    yield line(left, middle, right, middle)
    yield text(right + 6, middle + 4, f"{value.median:.2f}")


def line(x1: float, y1: float, x2: float, y2: float, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#222" {more}/>'


def text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#222" {more}>{escape(text)}</text>'
