"""flyte-host flyte, and embedded flyte behind auth in serve, as real processes."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import requests

from flyte_host.embedded.database_opener import open_database
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.issuer import AUDIENCE, Issuer, claims, key_set, rsa_key
from tests.support.own_packs import disabled_packs
from tests.support.postgres import PostgresServer
from tests.support.serving import Serving

Run = Callable[..., CompletedProcess[str]]
Start = Callable[..., Serving]

FLOW = """
name: hello
steps:
  - event: {packName: Me, name: Hello}
    command: {packName: Shell, name: Shell, input: echo hello}
"""
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "protect-embedded-flyte.md"
KEY = rsa_key()


@pytest.fixture
def start(tmp_path: Path, flyte_host_environ: dict[str, str]) -> Iterator[Start]:
    running: list[Serving] = []

    def start(*arguments: str, command: str = "flyte") -> Serving:
        running.append(Serving(tmp_path, flyte_host_environ, *arguments, command=(command,)))
        return running[-1].__enter__()

    yield start
    for each in running:
        each.__exit__(None, None, None)


def blocks(language: str) -> list[str]:
    """The examples of the how-to guide in one language."""
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def flow_names(url: str) -> list[str]:
    return [
        flow["name"]
        for flow in requests.get(f"{url}/v1/flows", timeout=PATIENCE_SECONDS).json()["flows"]
    ]


def test_flyte_alone_without_a_file(start: Start, tmp_path: Path) -> None:
    (tmp_path / "hello.yaml").write_text(FLOW, encoding="utf-8")
    flyte = start("--listen", "127.0.0.1:0", "--flows", "*.yaml")
    assert flow_names(flyte.flyte_url) == ["hello"]
    assert (tmp_path / "flyte.db").exists()
    flyte.signal(signal.SIGTERM)
    assert flyte.ended() == -signal.SIGTERM
    assert flyte.messages("stopped") == ["stopped"]
    assert flyte.output == f"flyte is at {flyte.flyte_url}/v1, until Ctrl-C or SIGTERM\n"


DUMPABLE = """
import ctypes, os, pathlib, threading

def look():
    while not pathlib.Path("now").exists():
        threading.Event().wait(0.02)
    pathlib.Path("found").write_text(str(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)))
    os.rename("found", "dumpable")

