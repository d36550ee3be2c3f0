"""The language: how templates are read, and how errors in them are reported."""

from functools import partial
from typing import Any

import pytest

from tests.support.template_maker import failure_of, make_templates

VARIABLES: dict[str, Any] = {
    "s": "text",
    "n": 7,
    "t": True,
    "f": False,
    "l": ["c", "a", "b"],
    "m": {"b": 2, "a": 1},
    "rows": [["a", "b"], ["c"]],
    "9lives": "cat",
}

COUNTERS = (
    "{{ forloop.Counter }}{{ forloop.Counter0 }}{{ forloop.Revcounter }}{{ forloop.Revcounter0 }}"
    "{{ forloop.First }}{{ forloop.last }}"
)
INNER = "{{ forloop.parentloop.Counter }}{{ forloop.Counter }}{{ c }}"


def render(template: str) -> str:
    templates = make_templates()
    return templates.render(template, VARIABLES)


fails = partial(failure_of, render)


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ('{{ "a:b|c && d || !e" }}', "a:b|c && d || !e"),
        ("{{ 'it has \"double\" quotes' }}", 'it has "double" quotes'),
        (r'{{ "\"\\" }}', '"\\'),
        ('{{ "}} %} {{ {%" }}', "}} %} {{ {%"),
        ('{{ x|default:"a:b"|upper|add:"|" }}', "A:B|"),
        ("{{ x|default:s }} {{ x | default : 5 }} {{ x|default:1.5 }}", "text 5 1.500000"),
        ('{{ x|default:m.a }} {{ x|default:true }}{{s|add:"!"}}', "1.000000 Truetext!"),
        ("{{ 9lives }}", "cat"),
        ("a {{- s -}} b {%- if 1 -%} c {%- endif -%}\n d", "atextbcd"),
        ("a {# c #} {%- if 1 -%} {# d #} b{% endif %}", "a  b"),
        ("a {# c #}{{- s -}}{# d #} b", "atextb"),
        (
            "{% verbatim %} a {% endverbatim %}{{- s -}}{% verbatim %} b {% endverbatim %}",
            " atextb ",
        ),
        ("{% comment %}{{ s ? t }}{% if ; %}{{ s %}{{ endcomment }}{% endcomment %}x", "x"),
        ("{# {{ s }} #}{% comment %}{{ s }}{% if %}{% endcomment %}", ""),
        ("{% verbatim %}{{ s }}{# c #}{% endverbatim %}", "{{ s }}{# c #}"),
        ("{{\ts\r}}", "text"),
        ("{ { s } } {s}", "{ { s } } {s}"),
    ],
)
def test_strings_comments_and_spaces(template: str, gives: str) -> None:
    assert render(template) == gives


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ("{{ t && f }} {{ t and t }} {{ f || t }} {{ f or f }}", "False True True False"),
        ("{{ f && t || t }} {{ t || t && f }}", "False True"),
        ("{{ (f && t) || t }}", "True"),
        ("{{ f && s.x }} {{ t || s.x }}", "False True"),
        (
            "{{ !t }} {{ not t }} {{ !x }} {{ !s }} {{ !l }} {{ !m }}",
            "False False True False False False",
        ),
        ("{{ !5 }} {{ !0 }} {{ !n }} {{ !0.0 }}", "0 1 0.000000 1.100000"),
        ("{{ !t == f }} {{ not s in l }} {{ !(s in l) }}", "True False True"),
        ("{{ 2 + 3 * 4 }} {{ (2 + 3) * 4 }} {{ 10 - 4 - 3 }} {{ 2 * 6 / 4 % 2 }}", "14 20 3 1"),
        (
            "{{ 7 / 2 }} {{ -7 / 2 }} {{ -7 % 4 }} {{ 7 / 2.0 }} {{ n / 2 }}",
            "3 -3 -3 3.500000 3.500000",
        ),
        (
            "{{ 2 ^ 3 }} {{ 2 ^ 3 ^ 0 }} {{ 9 ^ 9999 }}",
            "8.000000 2.000000 +Inf",
        ),
        ("{{ 1.0 / 0 }} {{ -1.0 / 0 }} {{ 0.0 / 0 }} {{ (0.0-1) ^ 0.5 }}", "+Inf -Inf NaN NaN"),
        (
            "{{ 9223372036854775807 + 1 }} {{ 4000000000 * 4000000000 }}",
            "-9223372036854775808 -2446744073709551616",
        ),
        ("{{ 9223372036854775807|add:1 }} {{ +5 }} {{ -n }}", "-9223372036854775808 5 -7.000000"),
        ("{{ 1 == 1 == t }} {{ 1 < 2 }} {{ 'a' + 'b' }}", "False True 0"),
        ("{{ 0 ^ (0-3) }} {{ (0-2) ^ 2001 }} {{ (0-2) ^ 2000 }}", "+Inf -Inf +Inf"),
        ("{{ '1e3' + 1 }} {{ '1e999' + 1 }} {{ 'inf' > 1.0 }} {{ '1_0' + 1 }}", "1001 1 True 11"),
    ],
)
def test_operators(template: str, gives: str) -> None:
    assert render(template) == gives


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ("{% if x %}1{% elif f %}2{% elif t %}3{% else %}4{% endif %}", "3"),
        ("{% if x %}1{% else %}4{% endif %}{% if s|length == 4 %}5{% endif %}", "45"),
        ("{% if t && s == 'text' || x %}y{% endif %}{% if !x %}n{% endif %}", "yn"),
        ("{% for i in l %}{{ i }}{% empty %}none{% endfor %}", "cab"),
        ("{% for i in x %}{{ i }}{% empty %}none{% endfor %}{% for i in n %}a{% endfor %}", "none"),
        ("{% for i in l sorted %}{{ i }}{% endfor %}", "abc"),
        ("{% for i in l reversed %}{{ i }}{% endfor %}", "bac"),
        ("{% for k, v in m %}{{ k }}{{ v|integer }}{% endfor %}", "a1b2"),
        ("{% for k in m %}{{ k }}{% endfor %}", "ab"),
        ("{% for k in m reversed sorted %}{{ k }}{% endfor %}", "ba"),
        ("{% for k in m reversed %}{{ k }}{% endfor %}", "ab"),
        (
            "{% for i in l %}" + COUNTERS + ";{% endfor %}",
            "1032TrueFalse;2121FalseFalse;3210FalseTrue;",
        ),
        ("{% for r in rows %}{% for c in r %}" + INNER + "{% endfor %}{% endfor %}", "11a12b21c"),
        ("{% for c in l %}{{ forloop.Parentloop }}{{ forloop.nope }}{% endfor %}", ""),
        ("{% set i = 0 %}{% for c in l %}{% set i = i + 1 %}{{ i }}{% endfor %}{{ i }}", "1230"),
        ("{% for i, j in l %}{{ i }}{{ j }}{% endfor %}{{ i }}", "cab"),
        (
            "{% with a=s b=n|integer %}{{ a }}{{ b }}{% set c = 1 %}{% endwith %}{{ a }}{{ c }}",
            "text7",
        ),
        ("{% with s as a %}{{ a }}{% endwith %}{% with %}-{% endwith %}", "text-"),
        ("{% ifequal n 7.0 %}y{% endifequal %}{% ifequal n 7 %}y{% else %}n{% endifequal %}", "yn"),
        ("{% ifnotequal s 'x' %}y{% else %}n{% endifnotequal %}", "y"),
        ("{% firstof x '' 0 %}{% firstof x s t %}{% firstof %}", "text"),
        ("{% spaceless %} <a> \t<b>x </b> {% endspaceless %}", " <a><b>x </b> "),
        ("{% filter upper %}a{{ s }}{% if t %}b{% endif %}{% endfilter %}", "ATEXTB"),
        ("{% autoescape off %}{{ '<' }}{% endautoescape %}{{ '<' }}", "<<"),
        ("{% for i in l %}{% cycle 1 s as c %}{{ c }} {% endfor %}", "11 texttext 11 "),
        ("{% for i in l %}{% cycle 'x' 'y' as c silent %}{{ c }}{% endfor %}", "xyx"),
        # A name of a cycle goes on with it.
        ("{% cycle 'x' 'y' as c %}{% cycle c %}{{ c }}{% cycle c %}", "xyyx"),
        ("{% cycle 'x' 'y' as c silent %}{% cycle c %}{{ c }}{% cycle c 'z' as d %}{{ d }}", "y"),
        (
            "{% cycle 'x' as c %}{{ c|upper }}{{ c == 'x' }}{{ c.x }}{{ c|stringformat:'%s' }}",
            "xXFalsex",
        ),
        ("{% cycle a 'y' as a %}{% cycle a %}{% cycle a %}{% cycle a %}", "yy"),
        ("{% filter upper| %}a{% endfilter %}", "A"),
        (
            "{% for i in 'aab' %}{% ifchanged i %}{{ i }}{% else %}-{% endifchanged %}{% endfor %}",
            "a-b",
        ),
        ("{% now '2006' %}{% widthratio 1 3 100 %}{% widthratio 1 2 10 as w %}{{ w }}", "2018346"),
        (
            "{% for i in 'aab' %}{% ifchanged i s %}{{ i }}{% endifchanged %}{% endfor %}",
            "ab",
        ),
        ("{% for a in '1' %}" * 15 + "x" + "{% endfor %}" * 15, "x"),
        ("{% templatetag openblock %}{% templatetag closecomment %}", "{%#}"),
        ("{% now '2006' fake %} {{ pongo2.version }}", "2014 dev"),
        ("{% widthratio 5 10 100 %}", "51"),
        ("{% for c in 'ab' reversed %}{{ forloop.Counter }}{{ c }} {% endfor %}", "2b 1a "),
        ("{% for c in 'ab' reversed %}{{ forloop.First }} {% endfor %}", "False True "),
        ("{% set a = l.0 %}{% set b = a|upper %}{{ b }}", "C"),
    ],
)
def test_tags(template: str, gives: str) -> None:
    assert render(template) == gives


