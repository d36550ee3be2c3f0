"""What a flow writer has to know of one pack, as a page of headings, texts and tables.

Owns its content. Pure. Must not know how a page becomes Markdown or HTML.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flyte_host.model import EventDef
from flyte_host.packs import ServedPack
from flyte_host.plugins import Plugin
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.plugins.docstrings import Docstrings, docstring_of
from flyte_host.plugins.schemas import Schema
from flyte_host.records.schema_field import SchemaField, schema_fields

FIELD_HEADS = ("field", "type", "default", "meaning")
FATAL_SAYS = "The command failed; the payload is a text that says why."


@dataclass(frozen=True, slots=True)
class Heading:
    """A title; ``level`` 1 is the page's."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Prose:
    """Paragraphs, with empty lines between them; code is between backticks."""

    text: str


@dataclass(frozen=True, slots=True)
class HelpLink:
    """Where to read more."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class FactTable:
    """Rows of texts; the first column is code."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = Heading | Prose | HelpLink | FactTable


def pack_page(pack: ServedPack, plugin: Plugin, said: Docstrings) -> list[Block]:
    """The page of a pack that ``plugin`` owns; ``said`` is what its source says."""
    return list(_Page(pack, plugin, said).blocks())


class _Page:
    def __init__(self, pack: ServedPack, plugin: Plugin, said: Docstrings) -> None:
        self._pack = pack
        self._plugin = plugin
        self._said = said

    def blocks(self) -> Iterator[Block]:
        yield Heading(1, f"The pack {self._pack.definition.name}")
        yield Prose(self._origin())
        name = self._plugin.installed.target.rpartition(":")[2]
        if text := self._said.classes.get(name, ""):
            yield Prose(text)
        yield from _help(self._pack.definition.help_url)
        yield from self._labels()
        yield Heading(2, "Commands")
        if not self._pack.commands:
            yield Prose("None.")
        for bound in self._pack.commands.values():
            yield from self._command(bound)
        yield from self._events()
        yield from self._settings()
        yield from self._health()

    def _origin(self) -> str:
        installed = self._plugin.installed
        source = f"{installed.distribution} {installed.version}".strip()
        by = f" of {source}" if source else ""
        return f"`{self._pack.id}` in flyte; served by the plugin `{installed.name}`{by}."

    def _labels(self) -> Iterator[Block]:
        labels = self._pack.definition.labels
        if labels:
            yield Heading(2, "Labels")
            yield Prose("A step may choose this pack among others of its name by `packLabels`.")
            yield FactTable(("label", "value"), [(key, labels[key]) for key in sorted(labels)])

    def _command(self, bound: BoundCommand) -> Iterator[Block]:
        command = bound.command
        yield Heading(3, command.name)
        if bound.description:
            yield Prose(bound.description)
        yield from _help(command.help_url)
        if facts := self._facts(bound):
            yield Prose(facts)
        yield Heading(4, "Input")
        yield from self._fields(bound.input_schema)
        yield Heading(4, "Answers")
        rows = [*map(self._event_row, command.output_events), ("FATAL", FATAL_SAYS)]
        yield FactTable(("event", "meaning"), rows)

    def _facts(self, bound: BoundCommand) -> str:
        facts = []
        if bound.owner != self._pack.pack_key:
            facts.append(f"Added by the plugin `{bound.owner}`.")
        if bound.command.timeout_seconds is not None:
            facts.append(f"Ends as `FATAL` after {bound.command.timeout_seconds:g} s.")
        if bound.command.idempotent:
            facts.append("Idempotent: may run again after a crash of the host.")
        return " ".join(facts)

    def _events(self) -> Iterator[Block]:
        events = self._pack.definition.event_defs
        if events:
            yield Heading(2, "Events")
            yield Prose("The pack raises these on its own; flows may begin with them.")
            yield FactTable(("event", "meaning"), list(map(self._event_row, events)))

    def _event_row(self, event: EventDef) -> tuple[str, str]:
        text = self._said.events.get(event.name, "")
        if event.help_url:
            text = f"{text} {event.help_url}".strip()
        return event.name, " ".join(text.split())

    def _settings(self) -> Iterator[Block]:
        yield Heading(2, "Settings")
        schema = self._plugin.settings_schema
        if schema is None:
            yield Prose("None.")
            return
        yield Prose(f"In the table `[packs.{self._pack.pack_key}.settings]`.")
        yield from self._fields(schema)

    def _health(self) -> Iterator[Block]:
        checks = self._pack.health_checks
        if checks:
            yield Heading(2, "Health")
            rows = [
                (each.name, "yes" if each.critical else "no", docstring_of(each.check))
                for each in checks
            ]
            yield FactTable(("check", "critical", "meaning"), rows)

    def _fields(self, schema: Schema) -> Iterator[Block]:
        whole, fields = _split(schema_fields(schema))
        if whole:
            yield Prose("Anything." if whole == "anything" else f"A JSON value: {whole}.")
        if fields:
            rows = [(each.name, each.kind, _default(each), self._meaning(each)) for each in fields]
            yield FactTable(FIELD_HEADS, rows)

    def _meaning(self, field: SchemaField) -> str:
        last = field.name.rpartition(".")[2]
        text = self._said.fields.get((field.owner, last), "") or field.description
        return " ".join(text.split())


def _split(fields: Sequence[SchemaField]) -> tuple[str, Sequence[SchemaField]]:
    """What the whole document is, if that is not plain, and the fields in it."""
    return (fields[0].kind, fields[1:]) if not fields[0].name else ("", fields)


def _default(field: SchemaField) -> str:
    return "required" if field.is_required else field.default or "optional"


def _help(url: str | None) -> Iterator[Block]:
    if url:
        yield HelpLink("More about it", url)
