"""Templates that try to exhaust a machine, each with its variables.

Run as a program, it renders each of them in 16 threads at once and prints by how many bytes the
process grew.
"""

import contextlib
import resource
import threading
from collections.abc import Callable, Sequence
from typing import Any

from flyte_host.embedded.pongo2 import TemplateFailed
from tests.support.template_maker import make_templates

THREADS = 16
SECONDS = 0.05
"""Less than in production, and enough to reach the limits of size."""
STEADY_SECONDS = 0.01
"""For those that end with their time: their memory does not grow with it."""
STEADY = {
    "many slow patterns", "many links", "nested loops", "1,000 tags", "random letters",
    "nested templates", "compiled many times",
}  # fmt: skip
COMPILED = {"400,000 small tags", "1,000 tags", "200,000 comments"}
"""Each thread compiles one of its own, since that may take memory; the others are compiled once."""
ITEMS = {
    "empty objects": ("application/json", b'{"a": [' + b"{}," * 300_000 + b"{}]}"),
    "nested": ("text/plain", b"{{ template(datastore('nested'), P) }}" * 3),
}
_EMOJI = {"s": "🙂" * 900_000}

HOSTILE: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
    "400,000 small tags": lambda: ("{{1}}" * 400_000, {}),
    "1,000 tags": lambda: ("{{ s }}" * 999, {}),
    "200,000 comments": lambda: ("x{##}" * 200_000, {}),
    "wide texts": lambda: (
        "".join("{% set s" + str(n) + " = s|upper %}" for n in range(300)),
        {"s": "x" * 900_000},
    ),
    "wide emoji": lambda: ("{% set a = s|upper %}" * 300, _EMOJI),
    "wide texts in a call": lambda: ("{{ f(" + ",".join(["s|upper"] * 900) + ") }}", _EMOJI),
    "wide texts in an expression": lambda: (
        "{{ " + " == ".join(["s|add:'x'"] * 100) + " }}",
        {"s": "x" * 900_000},
    ),
    "wide output": lambda: ("{{ s }}" * 5, _EMOJI),
    "a slow pattern": lambda: (
        "{{ s|match:'(x*a?){200}a{200}[ab]{900}$' }}",
        {"s": "ab" * 150_000},
    ),
    "many slow patterns": lambda: (
        "{% for n in s %}{{ s|match:'(x*a?){20}a{20}[ab]{90}$' }}{% endfor %}",
        {"s": "ab" * 100_000},
    ),
    "a pattern of many groups": lambda: (
        "{{ s|extractMatch:p }}",
        {"s": "a" * 10_000, "p": "(" * 900 + "a*" + ")" * 900},
    ),
    "links": lambda: ("{{ s|urlize }}", {"s": "www.a.b " * 2_000_000}),
    "many links": lambda: (
        "{% for n in s %}{{ s|urlize|length }}{% endfor %}",
        {"s": "w.de " * 20_000},
    ),
    "lists": lambda: ("{% for n in s %}{% set l = s|make_list %}{% endfor %}", {"s": "é" * 20_000}),
    "a printed payload": lambda: ("{{ p|stringformat:'%v' }}", {"p": {"a": [[1, 2]] * 2_000_000}}),
    "a sorted payload": lambda: ("{% for n in p sorted %}{% endfor %}", {"p": [1] * 2_000_000}),
    "a payload looked through": lambda: ("{{ 'x' in p }}", {"p": [1] * 2_000_000}),
    "nested loops": lambda: ("{% for n in p %}" * 8 + "{% endfor %}" * 8, {"p": [1] * 100}),
    "JSON": lambda: ("{{ unmarshalJson(s).a }}", {"s": '{"a": [' + "{}," * 300_000 + "{}]}"}),
    "JSON of the datastore": lambda: ("{{ datastore('empty objects').a }}", {}),
    "nested templates": lambda: ("{{ template(datastore('nested'), P) }}", {"P": {"P": {}}}),
    "compiled many times": lambda: (
        "{% for n in s %}{{ template(t|add:forloop.Counter, P) }}{% endfor %}",
        {"s": "a" * 1000, "t": "{{ 1 }}" * 990, "P": {}},
    ),
    "random letters": lambda: (
        "{% for n in s %}{% set a = randomAlpha(9999) %}{% endfor %}",
        {"s": "a" * 10_000},
    ),
    "a layout": lambda: ("{{ t|date:l }}", {"l": "2006" * 250_000}),
}


def render_at_once(texts: Sequence[str], variables: dict[str, Any], seconds: float) -> None:
    templates = make_templates(ITEMS, max_seconds=seconds)

    def render(text: str) -> None:
        with contextlib.suppress(TemplateFailed):
            templates.render(text, variables)

    threads = [threading.Thread(target=render, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Render them all; print for each by how many bytes the process had grown after it."""
    make_templates(ITEMS).render("{{ 'a'|match:'a' }}{{ 'www.a.de'|urlize }}", {})
    # Make the largest variables first: they must not count.
    inputs = {name: make() for name, make in HOSTILE.items()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, (template, variables) in inputs.items():
        # Those that differ are not found in the cache.
        texts = [f"{template}{number if name in COMPILED else 0}" for number in range(THREADS)]
        render_at_once(texts, variables, STEADY_SECONDS if name in STEADY else SECONDS)
        growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(f"{growth * 1024} {name}")  # noqa: T201


if __name__ == "__main__":
    main()
