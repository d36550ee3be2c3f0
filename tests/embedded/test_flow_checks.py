"""Each finding: the smallest flow that shows it, and one that is near it and right."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from flyte_host.embedded.finding import CODES, Finding
from flyte_host.embedded.flow_checks import PackNames, check_flow


def why_unfit(_command: str, value: Any) -> str:
    wanted = isinstance(value, dict) and value.get("mode") in ("a", "b")
    if wanted:
        return ""
    if isinstance(value, dict) and isinstance(value.get("mode"), str):
        return f"input.mode: invalid enum value {value['mode']!r}"
    return f"input: expected object, got {'str' if isinstance(value, str) else 'int'}"


PACKS = {
    "P": PackNames(
        frozenset({"c"}),
        frozenset({"E", "Done"}),
        {"c": frozenset({"Done"})},
        labels=[{"env": "live"}, {}],
    ),
    "T": PackNames(frozenset({"c"}), frozenset({"E"}), {"c": frozenset()}, why_unfit),
}


def flow(*steps: str) -> str:
    return "name: f\nsteps:\n" + "".join(f"- {{{each}}}\n" for each in steps)


def step(more: str = "", *, event: str = "P/E", command: str = "P/c", value: str = "1") -> str:
    (pack, name), (other, what) = event.split("/"), command.split("/")
    comma = ", " if more else ""
    return (
        f"event: {{packName: {pack}, name: {name}}}, "
        f"command: {{packName: {other}, name: {what}, input: {value}}}{comma}{more}"
    )


def criteria(text: str) -> str:
    return flow(step(f"criteria: {json.dumps(text)}"))


def find(text: str) -> Sequence[Finding]:
    return check_flow(text, source="f.yaml", packs=PACKS).findings


MACRO = "{% macro say(x) %}{{ x }}{% endmacro %}{{ say('x') }}"
LOOP = flow(step("id: a"), step("id: b", event="P/Done"))
TALK = flow(step("id: a"), step("id: b, dependsOn: [a]", event="P/Done"))
CASES = {
    "F001": [("name: [", 2, flow(step()))],
    "F002": [
        ("name: f", 1, flow(step())),
        ("name: f\nsteps: {}", 2, flow(step())),
    ],
    "F003": [(flow(step("criterion: 'true'")), 3, flow(step("criteria: 'true'")))],
    "F004": [(flow(step("id: a, dependsOn: [b]")), 3, TALK)],
    "F005": [
        (criteria("{{ Event.Payload.t|mach:'x' }}"), 3, criteria("{{ Event.Payload.t|match:'x' }}"))
    ],
    "F006": [(flow(step(value="[null]")), 3, flow(step(value="{a: null}")))],
    "F007": [(criteria("yes"), 3, criteria("true"))],
    "F008": [(flow(step(event="Q/E")), 3, flow(step()))],
    "F024": [
        (flow(step().replace("name: c", "name: c, packLabels: {a: b}")), 3,
         flow(step().replace("name: c", "name: c, packLabels: {env: live}"))),
        (flow(step().replace("name: E", "name: E, packLabels: {env: test}")), 3,
         flow(step().replace("name: E", "name: E, packLabels: {env: '{{ Event.Payload }}'}"))),
    ],
    "F009": [(flow(step(event="P/F")), 3, flow(step(event="T/FATAL")))],
    "F010": [
        ("name: f\nname: f\n" + flow(step())[8:], 2, flow(step(), step())),
        (
            '{"name": "f",\n "steps": [{\n"name": "E", "name": "E"}]}',
            3,
            flow(step(value="{a: {x: 1}, b: {x: 1}}")),
        ),
    ],
    "F011": [(flow(step("id: a"), step("id: a")), 4, flow(step("id: a"), step("id: b")))],
    "F012": [
        (flow(step("id: b", event="P/Done")), 3, TALK),
        (flow(step(event="P/FATAL")), 3, flow(step(event="P/FATAL", command="T/c"))),
        (
            flow(step(event="P/Done", command="Q/c"), step(event="Q/E", command="P/c")),
            3,
            flow(step(event="P/Done", command="T/c"), step(event="T/E", command="P/c")),
        ),
    ],
    "F013": [
        (flow(step("id: a, dependsOn: [a]")), 3, TALK),
        (
            flow(step("id: a, dependsOn: [b]"), step("id: b, dependsOn: [a]")),
            3,
            flow(
                step("id: a, dependsOn: [b, c]"), step("id: b, dependsOn: [a]"), step("id: c")
            ),
        ),
    ],
    "F014": [("name: f\nsteps: []", 2, flow(step()))],
    "F015": [
        (criteria("{{ Evnt.Name == 'x' }}"), 3, criteria("{{ Event.Name == 'x' }}")),
        (criteria("{{ Event.Nam == 'x' }}"), 3, criteria("{{ Context.Nam == 'x' }}")),
        (
            criteria("{% if Evnt.Name %}true{% endif %}"),
            3,
            criteria("{% for x in Event.Payload.l %}{{ x }}{{ forloop.Last }}{% endfor %}"),
        ),
        (
            criteria("{{ x }}{% set y = Event.Name %}"),
            3,
            criteria("{% set x = Event.Name %}{{ x|default:'true' }}"),
        ),
    ],
    "F016": [
        (criteria("{{ dataStore('x') }}"), 3, criteria("{{ datastore('x') }}")),
        (criteria("{{ say('x') }}"), 3, criteria(MACRO)),
    ],
    "F017": [
        (
            criteria(f"{{{{ Event.CreatedAt|matchesCron:'{wrong}' }}}}"),
            3,
            criteria(f"{{{{ Event.CreatedAt|matchesCron:'{right}' }}}}"),
        )
        for wrong, right in [
            ("0 25 * * *", "0 23 * * *"),
            ("60 * * * *", "59 * * * *"),
            ("* * * *", "* * * * *"),
            ("x * * * *", "*/5 * * * *"),
            ("0 0 30 2 *", "0 0 29 2 *"),
            ("0 0 * * 7", "0 0 * * 0"),
            ("0 0 LW * *", "0 0 L * *"),
            ("0 0 32 * *", "@daily"),
            ("0 0 * 13 *", "0 0 * DEC *"),
        ]
    ],
    "F018": [
        (
            criteria("{{ Event.Payload.t|match:'(' }}"),
            3,
            criteria("{{ Event.Payload.t|match:'[(]' }}"),
        ),
        (
            criteria("{{ Event.Payload.t|extractMatch:'(?=a)' }}"),
            3,
            criteria("{{ Event.Payload.t|extractMatch:'(a)' }}"),
        ),
    ],
    "F019": [
        (criteria(" {{ Event.Payload.ok }}"), 3, criteria("{{ Event.Payload.ok }}")),
        (criteria("{{ Event.Payload.ok }} "), 3, criteria("{{- Event.Payload.ok -}} ")),
    ],
    "F020": [
        (criteria("Event.Name == 'x'"), 3, criteria("{{ Event.Name == 'x' }}")),
    ],
    "F021": [
        (criteria("{{ Event.Payload.n == 0 }}"), 3, criteria("{{ Event.Payload.n|integer == 0 }}")),
        (criteria("{{ Event.Payload.n != -1 }}"), 3, criteria("{{ Event.Payload.n == -1.0 }}")),
        (criteria("{{ 0 == Event.Payload.n }}"), 3, criteria("{{ 0 == Event.Payload.n|integer }}")),
        (criteria("{{ Context.n == 1 }}"), 3, criteria("{{ Context.n == '1' }}")),
        (criteria("{{ Event.Payload.l.0 == 1 }}"), 3, criteria("{{ Event.Name|length == 1 }}")),
    ],
    "F022": [
        (flow(step(command="T/c")), 3, flow(step(command="T/c", value="{mode: a, x: null}"))),
        (flow(step(command="T/c", value="[{a: 1}]")), 3, flow(step(value="[{a: 1}]"))),
        (
            flow(step(command="T/c", value="{mode: c}")),
            3,
            flow(step(command="T/c", value="{mode: '{{ Event.Payload.m }}'}")),
        ),
        (
            flow(step(command="T/c", value="'{{ Event.Payload.m }}'")),
            3,
            flow(step(command="P/c", value="'{{ Event.Payload.m }}'")),
        ),
    ],
}  # fmt: skip
ELSEWHERE = {"F023": "tests/cli/test_flows.py"}


def test_every_code_has_a_case() -> None:
    assert sorted({*CASES, *ELSEWHERE}) == sorted(CODES)


@pytest.mark.parametrize(
    ("code", "wrong", "line", "right"),
    [(code, *case) for code, cases in CASES.items() for case in cases],
)
def test_a_finding_and_its_neighbor(code: str, wrong: str, line: int, right: str) -> None:
    assert (code, line) in [(each.code, each.line) for each in find(wrong)], find(wrong)
    assert [each for each in find(right) if each.code == code] == []


def test_a_loop_of_two_steps_is_not_one_where_nothing_leads_back() -> None:
    assert [each.code for each in find(LOOP)] == ["F012"]
    once = flow(step(command="P/c"), step(event="P/Done", command="T/c", value="{mode: a}"))
    assert find(once) == []


def test_misspelt_steps_are_named() -> None:
    findings = find("name: f\nstep: []\n")
    assert [(each.code, each.path) for each in findings] == [("F002", "steps"), ("F003", "step")]
    assert 'did you mean "steps"?' in findings[1].text


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("name: f\nsteps: []  # flows check: allow F014\n", []),
        ("name: f\n# flows check: allow F013, F014\nsteps: []\n", []),
        ("name: f\nsteps: []  # flows check: allow F013\n", ["F014"]),
        ("name: f  # flows check: allow F014\nsteps: []\n", ["F014"]),
        ("name: f # flows check: allow F002\n", ["F002"]),
    ],
)
def test_a_comment_silences_a_code(text: str, codes: Sequence[str]) -> None:
    assert [each.code for each in find(text)] == codes


def test_an_unknown_filter_has_its_nearest_name() -> None:
    (found,) = find(criteria("{{ Event.Payload.t|mach:'x' }}"))
    assert found.text.endswith("""there is no filter 'mach' (did you mean "match"?)""")


def test_text_of_findings() -> None:
    (found,) = find(criteria("{{ Event.Payload.n == 0 }}"))
    assert str(found) == (
        "f.yaml:3: F021 steps[0].criteria compares Event.Payload.n with 0, but a payload has "
        "floats, which never equal it; expected Event.Payload.n|integer == 0"
    )
    (loop,) = find(LOOP)
    assert str(loop) == (
        "f.yaml:4: F012 warning: steps[1].event.name is 'Done', without dependsOn, and may be the "
        "result of steps[1] (b), which follows from this step: a loop; expected dependsOn, or "
        "another event"
    )
