"""The table ``[flyte.oidc]``."""

from pathlib import Path

import pytest

from flyte_host.config import Config, load_config, secret_variables
from flyte_host.config.schema import OidcConfig
from flyte_host.errors import ConfigError
from flyte_host.secrets import SecretRef

AT = "flyte.oidc"


def load(folder: Path, text: str, **environ: str) -> Config:
    file = folder / "flyte-host.toml"
    file.write_text(f"[flyte]\nurl = 'https://flyte.example.com'\n{text}")
    return load_config(file, environ)


def test_a_whole_table(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    config = load(
        tmp_path,
        """
        [flyte.oidc]
        client_id = "host"
        client_secret = {file = "secret"}
        token_url = "https://login.example.com/token"
        scope = "flyte"
        audience = "flyte-api"
        ca_file = "ca.pem"
    """,
    )
    assert config.flyte.oidc == OidcConfig(
        "host", SecretRef(file=tmp_path / "secret"), None, "https://login.example.com/token",
        "flyte", "flyte-api", tmp_path / "ca.pem",
    )  # fmt: skip


def test_the_secret_is_in_a_variable_unless_told(tmp_path: Path) -> None:
    config = load(tmp_path, "oidc = {client_id = 'host', issuer_url = 'https://x'}")
    assert config.flyte.oidc is not None
    assert config.flyte.oidc.client_secret == SecretRef(env="FLYTE_CLIENT_SECRET")
    assert "FLYTE_CLIENT_SECRET" in secret_variables(config)


def test_a_token_in_the_environment_wins(tmp_path: Path) -> None:
    text = "oidc = {client_id = 'host', issuer_url = 'https://x'}"
    flyte = load(tmp_path, text, FLYTE_JWT="a.b.c").flyte
    assert (flyte.oidc, flyte.token) == (None, SecretRef(env="FLYTE_JWT"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("oidc = 7", [f"{AT}: found an integer, expected a table ([{AT}])"]),
        (
            "oidc = {}",
            [
                f"{AT}.client_id: found nothing, expected the name that the issuer knows",
                f"{AT}: found neither issuer_url nor token_url, expected one of them",
            ],
        ),
        (
            "oidc = {client_id = 'host', issuer_url = 'https://x', token_url = 'https://y'}",
            [f"{AT}: found both issuer_url and token_url, expected one of them"],
        ),
        (
            "oidc = {client_id = 'host', token_url = 'http://login.example.com'}",
            [f"{AT}.token_url: found http:// to another machine, expected https://"],
        ),
        (
            "token = {env = 'T'}\noidc = {client_id = 'host', issuer_url = 'https://x'}",
            ["flyte: found both token and [flyte.oidc], expected one of them"],
        ),
        (
            "oidc = {client_id = 'host', client_secret = 'x', issuer_url = 'https://x'}",
            [
                (
                    f"{AT}.client_secret: found a string; a secret is a reference: "
                    'client_secret = { env = "FLYTE_JWT" } or { file = "…" }'
                )
            ],
        ),
    ],
)
def test_what_is_wrong_with_it(tmp_path: Path, text: str, found: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert raised.value.problems == found
