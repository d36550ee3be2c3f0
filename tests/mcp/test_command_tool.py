"""Which commands become tools, under which names, and with which schemas."""

from typing import Any

import pytest

from flyte_host import Command, Event, EventDef, PackDef, hookimpl
from flyte_host.mcp.command_tool import Allowance, allowed_tools
from flyte_host.packs import ServedPacks
from flyte_host.secrets import Scrubber
from tests.support.served_packs import served_packs
from tests.support.tool_pack import Deploy, ToolAddOn, ToolPack


class TwoInputs:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        commands = [Command("Maybe", self.maybe, []), Command("Any", lambda _: EventDef("E")(), [])]
        return PackDef("Ö x", commands=commands)

    def maybe(self, input: Deploy | None) -> Event:
        return EventDef("E")()


def served(**packs: dict[str, Any]) -> ServedPacks:
    plugins = {"tools": ToolPack, "add-on": ToolAddOn, "two": TwoInputs}
    return served_packs(plugins, packs, Scrubber())


def allowed(*allow: str, **packs: dict[str, Any]) -> Allowance:
    return allowed_tools(served(**packs).packs, allow)


def names(*allow: str, **packs: dict[str, Any]) -> list[str]:
    return [each.name for each in allowed(*allow, **packs).tools]


def test_nothing_is_allowed_without_a_word() -> None:
    assert allowed() == Allowance((), ())


def test_commands_are_allowed_one_by_one_each_once() -> None:
    assert names("Tools.Look", "Tools.Deploy", "Tools.Look") == ["Tools_Look", "Tools_Deploy"]
    assert names("Tools.Odd one", "Tools.Added") == ["Tools_Odd_one", "Tools_Added"]


def test_all_commands_of_a_pack_are_allowed_by_a_star() -> None:
    assert len(names("Tools.*")) == 7
    assert names("Ö x.*") == ["__x_Maybe", "__x_Any", "__x_Added"]


@pytest.mark.parametrize("entry", ["*", "Tools", "Tools.", "tools.Look", "Tools.L*", "*.Look"])
def test_what_names_no_command_allows_nothing_and_is_told(entry: str) -> None:
    found = allowed(entry)
    assert found.tools == ()
    assert found.problems[0].startswith(f"mcp.allow: found {entry!r}, which no pack here has")


def test_a_typo_is_told_with_what_was_meant() -> None:
    assert allowed("Tools.Depoly").problems == (
        "mcp.allow: found 'Tools.Depoly', which no pack here has (did you mean \"Tools.Deploy\"?)",
    )


def test_packs_of_one_name_have_tools_by_their_keys_or_are_chosen_by_their_ids() -> None:
    packs = {env: {"plugin": "tools", "labels": {"env": env}} for env in ("dev", "prod")}
    assert names("Tools.Look", **packs) == ["dev_Look", "prod_Look"]
    [tool] = allowed("Tools.env.prod.Look", **packs).tools
    assert (tool.name, tool.pack.pack_key) == ("Tools_Look", "prod")


def test_an_object_is_the_arguments_of_its_tool() -> None:
    [tool] = allowed("Tools.Deploy").tools
    assert not tool.wraps
    assert tool.input_schema["type"] == "object"
    assert tool.input_schema["properties"]["service"]["description"] == "Its name."
    assert tool.input_schema["required"] == ["service"]
    assert tool.input_of({"service": "web"}) == {"service": "web"}


def test_an_input_that_is_not_an_object_is_one_argument() -> None:
    [look] = allowed("Tools.Look").tools
    assert look.input_schema == {
        "type": "object",
        "properties": {"input": {"type": "array", "items": {"type": "string"}}},
        "required": ["input"],
        "additionalProperties": False,
    }
    assert look.input_of({"input": ["a"]}) == ["a"]
    maybe, anything = allowed("Ö x.Maybe", "Ö x.Any").tools
    assert {"$ref": "#/$defs/Deploy"} in maybe.input_schema["properties"]["input"]["anyOf"]
    assert maybe.input_schema["$defs"]["Deploy"]["required"] == ["service"]
    assert anything.input_schema == {
        "type": "object", "properties": {"input": {}}, "required": [],
        "additionalProperties": False,
    }  # fmt: skip
    assert anything.input_of({}) is None


def test_arguments_without_the_one_that_is_the_input_are_refused() -> None:
    maybe, anything, deploy = allowed("Ö x.Maybe", "Ö x.Any", "Tools.Deploy").tools
    said = "Ö x: Maybe: expected the argument 'input' alone, found "
    assert maybe.problem_of({"service": "web", "input": None}) == said + "'service', 'input'"
    assert maybe.problem_of({"service": "web"}) == said + "'service'"
    assert maybe.problem_of({}) == said + "none"
    assert maybe.problem_of({"input": None}) == anything.problem_of({}) == ""
    assert anything.problem_of({"service": "web"}).endswith("alone, found 'service'")
    assert deploy.problem_of({"service": "web"}) == deploy.problem_of({}) == ""


def test_a_description_has_the_docstring_and_the_events() -> None:
    deploy, fail = allowed("Tools.Deploy", "Tools.Fail").tools
    assert deploy.title == "Tools: Deploy"
    assert deploy.description == (
        "Deploy a service; the password is hunter2hunter2.\n\n"
        "Answers with the event Done; FATAL if it fails."
    )
    assert fail.description == (
        "The command Fail of the pack Tools.\n\nAnswers with no event; FATAL if it fails."
    )
    assert deploy.output_schema["properties"]["event"] == {
        "type": "string", "description": "Done or FATAL",
    }  # fmt: skip