def test_many_conditions_do_not_count_as_nesting() -> None:
    many = "".join(f"{{% elif s == '{number}' %}}{number}" for number in range(300))
    assert render("{% if x %}" + many + "{% else %}none{% endif %}") == "none"
    assert render("{{ " + " || ".join(["x"] * 150 + ["t"]) + " }}") == "True"


@pytest.mark.parametrize("tag", ["include", "ssi", "import", "extends", "macro", "block"])
def test_tags_that_use_files_are_refused(tag: str) -> None:
    assert f"{{% {tag} %}} is refused" in fails(f'{{% {tag} "/etc/passwd" %}}')


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ s", "}} is missing at the end of a tag"),
        ("{{ s %}", "found '%}', expected }}"),
        ("{% if s }}", "found '}}', expected %}"),
        ("{{ }}", "found '}}', expected a value: a name, number or string"),
        ("{{ s t }}", "found 't', expected }}"),
        ("{{ s\n}}", "line 1: a line break inside a tag is not allowed"),
        ("{{ 'abc }}", 'a string that begins with "\'abc }}" is not closed'),
        ("{{ '\\w' }}", "or has a backslash that is not part of"),
        ("{{ s ? t }}", "the character '?' is not allowed inside a tag"),
        ("{{ l[0] }}", "the character '[' is not allowed inside a tag"),
        ("{# a \n #}", "a comment {# … #} is not closed on its line"),
        ("{% verbatim %}x", "{% verbatim %} is not closed"),
        ("\n{% comment %}x", "line 2: {% endcomment %} is missing"),
        ("{% comment %}{{ endcomment }}", "{% endcomment %} is missing"),
        ("{% comment %}{{ 'a }}{% endcomment %}", "a string that begins with"),
        ("{% comment %}{{ s", "}} is missing at the end of a tag"),
        ("{% if s %}\nx", "line 1: {% elif or else or endif %} is missing"),
        ("{% for i in l %}", "{% empty or endfor %} is missing"),
        ("{% endif %}", "there is no tag {% endif %}, or it does not belong here"),
        ("{% if s %}{% endif s %}", "found 's', expected %}"),
        ("{% if s %}{% else %}{% elif s %}{% endif %}", "there is no tag {% elif %}"),
        ("{% if %}{% endif %}", "expected a value"),
        ("{% for in l %}{% endfor %}", "found 'in', expected a name"),
        ("{% for i l %}{% endfor %}", "found 'l', expected in"),
        ("{% set 1 = 2 %}", "found '1', expected a name"),
        ("{% set a 2 %}", "found '2', expected ="),
        ("{% with 1=2 %}{% endwith %}", "{% with %} takes pairs like name=value"),
        ("{% with s.x=2 %}{% endwith %}", "{% with %} takes pairs like name=value"),
        ("{% now s %}", "found 's', expected a string"),
        ("{% autoescape on %}{% endautoescape %}", "found 'on', expected off"),
        ("{% templatetag nope %}", "openblock or closeblock"),
        ("{% widthratio 1 0 3 %}", "widthratio divides by zero"),
        ("{% 1 %}", "found '1', expected a name"),
        ("{{ s.and }}", ".and is not allowed because 'and' is a keyword; write |key:\"and\""),
        ("{{ s. }}", "found '}}', expected a name"),
        ("{{ s| }}", "found '}}', expected a name"),
        ("{{ s|default: }}", "expected a value"),
        ("{{ 1. }}", "found '}}', expected a number"),
        ("{{ (s }}", "found '}}', expected )"),
        ("{{ f(s }}", "found '}}', expected , or )"),
        ("{{ and }}", "found 'and'"),
        ("{{ 99999999999999999999 }}", "the number 99999999999999999999 does not fit into 64 bits"),
        ("{{ l.9223372036854775808 }}", "does not fit into 64 bits"),
        ("{{ -s }}", "a minus sign needs a number, not a string"),
        ("{{ 1 / 0 }}", "an integer is divided by zero"),
        ("{{ 1 % 0 }}", "an integer is divided by zero"),
        ("{{ " + "(" * 70 + "s }}", "an expression is nested deeper than 60"),
        ("{% if s %}" * 20, "tags are nested deeper than 15"),
        ("{{ s" + "|upper" * 500 + " }}", "it is nested too deeply or too large"),
        ("{{ " + "+".join("1" * 2000) + " }}", "it is nested too deeply or too large"),
        ("a\nb{", "line 2: it ends in {, where a tag would begin"),
    ],
)
def test_what_cannot_be_read_says_why(template: str, why: str) -> None:
    assert why in fails(template)
