"""What flow writers see, row by row like the Go server, and how failures are reported."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from flyte_host.embedded.pongo2 import TemplateFailed
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.template_maker import failure_of, make_templates

PAYLOAD = {
    "zero": 0,
    "n": 7,
    "big": 12345678901234567890,
    "half": 1.5,
    "ok": True,
    "no": False,
    "nil": None,
    "user": "ada",
    "empty": "",
    "list": [1, "a", None, {"id": "x", "tags": ["t0", "t1"]}],
    "none": [],
    "map": {"b": 2, "a": 1},
    "text": "{{ Event.Name }}",
    "lone": "a\ud800b",
}
VARIABLES: dict[str, Any] = {
    "Event": {
        "Name": "Deployed",
        "Payload": PAYLOAD,
        "Pack": {"Id": "CI.env.prod", "Name": "CI", "Labels": {"env": "prod"}},
        "CreatedAt": datetime(2018, 2, 14, 23, 18, 9, 48000, tzinfo=UTC),
        "ReceivedAt": datetime(2018, 2, 14, 23, 18, 9, tzinfo=timezone(timedelta(hours=2))),
    },
    "Context": {"who": "Ada", "0": "zero"},
    "P": PAYLOAD,
}


def render(template: str, variables: dict[str, Any] | None = None) -> str:
    return make_templates().render(template, VARIABLES if variables is None else variables)


fails = partial(failure_of, render)


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ("", ""),
        ("no marks at all: { } % # | && ! \n", "no marks at all: { } % # | && ! \n"),
        ("{{ Event.Name }} of {{ Event.Pack.Name }}", "Deployed of CI"),
        ("{{ Event.Pack.Id }} {{ Event.Pack.Labels.env }}", "CI.env.prod prod"),
        ("{{ Context.who }}", "Ada"),
        ("{{ P.list.3.id }}{{ P.list.3.tags.1 }}", "xt1"),
    ],
)
def test_event_and_context_are_the_variables(template: str, gives: str) -> None:
    assert render(template) == gives


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ("[{{ P.nil }}{{ P.missing }}{{ nope }}{{ nope.deep.1.deeper }}{{ P.list.99 }}]", "[]"),
        ("{{ P.ok }} {{ P.no }} {{ true }} {{ false }}", "True False True False"),
        ("{{ 7 }} {{ -7 }} {{ 1.5 }} {{ 2.0 }}", "7 -7 1.500000 2.000000"),
        ("{{ P.n }} {{ P.zero }} {{ P.half }}", "7.000000 0.000000 1.500000"),
        (
            "{{ P.list.0 }}{% for i in P.map %}{{ P.map|key:i }}{% endfor %}",
            "1.0000001.0000002.000000",
        ),
        ("{{ P.big }}", "12345678901234567168.000000"),
        ("{{ P.map }} {{ P.list }}", "<map[string]interface {} Value> <[]interface {} Value>"),
        ("{{ Event.CreatedAt }}", "2018-02-14 23:18:09.048 +0000 UTC"),
        ("{{ Event.ReceivedAt }}", "2018-02-14 23:18:09 +0200 +0200"),
        ("{{ Event.CreatedAt.Year }} {{ Event.CreatedAt.Year() }}", "2018 2018"),
        ("{{ Event.CreatedAt.Format('02.01.2006') }}", "14.02.2018"),
        ("{{ P.user.0 }}{{ P.user.9 }}", "97"),
        (
            "{% for i in P.list %}{% if forloop.First %}{{ forloop }}{% endif %}{% endfor %}",
            "<pongo2.tagForLoopInformation Value>",
        ),
        ("{{ P.lone }}", "a\ufffdb"),
    ],
)
def test_values_print_as_in_go(template: str, gives: str) -> None:
    assert render(template) == gives


def test_numbers_beyond_float64_are_infinite() -> None:
    variables = {"a": 10**400, "b": -(10**400)}
    assert render("{{ a }} {{ b }} {{ a - a }} {{ a|integer }}", variables) == (
        "+Inf -Inf NaN -9223372036854775808"
    )


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ("{{ P.zero == 0 }} {{ P.zero != 0 }} {{ P.zero <> 0 }}", "False True True"),
        ("{{ P.zero == 0.0 }} {{ P.n == 7.0 }}", "True True"),
        ("{{ P.n > 0 }} {{ P.n <= 7 }} {{ P.n < 7 }} {{ P.n >= 7.5 }}", "True True False False"),
        ("{{ P.n|integer == 7 }} {{ P.n|integer }}", "True 7"),
        ("{{ P.n == '7' }} {{ '7' == '7' }} {{ true == 1 }}", "False True False"),
        ("{{ P.nil == nope }} {{ P.nil == '' }}", "True False"),
        ("{{ P.list == P.user }} {{ P.list == P.map }}", "False False"),
        ("{{ Event.CreatedAt == Event.CreatedAt }}", "True"),
        ("{{ 1 in P.list }} {{ 1.0 in P.list }} {{ 'a' in P.list }}", "False True True"),
        (
            "{{ 'a' in P.map }} {{ 1.0 in P.map }} {{ 'd' in P.user }} {{ 1 in 5 }}",
            "True False True False",
        ),
        (
            "{{ 'b' < 'a' }} {{ '10' > '9' }} {{ 1 < '1.5' }} {{ 1.0 < '1.5' }}",
            "False True False True",
        ),
    ],
)
def test_comparisons_ask_for_the_same_type(template: str, gives: str) -> None:
    assert render(template) == gives


def test_maps_and_lists_cannot_be_compared() -> None:
    assert "two values of type map[string]interface {} cannot be compared" in fails(
        "{{ P.map == P.map }}"
    )
    assert "two values of type []interface {} cannot be compared" in fails("{{ P.list != P.none }}")


def test_a_name_on_a_string_payload_fails_but_on_nil_is_empty() -> None:
    assert "can't access the field 'x' by name on type string" in fails("{{ P.user.x }}")
    assert "by name on type float64" in fails("{{ P.n.x }}")
    assert "by name on type bool" in fails("{{ P.ok.x }}")
    assert "by name on type slice" in fails("{{ P.list.x }}")
    assert "can't access the index 0 on type map" in fails("{{ P.map.0 }}")
    assert render("{{ P.nil.x.0 }}") == ""


def test_text_of_events_is_not_rendered_again_but_by_template() -> None:
    assert render("{{ P.text }}") == "{{ Event.Name }}"
    assert render("{% set x = P.text %}{{ x }}") == "{{ Event.Name }}"
    variables = {"t": "{{ Name }}", "c": {"Name": "inner"}}
    assert render("{{ template(t, c) }}", variables) == "inner"


def test_an_unknown_filter_fails_when_the_template_is_read() -> None:
    with pytest.raises(TemplateFailed, match="there is no filter 'nope'"):
        make_templates().check("{% if 0 %}{{ x|nope }}{% endif %}")


def test_check_does_not_render() -> None:
    make_templates().check("{{ P.user.x }}{{ nope(1) }}")


def test_a_failure_names_the_template_its_line_and_the_cause() -> None:
    assert fails("a\n\n{{ P.user.x }}\n{{ Event }}") == (
        "template 'a\\n\\n{{ P.user.x }}\\n{{ Event }}': line 3: can't access the field 'x' by name"
        " on type string"
    )
    assert "line 2: there is no tag {% nope %}" in fails("a\n{% nope %}")
    with pytest.raises(TemplateFailed, match=r"line 1: template\(\): line 2: there is no function"):
        render("{{ template(t, c) }}", {"t": "a\n{{ nope(1) }}", "c": {}})


def test_a_failure_shows_200_characters_of_the_template() -> None:
    assert fails("{{ x|nope }}" + "y" * 500) == (
        f"template '{{{{ x|nope }}}}{'y' * 188}…': line 1: there is no filter 'nope'"
    )


def test_many_threads_render_at_once_without_mixing() -> None:
    templates = make_templates()
    template = "{% for i in l %}{% set x = i %}{{ x }}{% cycle 'a' 'b' %}{% endfor %}{{ name }}"
    wrong: list[str] = []

    def work(name: str) -> None:
        for _ in range(50):
            made = templates.render(template, {"l": [name] * 5, "name": name})
            if made != f"{name}a{name}b{name}a{name}b{name}a{name}":
                wrong.append(made)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)


def test_nothing_is_kept_from_one_rendering_to_the_next() -> None:
    templates = make_templates()
    template = "{{ x }}{% set x = 1 %}{% cycle 'a' 'b' %}"
    assert [templates.render(template, {}) for _ in range(2)] == ["a", "a"]


def test_long_templates_are_rendered_though_not_kept() -> None:
    assert len(render("{{ 1 }}" + "x" * 30_000)) == 30_001
