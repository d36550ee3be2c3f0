"""The filters of flyte's own, beside pongo2's."""

from functools import partial
from typing import Any

import pytest

from tests.support.template_maker import failure_of, make_templates

PAYLOAD: dict[str, Any] = {
    "n": 7,
    "nil": None,
    "user": "ada",
    "list": [1, "a", None],
    "none": [],
    "map": {"b": 2, "a": 1},
    "lone": "a\ud800b",
}


def render(template: str) -> str:
    return make_templates().render(template, {"P": PAYLOAD})


fails = partial(failure_of, render)


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ("{{ P|key:'user' }}{{ P|key:'gone' }}{{ P.nil|key:'x' }}{{ P|key:P.nil }}", "ada"),
        (
            "{{ P.user|match:'^a' }} {{ P.user|match:'d' }} {{ P.user|match:'x' }}",
            "True True False",
        ),
        (
            "{{ P.n|match:'^7[.]0' }} {{ P.user|match:'(' }} {{ P.user|match:'(?=a)' }}",
            "True False False",
        ),
        ("{{ P.user|match:'(?i)ADA' }} {{ P.user|match:'(?P<n>a)\\\\z' }}", "True True"),
        ("{{ P.lone|match:'^a.b$' }}", "True"),
        (r"{{ P.user|match:'\\C' }} {{ '\\C'|match:'\\Q\\C\\E' }}", "False True"),
        (r"{{ 'foo bar baz bay'|extractMatch:'\\w+ \\w+ (\\w+) (\\w+)' }}", "baz"),
        (r"{{ 'foo bar'|extractMatch:'\\d+' }} {{ 'foo'|extractMatch:'o+' }}", "foo bar foo"),
        ("[{{ 'b'|extractMatch:'(a)?b' }}]", "[]"),
        ("{% set m = ' a = 1 ,b=2,c=d=e,f'|kvp %}{{ m.a }}{{ m.b }}{{ m.c }}{{ m|length }}", "122"),
        ("{{ P.list|index:1 }}{{ P.list|index:9 }}{{ 'äb'|index:0 }}{{ 'ab'|index:7 }}", "aä"),
        ("[{{ P.none|index:0 }}{{ 5|index:0 }}{{ P.map|index:0 }}{{ ''|index:0 }}]", "[]"),
        ("[{{ ' a \t  b\u00a0 \t'|removedupwhitespaces }}]", "[ a b\u00a0]"),
        ("[{{ '   '|removedupwhitespaces }}]", "[]"),
        ("{{ 'a\u00a0b'|safecopypaste == 'a b' }}", "True"),
    ],
)
def test_flytes_filters(template: str, gives: str) -> None:
    assert render(template) == gives


def test_key_of_what_is_not_a_map_fails() -> None:
    assert "key:'x' needs a map, not a string" in fails("{{ P.user|key:'x' }}")


def test_extract_match_fails_for_a_bad_pattern() -> None:
    assert "extractMatch: '(' is not a pattern: missing )" in fails("{{ P.user|extractMatch:'(' }}")
    assert "takes at most 10,000" in fails("{{ 'a'|extractMatch:'" + "a" * 10_001 + "' }}")


def test_a_negative_index_fails() -> None:
    assert "the index -1 is negative" in fails("{% set i = -1 %}{{ P.list|index:i }}")
    assert "expected a value" in fails("{{ P.list|index:-1 }}")
