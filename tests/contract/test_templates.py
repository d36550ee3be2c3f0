"""Section 4, templates as packs see them: each filter, each function, how values are rendered."""

from collections.abc import Callable
from typing import Any

import pytest

SKIPPED = "the step fails and asks for nothing"
PAYLOAD = {
    "n": 7,
    "zero": 0,
    "minus": -1,
    "ok": True,
    "nil": None,
    "text": "deploy api to prod",
    "html": "<b>'&'</b>",
    "pasted": "a\u00a0b",
    "mark": "{{ Event.Name }}",
    "list": ["x", {"id": "y"}],
    "none": [],
    "map": {"k": "v", "my-key": "dashed"},
    "time": "2018-02-14T23:18:09+01:00",
    "huge": 1e300,
    "tab": "a\tb",
}
ROWS: dict[str, list[Any]] = {
    "filter key": ['{{ Event.Payload.map|key:"my-key" }}', "dashed"],
    "filter key: absent is nil": ['{{ Event.Payload.map|key:"x" }}', ""],
    "filter match": ['{{ Event.Payload.text|match:"^deploy .* prod$" }}', "True"],
    "filter match: searches": ['{{ Event.Payload.text|match:"api" }}', "True"],
    "filter match: on the string form": ['{{ Event.Payload.n|match:"^7\\\\.0+$" }}', "True"],
    "filter match: a bad regex gives False": ['{{ Event.Payload.text|match:"(" }}', "False"],
    "filter extractMatch": ['{{ Event.Payload.text|extractMatch:"y (\\\\w+) to" }}', "api"],
    "filter extractMatch: else the whole input": [
        '{{ Event.Payload.text|extractMatch:"undo (.*)" }}',
        "deploy api to prod",
    ],
    "filter extractMatch: a bad regex fails": [
        '{{ Event.Payload.text|extractMatch:"(" }}',
        SKIPPED,
    ],
    "filter kvp": ['{{ "a=1, b = 2 ,c"|kvp|key:"b" }}', "2"],
    "filter kvp: more than one = is dropped": ['{{ "a=1=2"|kvp|key:"a" }}', ""],
    "filter index": ["{{ Event.Payload.list|index:0 }}", "x"],
    "filter index: rune of string": ['{{ "aéb"|index:1 }}', "é"],
    "filter index: not sliceable": ["{{ Event.Payload.n|index:0 }}", ""],
    "filter index: empty": ["{{ Event.Payload.none|index:0 }}", ""],
    "filter index: past the end": ["{{ Event.Payload.list|index:9 }}", ""],
    "filter index: negative fails": ["{{ Event.Payload.list|index:Event.Payload.minus }}", SKIPPED],
    "filter matchesCron": ['{{ Event.Payload.time|matchesCron:"18 23 * * WED" }}', "True"],
    "filter matchesCron: sixth is the year": [
        '{{ Event.Payload.time|matchesCron:"18 23 * * * 2019" }}',
        "False",
    ],
    "filter matchesCron: @daily": ['{{ Event.Payload.time|matchesCron:"@daily" }}', "False"],
    "filter matchesCron: no RFC3339": ['{{ "today"|matchesCron:"* * * * *" }}', SKIPPED],
    "filter matchesCron: out of range": [
        '{{ Event.Payload.time|matchesCron:"99 * * * *" }}',
        "False",
    ],
    "filter matchesCron: invalid": ['{{ Event.Payload.time|matchesCron:"* * * *" }}', SKIPPED],
    "filter matchesCron: both day fields": [
        '{{ Event.Payload.time|matchesCron:"* * 13 * 3" }}',
        "False",
    ],
    "filter matchesCron: steps from 0": [
        '{{ Event.Payload.time|matchesCron:"* * */7 */2 *" }}',
        "True",
    ],
    "filter matchesCron: weekday 7": [
        '{{ "2018-02-18T00:00:00Z"|matchesCron:"* * * * 7" }}',
        "False",
    ],
    "filter matchesCron: 00": ['{{ "2018-02-18T00:00:00Z"|matchesCron:"00 * * * *" }}', "False"],
    "filter matchesCron: nth weekday": [
        '{{ Event.Payload.time|matchesCron:"* * * * 3#3" }}',
        "True",
    ],
    "filter matchesCron: W": ['{{ Event.Payload.time|matchesCron:"* * 14W * *" }}', "True"],
    "filter matchesCron: LW": ['{{ Event.Payload.time|matchesCron:"* * LW * *" }}', SKIPPED],
    "filter matchesCron: macros in any case": [
        '{{ "2018-02-18T01:00:00Z"|matchesCron:"@HOURLY" }}',
        "True",
    ],
    "filter removedupwhitespaces": ['{{ "a  b   c  "|removedupwhitespaces }}', "a b c"],
    "filter safecopypaste": ["{{ Event.Payload.pasted|safecopypaste }}", "a b"],
    "function randomInt": ["{{ randomInt(1) }}", "0"],
    "function randomInt: n <= 0 fails": ["{{ randomInt(0) }}", SKIPPED],
    "function randomAlpha": ["{{ randomAlpha(8)|length }}", "8"],
    "function randomAlpha: negative fails": [
        "{{ randomAlpha(Event.Payload.minus|integer) }}",
        SKIPPED,
    ],
    "function base64Encode: no padding": ['{{ base64Encode("who?>") }}', "d2hvPz4"],
    "function base64Decode": ['{{ base64Decode("d2hvPz4") }}', "who?>"],
    "function datastore": ['{{ datastore("KEYtext") }}', "Hi {{ who }}"],
    "function datastore: an object": ['{{ datastore("KEYjson").a.b }}', "c"],
    "function datastore: must be an object": ['{{ datastore("KEYlist") }}', SKIPPED],
    "function datastore: missing": ['{{ datastore("KEYnone") }}', SKIPPED],
    "function template": ['{{ template(datastore("KEYtext"), Context) }}', "Hi Ada"],
    "function unmarshalJson": ['{{ unmarshalJson("{\\"a\\": {\\"b\\": \\"c\\"}}").a.b }}', "c"],
    "function unmarshalJson: object only": ['{{ unmarshalJson("[1]") }}', SKIPPED],
    "missing is empty": ["{{ Event.Payload.missing }}|{{ Event.Payload.nil }}", "|"],
    "missing below missing is empty": ["{{ Event.Payload.missing.deeper }}", ""],
    "booleans": ["{{ Event.Payload.ok }} {{ 1 == 2 }}", "True False"],
    "ints are plain": ["{{ 7 }} {{ Event.Payload.n|integer }}", "7 7"],
    "floats have six decimals": ["{{ Event.Payload.n }} {{ 1.5 }}", "7.000000 1.500000"],
    "a number of a payload equals no int": ["{{ Event.Payload.zero == 0 }}", "False"],
    "but a float": ["{{ Event.Payload.zero == 0.0 }}", "True"],
    "and compares": ["{{ Event.Payload.n > 0 }}", "True"],
    "and can be made one": ["{{ Event.Payload.zero|integer == 0 }}", "True"],
    "maps print as a type": ["{{ Event.Payload.map }}", "<map[string]interface {} Value>"],
    "lists print as a type": ["{{ Event.Payload.list }}", "<[]interface {} Value>"],
    "a name on a string fails": ["{{ Event.Payload.text.name }}", SKIPPED],
    "nothing is escaped": ["{{ Event.Payload.html }}", "<b>'&'</b>"],
    "events are not rendered again": ["{{ Event.Payload.mark }}", "{{ Event.Name }}"],
    "dotted indexes": ["{{ Event.Payload.list.1.id }}", "y"],
    "variables": [
        "{{ Event.Name }} {{ Event.Pack.Name == Event.Pack.Id }} {{ Context.who }}",
        "Go True Ada",
    ],
    "pongo2's own filters and tags": [
        '{% if Event.Payload.ok && !Event.Payload.nil %}{{ "a"|upper }}{% endif %}',
        "A",
    ],
    "no filter e": ['{{ "<"|e }}', SKIPPED],
    "no filter force_escape": ['{{ "<"|force_escape }}', SKIPPED],
    "a text that ends in a brace": ["a {", SKIPPED],
    "methods of times": [
        "{{ Event.CreatedAt.IsZero }} {{ Event.CreatedAt.UTC.Year > 2000 }}",
        "False True",
    ],
    "methods of times with arguments": [
        "{{ Event.CreatedAt.Before(Event.CreatedAt.AddDate(0, 1, 0)) }}",
        "True",
    ],
    "template of nothing": ["[{{ template(Context.none, Context) }}]", "[]"],
    "template with labels fails": ['{{ template("x", Event.Pack.Labels) }}', SKIPPED],
    "widthratio adds a half and rounds up": [
        "{% widthratio 5 10 100 %} {% widthratio 1 3 100 %}",
        "51 34",
    ],
    "structs print as a type": ["{{ Event }}", "<execution.Event Value>"],
    "maps of strings print as a type": ["{{ Event.Pack.Labels }}", "<map[string]string Value>"],
    "lists of strings print as a type": ['{{ "a b"|split:" " }}', "<[]string Value>"],
    "filter key: of a struct fails": ['{{ Event|key:"Name" }}', SKIPPED],
    "a number in a map fails": ["{{ 5 in Event.Payload.map }}", SKIPPED],
    "removetags with a bracket fails": ['{{ "x"|removetags:"(" }}', SKIPPED],
    "function unmarshalJson: out of range": ['{{ unmarshalJson("{\\"a\\": 1e400}").a }}', SKIPPED],
    "a map equals no map of strings": ["{{ Event.Payload.map == Event.Pack.Labels }}", "False"],
    "letters have one upper case": ['{{ "straße"|upper }}', "STRAßE"],
    "urlize of a mail address": [
        '{{ "ask a@b.com"|urlize }}',
        'ask <a href="mailto:a@b.com">a@b.com</a>',
    ],
    "floatformat of a large number": ["{{ Event.Payload.huge|floatformat|length }}", "303"],
    "stringformat of a verb that does not fit": [
        '{{ "ab"|stringformat:"%05d" }}',
        "%!d(string=000ab)",
    ],
    "stringformat of types": [
        '{{ 7|stringformat:"%T" }} {{ Event.Payload.n|stringformat:"%T" }}',
        "int float64",
    ],
    "stringformat quotes": ['{{ Event.Payload.tab|stringformat:"%q" }}', '"a\\tb"'],
    "stringformat in Go's syntax": [
        '{{ Event.Payload.map|stringformat:"%#v" }}',
        'map[string]interface {}{"k":"v", "my-key":"dashed"}',
    ],
    "a reversed loop counts down": [
        '{% for c in "abc" reversed %}{{ forloop.Counter }}{{ c }}{% endfor %}',
        "3c2b1a",
    ],
    "a fake now": ['{% now "2006" fake %}', "2014"],
    "pongo2 has a version": ["{{ pongo2.version }}", "dev"],
    "zero to a negative power": ["{{ 0 ^ Event.Payload.minus }}", "+Inf"],
    "null in an object vanishes": [{"a": None, "b": "{{ Event.Name }}"}, {"b": "Go"}],
    "null in a list fails": [["a", None], SKIPPED],
    "keys are not rendered": [{"{{ 1 }}": ["{{ Event.Name }}"]}, {"{{ 1 }}": ["Go"]}],
    "numbers are literals": [[1, True, "{{ 1 }}", "{{ true }}"], [1, True, "1", "True"]],
}


