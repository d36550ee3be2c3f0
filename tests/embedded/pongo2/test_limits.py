"""Every limit: what is just within is rendered, what is just beyond is refused, by name."""

from typing import Any

import pytest

from flyte_host.embedded.pongo2 import TemplateFailed
from flyte_host.embedded.pongo2.limits import (
    MAX_ARGUMENT,
    MAX_ITEMS,
    MAX_MADE_BYTES,
    MAX_PARTS_TEXT,
    MAX_PIECES,
    MAX_TEMPLATE,
    MAX_TEXT,
    MAX_WORDS,
)
from tests.support.template_maker import NOW, make_templates

ANY_SIZE = {
    "default", "default_if_none", "divisibleby", "first", "float", "floatformat", "index",
    "integer", "key", "last", "length", "length_is", "random", "safe",
}  # fmt: skip
PARTS = {
    "escape", "escapejs", "iriencode", "kvp", "linebreaks", "linebreaksbr", "linenumbers",
    "make_list", "removedupwhitespaces", "removetags", "striptags", "title", "truncatewords",
    "urlencode", "urlize", "urlizetrunc", "wordcount", "wordwrap",
}  # fmt: skip
FILTERS = sorted(make_templates().filters)
WHOLE = [name for name in FILTERS if name not in ANY_SIZE | PARTS]


def render(template: str, **variables: Any) -> str:
    return make_templates().render(template, variables)


def fails(template: str, **variables: Any) -> str:
    with pytest.raises(TemplateFailed) as caught:
        render(template, **variables)
    return str(caught.value)


@pytest.mark.parametrize("name", WHOLE)
def test_a_filter_takes_a_million_characters(name: str) -> None:
    why = f"{name} takes at most 1,000,000 characters, not 1,000,001"
    assert why in fails("{{ s|" + name + ":'1' }}", s="x" * (MAX_TEXT + 1))


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_filter_that_looks_at_parts_takes_a_hundred_thousand(name: str) -> None:
    why = f"{name} takes at most 100,000 characters, not 100,001"
    assert why in fails("{{ s|" + name + ":'b' }}", s="x" * (MAX_PARTS_TEXT + 1))


@pytest.mark.parametrize("name", sorted(ANY_SIZE))
def test_a_filter_that_looks_at_nothing_takes_any_size(name: str) -> None:
    render("{% set x = s|" + name + ":1 %}", s={"s": "x" * 10**7} if name == "key" else [1] * 10**6)


@pytest.mark.parametrize("name", [name for name in sorted({*WHOLE, *PARTS}) if name != "add"])
def test_an_argument_has_ten_thousand_characters(name: str) -> None:
    why = f"the argument of {name} takes at most 10,000 characters, not 10,001"
    assert why in fails("{{ 'x'|" + name + ":a }}", a="b" * (MAX_ARGUMENT + 1))


def test_add_takes_a_long_argument() -> None:
    assert render("{{ 'x'|add:a|length }}", a="b" * (MAX_TEXT - 1)) == "1000000"
    assert "a text grew longer than 1,000,000" in fails("{{ 'x'|add:a }}", a="b" * MAX_TEXT)


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{{ l|join:',' }}", "join"),
        ("{{ l|stringformat:'%v' }}", "stringformat"),
        ("{{ m|stringformat:'%v' }}", "stringformat"),
        ("{{ n|stringformat:'%v' }}", "stringformat"),
        ("{{ l|slice:'1:' }}", "slice"),
        ("{{ 'x' in l }}", "in"),
        ("{% for i in l sorted %}{% endfor %}", "sorted"),
        ("{% for i in m %}{% endfor %}", "a loop over a map"),
        ("{{ template('', m) }}", "template"),
    ],
)
def test_lists_and_maps_that_are_visited_have_20000_items(template: str, what: str) -> None:
    many: dict[str, Any] = {
        "l": ["x"] * (MAX_ITEMS + 1),
        "m": {str(n): n for n in range(MAX_ITEMS + 1)},
    }
    many["n"] = [many["l"]]
    assert f"{what} takes at most 20,000 items, not 20,001" in fails(template, **many)


