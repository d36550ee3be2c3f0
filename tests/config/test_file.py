"""A file and the environment become one Config, or all of their problems."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flyte_host.config import (
    Config,
    EmbeddedConfig,
    FlyteConfig,
    HealthConfig,
    HostConfig,
    McpConfig,
    PackConfig,
    TracesConfig,
    load_config,
    parse_listen,
    resolve_settings,
    secret_variables,
)
from flyte_host.config.parser import keys_of
from flyte_host.config.schema import TABLES
from flyte_host.errors import ConfigError
from flyte_host.secrets import Scrubber, SecretRef
from flyte_host.text import nearest
from tests.support.null_path import words_for_null

URL = 'flyte.url = "http://flyte"\n'
CANARY = "canary-secret"
ADDRESSABLE = (
    'expected printable text without "/": it becomes a part of the pack\'s URL, '
    "which flyte does not escape"
)
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def load(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    path = folder / "flyte-host.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ or {})


def problems(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(folder, text, environ)
    return raised.value.problems


def test_every_key_of_a_file(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    text = """
        [flyte]
        url = "https://flyte.example.com/prefix/"
        timeout_seconds = 0
        token = { file = "token" }
        ca_file = "ca.pem"
        client_cert_file = "cert.pem"
        client_key_file = "key.pem"
        verify = false
        [host]
        state = "state/journal.db"
        poll_interval_seconds = 0.5
        max_concurrent = 1
        drain_seconds = 0
        [mcp]
        allow = ["Jira.*"]
        state = "mcp.db"
        listen = "[::1]:0"
        hosts = ["x"]
        token = { env = "T" }
        [traces]
        url = "https://traces.example.com/otlp/"
        headers = { api-key = { env = "K" } }
        ca_file = "ca.pem"
        service = "hosts"
        sample_ratio = 0.25
        [health]
        listen = "[::1]:0"
        [packs.jira]
        plugin = "flyte-jira"
        enabled = false
        name = "Jira Cloud"
        labels = { env = "staging", empty = "" }
        max_concurrent = 4
        [packs.jira.settings]
        url = "https://jira.example.com"
        password = { file = "jira" }
        [packs."2.x-y_z"]
    """
    assert load(tmp_path, text) == Config(
        flyte=FlyteConfig(
            url="https://flyte.example.com/prefix",
            timeout_seconds=0,
            token=SecretRef(file=tmp_path / "token"),
            ca_file=tmp_path / "ca.pem",
            client_cert_file=tmp_path / "cert.pem",
            client_key_file=tmp_path / "key.pem",
            verify=False,
        ),
        host=HostConfig(tmp_path / "state" / "journal.db", 0.5, 1, 0),
        health=HealthConfig("[::1]:0"),
        mcp=McpConfig(("Jira.*",), tmp_path / "mcp.db", "[::1]:0", ("x",), SecretRef(env="T")),
        traces=TracesConfig(
            "https://traces.example.com/otlp",
            {"api-key": SecretRef(env="K")},
            tmp_path / "ca.pem",
            "hosts",
            0.25,
        ),
        packs={
            "jira": PackConfig(
                pack_key="jira",
                plugin="flyte-jira",
                enabled=False,
                name="Jira Cloud",
                labels={"env": "staging", "empty": ""},
                max_concurrent=4,
                settings={
                    "url": "https://jira.example.com",
                    "password": {"file": str(tmp_path / "jira")},
                },
            ),
            "2.x-y_z": PackConfig("2.x-y_z", "2.x-y_z"),
        },
    )


def test_every_key_of_an_embedded_flyte(tmp_path: Path) -> None:
    text = """
        [flyte.embedded]
        listen = "0.0.0.0:80"
        store = "data/flyte.db"
        flows = ["flows/*.yaml", "/more/*.yml"]
        allow_everyone = true
        hosts = ["Flyte.example", "[::1]"]
        ttl_days = 30
    """
    flows = (f"{tmp_path}/flows/*.yaml", "/more/*.yml")
    expected = EmbeddedConfig(
        "0.0.0.0:80",
        tmp_path / "data" / "flyte.db",
        flows,
        True,
        hosts=("flyte.example", "::1"),
        ttl_days=30,
    )
    config = load(tmp_path, text)
    assert (config.embedded, config.flyte.url) == (expected, None)


def test_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, "[flyte.embedded]\n[packs.jira]\n")
    assert config == Config(
        flyte=FlyteConfig(None, 10, None, None, None, None, True),
        embedded=EmbeddedConfig("127.0.0.1:8080", tmp_path / "flyte.db", ()),
        host=HostConfig(tmp_path / "flyte-host.db", 5, 16, 25),
        health=HealthConfig("127.0.0.1:8090"),
        mcp=McpConfig((), tmp_path / "flyte-host-mcp.db"),
        packs={"jira": PackConfig("jira", "jira", True, None, {}, None, None, None, {})},
        labels={},
    )


def test_a_store_in_postgres(tmp_path: Path) -> None:
    url = "postgresql://flyte@a,b/flyte?sslmode=verify-full"
    secret = 'store_password = { env = "STORE" }'
    config = load(tmp_path, f'[flyte.embedded]\nstore = "{url}"\n{secret}\n')
    assert config.embedded is not None
    assert config.embedded.store == url
    assert config.embedded.store_password == SecretRef(env="STORE")
    assert "STORE" in secret_variables(config)


NOT_A_URL = (
    "flyte.embedded.store: found something that is not a URL, expected "
    "postgresql://user@host:port/database"
)
PASSWORD_ALONE = (
    "flyte.embedded.store_password: found a password without the URL of a PostgreSQL database as "
    "store, expected both or none"
)
OTHER_DATABASE = (
    "flyte.embedded.store: found a URL that begins with mysql://, expected the path of a file, "
    ":memory: or postgresql://user@host:port/database"
)
PASSWORD_IN_URL = (
    "flyte.embedded.store: found a URL with a password, expected none: use store_password, or the "
    "file ~/.pgpass"
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('store = "postgresql://me:hidden@h/d"', PASSWORD_IN_URL),
        ('store = "postgres://h/d?password=hidden"', PASSWORD_IN_URL),
        ('store = "postgres://h/d?sslpassword=hidden"', PASSWORD_IN_URL),
        (
            'store = "postgresql://[h/d"',
            NOT_A_URL,
        ),
        (
            'store_password = { env = "X" }',
            PASSWORD_ALONE,
        ),
        (
            'store = "mysql://me@h/d"',
            OTHER_DATABASE,
        ),
    ],
)
def test_a_store_that_cannot_be(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"[flyte.embedded]\n{text}\n")
    assert problem in caught.value.problems
    assert "hidden" not in str(caught.value)


def test_two_servers_do_not_share_an_address(tmp_path: Path) -> None:
    both = '[flyte.embedded]\nlisten = "{0}"\n[health]\nlisten = "{0}"\n'
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, both.format("127.0.0.1:8099"))
    [problem] = caught.value.problems
    assert problem == (
        'health.listen: found "127.0.0.1:8099", where embedded flyte listens, expected an address '
        "of its own"
    )
    assert load(tmp_path, both.format("127.0.0.1:0")).health.listen == "127.0.0.1:0"


def test_a_store_in_memory(tmp_path: Path) -> None:
    embedded = load(tmp_path, '[flyte.embedded]\nstore = ":memory:"\n').embedded
    assert embedded is not None
    assert embedded.store is None


def test_paths_start_at_the_file_or_at_home(tmp_path: Path) -> None:
    text = URL + 'flyte.token.file = "~/t"\nhost.state = "~/s"'
    config = load(tmp_path, text)
    assert config.host.state == Path.home() / "s"
    assert config.flyte.token == SecretRef(file=Path.home() / "t")


def test_a_plugin_may_serve_two_packs(tmp_path: Path) -> None:
    packs = load(tmp_path, URL + '[packs.a]\nplugin = "x"\n[packs.b]\nplugin = "x"\n').packs
    assert [(pack.pack_key, pack.plugin) for pack in packs.values()] == [("a", "x"), ("b", "x")]


def test_a_byte_order_mark_and_foreign_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf" + URL.replace("\n", "\r\n").encode())
    assert load_config(path, {}).flyte.url == "http://flyte"


def test_no_file_at_all() -> None:
    config = load_config(None, {"FLYTE_API": "http://flyte"})
    assert config == Config(
        FlyteConfig("http://flyte"),
        host=HostConfig(Path.cwd() / "flyte-host.db"),
        mcp=McpConfig(state=Path.cwd() / "flyte-host-mcp.db"),
    )
    with pytest.raises(ConfigError, match="found neither url nor") as raised:
        load_config(None, {})
    assert raised.value.exit_code == 2


def test_some_commands_need_no_flyte(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[packs.jira]\n")
    config = load_config(tmp_path / "c.toml", {}, flyte_needed=False)
    assert (config.flyte.url, config.embedded, [*config.packs]) == (None, None, ["jira"])
    assert load_config(None, {}, flyte_needed=False).flyte == FlyteConfig()
    both = 'flyte.url = "http://flyte"\nflyte.embedded = {}\n'
    (tmp_path / "c.toml").write_text(both)
    with pytest.raises(ConfigError, match="found both url and"):
        load_config(tmp_path / "c.toml", {}, flyte_needed=False)


@pytest.mark.parametrize(
    ("environ", "fields"),
    [
        ({"FLYTE_API": "http://a/", "FLYTE_API_URL": "http://b"}, {"url": "http://a"}),
        ({"FLYTE_API": "", "FLYTE_API_URL": "http://b"}, {"url": "http://b"}),
        ({"FLYTE_JWT": "jwt"}, {"token": SecretRef(env="FLYTE_JWT")}),
        ({"FLYTE_JWT": ""}, {}),
        ({"FLYTE_API_TIMEOUT": "0"}, {"timeout_seconds": 0}),
        ({"FLYTE_API_TIMEOUT": " 30 "}, {"timeout_seconds": 30}),
        ({"FLYTE_API_TIMEOUT": "", "FLYTE_LABELS": "", "FLYTE_API_URL": ""}, {}),
        ({"FLYTE_APIS": "http://a"}, {}),
    ],
)
def test_the_environment_wins(
    tmp_path: Path, environ: dict[str, str], fields: dict[str, Any]
) -> None:
    text = URL + 'flyte.token.file = "/t"\nflyte.timeout_seconds = 7\n'
    written: dict[str, Any] = {
        "url": "http://flyte",
        "token": SecretRef(file=Path("/t")),
        "timeout_seconds": 7,
    }
    assert load(tmp_path, text, environ).flyte == FlyteConfig(**(written | fields))


def test_a_flyte_of_the_environment_leaves_the_embedded_one_alone(tmp_path: Path) -> None:
    config = load(tmp_path, "[flyte.embedded]", {"FLYTE_API": "http://a"})
    assert (config.flyte.url, config.embedded) == ("http://a", None)
    assert load(tmp_path, "[host]", {"FLYTE_API_URL": "http://a"}).flyte.url == "http://a"


def test_labels_of_the_environment(tmp_path: Path) -> None:
    environ = {"FLYTE_LABELS": "env=dev, zone = eu=1 ,empty="}
    labels = load(tmp_path, URL, environ).labels
    assert labels == {"env": "dev", "zone": "eu=1", "empty": ""}


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        (
            "FLYTE_API",
            "flyte:8080",
            ["FLYTE_API: found a URL that starts with neither http:// nor https://"],
        ),
        (
            "FLYTE_API_URL",
            "http://user:canary-secret@flyte",
            [
                (
                    "FLYTE_API_URL: found a URL with a user name or password, expected none: "
                    "use flyte.token"
                )
            ],
        ),
        (
            "FLYTE_API_TIMEOUT",
            "0\x1f",
            ['FLYTE_API_TIMEOUT: found "0\\u001f", expected whole seconds >= 0 (0: no limit)'],
        ),
        (
            "FLYTE_API_TIMEOUT",
            "-1",
            ['FLYTE_API_TIMEOUT: found "-1", expected whole seconds >= 0 (0: no limit)'],
        ),
        (
            "FLYTE_API_TIMEOUT",
            "1.5",
            ['FLYTE_API_TIMEOUT: found "1.5", expected whole seconds >= 0 (0: no limit)'],
        ),
        (
            "FLYTE_API_TIMEOUT",
            "9" * 400,
            ["FLYTE_API_TIMEOUT: found inf, expected a number <= 86400"],
        ),
        (
            "FLYTE_LABELS",
            "abc,=x,k=v",
            [
                'FLYTE_LABELS: found "abc", expected k=v,k2=v2',
                'FLYTE_LABELS: found "=x", expected k=v,k2=v2',
            ],
        ),
        ("FLYTE_LABELS", "k=v,", ['FLYTE_LABELS: found "", expected k=v,k2=v2']),
        (
            "FLYTE_LABELS",
            "k=v,k=w",
            ['FLYTE_LABELS: found the label "k" twice, expected it once'],
        ),
        (
            "FLYTE_LABELS",
            "k=a/b,l=\udcff",
            [
                f'FLYTE_LABELS.k: found "a/b", {ADDRESSABLE}',
                f'FLYTE_LABELS.l: found "\\udcff", {ADDRESSABLE}',
            ],
        ),
    ],
)
def test_problems_of_the_environment(
    tmp_path: Path, variable: str, value: str, expected: list[str]
) -> None:
    assert problems(tmp_path, URL, {variable: value}) == expected


SECRET_WORDS = 'a secret is a reference: token = { env = "FLYTE_JWT" } or { file = "…" }'
PACK_KEYS = "plugin, enabled, name, labels, max_concurrent, isolation, memory_limit_mb, settings"
LISTEN = (
    "expected host:port, for instance 127.0.0.1:8090, [::1]:8090 or 0.0.0.0:8090 for every address"
)
BOOLEAN = "expected a boolean (true or false, without quotes)"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("hots = 1", 'hots: unknown key (did you mean "host"?)'),
        ("zzz = 1", "zzz: unknown key; the keys here are flyte, host, health, mcp, traces, packs"),
        (
            '"a b" = 1',
            '"a b": unknown key; the keys here are flyte, host, health, mcp, traces, packs',
        ),
        ("host = 1", "host: found an integer, expected a table ([host])"),
        ("health = []", "health: found an array, expected a table ([health])"),
        ("packs = 1", "packs: found an integer, expected tables ([packs.NAME])"),
        ("packs.x = true", "packs.x: found a boolean, expected a table ([packs.x])"),
        (
            "flyte.timeout = 1",
            'flyte.timeout: unknown key (did you mean "timeout_seconds"?)',
        ),
        (
            "flyte.timeout_seconds = -1",
            "flyte.timeout_seconds: found -1, expected a number >= 0",
        ),
        (
            "flyte.timeout_seconds = 86401",
            "flyte.timeout_seconds: found 86401, expected a number <= 86400",
        ),
        (f'flyte.token = "{CANARY}"', f"flyte.token: found a string; {SECRET_WORDS}"),
        ('flyte.token = { env = "" }', f"flyte.token: found a table; {SECRET_WORDS}"),
        ('flyte.token = { file = "" }', f"flyte.token: found a table; {SECRET_WORDS}"),
        (f'flyte.token = {{ evn = "{CANARY}" }}', f"flyte.token: found a table; {SECRET_WORDS}"),
        (
            f'flyte.token = {{ env = "X", file = "{CANARY}" }}',
            f"flyte.token: found a table; {SECRET_WORDS}",
        ),
        (
            'flyte.token = { file = "~nobody-of-this-name/x" }',
            "flyte.token: found a path below ~ of an unknown user, expected a path",
        ),
        ('flyte.verify = "no"', f'flyte.verify: found "no" (a string), {BOOLEAN}'),
        (
            'flyte.ca_file = "/no/ca.pem"',
            (
                'flyte.ca_file: found "/no/ca.pem" (No such file or directory), '
                "expected a file that can be read"
            ),
        ),
        (
            'flyte.ca_file = "/"',
            'flyte.ca_file: found "/" (Is a directory), expected a file that can be read',
        ),
        (
            'flyte.client_cert_file = "/dev/null"',
            (
                "flyte.client_key_file: found nothing, but client_cert_file is set, "
                "expected both or none"
            ),
        ),
        (
            'flyte.client_key_file = "/dev/null"',
            (
                "flyte.client_cert_file: found nothing, but client_key_file is set, "
                "expected both or none"
            ),
        ),
        (
            "flyte.embedded = {}",
            (
                "flyte: found both url and [flyte.embedded], expected one of them: keep url to use "
                "a flyte that is running, keep [flyte.embedded] to run one in this process"
            ),
        ),
        (
            'host.state = ""',
            "host.state: found a path that is empty or has a NUL in it, expected a path",
        ),
        (
            "host.poll_interval_seconds = 0",
            "host.poll_interval_seconds: found 0, expected a number > 0",
        ),
        (
            "host.poll_interval_seconds = nan",
            "host.poll_interval_seconds: found nan, expected a number > 0",
        ),
        (
            "packs.shell.settings.timeout_seconds = nan",
            (
                "packs.shell.settings.timeout_seconds: found nan, expected a number; leave out "
                "what has no limit"
            ),
        ),
        (
            "packs.shell.settings.deep = [{ most = -inf }]",
            (
                "packs.shell.settings.deep[0].most: found -inf, expected a number; leave out what "
                "has no limit"
            ),
        ),
        (
            "packs.shell.settings.deep = [{ wait_seconds = 1e10 }]",
            (
                "packs.shell.settings.deep[0].wait_seconds: found 10000000000.0, expected at most "
                "1,000,000,000; leave out what has no limit"
            ),
        ),
        (
            "host.poll_interval_seconds = 1e300",
            "host.poll_interval_seconds: found 1e+300, expected a number <= 86400",
        ),
        ("host.max_concurrent = 0", "host.max_concurrent: found 0, expected a whole number >= 1"),
        (
            "host.max_concurrent = true",
            "host.max_concurrent: found true (a boolean), expected a whole number",
        ),
        ("host.drain_seconds = -0.5", "host.drain_seconds: found -0.5, expected a number >= 0"),
        (
            "host.drain_seconds = inf",
            "host.drain_seconds: found inf, expected a number <= 86400",
        ),
        ('health.listen = "8090"', f'health.listen: found "8090", {LISTEN}'),
        ('packs."a/b" = {}', 'packs."a/b": found a name that no URL of the health pages can have'),
        ("packs._a = {}", "packs._a: found a name that no URL of the health pages can have"),
        ("packs.x.plugni = 1", 'packs.x.plugni: unknown key (did you mean "plugin"?)'),
        (
            "packs.x.zzz = 1",
            (
                f"packs.x.zzz: unknown key; the keys here are {PACK_KEYS}; "
                "what the plugin reads belongs into [packs.x.settings]"
            ),
        ),
        ('packs.x.plugin = ""', 'packs.x.plugin: found "", expected a string that is not empty'),
        ('packs.x.enabled = "yes"', f'packs.x.enabled: found "yes" (a string), {BOOLEAN}'),
        ('packs.x.name = ""', 'packs.x.name: found "", expected a string that is not empty'),
        ('packs.x.name = "a/b"', f'packs.x.name: found "a/b", {ADDRESSABLE}'),
        ('packs.x.name = "a\\nb"', f'packs.x.name: found "a\\nb", {ADDRESSABLE}'),
        ("packs.x.labels.k = 1", "packs.x.labels.k: found 1 (an integer), expected a string"),
        (
            f'packs.x.labels.k = "{"v" * 201}"',
            "packs.x.labels.k: found 201 characters, expected at most 200",
        ),
        ('packs.x.labels.k = "a/b"', f'packs.x.labels.k: found "a/b", {ADDRESSABLE}'),
        (
            'packs.x.labels."" = "v"',
            'packs.x.labels."": found "", expected a string that is not empty',
        ),
        (
            'packs.x.isolation = "thread"',
            'packs.x.isolation: found "thread", expected "process", or no such key',
        ),
        (
            "packs.x.isolation = true",
            "packs.x.isolation: found true (a boolean), expected a string",
        ),
        (
            "packs.x.memory_limit_mb = 512",
            (
                'packs.x.memory_limit_mb: found a limit without isolation = "process", '
                "expected both or none"
            ),
        ),
        (
            "packs.x = { isolation = 'process', memory_limit_mb = 63 }",
            "packs.x.memory_limit_mb: found 63, expected a whole number >= 64",
        ),
        (
            "packs.x.max_concurrent = -3",
            "packs.x.max_concurrent: found -3, expected a whole number >= 1",
        ),
        (
            f'packs.x.settings = "{CANARY}"',
            "packs.x.settings: found a string, expected a table ({ … })",
        ),
        (
            'packs.x.settings.a = [{ password = { env = "" } }]',
            (
                "packs.x.settings.a[0].password: found a table; a secret is a reference: "
                'password = { env = "FLYTE_JWT" } or { file = "…" }'
            ),
        ),
        (
            'packs.x.settings.p = { file = "~nobody-of-this-name/x" }',
            "packs.x.settings.p: found a path below ~ of an unknown user, expected a path",
        ),
    ],
)
def test_one_wrong_line(tmp_path: Path, line: str, problem: str) -> None:
    (found,) = problems(tmp_path, URL + line)
    assert found.startswith(problem)
    assert CANARY not in found
    assert found == problem or "the first a letter or a digit" in found


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('listen = "x"', f'flyte.embedded.listen: found "x", {LISTEN}'),
        ("store = 1", "flyte.embedded.store: found 1 (an integer), expected a string"),
        ('flows = "a"', 'flyte.embedded.flows: found "a" (a string), expected an array ([…])'),
        (
            'flows = ["a", ""]',
            'flyte.embedded.flows[1]: found "", expected a string that is not empty',
        ),
        ('flow = ["a"]', 'flyte.embedded.flow: unknown key (did you mean "flows"?)'),
    ],
)
def test_one_wrong_line_of_an_embedded_flyte(tmp_path: Path, lines: str, problem: str) -> None:
    assert problems(tmp_path, f"[flyte.embedded]\n{lines}\n") == [problem]
    # a FLYTE_API leaves it unused, but not unread
    assert problems(tmp_path, f"[flyte.embedded]\n{lines}\n", {"FLYTE_API": "http://a"}) == [
        problem
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("flyte = 1", "flyte: found an integer, expected a table ([flyte])"),
        (
            "flyte.embedded = true",
            "flyte.embedded: found a boolean, expected a table ([flyte.embedded])",
        ),
        ("flyte.url = 1", "flyte.url: found 1 (an integer), expected a string"),
        (
            'flyte.url = "flyte"',
            "flyte.url: found a URL that starts with neither http:// nor https://",
        ),
        (
            "[host]",
            (
                "flyte: found neither url nor [flyte.embedded], expected one of them: set "
                "flyte.url (or FLYTE_API) to use a flyte that is running, or add the table "
                "[flyte.embedded] to run one in this process"
            ),
        ),
    ],
)
def test_no_usable_flyte_is_one_problem(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, text) == [problem]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a = 1\nb = = 2\n", ":2:5: this is not valid TOML: Invalid value; a text needs quotes"),
        (b"[flyte]\n[flyte]\n", ":2:7: this is not valid TOML: Cannot declare ('flyte',) twice"),
        (b"a = 1\nb = '\xff'\n", ":2: found text that is not UTF-8"),
        (b"#" * 1_000_001, ": found more than 1 MB, expected a configuration"),
        (
            b"a = " + b"[" * 5000,
            ": found arrays or tables nested too deep to be read, expected fewer levels",
        ),
        (b"a = " + b"1" * 5000, ": found a number of too many digits, expected fewer"),
    ],
)
def test_a_file_that_is_not_a_configuration(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        load_config(path, {})
    assert raised.value.problems == [f"{path}{problem}"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    wrong = {
        tmp_path / "missing": "No such file or directory",
        tmp_path: "Is a directory",
        tmp_path / "loop": "Too many levels of symbolic links",
        tmp_path / "\0": words_for_null(tmp_path / "\0"),
    }
    for path, why in wrong.items():
        with pytest.raises(ConfigError) as raised:
            load_config(path, {"FLYTE_API": "http://flyte"})
        assert raised.value.problems == [f"{path}: cannot be read: {why}"]


def test_a_missing_flyte_is_found_among_other_problems(tmp_path: Path) -> None:
    paths = [each.partition(":")[0] for each in problems(tmp_path, "zzz = 1\nhost.state = 1")]
    assert paths == ["zzz", "flyte", "host.state"]


def test_all_problems_of_file_and_environment_are_found_at_once(tmp_path: Path) -> None:
    text = "flyte.verify = 1\nhost.state = 1\npacks.x.name = 1\nhealth.listen = 1\n"
    environ = {"FLYTE_API": "x", "FLYTE_LABELS": "x", "FLYTE_API_TIMEOUT": "x"}
    paths = [problem.partition(":")[0] for problem in problems(tmp_path, text, environ)]
    assert sorted(paths) == [
        "FLYTE_API",
        "FLYTE_API_TIMEOUT",
        "FLYTE_LABELS",
        "flyte.verify",
        "health.listen",
        "host.state",
        "packs.x.name",
    ]


def test_settings_are_resolved_and_their_secrets_learnt(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("from-file\n")
    raw = {
        "plain": "plain",
        "password": {"env": "P"},
        "deep": {"list": [{"file": str(tmp_path / "s")}, 1, {"x": {"env": "P"}}]},
        "env": "prod",
    }
    scrubber = Scrubber()
    resolved = resolve_settings(raw, {"P": "from-env"}, scrubber)
    assert resolved == {
        "plain": "plain",
        "password": "from-env",
        "deep": {"list": ["from-file", 1, {"x": "from-env"}]},
        "env": "prod",
    }
    assert raw["password"] == {"env": "P"}
    assert scrubber.scrub("from-env from-file plain") == "*** *** plain"


def test_a_table_with_one_reference_key_is_not_a_reference_at_the_top() -> None:
    assert resolve_settings({"env": "X"}, {}, Scrubber()) == {"env": "X"}


def test_all_references_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    raw = {
        "a": {"env": "UNSET"},
        "b": [{"c": {"file": str(tmp_path / "none")}}],
        "d": {"env": "EMPTY"},
        "e": {"env": "FINE"},
    }
    with pytest.raises(ConfigError) as raised:
        resolve_settings(raw, {"EMPTY": "", "FINE": CANARY}, Scrubber())
    assert raised.value.problems == [
        "settings.a: the environment variable UNSET is not set, expected a secret",
        f"settings.b[0].c: the file {tmp_path / 'none'} cannot be read: No such file or directory",
        "settings.d: the environment variable EMPTY is empty, expected a secret",
    ]


def test_showing_a_config_shows_no_secret(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(CANARY)
    text = f"""
        [flyte]
        url = "http://flyte"
        token = {{ file = "t" }}
        [packs.x.settings]
        password = "{CANARY}"
        nested = [{{ password = "{CANARY}" }}]
    """
    config = load(tmp_path, text, {"FLYTE_JWT": CANARY})
    assert config.packs["x"].settings["password"] == CANARY
    shown = f"{config!r}{config}{config.packs!r}{config.packs['x']!s}{config.flyte!r}"
    assert CANARY not in shown


def test_a_config_is_frozen(tmp_path: Path) -> None:
    config = load(tmp_path, "[flyte.embedded]\n[packs.x]")
    for part in (config, config.flyte, config.embedded, config.host, config.packs["x"]):
        assert part is not None
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, dataclasses.fields(part)[0].name, None)


def test_every_key_has_a_meaning_and_a_default_that_it_would_take() -> None:
    for name, table in TABLES.items():
        for key in keys_of(table).values():
            assert key.meaning, f"{name}.{key.name}"
            assert key.words, f"{name}.{key.name}"
    assert parse_listen(HealthConfig().listen) == ("127.0.0.1", 8090)
    assert parse_listen(EmbeddedConfig().listen) == ("127.0.0.1", 8080)
    assert nearest("hots", TABLES) == ' (did you mean "host"?)'


def examples() -> list[tuple[str, str]]:
    """Each TOML block of the reference with the problems below it."""
    page = REFERENCE.read_text(encoding="utf-8")
    return re.findall(r"```toml\n(.*?)```(?:\n\n```text\n(.*?)```)?", page, re.DOTALL)


def test_the_reference_has_examples_of_both_kinds() -> None:
    assert {bool(expected) for _, expected in examples()} == {True, False}


@pytest.mark.parametrize("number", range(len(examples())))
def test_the_examples_of_the_reference(tmp_path: Path, number: int) -> None:
    text, expected = examples()[number]
    if not expected:
        load(tmp_path, text)
        return
    found = [line.removeprefix(f"{tmp_path}/") for line in problems(tmp_path, text)]
    assert found == expected.splitlines()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLYTE_API", '"http://flyte:8080"'),
        ("FLYTE_API_URL", "'http://flyte:8080'"),
        ("FLYTE_JWT", '"eyJhbGciOiJIUzI1NiJ9"'),
        ("FLYTE_LABELS", '"env=prod"'),
        ("FLYTE_API_TIMEOUT", '"10"'),
        ("FLYTE_API", '"http://flyte:8080"\r'),
        ("FLYTE_API", "http://flyte:8080 # the old one"),
        ("FLYTE_LABELS", "env=prod\t# not dev"),
        ("FLYTE_JWT", "'eyJhbGciOiJIUzI1NiJ9' # until May"),
    ],
)
def test_quotes_that_an_env_file_keeps_are_named(name: str, value: str) -> None:
    environ = {"FLYTE_API": "http://flyte"} | {name: value}
    with pytest.raises(ConfigError) as raised:
        load_config(None, environ)
    words = "--env-file of docker and podman, and Kubernetes, keep them"
    found = "a value with a comment after it" if "#" in value else "a value in quotes"
    assert raised.value.problems == [f"{name}: found {found}, expected it without: {words}"]


@pytest.mark.parametrize("around", ["\r", " ", "\t"])
def test_spaces_around_a_variable_do_not_count(around: str) -> None:
    """A file with Windows' ends of lines leaves one."""
    environ = {
        "FLYTE_API": f"http://flyte{around}",
        "FLYTE_API_TIMEOUT": f"7{around}",
        "FLYTE_LABELS": f"env=prod{around}",
    }
    config = load_config(None, environ)
    assert (config.flyte.url, config.flyte.timeout_seconds) == ("http://flyte", 7)
    assert config.labels == {"env": "prod"}


@pytest.mark.parametrize("end", ["/v1", "/V1", "/v1/flows", "/v1/audit/flows"])
def test_an_address_that_ends_in_the_api_is_named(end: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(None, {"FLYTE_API": f"http://flyte:8080{end}/"})
    what = f"found a URL that ends in {end}, expected the address before it: the host adds /v1"
    assert raised.value.problems == [f"FLYTE_API: {what}"]


@pytest.mark.parametrize("path", ["/v1/team", "/v10", "/flows"])
def test_an_address_behind_a_gateway_may_have_a_path(path: str) -> None:
    url = f"http://flyte{path}"
    assert load_config(None, {"FLYTE_API": url}).flyte.url == url