threading.Thread(target=look, daemon=True).start()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can hide it")
def test_its_memory_and_environment_are_hidden(
    flyte_host_environ: dict[str, str], tmp_path: Path
) -> None:
    """They may hold the password of its database."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DUMPABLE)
    arguments = ("--listen", "127.0.0.1:0")
    with Serving(
        tmp_path, flyte_host_environ, *arguments, command=("flyte",), python=sys.executable
    ) as flyte:
        assert flyte.flyte_url
        (tmp_path / "now").touch()
        wait_until((tmp_path / "dumpable").exists, "it has looked")
        assert (tmp_path / "dumpable").read_text() == "0"


def test_flyte_alone_with_a_file_and_options_over_it(start: Start, tmp_path: Path) -> None:
    for name in ("a", "b"):
        flow = FLOW.replace("hello\n", f"{name}\n", 1)
        (tmp_path / f"{name}.flow").write_text(flow, encoding="utf-8")
    (tmp_path / "flyte-host.toml").write_text(
        "[flyte.embedded]\nlisten = '127.0.0.1:0'\nflows = ['a.flow']\nstore = 'x.db'\n",
        encoding="utf-8",
    )
    flyte = start("--store", ":memory:")
    assert flow_names(flyte.flyte_url) == ["a"]
    flyte.signal(signal.SIGINT)
    assert flyte.ended() == -signal.SIGINT
    flyte = start("--flows", "b.flow", "--flows", "a.*")
    assert flow_names(flyte.flyte_url) == ["a", "b"]
    assert [path.name for path in tmp_path.glob("*.db")] == ["x.db"]


def test_everybody_is_let_in_only_if_it_is_meant(
    start: Start, flyte_host: Run, tmp_path: Path
) -> None:
    done = flyte_host("flyte", "--listen", "0.0.0.0:0")
    assert done.returncode == 2
    assert 'flyte-host: --listen: found "0.0.0.0:0", which other machines can reach' in done.stderr
    assert done.stdout == ""
    flyte = start("--listen", "0.0.0.0:0", "--allow-everyone", "--store", ":memory:")
    flyte.wait_for("embedded flyte at 0.0.0.0:0 accepts unauthenticated requests")
    flyte.signal(signal.SIGTERM)
    assert flyte.ended() == -signal.SIGTERM


def test_serve_refuses_to_listen_to_everybody(flyte_host: Run, tmp_path: Path) -> None:
    (tmp_path / "flyte-host.toml").write_text(
        "[flyte.embedded]\nlisten = '0.0.0.0:0'\n", encoding="utf-8"
    )
    done = flyte_host("serve")
    assert done.returncode == 2
    assert "flyte.embedded.listen: found" in done.stderr
    assert "allow_everyone = true" in done.stderr


def test_further_hosts_come_from_the_file_or_an_option(
    start: Start, flyte_host: Run, tmp_path: Path
) -> None:
    file = tmp_path / "flyte-host.toml"
    file.write_text("[flyte.embedded]\nhosts = ['a.example']\nstore = ':memory:'\n")

    def answers(flyte: Serving) -> list[int]:
        hosts = ("localhost", "a.example", "b.example:8080", "c.example")
        urls = [(flyte.flyte_url, {"Host": host}) for host in hosts]
        return [requests.get(url, headers=sent, timeout=20).status_code for url, sent in urls]

    assert answers(start("--listen", "127.0.0.1:0")) == [200, 200, 421, 421]
    flyte = start("--listen", "127.0.0.1:0", "--hosts", "b.example", "--hosts", "c.example")
    assert answers(flyte) == [200, 421, 200, 200]
    done = flyte_host("flyte", "--hosts", "http://b.example")
    assert done.returncode == 2
    assert '--hosts[0]: found "http://b.example", expected a host name or an IP' in done.stderr


def test_an_address_in_use(start: Start, flyte_host: Run) -> None:
    flyte = start("--listen", "127.0.0.1:0", "--store", ":memory:")
    address = flyte.flyte_url.removeprefix("http://")
    done = flyte_host("flyte", "--listen", address, "--store", ":memory:")
    assert done.returncode == 1
    assert f"embedded flyte: cannot listen on {address}: Address already in use" in done.stderr


def test_all_problems_of_flows_and_auth_at_once(flyte_host: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\n", encoding="utf-8")
    (tmp_path / "policy").write_text("- path: x\n", encoding="utf-8")
    (tmp_path / "keys").write_text(json.dumps(key_set(KEY)), encoding="utf-8")
    (tmp_path / "flyte-host.toml").write_text(
        "[flyte.embedded]\nflows = ['bad.yaml', 'none.yaml']\n"
        "auth = {policy = 'policy', jwks_file = 'keys', audience = 'a'}\n"
        f"[health]\nlisten = '127.0.0.1:0'\n{disabled_packs()}",
        encoding="utf-8",
    )
    for command in ("flyte", "serve", "check"):
        done = flyte_host(command, environ={"FLYTE_LABELS": ""})
        assert done.returncode == 2
        assert "bad.yaml" in done.stderr
        assert "no file matches" in done.stderr
        assert f'{tmp_path}/policy:1: path "x" does not begin with /' in done.stderr


@pytest.mark.parametrize(
    ("arguments", "missing", "what"),
    [
        (["flyte", "--listen", "127.0.0.1:0"], "jwt", "[flyte.embedded]"),
        (["flows", "check", "f.yaml"], "yaml", "flows check"),
        (["flows", "test", "f.yaml", "--event", "e.json"], "yaml", "flows test"),
    ],
)
def test_without_the_extra_it_says_how_to_get_it(
    flyte_host_environ: dict[str, str],
    tmp_path: Path,
    arguments: list[str],
    missing: str,
    what: str,
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / f"{missing}.py").write_text("raise ImportError('none')", encoding="utf-8")

    def start(*words: str) -> CompletedProcess[str]:
        """In a Python that has imported nothing yet."""
        return subprocess.run(
            [sys.executable, "-m", "flyte_host", *words], cwd=tmp_path, env=flyte_host_environ,
            capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip

    done = start(*arguments)
    assert done.returncode == 1
    assert done.stderr == (
        f"flyte-host: {what} needs more than is installed (none): pip install "
        "'flyte-host[embedded]'\n"
    )
    assert start("packs").returncode == 0


def test_check_reads_flows_and_auth(flyte_host: Run, tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(FLOW, encoding="utf-8")
    (tmp_path / "policy.yaml").write_text("- path: /*\n", encoding="utf-8")
    (tmp_path / "keys.json").write_text(json.dumps(key_set(KEY)), encoding="utf-8")
    (tmp_path / "flyte-host.toml").write_text(
        "[flyte.embedded]\nlisten = '0.0.0.0:0'\nflows = ['f.yaml']\n"
        "[flyte.embedded.auth]\naudience = 'a'\njwks_file = 'keys.json'\n"
        f"[health]\nlisten = '127.0.0.1:0'\n{disabled_packs()}",
        encoding="utf-8",
    )
    done = flyte_host("check")
    assert done.returncode == 0
    assert "flyte: embedded, started by flyte-host serve" in done.stdout
    assert not list(tmp_path.glob("*.db"))


def test_the_environment_names_no_other_flyte(
    tmp_path: Path, flyte_host_environ: dict[str, str]
) -> None:
    environ = {**flyte_host_environ, "FLYTE_API": "http://elsewhere", "FLYTE_LABELS": "oops"}
    arguments = ("--listen", "127.0.0.1:0", "--store", ":memory:")
    with Serving(tmp_path, environ, *arguments, command=("flyte",)) as flyte:
        assert flow_names(flyte.flyte_url) == []


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer([KEY])
    yield issuer
    issuer.stop()


def get(url: str, token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.get(url, headers=headers, timeout=PATIENCE_SECONDS).status_code


def test_the_guide_with_a_file_of_keys(start: Start, tmp_path: Path) -> None:
    """The policy and the first configuration of the guide, with a pack's and a person's token."""
    (policy,), (config, *_) = blocks("yaml"), blocks("toml")
    (tmp_path / "policy.yaml").write_text(policy, encoding="utf-8")
    (tmp_path / "keys.json").write_text(json.dumps(key_set(KEY)), encoding="utf-8")
    (tmp_path / "flyte-host.toml").write_text(config, encoding="utf-8")
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "hello.yaml").write_text(FLOW, encoding="utf-8")
    flyte = start("--listen", "127.0.0.1:0", "--store", ":memory:")
    url = flyte.flyte_url
    admin, reader = (KEY.sign(claims(groups=[group])) for group in ("admins", "staff"))
    shell = KEY.sign(claims(pack="Shell"))
    assert [get(f"{url}/health"), get(f"{url}/v1"), get(f"{url}/v1/packs")] == [200, 200, 401]
    assert [get(f"{url}/v1/flows", each) for each in (admin, reader, shell)] == [200, 200, 401]

    def post(path: str, token: str, body: Any = None) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(
            url + path, json=body, headers=headers, timeout=PATIENCE_SECONDS
        ).status_code

    assert post("/v1/packs", shell, {"name": "Shell"}) == 201
    assert post("/v1/packs", reader, {"name": "Other"}) == 401
    assert post("/v1/packs/Shell/events", shell, {"event": "E"}) == 202
    assert post("/v1/packs/Shell/actions/take", shell) == 204
    assert post("/v1/packs/Other/actions/take", shell) == 401
    assert post("/v1/flows", reader, {"name": "f", "steps": []}) == 401
    assert post("/v1/flows", admin, {"name": "f", "steps": []}) == 201


def test_the_guide_with_an_issuer(start: Start, issuer: Issuer, tmp_path: Path) -> None:
    """serve with auth on: the host's own packs show the token of [flyte] token."""
    (policy,), (_, config, *_) = blocks("yaml"), blocks("toml")
    (tmp_path / "policy.yaml").write_text(policy, encoding="utf-8")
    (tmp_path / "token").write_text(issuer.token(groups=["admins"]), encoding="utf-8")
    assert "https://login.example.com/" in config
    assert "/run/secrets/flyte" in config
    config = config.replace("https://login.example.com/", issuer.url)
    config = config.replace("/run/secrets/flyte", "token").replace("0.0.0.0:8080", "127.0.0.1:0")
    (tmp_path / "flyte-host.toml").write_text(
        f"{config}\n[health]\nlisten = '127.0.0.1:0'\n{disabled_packs('shell', 'ticker')}"
        "[packs.ticker.settings]\ninterval_seconds = 60\n",
        encoding="utf-8",
    )
    host = start(command="serve")
    assert get(f"{host.flyte_url}/v1/packs") == 401
    host.wait_ready()
    packs = requests.get(
        f"{host.flyte_url}/v1/packs",
        headers={"Authorization": f"Bearer {issuer.token(groups=['staff'])}"},
        timeout=PATIENCE_SECONDS,
    ).json()["packs"]
    assert packs