@pytest.fixture(scope="module")
def prefix(flyte: Any) -> str:
    """The beginning of the keys of this module's items."""
    prefix = str(flyte.name("templates"))
    items = {
        "text": ("Hi {{ who }}", "text/plain"),
        "json": ('{"a": {"b": "c"}}', "application/json; charset=utf-8"),
        "list": ("[1]", "text/json"),
    }
    for key, (value, content_type) in items.items():
        files = {"value": ("item", value, content_type)}
        assert flyte.status("PUT", f"/v1/datastore/{prefix}{key}", files=files) == 201
    return prefix


@pytest.mark.parametrize("what", ROWS)
def test_rendered(flyte: Any, step: Callable[..., Any], prefix: str, what: str) -> None:
    """4. Every string inside of command.input is rendered"""
    template, gives = ROWS[what]
    if isinstance(template, str):
        template = template.replace("KEY", prefix)
    pack = flyte.pack()
    context = {"context": {"who": "Ada"}}
    first = step(f"{pack}/Start", f"{pack}/first", id="first", **context)
    then = step(f"{pack}/Go", f"{pack}/c", id="then", dependsOn=["first"], input=template)
    flyte.flow(first, then)
    flyte.event(pack, "Start")
    flyte.finish(flyte.take(pack), "Go", PAYLOAD)
    if gives == SKIPPED:
        flyte.quiet(pack)
    else:
        assert flyte.take(pack)["input"] == gives


FILTERS = "key match extractMatch kvp index matchesCron removedupwhitespaces safecopypaste"
FUNCTIONS = "randomInt randomAlpha base64Encode base64Decode datastore template unmarshalJson"


def test_every_filter_and_function_of_flyte_has_a_row() -> None:
    names = [f"filter {name}" for name in FILTERS.split()]
    names += [f"function {name}" for name in FUNCTIONS.split()]
    assert [name for name in names if not any(row.startswith(name) for row in ROWS)] == []
