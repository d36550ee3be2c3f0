"""[flyte.embedded.auth]; nobody listens to everybody by accident."""

from pathlib import Path

import pytest

from flyte_host.config import AuthConfig, EmbeddedConfig, load_config, load_embedded
from flyte_host.errors import ConfigError
from flyte_host.origin import is_secure

OPEN = (
    ", which other machines can reach, without auth: anybody could store flows "
    "and give packs commands; expected 127.0.0.1 (or [::1]), or the table [flyte.embedded.auth], "
    "or allow_everyone = true if that is intended"
)


def embedded(folder: Path, text: str) -> EmbeddedConfig:
    for name in ("policy.yaml", "keys.json", "ca.pem"):
        (folder / name).touch()
    path = folder / "flyte-host.toml"
    path.write_text("[flyte.embedded]\n" + text, encoding="utf-8")
    config = load_config(path, {}).embedded
    assert config is not None
    return config


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        embedded(folder, text)
    return raised.value.problems


def test_auth_with_a_file_of_keys(tmp_path: Path) -> None:
    text = 'listen = "0.0.0.0:80"\nauth = {audience = "flyte", jwks_file = "keys.json"}'
    config = embedded(tmp_path, text)
    assert config.auth == AuthConfig(
        tmp_path / "policy.yaml", "flyte", jwks_file=tmp_path / "keys.json"
    )


def test_auth_with_an_issuer(tmp_path: Path) -> None:
    text = """
        [flyte.embedded.auth]
        policy = "policy.yaml"
        audience = "flyte"
        issuer_url = "https://login.example.com/tenant/"
        issuer_ca_file = "ca.pem"
    """
    auth = embedded(tmp_path, text).auth
    assert auth is not None
    assert auth.issuer_url == "https://login.example.com/tenant/"
    assert (auth.jwks_file, auth.issuer_ca_file) == (None, tmp_path / "ca.pem")


AT = "flyte.embedded.auth"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("auth = 7", [f"{AT}: found an integer, expected a table ([{AT}])"]),
        (
            "auth = {}",
            [
                f"{AT}.audience: found nothing, expected what tokens name as their audience (aud)",
                f"{AT}: found neither jwks_file nor issuer_url, expected one of them",
            ],
        ),
        (
            'auth = {audience = "", jwks_file = "keys.json", issuer_url = "https://x"}',
            [
                f'{AT}.audience: found "", expected a string that is not empty',
                f"{AT}: found both jwks_file and issuer_url, expected one of them",
            ],
        ),
        (
            'auth = {audience = "a", issuer_url = "http://login.example.com"}',
            [f"{AT}.issuer_url: found http:// to another machine, expected https://"],
        ),
        (
            'auth = {audience = "a", issuer_url = "login.example.com"}',
            [f"{AT}.issuer_url: found a URL that starts with neither http:// nor https://"],
        ),
        (
            'auth = {audience = "a", jwks_file = "keys.json", polcy = "x"}',
            [f'{AT}.polcy: unknown key (did you mean "policy"?)'],
        ),
        (
            'allow_everyone = true\nauth = {audience = "a", jwks_file = "keys.json"}',
            [
                (
                    "flyte.embedded.allow_everyone: found true beside [flyte.embedded.auth], "
                    "expected one of them"
                )
            ],
        ),
        (
            'auth = {audience = "a", jwks_file = "keys.json", issuer_ca_file = "ca.pem"}',
            [f"{AT}.issuer_ca_file: found a file without issuer_url, expected both or none"],
        ),
        ("author = 1", ['flyte.embedded.author: unknown key (did you mean "auth"?)']),
    ],
)
def test_what_is_wrong_with_auth(tmp_path: Path, text: str, found: list[str]) -> None:
    assert problems(tmp_path, text) == found


def test_files_of_auth_have_to_be_there(tmp_path: Path) -> None:
    auth = '{policy = "no.yaml", audience = "a", jwks_file = "no.json"}'
    policy, keys = problems(tmp_path, f"auth = {auth}")
    assert policy.startswith(f"{AT}.policy: found ")
    assert keys.startswith(f"{AT}.jwks_file: found ")
    unreadable = "(No such file or directory), expected a file that can be read"
    assert all(each.endswith(unreadable) for each in (policy, keys))


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "192.0.2.7:80", "flyte.local:80"])
def test_listening_to_everybody_has_to_be_meant(tmp_path: Path, listen: str) -> None:
    line = f'listen = "{listen}"\n'
    assert problems(tmp_path, line) == [f'flyte.embedded.listen: found "{listen}"{OPEN}']
    assert embedded(tmp_path, f"{line}allow_everyone = true").listen == listen


@pytest.mark.parametrize("listen", ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "LocalHost:80"])
def test_loopback_needs_no_auth(tmp_path: Path, listen: str) -> None:
    assert embedded(tmp_path, f'listen = "{listen}"').auth is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://login.example.com", True),
        ("http://127.0.0.1:8000/a", True),
        ("http://[::1]/", True),
        ("http://localhost", True),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("ftp://localhost", False),
        ("http://", False),
    ],
)
def test_what_nobody_in_between_can_change(url: str, expected: bool) -> None:
    assert is_secure(url) is expected


def test_options_stand_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded(tmp_path, 'listen = "127.0.0.1:1"\nflows = ["a.yaml"]\nstore = "a.db"')
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    file = tmp_path / "flyte-host.toml"
    config = load_embedded(file, {"store": "b.db", "flows": ["*.yaml"]})
    assert config.listen == "127.0.0.1:1"
    assert config.store == tmp_path / "here" / "b.db"
    assert config.flows == (f"{tmp_path}/here/*.yaml",)
    assert load_embedded(file, {}).store == tmp_path / "a.db"
    assert load_embedded(file, {"store": ":memory:"}).store is None


def test_the_defaults_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_embedded(None, {}) == EmbeddedConfig("127.0.0.1:8080", tmp_path / "flyte.db")


def test_a_file_for_another_flyte_gives_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "flyte-host.toml"
    file.write_text('flyte.url = "http://flyte"', encoding="utf-8")
    assert load_embedded(file, {}).store == tmp_path / "flyte.db"


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        ({"listen": "x"}, '--listen: found "x", expected host:port'),
        ({"listen": "0.0.0.0:80"}, f'--listen: found "0.0.0.0:80"{OPEN}'),
        ({"flows": [""]}, '--flows[0]: found "", expected a string that is not empty'),
    ],
)
def test_what_is_wrong_with_options(over: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_embedded(None, over)
    (found,) = raised.value.problems
    assert found.startswith(problem)


def test_the_option_that_lets_everybody_in(tmp_path: Path) -> None:
    over = {"listen": "0.0.0.0:80", "allow_everyone": True}
    assert load_embedded(None, over).allow_everyone
    embedded(tmp_path, 'auth = {audience = "a", jwks_file = "keys.json"}')
    with pytest.raises(ConfigError, match=r"^--allow-everyone: found true beside \[flyte"):
        load_embedded(tmp_path / "flyte-host.toml", over)
