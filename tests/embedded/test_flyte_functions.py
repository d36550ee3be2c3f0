"""The functions of flyte's own, beside pongo2's language."""

import random
from functools import partial
from typing import Any

import pytest

from flyte_host.embedded.flow_templates import make_flow_templates
from tests.support.template_maker import NOW, failure_of, make_templates

ITEMS = {
    "object": ("application/json; charset=utf-8", b'{"a": {"b": 3}, "nil": null}'),
    "text json": ("text/json", b'{"a": 1}'),
    "null": ("application/json", b"null"),
    "array": ("application/json", b"[1]"),
    "broken": ("application/json", b'{"a"'),
    "nan": ("application/json", b'{"a": NaN}'),
    "text": ("text/plain; charset=us-ascii", b"Hi {{ user }}"),
    "bytes": ("application/octet-stream", b"a\xff"),
}
VARIABLES: dict[str, Any] = {
    "P": {"n": 7, "nil": None, "user": "ada"},
    "Context": {"who": "Ada"},
    "Event": {"CreatedAt": NOW},
}


def render(template: str, variables: dict[str, Any] = VARIABLES) -> str:
    return make_templates(ITEMS).render(template, variables)


fails = partial(failure_of, render)


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ("{{ randomInt(1) }} {{ randomInt(1000) < 1000 }}", "0 True"),
        ("{{ randomAlpha(0) }}{{ randomAlpha(9)|match:'^[a-zA-Z]{9}$' }}", "True"),
        ("{{ base64Encode('who?>ü') }} {{ base64Decode('d2hvPz7DvA') }}", "d2hvPz7DvA who?>ü"),
        ("{{ base64Decode('_w') }}", "\ufffd"),
        ("{{ datastore('object').a.b }}{{ datastore('object').nil }}", "3.000000"),
        ("{{ datastore('text json').a|integer }}{{ datastore('null')|length }}", "10"),
        ("{{ datastore('text') }} {{ datastore('bytes') }}", "Hi {{ user }} a\ufffd"),
        ("{{ template(datastore('text'), P) }} {{ template('{{ who }}', Context) }}", "Hi ada Ada"),
        ("{{ template('{{ randomInt(1) }}{{ Event.Name }}', P) }}", "0"),
        ('{{ unmarshalJson("{\\"a\\": [1, {\\"b\\": null}]}").a.0 }}', "1.000000"),
        ("{{ unmarshalJson('null')|length }}", "0"),
    ],
)
def test_flytes_functions(template: str, gives: str) -> None:
    assert render(template) == gives


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ randomInt(0) }}", "randomInt needs a bound above zero, not 0"),
        ("{{ randomInt(-3) }}", "randomInt needs a bound above zero, not -3"),
        ("{{ randomInt(P.n) }}", "randomInt(int) was given a float64, use |integer"),
        ("{{ randomInt('3') }}", "randomInt(int) was given a string"),
        ("{{ randomInt() }}", "randomInt(int) takes 1 value(s), not 0"),
        ("{{ randomInt }}", "randomInt is a function: write randomInt(…)"),
        ("{{ template }}", "template is a function"),
        ("{{ randomAlpha(-5) }}", "randomAlpha makes 0 to 10,000 letters, not -5"),
        ("{{ randomAlpha(10001) }}", "randomAlpha makes 0 to 10,000 letters"),
        ("{{ base64Encode(P.nil) }}", "base64Encode(string) was given nil"),
        ("{{ base64Decode('aGk=') }}", "base64Decode: 'aGk=' is not base64"),
        ("{{ base64Decode('a+b/') }}", "is not base64 of the URL alphabet"),
        ("{{ base64Decode('aGkaa') }}", "is not base64 of the URL alphabet"),
        ("{{ datastore('gone') }}", "there is no datastore item 'gone'"),
        (
            "{{ datastore('array') }}",
            "the datastore item 'array' is JSON but not an object: a slice",
        ),
        ("{{ datastore('broken') }}", "the datastore item 'broken' is not valid JSON"),
        ("{{ datastore('nan') }}", "the datastore item 'nan' is not valid JSON"),
        ("{{ unmarshalJson('[1]') }}", "what unmarshalJson was given is JSON but not an object"),
        ("{{ unmarshalJson('3') }}", "not an object: a float64"),
        ("{{ unmarshalJson('{') }}", "what unmarshalJson was given is not valid JSON"),
        ("{{ template('x', P.user) }}", "template(any, map) was given a string"),
        ("{{ nope(1) }}", "there is no function 'nope'"),
        ("{% set randomInt = 1 %}{{ randomInt(2) }}", "there is no function 'randomInt'"),
        ("{{ P.items() }}", "'items' is not a function of a map"),
        ("{{ Event.CreatedAt.Nope() }}", "'Nope' is not a function of a struct"),
    ],
)
def test_a_function_says_what_it_was_given(template: str, why: str) -> None:
    assert why in fails(template)


def test_what_the_datastore_raises_is_not_the_templates_fault() -> None:
    def away(_key: str) -> None:
        raise OSError("disk")

    templates = make_flow_templates(away, now=lambda: NOW, rng=random.Random(7))
    with pytest.raises(OSError, match="disk"):
        templates.render("{{ datastore('x') }}", {})
