"""Whatever is in a file or the environment: a Config or a ConfigError, and no secret shown."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_host.config import load_config, resolve_settings
from flyte_host.config.parser import keys_of
from flyte_host.config.schema import TABLES
from flyte_host.errors import ConfigError
from flyte_host.secrets import Scrubber
from tests.support.exploring import explore

URL = 'flyte.url = "http://flyte"\n'
CANARY = "canary-secret"

scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
values = st.recursive(
    st.one_of(scalars, st.just(CANARY)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["env", "file", "a", "", "ä.b"]), inner, max_size=3),
    ),
    max_leaves=5,
)
USER_INFO = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/?#"), max_size=8)
KEYS = [f"{name}.{key}" for name, table in TABLES.items() for key in keys_of(table)]
SECRET_KEYS = ["flyte.token", "packs.NAME.settings", "packs.NAME.settings.password"]
VARIABLES = ["FLYTE_API", "FLYTE_API_URL", "FLYTE_LABELS", "FLYTE_API_TIMEOUT"]

Strategies = dict[str, st.SearchStrategy[Any]]
CHOSEN: Strategies = {"chosen": st.dictionaries(st.sampled_from(KEYS), values, max_size=5)}
SECRETS: Strategies = {
    "key": st.sampled_from(SECRET_KEYS),
    "value": values,
    "where": st.sampled_from(["{}", "[{}]"]),
}
PASSWORDS: Strategies = {"before": USER_INFO, "after": USER_INFO}
FILES: Strategies = {
    "content": st.one_of(st.binary(), st.text().map(lambda text: text.encode(errors="replace")))
}
ENVIRONMENTS: Strategies = {"environ": st.dictionaries(st.sampled_from(VARIABLES), st.text())}
SETTINGS: Strategies = {
    "raw": st.dictionaries(st.sampled_from(["a", "env", "file"]), values, max_size=3)
}


def loaded_or_problems(folder: Path, content: bytes, environ: Mapping[str, str]) -> str:
    path = folder / "fuzz.toml"
    path.write_bytes(content)
    try:
        return repr(load_config(path, environ))
    except ConfigError as error:
        return "\n".join(error.problems)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
    return str(value).lower() if isinstance(value, bool | int | float) else str(value)


@settings(max_examples=100)
@given(**CHOSEN)
def test_any_value_at_any_key_loads_or_is_a_problem(folder: Path, chosen: dict[str, Any]) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in chosen.items())
    assert loaded_or_problems(folder, text.encode(), {})


@settings(max_examples=100)
@given(**SECRETS)
def test_no_value_of_a_secret_key_is_ever_shown(
    folder: Path, key: str, value: Any, where: str
) -> None:
    written = where.format(toml(value))
    shown = loaded_or_problems(folder, f"{URL}{key} = {written}\n".encode(), {})
    # a token that is a reference is shown as such: the name of a variable or file
    assert CANARY not in re.sub(r"SecretRef\(.*?\)\)?, ca_file", "", shown)


@settings(max_examples=100)
@given(**PASSWORDS)
def test_no_password_of_a_url_is_ever_shown(folder: Path, before: str, after: str) -> None:
    for start in ("http://", "", "https://user:"):
        url = f"{start}{before}{CANARY}{after}@flyte"
        shown = loaded_or_problems(folder, b"", {"FLYTE_API": url})
        shown += loaded_or_problems(folder, f"flyte.url = {toml(url)}".encode(), {})
        assert CANARY not in shown


@settings(max_examples=100)
@given(**FILES)
def test_any_file_loads_or_is_a_problem(folder: Path, content: bytes) -> None:
    assert loaded_or_problems(folder, content, {})
    assert loaded_or_problems(folder, URL.encode() + content, {})


@settings(max_examples=100)
@given(**ENVIRONMENTS)
def test_any_environment_loads_or_is_a_problem(folder: Path, environ: dict[str, str]) -> None:
    assert (
        loaded_or_problems(folder, URL.encode(), {**environ, "FLYTE_JWT": CANARY}).count(CANARY)
        == 0
    )


@settings(max_examples=100)
@given(**SETTINGS)
def test_any_settings_resolve_or_are_problems(folder: Path, raw: dict[str, Any]) -> None:
    try:
        resolved, problems = resolve_settings(raw, {"a": CANARY}, Scrubber()), []
    except ConfigError as error:
        resolved, problems = raw, error.problems
    assert resolved.keys() == raw.keys()
    assert all(problem.startswith("settings.") for problem in problems)


LONG = [
    (test_any_value_at_any_key_loads_or_is_a_problem, CHOSEN),
    (test_no_value_of_a_secret_key_is_ever_shown, SECRETS),
    (test_no_password_of_a_url_is_ever_shown, PASSWORDS),
    (test_any_file_loads_or_is_a_problem, FILES),
    (test_any_environment_loads_or_is_a_problem, ENVIRONMENTS),
    (test_any_settings_resolve_or_are_problems, SETTINGS),
]


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("short", "strategies"), LONG, ids=lambda each: getattr(each, "__name__", "")
)
def test_the_same_10000_times(short: Any, strategies: Strategies, folder: Path) -> None:
    check = short.hypothesis.inner_test
    explore(st.fixed_dictionaries(strategies), 10_000, lambda case: check(folder, **case))
