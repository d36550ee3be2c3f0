import jinja2

from flyte_host.embedded.pongo2.template_cache import TemplateCache

TEMPLATE = jinja2.Template("")


def test_template_cache_keeps_what_was_used_last() -> None:
    cache = TemplateCache(most_characters=4)
    for source in ("aa", "bb"):
        cache.put(source, TEMPLATE)
    assert cache.get("aa")
    cache.put("cc", TEMPLATE)
    assert [cache.get(source) is TEMPLATE for source in ("aa", "bb", "cc")] == [True, False, True]


def test_template_cache_counts_a_template_once() -> None:
    cache = TemplateCache(most_characters=4)
    cache.put("aa", TEMPLATE)
    for _ in range(3):
        cache.put("bb", TEMPLATE)
    assert cache.get("aa") is TEMPLATE


def test_template_cache_does_not_keep_long_templates() -> None:
    cache = TemplateCache()
    cache.put("x" * 20_001, TEMPLATE)
    assert cache.get("x" * 20_001) is None
