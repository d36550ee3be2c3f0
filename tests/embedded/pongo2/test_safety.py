"""What no template can do: reach Python or files, grow or run forever, fail in another way."""

import itertools
import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_host.embedded.pongo2 import TemplateFailed
from flyte_host.embedded.pongo2.work_limit import WorkClock
from tests.support.template_maker import make_templates

ITEMS = {"hostile": ("text/plain", b"{{ template(datastore('hostile'), P) }}")}
LIMIT = 5_000
SPACED = "{% spaceless %}{{ '<p>'|center:9000 }}{% endspaceless %}"
VARIABLES: dict[str, Any] = {
    "P": {"s": "text", "n": 7, "l": list(range(50)), "m": {"a": {"b": [None, True]}}, "x": None},
    "CreatedAt": datetime(2018, 2, 14, tzinfo=UTC),
}


def fails(template: str, variables: dict[str, Any] | None = None, **limits: Any) -> str:
    with pytest.raises(TemplateFailed) as caught:
        make_templates(ITEMS, **limits).render(
            template, VARIABLES if variables is None else variables
        )
    return str(caught.value)


class PythonObject:
    def __init__(self) -> None:
        self.password = "hunter2"

    def __repr__(self) -> str:
        raise AssertionError("nobody may ask")


@pytest.mark.parametrize(
    "template",
    [
        "{{ o.password }}",
        "{{ o.__class__ }}",
        "{{ o.__class__.__mro__ }}",
        "{{ o.password() }}",
        "{{ o|key:'password' }}",
        "{{ o.0 }}",
        "{{ s.__class__ }}",
        "{{ s.upper }}",
        "{{ s.upper() }}",
        "{{ l.append }}",
        "{{ m.items() }}",
        "{{ t.tzinfo() }}",
        "{{ t.replace(1) }}",
        "{{ randomInt.__globals__ }}",
        "{{ template.__self__ }}",
        "{% for i in l %}{{ forloop.parentloop() }}{% endfor %}",
    ],
)
def test_no_attribute_of_python_is_reached(template: str) -> None:
    variables = {
        "o": PythonObject(),
        "s": "x",
        "l": [1],
        "m": {},
        "t": datetime(2018, 2, 14, tzinfo=UTC),
    }
    assert "hunter2" not in fails(template, variables)


@pytest.mark.parametrize(
    "name", ["self", "loop", "context", "environment", "None", "True", "__builtins__", "range", "_"]
)
def test_names_of_jinja_and_python_mean_nothing(name: str) -> None:
    assert make_templates().render("[{{ " + name + " }}]", VARIABLES) == "[]"


def test_missing_python_names_of_data_are_nothing() -> None:
    template = "[{{ m.__class__ }}{{ m.items }}{{ t.tzinfo }}{{ o }}{{ o|length }}]"
    variables = {"m": {}, "t": datetime(2018, 2, 14, tzinfo=UTC), "o": PythonObject()}
    assert make_templates().render(template, variables) == "[<struct Value>0]"


@pytest.mark.parametrize(
    "template",
    [
        "{% set a = 'xxxxxxxx' %}" + "{% set a = a|add:a %}" * 40,
        "{% set a = 'x'|ljust:9000 %}{{ a|make_list|join:a }}",
        "{% for i in P.l %}" * 3 + "x" * 1000 + "{% endfor %}" * 3,
        "{% for i in P.l %}" * 3 + "{{ i|center:1000 }}" + "{% endfor %}" * 3,
        "{% for i in P.l %}" * 2 + "{% filter center:9000 %}x{% endfilter %}" + "{% endfor %}" * 2,
        "{% for i in P.l %}" * 2 + SPACED + "{% endfor %}" * 2,
    ],
)
def test_no_template_grows_endlessly(template: str) -> None:
    assert "more than 1,000,000" in fails(template) or "longer than 1,000,000" in fails(template)


def test_the_limit_on_output_is_exact() -> None:
    assert make_templates(max_output_characters=10).render("{{ 12345 }}67890", {}) == "1234567890"
    assert "it wrote more than 10 characters" in fails(
        "{{ 12345 }}678901", max_output_characters=10
    )


def test_template_spends_the_same_budget() -> None:
    text = "{% for i in l %}{{ template('xxx', m) }}{% endfor %}"
    variables = {"l": [1, 2, 3], "m": {}}
    assert make_templates(max_output_characters=18).render(text, variables) == "xxxxxxxxx"
    assert "wrote more than 17 characters" in fails(text, variables, max_output_characters=17)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in P.l %}{% endfor %}",
        "{% for i in P.l %}{% for j in P.l %}{% set k = j %}{% endfor %}{% endfor %}",
        "{{ 'x'|upper|upper|upper|upper|length }}",
        "{{ 1 }}{{ 2 }}{{ 3 }}{{ 4 }}",
        "{% set a = randomInt(1) + randomInt(1) + randomInt(1) + randomInt(1) %}",
    ],
)
def test_every_loop_filter_call_and_output_looks_at_the_clock(template: str) -> None:
    clock = WorkClock(itertools.count().__next__, lambda: math.inf)
    assert "it took longer than 3 s" in fails(template, max_seconds=3, clock=clock)


def test_what_the_compiler_computes_counts_too() -> None:
    template = "{% for i in P.l %}{{ template(t|add:forloop.Counter, P) }}{% endfor %}"
    variables = {**VARIABLES, "t": "{{ 1 }}" * 900}
    stopped = WorkClock(lambda: 0.0, lambda: 0.0)
    assert "it took longer than 0.05 s" in fails(
        template, variables, max_seconds=0.05, clock=stopped
    )


