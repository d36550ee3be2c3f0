"""The desk as the host meets it: the few calls of flyte's API that a pipeline makes."""

import json
from collections.abc import Mapping

import pytest

from flyte_host.mcp.tool_desk import DeskClosed, ToolDesk


@pytest.fixture
def woken() -> list[tuple[str, Mapping[str, str]]]:
    return []


@pytest.fixture
def desk(woken: list[tuple[str, Mapping[str, str]]]) -> ToolDesk:
    return ToolDesk(lambda *what: woken.append(what), "run")


def ask(desk: ToolDesk, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    status, _, answer = desk.answer(method, path, {}, body)
    return status, answer


def test_an_action_is_given_out_once_and_its_result_comes_back(
    desk: ToolDesk, woken: list[tuple[str, Mapping[str, str]]]
) -> None:
    result = desk.call("P", {"e": "ö"}, "do", {"a": 1})
    assert woken == [("P", {"e": "ö"})]
    status, body = ask(desk, "POST", "/v1/packs/P.e.%C3%B6/actions/take")
    taken = json.loads(body)
    assert (status, taken["command"], taken["input"]) == (200, "do", {"a": 1})
    assert taken["links"][0]["href"].endswith("/v1/packs/P.e.ö/actions/run-1/result")
    assert ask(desk, "POST", "/v1/packs/P.e.%C3%B6/actions/take")[0] == 204
    done = "/v1/packs/P/actions/run-1/result"
    assert ask(desk, "POST", done, b"{}")[0] == 202
    assert result.result(0) == b"{}"
    assert ask(desk, "POST", done, b"{}")[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 200),
        ("GET", "/health", 200),
        ("GET", "/audit?start=0", 404),
        ("POST", "/v1/packs/P/events", 404),
        ("POST", "/v1/packs/P/actions/take", 204),
        ("DELETE", "/v1/packs/P", 404),
    ],
)
def test_other_requests_are_answered(desk: ToolDesk, method: str, path: str, status: int) -> None:
    assert ask(desk, method, path)[0] == status


def test_a_pack_registers_under_its_id(desk: ToolDesk) -> None:
    status, body = ask(desk, "POST", "/v1/packs", b'{"name": "P", "labels": {"b": "2", "a": "1"}}')
    assert (status, json.loads(body)["id"]) == (201, "P.a.1.b.2")
    assert json.loads(ask(desk, "POST", "/v1/packs", b'{"name": "P"}')[1])["id"] == "P"


def test_a_desk_that_is_closed_answers_nobody(desk: ToolDesk) -> None:
    result = desk.call("P", {}, "do", None)
    desk.close()
    with pytest.raises(DeskClosed):
        result.result(0)
    with pytest.raises(DeskClosed):
        desk.call("P", {}, "do", None)


def test_callers_that_go_away_disturb_nobody(desk: ToolDesk) -> None:
    first, second = desk.call("P", {}, "do", None), desk.call("P", {}, "do", None)
    assert not first.cancel()
    assert not second.cancel()
    ask(desk, "POST", "/v1/packs/P/actions/take")
    assert ask(desk, "POST", "/v1/packs/P/actions/run-1/result", b"{}")[0] == 202
    desk.close()
    assert isinstance(second.exception(), DeskClosed)
