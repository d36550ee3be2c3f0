"""The page /status shows what /ready says and a row for each pack, and takes nothing for markup."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from flyte_host.health.readiness import Ready
from flyte_host.health.status_page import POLICY, PackStatus, pack_rows, status_page
from flyte_host.model import Taken
from tests.support.asgi import ask_app
from tests.support.health_rig import HealthRig, health_app
from tests.support.host_parts import ECHO, PackPlugin, flyte_script
from tests.support.journal_file import write_result, write_taken
from tests.support.scripted_server import ScriptedServer

EVIL = "<img src=x onerror=alert(1)>\x1b[31m\u202e"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[HealthRig]:
    plugins = {"demo": PackPlugin(ECHO), "quiet": PackPlugin(name="Quiet")}
    with ScriptedServer() as server:
        flyte_script(server, "Demo", "Quiet")
        made = HealthRig(server, tmp_path / "flyte-host.db", plugins).watch()
        yield made
        made.rig.close()


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def show(rig: HealthRig) -> str:
    answer = ask_app(rig.app, "/status")
    assert (answer.status, answer.headers["Content-Security-Policy"]) == (200, POLICY)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return text_of(answer.body.decode())


def test_a_host_that_works(rig: HealthRig) -> None:
    rig.poll_once()
    page = show(rig)
    assert "flyte-host is ready" in page
    assert "flyte good reachable" in page
    assert "demo Demo takes actions 0 0" in page
    assert "quiet Quiet raises events 0 0" in page


def test_a_paused_pack(rig: HealthRig) -> None:
    rig.poll_once()
    rig.schedule.pause("demo")
    assert re.search(r"demo Demo paused since 20\d\d-", show(rig))


def test_a_host_that_starts_or_stops() -> None:
    app = health_app()
    page = text_of(ask_app(app, "/status").body.decode())
    assert "flyte-host is not ready" in page
    assert "host problem starting" in page
    assert "Problem none" in page
    app.stop()
    assert "host problem stopping" in text_of(ask_app(app, "/status").body.decode())


def test_its_style_is_its_own() -> None:
    answer = ask_app(health_app(), "/status.css")
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert b"http" not in answer.body


def test_nothing_is_taken_for_markup() -> None:
    row = PackStatus(EVIL, EVIL, EVIL, 1, 2, EVIL)
    page = status_page({EVIL: Ready(False, EVIL, 3.0)}, [row], is_ready=False)
    assert "<img" not in page
    assert not re.search("[\x1b\u202e]", page)
    assert page.count("&lt;img") == 6


def test_secrets_are_hidden(rig: HealthRig) -> None:
    rig.scrubber.learn("tok-en-1")
    rig.parts.outage.failed("refused by tok-en-1")
    page = show(rig)
    assert "refused by ***" in page
    assert "tok-en-1" not in page


def test_a_note_is_not_a_problem() -> None:
    page = text_of(status_page({"a": Ready(False, "x", critical=False)}, [], is_ready=True))
    assert "a note x" in page


def test_the_journal_is_shown(rig: HealthRig) -> None:
    rig.scrubber.learn("tok-en-1")
    opened = write_taken(rig.journal, "demo", "Demo", Taken("a1", "echo", b"1", "v1/a1/result"))
    delivery = write_result(rig.journal, opened, b"{}")
    assert delivery is not None
    rig.journal.park(delivery, f"no tok-en-1 {EVIL}")
    body = ask_app(rig.app, "/status").body.decode()
    assert re.search(r"r1 parked demo echo a1 2030-01-01 00:00:00 no \*\*\* &lt;img", text_of(body))
    assert "<img" not in body


def test_rows_tell_what_waits(rig: HealthRig) -> None:
    assert [(row.pack_key, row.waiting) for row in pack_rows(rig.parts)] == [
        ("demo", 0), ("quiet", 0)
    ]  # fmt: skip