def test_a_printed_value_has_a_limit_in_all() -> None:
    nested = [["x"] * 10_000] * 10
    assert "too large to be printed" in fails("{{ l|stringformat:'%v' }}", l=nested)
    assert "too large to be printed" in fails("{{ l|stringformat:'%v' }}", l=["x" * 10**6, ""])


@pytest.mark.parametrize(
    ("template", "text", "what"),
    [
        ("{{ s|split:',' }}", ",", "split"),
        ("{{ s|split:'' }}", "x", "a list of characters"),
        ("{{ s|make_list }}", "x", "a list of characters"),
        ("{{ s|kvp }}", ",", "kvp"),
    ],
)
def test_a_list_is_counted_before_it_is_made(template: str, text: str, what: str) -> None:
    why = f"{what} would make {MAX_ITEMS + 1:,} items; the limit is 20,000"
    extra = 0 if text == "," else 1
    assert why in fails(template, s=text * (MAX_ITEMS + extra))


def test_a_loop_over_a_long_list_does_not_copy_it() -> None:
    template = (
        "{% for i in l %}{% if forloop.First %}{{ forloop.Revcounter }}{% endif %}{% endfor %}"
    )
    assert render(template, l=[1] * 50_000) == "50000"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 'x'|center:20002 }}", "a padding of 10001 characters is more than 10,000"),
        ("{{ 'x'|ljust:10002 }}", "a padding of 10001 characters is more than 10,000"),
        ("{{ 'x'|rjust:10002 }}", "a padding of 10001 characters is more than 10,000"),
        ("{{ 1|stringformat:'%10001d' }}", "a width of 10001 is more than 10,000"),
        ("{{ 1.5|stringformat:'%.1001f' }}", "a precision of 1001 is more than 1,000"),
        ("{{ 1.5|floatformat:1001 }}", "floatformat takes at most 1,000 decimals"),
        ("{{ l|join:s }}", "join would make more than 1,000,000 characters"),
        ("{{ s|removetags:a }}", "removetags takes at most 1,000 characters of names"),
        ("{{ long|stringformat:'%q' }}", "a quoted text takes at most 100,000 characters"),
        ("{{ randomAlpha(10001) }}", "randomAlpha makes 0 to 10,000 letters, not 10001"),
        ("{{ t.Format(long) }}", "the argument of Format takes at most 10,000 characters"),
        ("{{ base64Encode(huge) }}", "base64Encode takes at most 1,000,000 characters"),
        ("{{ unmarshalJson(huge) }}", "unmarshalJson takes at most 1,000,000 characters"),
        ("{{ datastore('big') }}", "item 'big' has 1,000,001 bytes; a template reads at most"),
    ],
)
def test_what_a_short_template_could_multiply(template: str, why: str) -> None:
    templates = make_templates({"big": ("text/plain", b"x" * (MAX_TEXT + 1))})
    variables = {
        "l": ["x" * 10_000] * 101,
        "s": "y",
        "a": "b," * 501,
        "t": NOW,
        "long": "x" * (MAX_PARTS_TEXT + 1),
        "huge": "x" * (MAX_TEXT + 1),
    }
    with pytest.raises(TemplateFailed) as caught:
        templates.render(template, variables)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "characters"),
    [
        ("(x*a?){200}a{200}[ab]{900}$", 300_000),
        (".{0,300}b", 200_000),
        ("(" * 900 + "a*" + ")" * 900, 1),
    ],
)
def test_a_pattern_times_its_text_is_bounded(pattern: str, characters: int) -> None:
    why = "steps; the limit is 100,000,000"
    assert why in fails("{{ s|extractMatch:p }}", s="a" * characters, p=pattern)


