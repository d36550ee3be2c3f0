import pytest

from flyte_host.scaffold.pack_name import LONGEST, PackName


@pytest.mark.parametrize(
    ("typed", "in_flyte", "plugin"),
    [
        ("pager", "Pager", "pager"),
        ("Pager", "Pager", "pager"),
        ("PagerDuty", "PagerDuty", "pager-duty"),
        ("pagerDuty", "PagerDuty", "pager-duty"),
        ("pager duty", "PagerDuty", "pager-duty"),
        ("pager_duty", "PagerDuty", "pager-duty"),
        ("pager.duty", "PagerDuty", "pager-duty"),
        ("  pager -- duty ", "PagerDuty", "pager-duty"),
        ("flyte-pack-pager", "Pager", "pager"),
        ("flyte_pack_pager_duty", "PagerDuty", "pager-duty"),
        ("Flyte Pack Pager", "Pager", "pager"),
        ("HTTPProxy", "HTTPProxy", "http-proxy"),
        ("JIRA", "JIRA", "jira"),
        ("s3", "S3", "s3"),
        ("web 2", "Web2", "web-2"),
        ("class", "Class", "class"),
        ("None", "None", "none"),
        ("flyte", "Flyte", "flyte"),
    ],
)
def test_names_follow_from_what_is_typed(typed: str, in_flyte: str, plugin: str) -> None:
    name = PackName.parse(typed)
    assert (name.in_flyte, name.plugin) == (in_flyte, plugin)
    assert name.distribution == f"flyte-pack-{plugin}"
    assert f"{name.module}.{name.in_flyte}Pack".replace(".", "").isidentifier()


@pytest.mark.parametrize(
    "typed",
    ["", " ", "-", "flyte-pack", "flyte-pack-", "7zip", "-pager", "pager-", "péage", "a/b", "../a",
     "a\nb", "a'b", "a$b", "{{a}}", "日本"],
)  # fmt: skip
def test_what_cannot_be_a_name_says_what_can(typed: str) -> None:
    with pytest.raises(ValueError, match=r'^found ".*", expected letters a to z and digits, the'):
        PackName.parse(typed)


@pytest.mark.parametrize("typed", ["null", "TRUE", "n o", "Off", "y"])
def test_a_name_that_yaml_would_read_as_something_else_is_in_quotes(typed: str) -> None:
    name = PackName.parse(typed)
    assert name.in_yaml == f'"{name.in_flyte}"'
    assert PackName.parse(f"{typed} 1").in_yaml == PackName.parse(f"{typed} 1").in_flyte


def test_a_long_name_is_refused() -> None:
    assert PackName.parse("a" * LONGEST).plugin == "a" * LONGEST
    with pytest.raises(ValueError, match=f"found 29 characters, expected at most {LONGEST}: "):
        PackName.parse("a" * (LONGEST + 1))
