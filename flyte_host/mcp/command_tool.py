"""Commands → the tools that a client may see, with their schemas.

Owns which commands are allowed, and how an input that is not an object becomes one. Must not know
the protocol.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_host.model import FATAL
from flyte_host.packs import ServedPack
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.text import nearest_of_packs

INPUT = "input"
"""The argument that holds an input that is not an object."""
EVERY = "*"
LONGEST_NAME = 64
"""Characters of a tool's name: some clients accept no more."""
DEFINITIONS = "$defs"


@dataclass(frozen=True, slots=True)
class CommandTool:
    """A command that clients may call.

    ``wraps``: its input is the argument :data:`INPUT`; else the arguments are its input.
    """

    name: str
    pack: ServedPack
    bound: BoundCommand
    input_schema: Mapping[str, Any]
    wraps: bool

    @property
    def title(self) -> str:
        """The command for people."""
        return f"{self.pack.definition.name}: {self.bound.command.name}"

    @property
    def description(self) -> str:
        """What it does, and with which events it answers."""
        command = self.bound.command
        events = [each.name for each in command.output_events]
        words = "the event" if len(events) == 1 else "one of the events" if events else "no event"
        answers = f"Answers with {words} {', '.join(events)}".rstrip()
        pack = self.pack.definition.name
        said = self.bound.description or f"The command {command.name} of the pack {pack}."
        return f"{said}\n\n{answers}; {FATAL} if it fails."

    @property
    def output_schema(self) -> dict[str, Any]:
        """An event: its name, and any payload.

        Any name is allowed: clients refuse what does not fit, and undeclared events are still
        sent.
        """
        names = [*(each.name for each in self.bound.command.output_events), FATAL]
        event = {"type": "string", "description": " or ".join(names)}
        return {
            "type": "object",
            "properties": {"event": event, "payload": {}},
            "required": ["event", "payload"],
        }

    def problem_of(self, arguments: Mapping[str, Any]) -> str:
        """Why the input cannot be among them, rather than to run the command without it."""
        if not self.wraps or arguments.keys() == {INPUT}:
            return ""
        if not arguments and not self.input_schema["required"]:
            return ""
        found = ", ".join(map(repr, arguments)) or "none"
        return f"{self.title}: expected the argument {INPUT!r} alone, found {found}"

    def input_of(self, arguments: Mapping[str, Any]) -> Any:
        """The command's input."""
        return arguments.get(INPUT) if self.wraps else dict(arguments)


@dataclass(frozen=True, slots=True)
class Allowance:
    """The tools that ``allow`` lets through, and sentences about entries that let none."""

    tools: tuple[CommandTool, ...]
    problems: tuple[str, ...]


def allowed_tools(packs: Mapping[str, ServedPack], allow: Sequence[str]) -> Allowance:
    """What ``allow`` names: ``Pack.Command`` or ``Pack.*``, by the pack's name or id in flyte."""
    known = {
        f"{name}.{command}": (pack, bound)
        for pack in packs.values()
        for name in dict.fromkeys((pack.id, pack.definition.name))
        for command, bound in pack.commands.items()
    }
    wanted: dict[tuple[str, str], tuple[ServedPack, BoundCommand]] = {}
    problems = []
    for entry in allow:
        found = [pair for pack in packs.values() for pair in _named(pack, entry)]
        wanted |= {(pack.pack_key, bound.command.name): (pack, bound) for pack, bound in found}
        if not found:
            meant = nearest_of_packs(entry, known)
            problems.append(f"mcp.allow: found {entry!r}, which no pack here has{meant}")
    return Allowance(tuple(_tools(list(wanted.values()))), tuple(problems))


def _named(pack: ServedPack, entry: str) -> Iterator[tuple[ServedPack, BoundCommand]]:
    for command, bound in pack.commands.items():
        names = {pack.id, pack.definition.name}
        if any(entry in {f"{name}.{command}", f"{name}.{EVERY}"} for name in names):
            yield pack, bound


def _tools(wanted: Sequence[tuple[ServedPack, BoundCommand]]) -> Iterator[CommandTool]:
    by_name: dict[str, list[tuple[ServedPack, BoundCommand]]] = {}
    for pack, bound in wanted:
        name = _tool_name(pack.definition.name, bound.command.name)
        by_name.setdefault(name, []).append((pack, bound))
    for name, same in by_name.items():
        for pack, bound in same:
            unique = name if len(same) == 1 else _tool_name(pack.pack_key, bound.command.name)
            schema, wraps = _arguments(bound.input_schema)
            yield CommandTool(unique, pack, bound, schema, wraps)


def _tool_name(pack: str, command: str) -> str:
    """Letters, digits, ``_`` and ``-``: all that every client takes."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{pack}_{command}")[:LONGEST_NAME]


def _arguments(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema of a tool's arguments, always an object's, and whether it wraps the input."""
    definitions = schema.get(DEFINITIONS, {})
    root = {key: value for key, value in schema.items() if key != DEFINITIONS}
    target = str(root.get("$ref", "")).removeprefix(f"#/{DEFINITIONS}/")
    root = dict(definitions.get(target, root))
    more = {DEFINITIONS: definitions} if definitions else {}
    if root.get("type") == "object":
        return {**root, **more}, False
    kept = {key: value for key, value in schema.items() if key != DEFINITIONS}
    required = [INPUT] if kept else []
    closed = {"properties": {INPUT: kept}, "required": required, "additionalProperties": False}
    return {"type": "object", **closed, **more}, True