def test_the_guide_for_everybody(start: Start, tmp_path: Path) -> None:
    (*_, config) = blocks("toml")
    (tmp_path / "flyte-host.toml").write_text(
        config.replace("0.0.0.0:8080", "0.0.0.0:0"), encoding="utf-8"
    )
    flyte = start("--store", ":memory:")
    flyte.wait_for("embedded flyte at 0.0.0.0:0 accepts unauthenticated requests")
    flyte.signal(signal.SIGTERM)
    assert flyte.ended() == -signal.SIGTERM


def test_an_issuer_that_is_away_does_not_stop_flyte(
    start: Start, issuer: Issuer, tmp_path: Path
) -> None:
    issuer.status = 500
    (tmp_path / "policy.yaml").write_text("- path: /*\n  claims: {sub: [ada]}\n", encoding="utf-8")
    (tmp_path / "flyte-host.toml").write_text(
        "[flyte.embedded.auth]\naudience = '" + AUDIENCE + f"'\nissuer_url = '{issuer.url}'\n",
        encoding="utf-8",
    )
    flyte = start("--listen", "127.0.0.1:0", "--store", ":memory:")
    assert {get(f"{flyte.flyte_url}/v1", issuer.token()) for _ in range(3)} == {503}
    flyte.wait_for("cannot be checked")
    assert len(flyte.messages("cannot be checked")) == 1
    issuer.status = 200
    wait_until(lambda: get(f"{flyte.flyte_url}/v1", issuer.token()) == 200, "the issuer is back")