def test_time_in_which_others_compute_does_not_count() -> None:
    busy = WorkClock(lambda: 0.0, itertools.count(0, 100).__next__)
    assert make_templates(clock=busy).render("{% for i in l %}{{ i }}{% endfor %}", {"l": "abc"})


def test_nested_loops_over_a_payload_end_in_time() -> None:
    template = "{% for i in P.l %}" * 8 + "{% endfor %}" * 8
    assert "it took longer than 0.1 s" in fails(template, max_seconds=0.1)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*b", "((a{1,100}){1,100}){1,100}$"])
def test_patterns_that_stop_pythons_engine_do_not_stop_this(pattern: str) -> None:
    variables = {"s": "a" * 100_000 + "c", "p": pattern}
    assert make_templates().render("{{ s|match:p }}", variables) == "False"


@pytest.mark.parametrize(
    "template",
    ["{{ s|striptags|length }}", "{{ s|urlize|length }}", "{{ s|removetags:'b'|length }}"],
)
def test_markup_filters_are_linear(template: str) -> None:
    assert make_templates().render(template, {"s": "<www." * 20_000}) != ""


def test_a_template_does_not_call_itself_endlessly() -> None:
    variables: dict[str, Any] = {}
    variables["P"] = variables
    template = "{{ template(datastore('hostile'), P) }}"
    assert "template(): templates are nested deeper than 10" in fails(template, variables)


@given(st.text().filter(lambda text: not any(mark in text for mark in ("{{", "{%", "{#"))))
def test_text_without_marks_renders_to_itself(text: str) -> None:
    assert make_templates().render(f"{text}.", {}) == f"{text}."


@given(st.text(st.characters(exclude_characters="\n\\", exclude_categories=["Cs"])))
def test_strings_come_out_as_they_were_written(text: str) -> None:
    literal = text.replace('"', '\\"')
    templates = make_templates()
    assert templates.render('{{ "' + literal + '" }}', {}) == text
    assert templates.render('{{ x|default:"' + literal + '" }}', {}) == text
    assert (
        templates.render('{% if v == "' + literal + '" && !x || x %}y{% endif %}', {"v": text})
        == "y"
    )


WORDS = """
    {{ }} {% %} {# #} {{- -%} | : . , ( ) && || ! and or not in == != < > <= + - * / % ^ = " '
    if elif else endif for endfor empty set with endwith cycle as silent ifchanged endifchanged
    filter endfilter spaceless endspaceless firstof now verbatim endverbatim comment endcomment
    P P.s P.l P.m P.n P.x CreatedAt forloop i 0 1 7 1.5 99999999 "a" "%v" "(a+)+" "1:2" true false
    template datastore randomInt( randomAlpha( unmarshalJson( template(P.s,P) "hostile"
    upper add center join default key match extractMatch index stringformat slice date floatformat
    make_list split random wordwrap yesno title urlize linebreaks matchesCron kvp __class__
"""
FRAGMENTS = st.sampled_from(re.split(r"\s+", WORDS.strip()))
TAGS = st.lists(FRAGMENTS, max_size=6).map(" ".join)
HOSTILE = st.lists(
    st.one_of(
        FRAGMENTS,
        TAGS.map(lambda inside: "{{ " + inside + " }}"),
        TAGS.map(lambda inside: "{% " + inside + " %}"),
        st.sampled_from(["{% for i in P.l %}", "{% endfor %}", "{% if P.n %}", "{% endif %}"]),
        st.text(max_size=5),
    ),
    max_size=12,
).map(" ".join)
FILTERS = st.sampled_from(sorted(make_templates().filters))
VALUES = st.sampled_from(
    ["P", "P.s", "P.n", "P.l", "P.m", "P.x", "CreatedAt", "true", "''", "'a,b:c'", "1.5", "99", "7"]
)


def outcome(template: str, variables: dict[str, Any]) -> tuple[str, str]:
    """The rendered text and the failure, one of them empty."""
    try:
        return make_templates(max_output_characters=LIMIT).render(template, variables), ""
    except TemplateFailed as failed:
        return "", str(failed)


@settings(max_examples=200)
@given(HOSTILE)
def test_hostile_templates_fail_in_one_way_and_stay_in_the_limits(template: str) -> None:
    rendered, failure = outcome(template, VARIABLES)
    assert len(rendered) <= LIMIT
    assert not failure or failure.startswith("template ")
    assert "object at 0x" not in failure


@settings(max_examples=200)
@given(VALUES, FILTERS, VALUES, FILTERS, VALUES)
def test_every_filter_takes_every_value_or_fails_in_one_way(
    value: str, first: str, argument: str, second: str, other: str
) -> None:
    template = f"{{{{ {value}|{first}:{argument}|{second}:{other} }}}}{{{{ {value}|{first} }}}}"
    rendered, failure = outcome(template, VARIABLES)
    assert len(rendered) <= LIMIT
    assert not failure or "line 1: " in failure


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
PAYLOADS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">=", "in", "&&", "||"])


@given(PAYLOADS, OPERATORS, VALUES)
def test_any_payload_can_be_used_with_any_operator(payload: Any, operator: str, other: str) -> None:
    template = "{{ v " + operator + " " + other + " }}{{ !v }}{% for i in v sorted %}{% endfor %}"
    rendered, failure = outcome(template, {**VARIABLES, "v": payload})
    assert rendered or "compared" in failure or "divided by zero" in failure
