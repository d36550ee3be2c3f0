"""The corners of pongo2's built-in filters and of Go's Sprintf; the page has the plain uses."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flyte_host.embedded.pongo2 import GoStruct, StringMap, TemplateFailed
from tests.support.template_maker import make_templates

VARIABLES: dict[str, Any] = {
    "s": GoStruct("main.S", {"A": "x", "B": StringMap(k="v")}),
    "n": 7,
    "f": 34.23234,
    "nil": None,
    "t": True,
    "l": ["a", 1, None],
    "one": ["x"],
    "none": [],
    "m": {"a": [1, {"b": "c"}], "z": False, "e": None},
    "text": "one\ntwo\n\nthree",
    "tab": "a\tb",
    "when": datetime(2018, 2, 14, 23, 18, 9, tzinfo=UTC),
    "emoji": "🙂",
    "huge": 1e300,
    "lone": "\ud800",
}


def render(template: str) -> str:
    templates = make_templates()
    return templates.render(template, VARIABLES)


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ("{{ n|add:1 }} {{ 5|add:n }} {{ 5|add:nil }} {{ nil|add:'x' }}", "8.000000 12.000000 5 x"),
        (r"{{ 'a\\b\"'|addslashes }}", r"a\\b\""),
        ("[{{ ''|capfirst }}{{ 5|capfirst }}{{ nil|capfirst }}{{ 'ü'|capfirst }}]", "[Ü]"),
        ("[{{ 'abc'|center:2 }}{{ 'a'|center:4 }}{{ n|center:2 }}]", "[abc  a  7.000000 ]"),
        ("{{ 15|cut:'5' }}{{ 'abc'|cut:'' }}{{ 'abc'|cut }}", "1abcabc"),
        (
            "{{ 0|default:'a' }}{{ none|default:'b' }}{{ m.z|default:'c' }}{{ n|default:'d' }}",
            "abc7.000000",
        ),
        ("[{{ 0|default_if_none:'a' }}{{ x|default_if_none:'b' }}{{ x|default }}]", "[0b]"),
        ("{{ 21|divisibleby:'3' }} {{ 22|divisibleby:3 }}", "True False"),
        ("{{ 1|divisibleby:0 }} {{ 1|divisibleby }}", "False False"),
        ("{{ 'a\u00e9 /'|escapejs }}{{ emoji|escapejs }}", "a\\u00E9 /\\u1F642"),
        (r"{{ 'a\\r\\n'|escapejs }}", "a\\u000D\\u000A"),
        ("[{{ none|first }}{{ ''|first }}{{ 5|first }}{{ t|last }}{{ nil|last }}]", "[]"),
        ("{{ one|first }}{{ l|last }}", "x"),
        (
            "{{ 'foo'|float }} {{ nil|float }} {{ '5.5'|float }} {{ t|float }}",
            "0.000000 0.000000 5.500000 0.000000",
        ),
        ("{{ 'foo'|integer }} {{ '5.9'|integer }} {{ -5.9|integer }}", "0 5 -5"),
        ("{{ t|integer }} {{ ' 5'|integer }}", "0 0"),
        ("{{ '" + "1" * 401 + "'|integer }} {{ '9e99'|integer }}", "0 -9223372036854775808"),
        ("{{ '1_0'|integer }} {{ '1_.0'|integer }} {{ '1e1_0'|float > 1e9 }}", "10 0 True"),
        (
            "{{ '0x1_8.8p1'|float }} {{ '0x18'|float }} {{ '0x1p5000'|float }}",
            "49.000000 0.000000 0.000000",
        ),
        ("{{ '+inf'|float }} {{ 'NaN'|float }} {{ '-nan'|float }}", "+Inf NaN 0.000000"),
        ("{{ f|floatformat }} {{ 34.26|floatformat }}", "34.2 34.3"),
        ("{{ 34.0|floatformat }} {{ '34.26'|floatformat }}", "34 34.3"),
        (
            "{{ f|floatformat:3 }} {{ 34.0|floatformat:3 }} {{ 34.0|floatformat:'-3' }}",
            "34.232 34.000 34",
        ),
        (
            "{{ f|floatformat:'0' }} {{ 39.56|floatformat:'0' }} {{ f|floatformat:'-3' }}",
            "34 40 34.232",
        ),
        ("{{ 1.0|floatformat:'x' }} {{ 'inf'|floatformat:2 }}", "1 +Inf"),
        ("{{ 1234567890|get_digit:0 }} {{ 12|get_digit }}", "1234567890 12"),
        ("{{ 1234567890|get_digit:'4' }} {{ 12|get_digit:3 }}", "7 12"),
        ("{{ n|get_digit:7 }}", "254"),
        ("{{ 'ü [x]'|iriencode }}", "%C3%BC+[x]"),
        (
            "{{ l|join:'-' }} {{ 'abc'|join:'-' }} {{ n|join:'-' }} {{ one|join }}",
            "a-1.000000- a-b-c 7.000000 x",
        ),
        ("{{ m|length }} {{ 'üü'|length }} {{ n|length }} {{ nil|length }}", "3 2 0 0"),
        ("{{ l|length_is:'3' }} {{ 5|length_is:1 }}", "True False"),
        (
            "{{ text|linebreaks }}|{{ ''|linebreaks }}|{{ 5|linebreaks }}",
            "<p>one<br />two</p><p>three</p>||5",
        ),
        ("{{ text|linebreaksbr }}", "one<br />two<br /><br />three"),
        ("{{ text|linenumbers }}", "1. one\n2. two\n3. \n4. three"),
        ("[{{ 'abc'|ljust:2 }}{{ 'a'|ljust:3 }}]", "[abca  ]"),
        ("[{{ 'abc'|rjust:2 }}{{ 'a'|rjust:3 }}{{ 7|rjust:3 }}]", "[abc  a  7]"),
        ("{{ 'aü'|make_list|join:',' }}", "a,ü"),
        ("{{ 0|pluralize }}{{ 1|pluralize }}{{ n|pluralize }}", "ss"),
        ("{{ 2|pluralize:'es' }}{{ 1|pluralize:'es' }}", "es"),
        ("{{ 1|pluralize:'y,ies' }}{{ 2|pluralize:'y,ies' }}", "yies"),
        ("{{ 5|random }}{{ ''|random }}{{ one|random }}{{ none|random|length }}", "5x0"),
        ("{{ l|random|length < 2 }}", "True"),
        ("{{ '<b>x</b> <i/>'|removetags:'b,i' }}|{{ '<.>a'|removetags:'x' }}", "x|<.>a"),
        ("{{ 'abcd'|slice:'1:' }} {{ 'abcd'|slice:':2' }}", "bcd ab"),
        ("{{ 'abcd'|slice:'9:' }}{{ 'abcd'|slice:'1:99' }}", "bcd"),
        (
            "[{{ 'abcd'|slice:':' }}] {{ l|slice:'0:1'|join:'' }} {{ n|slice:'0:1' }}",
            "[] a 7.000000",
        ),
        ("{{ 'a-b'|split:'-'|length }}{{ 'abc'|split:''|length }}{{ 5|split:','|first }}", "235"),
        ("{{ ' <a href=\"x\">b</a> <'|striptags }}", "b <"),
        ("{{ when|time:'15:04' }}", "23:18"),
        ('{{ "don\'t stop ÉTÉ x-y a_b"|title }}{{ 5|title }}', "Don'T Stop Été X-Y A_b"),
        ("{{ 'abcdef'|truncatechars:2 }} {{ 'abcdef'|truncatechars:3 }}", "ab ..."),
        ("{{ 'abc'|truncatechars:3 }}", "abc"),
        ("[{{ 'a b'|truncatewords:0 }}]", "[]"),
        ("{{ 'a  b'|truncatewords:2 }} {{ 'a b'|truncatewords:'1' }}", "a b a ..."),
        ("{{ lone|urlencode }}{{ lone|iriencode }}{{ lone|match:'.' }}", "%3F?True"),
        (
            "{{ 'http://a.b/<x\u00a0c'|urlize }}",
            '<a href="http://a.b/%3Cx%C2%A0c" rel="nofollow">http://a.b/&lt;x\u00a0c</a>',
        ),
        ("{{ 'to a@b.com'|urlize }}", 'to <a href="mailto:a@b.com">a@b.com</a>'),
        ("{{ 'w.de  x'|urlize }}", '<a href="http://w.de" rel="nofollow">w.de</a> x'),
        ("{{ 'long@mail.com'|urlizetrunc:8 }}", '<a href="mailto:long@mail.com">long@...</a>'),
        ("{{ 'straße'|upper }} {{ 'ÉI'|lower }} {{ 'ﬁn'|capfirst }}", "STRAßE éi ﬁn"),
        ("{{ huge|floatformat|length }}", "303"),
        (
            "{{ 'a b'|split:' ' }} {{ 'ab'|make_list|slice:'1:' }}",
            "<[]string Value> <[]string Value>",
        ),
        ("{{ 'a>b<c<d>e>'|striptags }}", "a>b<c"[:0] + "a>be>"),
        (
            "{{ 'www.a.b/?c&d'|urlize:false }}",
            '<a href="http://www.a.b/?c&d" rel="nofollow">www.a.b/?c&d</a>',
        ),
        (
            "{{ 'www.a.b/?c&d'|urlize }}",
            '<a href="http://www.a.b/?c&d" rel="nofollow">www.a.b/?c&amp;d</a>',
        ),
        ("{{ 'at x.org now'|urlize }}", 'at <a href="http://x.org" rel="nofollow">x.org</a> now'),
        ("{{ ' a  b '|wordcount }}", "2"),
        ("{{ 'a b c d e'|wordwrap:2 }}|{{ ' a '|wordwrap:0 }}", "a b\nc d\ne| a "),
        (
            "{{ t|yesno:'a,b' }}{{ 0|yesno:'a,b' }}{{ nil|yesno:'a,b' }}{{ nil|yesno:'a,b,c' }}",
            "abmaybec",
        ),
    ],
)
def test_filters_do_what_pongo2s_do(template: str, gives: str) -> None:
    assert render(template) == gives


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 'x'|date:'2006' }}", "date and time need a time, like Event.CreatedAt, not a string"),
        ("{{ 1.5|floatformat:1001 }}", "floatformat takes at most 1,000 decimals"),
        ("{{ 'x'|pluralize }}", "pluralize needs a number, not a string"),
        ("{{ 1|pluralize:'a,b,c' }}", "pluralize takes at most two endings"),
        ("{{ 'x'|slice:'1' }}", "slice takes from:to"),
        ("{{ 'x'|slice:'-1:' }}", "slice cannot begin at -1"),
        ("{{ 'x'|truncatechars:n|truncatechars:'-1' }}", "truncatechars cannot keep -1 characters"),
        ("{{ 'x'|removetags:'(' }}", "removetags: '(' is not the name of a tag"),
        ("{{ 'x'|e }}", "there is no filter 'e'"),
        ("{{ 'x'|force_escape }}", "there is no filter 'force_escape'"),
        ("{{ t|yesno:'a' }}", "yesno takes two or three words, not 1"),
        ("{{ t|yesno:'a,b,c,d' }}", "yesno takes two or three words, not 4"),
        ("{{ 1.5|stringformat:'%.9999f' }}", "a precision of 9999 is more than 1,000"),
    ],
)
def test_filters_say_what_is_wrong(template: str, why: str) -> None:
    with pytest.raises(TemplateFailed) as caught:
        render(template)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("value", "form", "gives"),
    [
        ("7", "%05d", "00007"),
        ("-7", "%05d", "-0007"),
        ("7", "%-4d.", "7   ."),
        ("7", "%+d", "+7"),
        ("7", "% d", " 7"),
        ("7", "%.3d", "007"),
        ("255", "%x %d", "ff %!d(MISSING)"),
        ("255", "%#X", "0XFF"),
        ("5", "%b", "101"),
        ("8", "%o", "10"),
        ("65", "%c", "A"),
        ("-1", "%c", "\ufffd"),
        ("7", "%v%%", "7%"),
        ("7", "%s", "%!s(int=7)"),
        ("n", "%d", "%!d(float64=7)"),
        ("n", "%s", "%!s(float64=7)"),
        ("n", "%.0f", "7"),
        ("n", "%6.2f.", "  7.00."),
        ("n", "%e", "7.000000e+00"),
        ("n", "%v", "7"),
        ("f", "%g", "34.23234"),
        ("f", "%.3g", "34.2"),
        ("f", "%.1v", "3e+01"),
        ("1000000.0", "%v", "1e+06"),
        ("1234567.0", "%G", "1.234567E+06"),
        ("999999.5", "%v", "999999.5"),
        ("0.0001", "%v", "0.0001"),
        ("0.00001", "%v", "1e-05"),
        ("0.0", "%v", "0"),
        ("'inf'|float", "%f", "+Inf"),
        ("'inf'|float", "%v", "+Inf"),
        ("'-inf'|float", "%06.1f", "  -Inf"),
        ("'nan'|float", "%f", "NaN"),
        ("'nan'|float", "% f", " NaN"),
        ("'ab'", "%5s.", "   ab."),
        ("'ab'", "%-5s.", "ab   ."),
        ("'ab'", "%.1s", "a"),
        ("'ab'", "%x %%", "6162 %"),
        ("'k'", "%X", "6B"),
        ("'a\\\\b'", "%q", '"a\\\\b"'),
        ("'ab'", "%d", "%!d(string=ab)"),
        ("'ab'", "%05d", "%!d(string=000ab)"),
        ("'ab'", "%05s", "000ab"),
        ("'a\u00a0\t\x01\U000e0001'", "%q", r'"a\u00a0\t\x01\U000e0001"'),
        ("'ab'", "%.1q", '"a"'),
        ("'inf'|float", "%05f", " +Inf"),
        ("7", "%T", "int"),
        ("n", "%T", "float64"),
        ("nil", "%T", "<nil>"),
        ("m", "%T", "map[string]interface {}"),
        ("one", "%T", "[]interface {}"),
        ("when", "%T", "time.Time"),
        ("s", "%T", "main.S"),
        ("s", "%v", "{x map[k:v]}"),
        ("s", "%#v", 'main.S{A:"x", B:map[string]string{"k":"v"}}'),
        (
            "m|key:'a'",
            "%#v",
            '[]interface {}{1, map[string]interface {}{"b":"c"}}',
        ),
        (
            "l",
            "%#v",
            '[]interface {}{"a", 1, interface {}(nil)}',
        ),
        ("nil", "%#v", "<nil>"),
        ("7", "%#v", "7"),
        ("true", "%t", "true"),
        ("true", "%v", "true"),
        ("true", "%d", "%!d(bool=true)"),
        ("nil", "%v", "<nil>"),
        ("nil", "%d", "%!d(<nil>)"),
        ("m", "%v", "map[a:[1 map[b:c]] e:<nil> z:false]"),
        # A verb goes down to the items.
        ("l", "%s", "[a %!s(float64=1) <nil>]"),
        ("l", "%3v", "[  a   1 <nil>]"),
        ("l", "%q", '["a" %!q(float64=1) <nil>]'),
        ("m|key:'a'", "%02.f", "[01 map[%!f(string=00):%!f(string=00)]]"),
        ("'a,b'|split:','", "%s", "[a b]"),
        ("'a,b'|split:','", "%-2s|", "[a  b ]|"),
        ("'a,b'|split:','", "%x", "[61 62]"),
        ("s", "%s", "{x map[k:v]}"),
        ("s", "%+v", "{A:x B:map[k:v]}"),
        ("s", "%4s", "{   x map[   k:   v]}"),
        ("when", "%s", "2018-02-14 23:18:09 +0000 UTC"),
        ("when", "%.4s", "2018"),
        ("when", "%d", "%!d(time.Time=2018-02-14 23:18:09 +0000 UTC)"),
        # Integers.
        ("0", "%.0d|", "|"),
        ("7", "%+.3d", "+007"),
        ("7", "%06.3d", "   007"),
        ("7", "%-06d|", "7     |"),
        ("255", "%#x %o", "0xff %!o(MISSING)"),
        ("8", "%#o", "010"),
        ("8", "%O", "0o10"),
        ("5", "%#b", "0b101"),
        ("128512", "%U %%", "U+1F600 %"),
        ("128512", "%#U", "U+1F600 '😀'"),
        ("10", "%#U", "U+000A"),
        ("39", "%q", r"'\''"),
        ("128512", "%q", "'😀'"),
        ("128512", "%+q", r"'\U0001f600'"),
        ("1114112", "%q", "'\ufffd'"),
        ("65", "%05c", "0000A"),
        # Floats.
        ("n", "%#v", "7"),
        ("n", "%#g", "7.00000"),
        ("n", "%#.0f", "7."),
        ("123456.0", "%#g", "123456."),
        ("1234567.5", "%#G", "1.2345675E+06"),
        ("n", "%+06.1f", "+007.0"),
        ("n", "%-+6.1f|", "+7.0  |"),
        # Texts.
        ("'a`b'", "%#q", '"a`b"'),
        ("'ab'", "%#q", "`ab`"),
        ("'a\tb'", "%#q", "`a\tb`"),
        ("'aé'", "%+q", r'"a\u00e9"'),
        ("'ab'", "% x", "61 62"),
        ("'ab'", "%# X", "0X61 0X62"),
        ("''", "%#x|", "|"),
        ("'é'", "%.1x", "c3"),
        ("'abc'", "%.2s|", "ab|"),
        ("'abc'", "%#.1v", '"a"'),
        ("true", "%05t", "0true"),
        ("nil", "%5v", "<nil>"),
        ("nil", "%7v", "  <nil>"),
        ("nil", "%.1T", "<nil>"),
        ("7", "%.1T", "i"),
        ("7", "%+z", "%!z(int=+7)"),
        ("when", "%v", "2018-02-14 23:18:09 +0000 UTC"),
        ("7", "none", "none%!(EXTRA int=7)"),
        ("7", "%z", "%!z(int=7)"),
        ("7", "%", "%!(NOVERB)%!(EXTRA int=7)"),
    ],
)
def test_stringformat_is_gos_sprintf(value: str, form: str, gives: str) -> None:
    made = render("{% set v = " + value + " %}{{ v|stringformat:'" + form + "' }}")
    assert made == gives


def test_an_endlessly_nested_value_is_not_printed() -> None:
    loop: list[Any] = []
    loop.append(loop)
    templates = make_templates()
    with pytest.raises(TemplateFailed, match="nested deeper than 20 cannot be printed"):
        templates.render("{{ l|stringformat:'%v' }}", {"l": loop})