def test_a_store_is_copied(
    start: Start, flyte_host: Run, tmp_path: Path, postgres: PostgresServer
) -> None:
    (tmp_path / "hello.yaml").write_text(FLOW, encoding="utf-8")
    flyte = start("--listen", "127.0.0.1:0", "--flows", "*.yaml")
    assert flow_names(flyte.flyte_url) == ["hello"]
    flyte.signal(signal.SIGTERM)
    flyte.ended()
    with postgres.database() as url:
        done = flyte_host("flyte", "copy", "flyte.db", url)
        assert done.returncode == 0, done.stderr
        assert "flow: 1 row, checksum " in done.stdout
        assert done.stdout.endswith("copied; counts and checksums agree\n")
        again = start("--listen", "127.0.0.1:0", "--store", url, "--flows", "*.yaml")
        assert flow_names(again.flyte_url) == ["hello"]
        again.signal(signal.SIGTERM)
        again.ended()


def test_a_copy_ends_with_the_words_of_a_database_that_is_full(
    flyte_host: Run, tmp_path: Path, postgres: PostgresServer
) -> None:
    with closing(open_database(tmp_path / "flyte.db")) as source:
        source.write(lambda db: db.execute("INSERT INTO flow (name, uuid) VALUES ('f', 'u')"))
    with postgres.database() as url:
        with closing(open_database(url)) as target:
            target.write(lambda db: [db.execute(each) for each in FULL])
        done = flyte_host("flyte", "copy", "flyte.db", url)
    assert done.returncode == 1
    assert done.stderr.endswith("flyte-host: the store is away: no space left on device\n")


FULL = (
    """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$
    """,
    "CREATE TRIGGER failing BEFORE INSERT ON flow FOR EACH ROW EXECUTE FUNCTION fail()",
)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.db", "b.db"), "FROM: found no file "),
        (("a.db", "a.db"), "FROM and TO are the same store, expected two"),
        ((":memory:", "a.db"), 'FROM: found ":memory:", expected a file or the URL'),
        (("a.db", "postgresql://u:hidden@h/d"), "TO: found a URL with a password, expected none"),
        (("a.db", "postgresql:///?host=/nowhere"), "the store postgresql:/// cannot be used: "),
    ],
)
def test_a_store_that_cannot_be_copied(
    flyte_host: Run, tmp_path: Path, arguments: tuple[str, str], words: str
) -> None:
    (tmp_path / "a.db").touch()
    done = flyte_host("flyte", "copy", *arguments)
    assert done.returncode in {1, 2}
    assert f"flyte-host: {words}" in done.stderr
    assert "hidden" not in done.stderr


def test_options_of_flyte_are_not_those_of_a_copy(flyte_host: Run) -> None:
    done = flyte_host("flyte", "--listen", "127.0.0.1:0", "copy", "a.db", "b.db")
    assert done.returncode == 2
    assert "copy has options of its own" in done.stderr
