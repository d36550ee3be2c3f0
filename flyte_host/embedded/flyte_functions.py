"""The functions that flyte adds to pongo2."""

import base64
import binascii
import json
import math
import random
import string
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.limits import MAX_TEXT
from flyte_host.embedded.pongo2.rendering import Rendering, TemplateFunction
from flyte_host.embedded.pongo2.values import kind_of, to_text

_MOST_LETTERS = 10_000
_BYTES_OF_MARKS = {"{": 64, "[": 64, ":": 60, ",": 32, '"': 25}
_JSON_TYPES = ("application/json", "text/json")

Datastore = Callable[[str], tuple[str, bytes] | None]


def make_flyte_functions(datastore: Datastore, rng: random.Random) -> dict[str, TemplateFunction]:
    def random_int(_rendering: Rendering, bound: int) -> int:
        if bound <= 0:
            raise TemplateFault(f"randomInt needs a bound above zero, not {bound}")
        return rng.randrange(bound)

    def random_alpha(_rendering: Rendering, size: int) -> str:
        if not 0 <= size <= _MOST_LETTERS:
            raise TemplateFault(f"randomAlpha makes 0 to {_MOST_LETTERS:,} letters, not {size}")
        return "".join(rng.choices(string.ascii_letters, k=size))

    def read_item(rendering: Rendering, key: str) -> Any:
        return _read_item(rendering, datastore, key)

    return {
        "base64Decode": TemplateFunction(("string",), _decode_base64),
        "base64Encode": TemplateFunction(("string",), _encode_base64),
        "datastore": TemplateFunction(("string",), read_item),
        "randomAlpha": TemplateFunction(("int",), random_alpha),
        "randomInt": TemplateFunction(("int",), random_int),
        "template": TemplateFunction(("any", "map"), _render_template),
        "unmarshalJson": TemplateFunction(("string",), _unmarshal),
    }


def _render_template(rendering: Rendering, source: Any, variables: Mapping[str, Any]) -> str:
    try:
        return rendering.render_nested(to_text(source), variables)
    except TemplateFault as fault:
        raise TemplateFault(f"template(): {fault}") from None


def _encode_base64(_rendering: Rendering, plain: str) -> str:
    return base64.urlsafe_b64encode(plain.encode(errors="replace")).rstrip(b"=").decode()


def _decode_base64(_rendering: Rendering, encoded: str) -> str:
    compact = encoded.replace("\r", "").replace("\n", "")
    try:
        if set(compact) <= set(string.ascii_letters + string.digits + "-_"):
            return base64.urlsafe_b64decode(compact + "=" * (-len(compact) % 4)).decode(
                errors="replace"
            )
    except binascii.Error:
        pass
    raise TemplateFault(
        f"base64Decode: {encoded[:60]!r} is not base64 of the URL alphabet without padding"
    )


def _read_item(rendering: Rendering, datastore: Datastore, key: str) -> Any:
    found = datastore(key)
    what = f"the datastore item {key[:60]!r}"
    if found is None:
        raise TemplateFault(f"there is no datastore item {key[:60]!r}")
    content_type, raw = found
    if len(raw) > MAX_TEXT:
        raise TemplateFault(f"{what} has {len(raw):,} bytes; a template reads at most {MAX_TEXT:,}")
    if not content_type.startswith(_JSON_TYPES):
        return raw.decode(errors="replace")
    return _read_object(rendering, raw.decode(errors="replace"), what)


def _unmarshal(rendering: Rendering, document: str) -> dict[str, Any]:
    return _read_object(rendering, document, "what unmarshalJson was given")


def _read_object(rendering: Rendering, document: str, what: str) -> dict[str, Any]:
    rendering.budget.make(_estimate_bytes(document))
    try:
        # Numbers are float64 in flyte, and Python refuses to read ints of very many digits.
        value = json.loads(
            document, parse_int=_read_number, parse_float=_read_number, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        raise TemplateFault(f"{what} is not valid JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateFault(f"{what} is JSON but not an object: a {kind_of(value)}")
    return value


def _estimate_bytes(document: str) -> int:
    """Estimate what the values of a JSON document occupy: much more than its text."""
    return sys.getsizeof(document) + sum(
        document.count(mark) * size for mark, size in _BYTES_OF_MARKS.items()
    )


def _read_number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is out of range")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
