import json
import shlex
from typing import Any

import pytest

from flyte_host.dev.event_offer import offer_events
from flyte_host.embedded.flow_file import read_flow_text


def offers(*steps: dict[str, Any]) -> list[list[str]]:
    command = {"packName": "Echo", "name": "Say"}
    wanted = [{"id": f"s{number}", "command": command, **step} for number, step in enumerate(steps)]
    flow = read_flow_text(json.dumps({"name": "f", "steps": wanted}), source="the test")
    return [
        shlex.split(each.command("flyte-host", "http://h:1")) for each in offer_events([flow, flow])
    ]


def payload_for(text: str) -> Any:
    [words] = offers({"event": ASKED, "criteria": text})
    return json.loads(words[4])


ASKED = {"packName": "Chat", "name": "Asked"}


def test_the_command_raises_what_the_flow_waits_for() -> None:
    assert offers({"event": ASKED}) == [
        ["flyte-host", "event", "Chat", "Asked", "{}", "--register", "--watch", "--url",
         "http://h:1"]
    ]  # fmt: skip


def test_labels_and_names_with_spaces() -> None:
    [words] = offers({"event": {"packName": "My Chat", "name": "Asked", "packLabels": {"e": "p"}}})
    assert words[2] == "My Chat"
    assert words[-4:-2] == ["--label", "e=p"]


def test_steps_that_wait_for_others_are_not_offered() -> None:
    later = {"event": {"packName": "Echo", "name": "Said"}, "dependsOn": ["s0"]}
    assert [words[3] for words in offers({"event": ASKED}, later)] == ["Asked"]


def test_steps_with_the_same_event_share_a_payload() -> None:
    [words] = offers(
        {"event": ASKED, "criteria": "{{ Event.Payload.a == 'x' }}"},
        {"event": ASKED, "command": {"packName": "Echo", "name": "Say",
                                     "input": [{"deep": "{{ Event.Payload.b }}"}, 7]}},
    )  # fmt: skip
    assert json.loads(words[4]) == {"a": "a", "b": "b"}


@pytest.mark.parametrize(
    ("template", "payload"),
    [
        ("no template", {}),
        ("{{ Event.Payload }}", {}),
        ("{{ Event.Payload.user.name }}", {"user": {"name": "name"}}),
        ("{{ Event.Payload.user }}{{ Event.Payload.user.name }}", {"user": {"name": "name"}}),
        ("{{ Event.Payload.user.name }}{{ Event.Payload.user }}", {"user": {"name": "name"}}),
        ("{{ Event.Payload.commits.0.id }}", {"commits": [{"id": "id"}]}),
        ("{{ Event.Payload.a.1 }}{{ Event.Payload.a.0 }}", {"a": ["a", "a"]}),
        ("{{ Event.Payload.a.99999999999 }}", {"a": ["a"] * 10}),
        ("{{ Event.Payload.0.id }}", [{"id": "id"}]),
    ],
)
def test_the_payload_has_what_templates_read(template: str, payload: Any) -> None:
    assert payload_for(template) == payload
