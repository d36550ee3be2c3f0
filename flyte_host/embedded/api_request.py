"""A request to flyte's API, independent of any web framework.

Owns which media type its body is in, and how much work that is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flyte_host.embedded.codec import read_json
from flyte_host.embedded.forms import Form, read_form
from flyte_host.embedded.yaml_codec import read_yaml

YAML = "application/x-yaml"
YAML_WEIGHT = 20
"""How many times slower than JSON it is to read."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What a handler sees of a request; ``base`` is scheme and host as the caller knows them.

    ``trace`` is the trace context of an event or a result.
    """

    base: str
    query: Mapping[str, str]
    accept: str
    content_type: str
    body: bytes
    trace: str = ""

    def document(self, *, is_whole: bool = False) -> Any:
        """The body as YAML if its type is exactly YAML, else as JSON; raises BadDocument.

        ``is_whole``: nothing may follow the JSON.
        """
        if self.content_type == YAML:
            return read_yaml(self.body)
        return read_json(self.body, is_whole=is_whole)

    def weight(self) -> int:
        """The size of the body, or of as much JSON as takes the same time to read."""
        return len(self.body) * (YAML_WEIGHT if self.content_type == YAML else 1)

    def form(self) -> Form:
        """The form in the body; read it once, it may be large."""
        return read_form(self.content_type, self.body)

    def field(self, form: Form, *names: str) -> str:
        """The value of the first of the names that has one, in the form or else in the query."""
        for name in names:
            if found := form.fields.get(name) or self.query.get(name, ""):
                return found
        return ""
