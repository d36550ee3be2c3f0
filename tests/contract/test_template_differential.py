"""What the run beside the Go server found about templates: a case for each finding."""

from typing import Any

import pytest

SKIPPED = "the step was skipped"
NOW = "2018-02-14T10:00:00Z"
PAYLOAD = {
    "list": [1, 2, 3],
    "words": ["a", "b", "c"],
    "mixed": [1, "a", None, {"k": 2}],
    "text": "x\ufffdy",
}


@pytest.fixture
def render(flyte: Any, step: Any) -> Any:
    """What a template becomes on an event; a step after it shows whether it was skipped."""

    def render(text: str, payload: Any = None, **labels: str) -> Any:
        pack = flyte.pack(labels=labels)
        name = pack.partition(".")[0]
        tried = step(f"{name}/E", f"{name}/tried", id="tried", input=text)
        flyte.flow(tried, step(f"{name}/E", f"{name}/after", id="after"))
        body = {"event": "E", "payload": payload, "createdAt": "2018-02-14T23:18:09.5+02:00"}
        answer = flyte.call("POST", f"/v1/packs/{pack}/events", json=body)
        assert answer.status_code == 202
        action = flyte.take(pack)
        return action["input"] if action["command"] == "tried" else SKIPPED

    return render


@pytest.mark.parametrize(
    ("time", "expression", "expected"),
    [
        ("2018-02-14T10:00:00Z", "0 10 13 * 3", "False"),
        ("2018-02-14T10:00:00Z", "0 10 14 * 3", "True"),
        ("2018-02-07T10:00:00Z", "0 10 */7 * *", "True"),
        ("2018-02-08T10:00:00Z", "0 10 */7 * *", "False"),
        ("2018-03-01T10:00:00Z", "0 10 1 */3 *", "True"),
        ("2018-04-01T10:00:00Z", "0 10 1 */3 *", "False"),
        ("2018-02-18T10:00:00Z", "* * * * 7", "False"),
        ("2018-02-18T10:00:00Z", "* * * * 0", "True"),
        ("2018-02-14T10:00:00Z", "00 * * * *", "False"),
        ("2018-02-07T10:00:00Z", "* * * * 3#2", "True"),
        ("2018-02-14T10:00:00Z", "* * * * 3#2", "False"),
        ("2018-02-15T10:00:00Z", "* * 15W * *", "True"),
        ("2018-02-14T10:00:00Z", "* * LW * *", SKIPPED),
        ("2018-02-14T10:00:00Z", "99 * * * *", "False"),
        ("2018-02-14T10:00:00Z", "0 24 * * *", "False"),
        ("2018-02-14T10:00:00Z", "@HOURLY", "True"),
    ],
)
def test_cron(render: Any, time: str, expression: str, expected: str) -> None:
    assert render(f"{{{{ '{time}'|matchesCron:'{expression}' }}}}") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ 'x'|e }}", SKIPPED),
        ("{{ 'x'|force_escape }}", SKIPPED),
        ("x {", SKIPPED),
        ("{{ Event.CreatedAt.UTC }}", "2018-02-14 21:18:09.5 +0000 UTC"),
        ("{{ Event.CreatedAt.IsZero }}", "False"),
        ("{{ Event.CreatedAt.Nanosecond }}", "500000000"),
        ("{{ Event.CreatedAt.UnixMilli }}", "1518643089500"),
        ("{{ Event.CreatedAt.IsDST }}", "False"),
        ("{{ Event.CreatedAt|date:'15:04 MST' }}", "23:18 +0200"),
        ("{{ Event.CreatedAt|date:'05.000000000000' }}", "09.500000000"),
        ("{{ template(Context.none, Context) }}", ""),
        ("{% widthratio 5 10 100 %}", "51"),
        ("{{ Event }}", "<execution.Event Value>"),
        ("{{ Event.Pack.Labels }}", "<map[string]string Value>"),
        ("{{ 'a b'|split:' ' }}", "<[]string Value>"),
        ("{{ Event|key:'Name' }}", SKIPPED),
        ("{{ Event.Pack|key:'Name' }}", SKIPPED),
        ("{{ 5 in Event.Payload }}", SKIPPED),
        ("{{ 'x'|removetags:'(' }}", SKIPPED),
        ("{{ unmarshalJson('{\"a\": 1e400}') }}", SKIPPED),
        ("{{ template('x', Event.Pack.Labels) }}", SKIPPED),
        ("{{ Event.Payload == Event.Pack.Labels }}", "False"),
        ("{{ 0^(-3) }}", "+Inf"),
        ("{{ 'ß'|upper }}", "ß"),
        ("{% for x in Event.Payload.list reversed %}{{ forloop.Counter }}{% endfor %}", "321"),
        ("{{ pongo2.version }}", "dev"),
        ("{% cycle 'a' 'b' as c %}{% cycle c %}{{ c }}", "abb"),
        ("{% cycle 'a' 'b' as c silent %}{% cycle c %}{{ c }}", "b"),
        ("a {# c #} {%- if 1 -%} {# d #} b{% endif %}", "a  b"),
        ("{% verbatim %} a {% endverbatim %}{{- 'b' -}} c", " abc"),
        ("{% comment %}{{ a ? b }}{% if ; %}{% endcomment %}c", "c"),
        ("{% comment %}{{ 'a }}{% endcomment %}c", SKIPPED),
        ("{% filter upper| %}a{% endfilter %}", "A"),
        ("{{ Event.Payload.text|escapejs }}", "xy"),
        ("{% set n=-4 %}{{ 'ab'|rjust:n }}.", "ab  ."),
        ("{{ Event.Payload.words|stringformat:'%q' }}", '["a" "b" "c"]'),
        ("{{ 'a,b'|split:','|stringformat:'%-3s|' }}", "[a   b  ]|"),
        ("{{ Event.Payload.mixed|stringformat:'%4v' }}", "[   1    a <nil> map[   k:   2]]"),
        (
            "{{ Event.Payload.mixed|stringformat:'%s' }}",
            "[%!s(float64=1) a <nil> map[k:%!s(float64=2)]]",
        ),
        ("{{ 'inf'|float|stringformat:'%v' }}", "+Inf"),
        ("{{ 128512|stringformat:'%#U' }} {{ 128512|stringformat:'%q' }}", "U+1F600 '😀' '😀'"),
        ("{{ 255|stringformat:'%#x' }} {{ 8|stringformat:'%O' }}", "0xff 0o10"),
        ("{{ 'ab'|stringformat:'% x' }} {{ 'ab'|stringformat:'%#q' }}", "61 62 `ab`"),
        ("{{ 7.0|stringformat:'%#g' }} {{ 7|stringformat:'%06.3d' }}", "7.00000    007"),
    ],
)
def test_template(render: Any, text: str, expected: str) -> None:
    assert render(text, PAYLOAD, k="v") == expected


def test_a_negative_zero_of_a_payload(render: Any) -> None:
    assert render("{{ Event.Payload }}", -0.0) == "-0.000000"


def test_a_template_with_the_payload_as_context(flyte: Any, render: Any) -> None:
    if not flyte.is_ours:
        pytest.skip("Go puts its functions into the payload and then cannot store any action of it")
    assert render("{{ template('{{ x }}', Event.Payload) }}", {"x": "y"}) == "y"