def test_match_counts_no_groups_since_it_needs_none() -> None:
    pattern = "(" * 400 + "a*" + ")" * 400
    assert render("{{ s|match:p }}", s="a" * 10_000, p=pattern) == "True"


def test_patterns_on_long_texts_are_found() -> None:
    text = "x" * 999_990 + " deploy 42"
    assert render(r"{{ s|match:'deploy \\d+$' }}", s=text) == "True"
    assert render(r"{{ s|extractMatch:'deploy (\\d+)$' }}", s=text) == "42"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 1 }}" + "x" * MAX_TEMPLATE, "it is longer than 200,000 characters"),
        ("{{1}}" * (MAX_PIECES + 1), "more than 1,000 tags, comments and texts"),
        ("x{##}" * (MAX_PIECES // 2 + 1), "more than 1,000 tags, comments and texts"),
        ("{##}" * (MAX_PIECES + 1), "more than 1,000 tags, comments and texts"),
        ("{{ a }}{% cycle " + "a " * MAX_WORDS + "%}", "more than 5,000 words inside tags"),
    ],
)
def test_a_template_is_counted_before_it_is_built(template: str, why: str) -> None:
    assert why in fails(template)
    assert why in fails("{{ template(t, m) }}", t=template, m={})


def test_a_template_may_have_1000_pieces() -> None:
    assert len(render("{{1}}" * MAX_PIECES)) == MAX_PIECES


def test_text_without_tags_may_be_as_long_as_the_output() -> None:
    assert len(render("x" * MAX_TEXT)) == MAX_TEXT
    assert "it wrote more than 1,000,000 characters" in fails("x" * (MAX_TEXT + 1))


@pytest.mark.parametrize(
    "template",
    [
        "".join("{% set s" + str(n) + " = s|add:'x' %}" for n in range(2)),
        "{{ s|add:'x' == (s|add:'x') }}",
        "{{ randomInt(s|add:'x', s|add:'x') }}",
        "{% for n in 'ab' %}{% set a = s|add:'x' %}{% endfor %}",
        "{{ s|add:'x' }}",
        "{{ template('{{ s|upper }}', v) }}",
        "{% filter upper %}{{ s }}{% endfilter %}",
        "{% for n in 'abcdefgh' %}{% set l = '" + "x" * 20_000 + "'|make_list %}{% endfor %}",
        "{{ unmarshalJson(json).a }}",
        "{{ datastore('json').a }}",
    ],
)
def test_all_that_a_template_makes_is_bounded(template: str) -> None:
    wide = "🙂" * 400_000
    json = '{"a": [' + "{}," * 50_000 + "{}]}"
    templates = make_templates({"json": ("application/json", json.encode())})
    with pytest.raises(TemplateFailed) as caught:
        templates.render(template, {"s": wide, "v": {"s": wide}, "json": json})
    assert f"it makes more than {MAX_MADE_BYTES:,} bytes of values" in str(caught.value)


def test_small_values_are_not_counted() -> None:
    template = "{% for i in l %}{% set s = i|upper %}{% endfor %}"
    assert render(template, l=["x" * 400] * 15_000) == ""


def test_json_of_some_size_is_read() -> None:
    json = '{"a": [' + ", ".join(f'{{"id": "{n}", "name": "n{n}"}}' for n in range(5000)) + "]}"
    assert render("{{ unmarshalJson(j).a.4999.id }}", j=json) == "4999"


def test_a_long_fault_is_cut() -> None:
    assert len(fails("{{ " + "x" * 50_000 + "|nope }}")) < 1500
    assert len(fails("{{ s|matchesCron:'@daily' }}", s="x" * 10**6)) < 500
    assert len(fails("{{ datastore(s) }}", s="x" * 10**6)) < 500
    assert len(fails("{{ s|key:s }}", s="x" * 10**6)) < 500
