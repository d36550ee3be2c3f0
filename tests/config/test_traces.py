"""The table [traces]: where spans go, and with what."""

from pathlib import Path

import pytest

from flyte_host.config import Config, TracesConfig, load_config, secret_variables
from flyte_host.errors import ConfigError
from flyte_host.secrets import SecretRef

HEADER = 'headers = {{ {} = {{ env = "K" }} }}'


def load(folder: Path, *lines: str) -> Config:
    path = folder / "flyte-host.toml"
    path.write_text("\n".join(["flyte.url = 'http://f'", "[traces]", *lines]), encoding="utf-8")
    return load_config(path, {})


def test_without_the_table_there_are_not_traces(tmp_path: Path) -> None:
    path = tmp_path / "flyte-host.toml"
    path.write_text("flyte.url = 'http://f'\n", encoding="utf-8")
    assert load_config(path, {}).traces is None


def test_an_address_is_enough(tmp_path: Path) -> None:
    config = load(tmp_path, 'url = "http://collector:4318/"')
    assert config.traces == TracesConfig("http://collector:4318", {}, None, "flyte-host", 1)


def test_headers_are_secrets(tmp_path: Path) -> None:
    config = load(tmp_path, 'url = "http://c"', HEADER.format("x-api-key"))
    assert config.traces is not None
    assert config.traces.headers == {"x-api-key": SecretRef(env="K")}
    assert "K" in secret_variables(config)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((), "traces.url: found nothing, expected where a collector takes traces"),
        (
            ('url = "http://c/v1/traces"',),
            ("traces.url: found a URL that ends in /v1/traces, expected the address before it: the "
            "host adds it"),
        ),
        (
            ('url = "http://a:canary@c"',),
            "traces.url: found a URL with a user name or password, expected none: use headers",
        ),
        (
            ('url = "grpc://c:4317"',),
            "traces.url: found a URL that starts with neither http:// nor https://",
        ),
        (('url = "http://c"', "sample_ratio = 1.1"), ("traces.sample_ratio: found 1.1, expected a "
         "number <= 1")),
        (('url = "http://c"', 'service = ""'), ('traces.service: found "", expected a string that '
         "is not empty")),
        (
            ('url = "http://c"', HEADER.format('"a b"')),
            'traces.headers."a b": found "a b", expected the name of an HTTP header',
        ),
        (
            ('url = "http://c"', 'headers = { api-key = "canary" }'),
            ("traces.headers.api-key: found a string; a secret is a reference: "
            'api-key = { env = "FLYTE_JWT" } or { file = "…" }'),
        ),
    ],
)  # fmt: skip
def test_one_wrong_line(tmp_path: Path, lines: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, *lines)
    assert raised.value.problems == [problem]
