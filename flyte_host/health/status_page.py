"""``/status``: the state of the host at a glance, for a browser.

Owns how it looks. Shows what ``/ready`` says and a row for each pack; must not know where that
comes from or how a page is served.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flyte_host.health.readiness import Ready
from flyte_host.pipeline.parts import Parts
from flyte_host.records.host_view import JournalRecord
from flyte_host.text import escape_controls, escape_html

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --line: #d0d7de; --shade: #f6f8fa;
  --good: #1a7f37; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0d1117; --ink: #e6edf3; --line: #30363d; --shade: #161b22; --good: #3fb950;
    --bad: #ff7b72; }
}
body { margin: 0 auto; max-width: 70rem; padding: 0 1rem 3rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
div { overflow-x: auto; }
:focus-visible { outline: 3px solid; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
"""
LINE_HEADS = ("Part", "State", "What it says", "For")
PACK_HEADS = ("Pack", "In flyte", "State", "Running", "Waiting for flyte", "Problem")

ENTRY_HEADS = ("Entry", "State", "Pack", "Command", "Action", "Since", "Why")


@dataclass(frozen=True, slots=True)
class PackStatus:
    """A pack as the page shows it; ``problem`` is empty if there is none."""

    pack_key: str
    pack_id: str
    state: str
    running: int
    waiting: int
    problem: str


def status_page(
    lines: Mapping[str, Ready],
    packs: Sequence[PackStatus],
    entries: Sequence[JournalRecord] = (),
    *,
    is_ready: bool,
) -> str:
    """The whole page, as HTML."""
    verdict = "ready" if is_ready else "not ready"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>flyte-host: {verdict}</title><link rel="stylesheet" href="/status.css"></head>'
        f"<body><main><h1>flyte-host is {_mark(verdict, is_good=is_ready)}</h1>"
        f"{_table('Parts of the host', LINE_HEADS, map(_line_cells, lines, lines.values()))}"
        f"<h2>Packs</h2>{_table('Packs', PACK_HEADS, map(_pack_cells, packs))}"
        "<p>To pause a pack: <code>flyte-host ctl pause PACK</code>.</p>"
        f"<h2>Journal</h2>{_table('Journal', ENTRY_HEADS, map(_entry_cells, entries))}"
        "<p>To see an entry: <code>flyte-host journal show ENTRY</code>; to deliver what is "
        "parked: <code>flyte-host journal retry ENTRY</code>.</p></main></body></html>\n"
    )


def pack_rows(parts: Parts) -> list[PackStatus]:
    """A row for each served pack and for each broken plugin."""
    rows = [_row(parts, pack_key) for pack_key in parts.served.packs]
    rows += [
        PackStatus(each.config.pack_key, "-", "broken", 0, 0, each.problem)
        for each in parts.served.broken
    ]
    return rows


def _row(parts: Parts, pack_key: str) -> PackStatus:
    pack, view = parts.served.packs[pack_key], parts.schedule.view(pack_key)
    process = "" if pack.process is None else pack.process.problem
    registration = parts.registrations.problem(pack_key)
    state = "takes actions" if pack.commands else "raises events"
    if view.quarantined:
        state = "quarantined"
    elif view.paused_since is not None:
        state = f"paused since {view.paused_since.isoformat(timespec='seconds')}"
    stuck = f"{view.stuck} past their timeout" if view.stuck else ""
    problem = "; ".join(filter(None, [registration, view.problem, process, stuck]))
    waiting = parts.deliveries.waiting(pack_key)
    return PackStatus(
        pack_key, pack.id, state, view.running - view.taking + view.cut_off, waiting, problem
    )


def _line_cells(name: str, line: Ready) -> tuple[str, ...]:
    age = "" if line.age_seconds is None else f"{line.age_seconds:.0f} s"
    words = "good" if line.healthy else "problem" if line.critical else "note"
    is_good = line.healthy or not line.critical
    return _text(name), _mark(words, is_good=is_good), _text(line.reason), age


def _pack_cells(row: PackStatus) -> tuple[str, ...]:
    problem = _mark(row.problem, is_good=False) if row.problem else ""
    numbers = (str(row.running), str(row.waiting))
    return _text(row.pack_key), _text(row.pack_id), _text(row.state), *numbers, problem


def _entry_cells(entry: JournalRecord) -> tuple[str, ...]:
    since = f"{entry.since:%Y-%m-%d %H:%M:%S}"
    state = _mark(entry.state, is_good=entry.state != "parked")
    texts = (entry.pack_key, entry.command or "-", entry.action_id or "-", since, entry.reason)
    return _text(entry.name), state, *map(_text, texts)


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{each}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        body = f'<tr><td colspan="{len(heads)}">none</td></tr>'
    return (
        f'<div role="region" aria-label="{title}" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _mark(words: str, *, is_good: bool) -> str:
    return f'<span class="{"good" if is_good else "bad"}">{_text(words)}</span>'


def _text(words: str) -> str:
    return escape_html(escape_controls(words))
