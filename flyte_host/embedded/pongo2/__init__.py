"""The language of flow templates: pongo2's, run on Jinja2's sandbox.

``lexer``, ``expressions`` and ``syntax`` read it, ``values``, ``operators``, ``printf``, ``times``
and ``regex`` know what values do, ``filters``, ``markup`` and ``flyte`` are its filters and
functions, ``runtime`` runs it, ``rendering`` keeps the limits.
"""

from flyte_host.embedded.pongo2.rendering import TemplateFailed, Templates, parse_bool

__all__ = ["TemplateFailed", "Templates", "parse_bool"]
