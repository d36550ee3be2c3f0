"""Settings that look like a secret in clear text."""

from typing import Any

import pytest

from flyte_host.config import Config, FlyteConfig, PackConfig
from flyte_host.config.clear_secrets import clear_secrets


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ({"password": "hunter2"}, ["password"]),
        ({"smtp": {"db_password": "x"}, "apiKey": "x", "auth_token": "x"}, 3),
        ({"password": {"env": "PASSWORD"}, "token": {"file": "token"}}, []),
        ({"password": "", "passwordless": "yes", "key": "x", "tokens": "x", "token": 7}, []),
    ],
)
def test_findings(settings: dict[str, Any], paths: list[str] | int) -> None:
    config = Config(FlyteConfig(), packs={"mail": PackConfig("mail", settings=settings)})
    found = clear_secrets(config)
    if isinstance(paths, int):
        assert len(found) == paths
    else:
        assert found == [f"packs.mail.settings.{path}" for path in paths]
    assert "hunter2" not in str(found)
