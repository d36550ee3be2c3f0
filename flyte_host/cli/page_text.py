"""A page of headings, texts and tables as Markdown, and as one HTML file.

Owns what either looks like. No text of a plugin becomes more than text.
"""

import re
from collections.abc import Iterator, Sequence

from flyte_host.cli.pack_page import Block, FactTable, Heading, HelpLink, Prose
from flyte_host.text import escape_controls, escape_html

MARKS = re.compile(r"([\\`*_\[\]<>|])")
AT_THE_START = re.compile(r"^(\d*)([#+~=.)-])")
"""What makes a heading, a list or a line of a text, if it is the first of it."""
CODE = re.compile(r"`+([^`]+)`+")
ROLE = re.compile(r":\w+:`~?([^`]*)`")
STYLE = (
    ":root{color-scheme:light dark}body{margin:0 auto;max-width:60rem;padding:1rem;"
    "font:16px/1.5 system-ui,sans-serif}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .7rem .3rem 0;"
    "border-bottom:1px solid #8888}div{overflow-x:auto}"
)


def as_markdown(blocks: Sequence[Block]) -> str:
    """The page as Markdown."""
    return "\n\n".join(part for each in blocks for part in _markdown(each)) + "\n"


def _markdown(block: Block) -> Iterator[str]:
    match block:
        case Heading(level, text):
            title = _literal(text).replace("#", "\\#")  # some at its end would be left out
            yield f"{'#' * level} {title}"
        case Prose(text):
            for each in _paragraphs(text):
                yield AT_THE_START.sub(r"\1\\\2", _in_markdown(each))
        case HelpLink(text, url):
            yield f"[{_literal(text)}](<{escape_controls(url)}>)"
        case FactTable(heads, rows):
            lines = [heads, ["---"] * len(heads), *map(_cells, rows)]
            yield "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Sequence[str]) -> list[str]:
    first, *rest = row
    code = escape_controls(first).replace("`", "'").replace("|", "\\|")
    return [f"`{code}`", *map(_in_markdown, rest)]


def _in_markdown(text: str) -> str:
    """Text with its code as code; whatever else looks like Markdown is text."""
    parts = CODE.split(_plain(text))
    return "".join(
        f"`{part}`".replace("|", "\\|") if number % 2 else _literal(part)
        for number, part in enumerate(parts)
    )


def _literal(text: str) -> str:
    return MARKS.sub(r"\\\1", escape_controls(text))


def as_html(title: str, blocks: Sequence[Block]) -> str:
    """The page as one HTML file that loads nothing."""
    body = "\n".join(part for each in blocks for part in _html(each))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_escaped(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _html(block: Block) -> Iterator[str]:
    match block:
        case Heading(level, text):
            yield f"<h{level}>{_escaped(text)}</h{level}>"
        case Prose(text):
            yield from (f"<p>{_in_html(each)}</p>" for each in _paragraphs(text))
        case HelpLink(text, url) if url.startswith(("http://", "https://")):
            yield f'<p><a href="{_escaped(url)}">{_escaped(text)}</a></p>'
        case HelpLink(text, url):  # a link could run a script
            yield f"<p>{_escaped(text)}: {_escaped(url)}</p>"
        case FactTable(heads, rows):
            head = "".join(f'<th scope="col">{_escaped(each)}</th>' for each in heads)
            body = "\n".join(f"<tr>{_html_cells(row)}</tr>" for row in rows)
            table = f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>"
            yield f"<div><table>{table}</table></div>"


def _html_cells(row: Sequence[str]) -> str:
    first, *rest = row
    cells = "".join(f"<td>{_in_html(each)}</td>" for each in rest)
    return f'<th scope="row"><code>{_escaped(first)}</code></th>{cells}'


def _in_html(text: str) -> str:
    parts = CODE.split(_plain(text))
    return "".join(
        f"<code>{_escaped(part)}</code>" if number % 2 else _escaped(part)
        for number, part in enumerate(parts)
    )


def _escaped(text: str) -> str:
    return escape_html(escape_controls(text))


def _paragraphs(text: str) -> Iterator[str]:
    for part in re.split(r"\n\s*\n", text.strip()):
        yield " ".join(part.split())


def _plain(text: str) -> str:
    """Text without the roles of reStructuredText, which docstrings may have."""
    return ROLE.sub(r"`\1`", text)
