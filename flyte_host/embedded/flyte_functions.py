"""The functions that flyte adds to pongo2."""

import base64
import binascii
import json
import random
import string
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.rendering import Rendering, TemplateFunction
from flyte_host.embedded.pongo2.values import WIDEST, kind_of, to_text

_JSON_TYPES = ("application/json", "text/json")

Datastore = Callable[[str], tuple[str, bytes] | None]


def make_flyte_functions(datastore: Datastore, rng: random.Random) -> dict[str, TemplateFunction]:
    def random_int(_rendering: Rendering, bound: int) -> int:
        if bound <= 0:
            raise TemplateFault(f"randomInt needs a bound above zero, not {bound}")
        return rng.randrange(bound)

    def random_alpha(_rendering: Rendering, size: int) -> str:
        if not 0 <= size <= WIDEST:
            raise TemplateFault(f"randomAlpha makes 0 to {WIDEST:,} letters, not {size}")
        return "".join(rng.choices(string.ascii_letters, k=size))

    def read_item(_rendering: Rendering, key: str) -> Any:
        return _read_item(datastore, key)

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


def _read_item(datastore: Datastore, key: str) -> Any:
    found = datastore(key)
    if found is None:
        raise TemplateFault(f"there is no datastore item {key!r}")
    content_type, raw = found
    if not content_type.startswith(_JSON_TYPES):
        return raw.decode(errors="replace")
    return _read_object(raw, f"the datastore item {key!r}")


def _unmarshal(_rendering: Rendering, document: str) -> dict[str, Any]:
    return _read_object(document, "what unmarshalJson was given")


def _read_object(document: str | bytes, what: str) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        # Numbers are float64 in flyte, and Python refuses to read ints of very many digits.
        value = json.loads(document, parse_int=float, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise TemplateFault(f"{what} is not valid JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateFault(f"{what} is JSON but not an object: a {kind_of(value)}")
    return value
