"""pongo2's template language on Jinja2's sandbox.

``lexer``, ``expression_parser``, ``template_parser`` and ``tags`` read a template; ``values``,
``operators``, ``printf``, ``verbs``, ``times`` and ``regex`` know how Go's values behave;
``filters`` and ``markup_filters`` are pongo2's own filters; ``rendering``, ``operations``,
``budget`` and ``limits`` run a template, and ``templates`` is what callers use. The package knows
nothing of flyte: the caller hands in its own filters and functions.
"""

from flyte_host.embedded.pongo2.templates import TemplateFailed, Templates
from flyte_host.embedded.pongo2.values import GoStruct, StringMap

__all__ = ["GoStruct", "StringMap", "TemplateFailed", "Templates"]
