"""The control socket: one JSON line each way, for nobody but its owner."""

import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flyte_host.control.control_server import (
    ANSWER_SECONDS,
    PATH_BYTES,
    QUESTION_BYTES,
    ControlError,
    ControlServer,
    ask,
    socket_of,
)
from flyte_host.errors import FlyteHostError
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.scarcity import no_descriptors

Serve = Callable[[Callable[[Mapping[str, Any]], Mapping[str, Any]]], ControlServer]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return socket_of(tmp_path / "state.db")


@pytest.fixture
def serve(path: Path) -> Iterator[Serve]:
    made: list[ControlServer] = []

    def start(answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> ControlServer:
        made.append(ControlServer(path, answer))
        return made[-1]

    yield start
    for each in made:
        each.stop()
        each.thread.join(PATIENCE_SECONDS)
        assert not each.thread.is_alive()


def raw(path: Path, sent: bytes) -> Any:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(str(path))
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return json.loads(connection.recv(QUESTION_BYTES))


def test_a_question_and_its_answer(serve: Serve, path: Path) -> None:
    serve(lambda question: {"heard": question})
    assert ask(path, {"do": "dance", "pack": "å"}) == {"heard": {"do": "dance", "pack": "å"}}
    assert path.name == "state.db.sock"


def test_an_answer_may_be_long(serve: Serve, path: Path) -> None:
    """Such as the status of a thousand packs."""
    packs = ["pack"] * 100_000
    serve(lambda _: {"packs": packs})
    assert ask(path, {}) == {"packs": packs}


def test_only_its_owner_may_open_it(serve: Serve, path: Path) -> None:
    serve(dict)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_told_who_may(serve: Serve, path: Path) -> None:
    serve(dict)
    os.seteuid(65534)
    try:
        with pytest.raises(ControlError, match="only the user that the host runs as may control"):
            ask(path, {})
    finally:
        os.seteuid(0)


def test_a_refusal_is_told(serve: Serve, path: Path) -> None:
    def refuse(_: Mapping[str, Any]) -> Mapping[str, Any]:
        raise FlyteHostError("not today")

    serve(refuse)
    with pytest.raises(ControlError, match=r"^not today$"):
        ask(path, {})


def test_a_bug_is_told_and_survived(
    serve: Serve, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(question: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"value": 1 / question["by"]}

    serve(answer)
    with pytest.raises(ControlError, match="the host failed: division by zero"):
        ask(path, {"by": 0})
    assert "could not answer a request on the control socket" in caplog.messages
    assert ask(path, {"by": 2}) == {"value": 0.5}


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"nonsense\n", b"[1]\n", b"\xff\n", b"{" * QUESTION_BYTES,
        b'{"do":' + b"[" * 20_000 + b"]" * 20_000 + b"}\n",
    ],
)  # fmt: skip
def test_a_line_that_is_not_a_question(serve: Serve, path: Path, sent: bytes) -> None:
    serve(dict)
    assert raw(path, sent) == {"error": "expected a line with one JSON object"}


def test_one_who_goes_away_or_says_nothing_keeps_nobody_waiting_long(
    serve: Serve, path: Path
) -> None:
    serve(lambda _: {"padding": "x" * 4_000_000})
    for sent in (b"", b"{}\n"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(sent)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(path))
        assert len(ask(path, {})["padding"]) == 4_000_000


def test_without_a_host(path: Path) -> None:
    text = f"no host answers at {path}: none runs with this \\[host\\] state, or it is still "
    with pytest.raises(ControlError, match=text):
        ask(path, {})
    path.parent.joinpath("file").touch()
    with pytest.raises(ControlError, match="Not a directory"):
        ask(path.parent / "file" / "x.sock", {})


def test_the_socket_of_a_dead_host_is_replaced(serve: Serve, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(ControlError, match="no host answers"):
        ask(path, {})
    serve(dict)
    assert ask(path, {}) == {}


def test_a_living_one_is_left_alone(serve: Serve, path: Path) -> None:
    serve(lambda _: {"who": "first"})
    with pytest.raises(ControlError, match="another process listens there"):
        ControlServer(path, dict)
    assert ask(path, {}) == {"who": "first"}


def test_a_file_of_that_name_is_left_alone(path: Path) -> None:
    path.touch()
    with pytest.raises(ControlError, match="a file has this name; remove it"):
        ControlServer(path, dict)
    assert path.exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="No such file or directory"):
        ControlServer(tmp_path / "none" / "x.sock", dict)


def test_the_longest_path(tmp_path: Path) -> None:
    longest = tmp_path / ("x" * (PATH_BYTES - len(str(tmp_path)) - 1))
    server = ControlServer(longest, lambda _: {"it": "works"})
    assert ask(longest, {}) == {"it": "works"}
    server.stop()
    server.thread.join(PATIENCE_SECONDS)


@pytest.mark.parametrize("use", [ControlServer, ask])
def test_a_path_that_is_too_long(tmp_path: Path, use: Callable[[Path, Any], Any]) -> None:
    path = tmp_path / ("å" * 60)
    length = len(os.fsencode(path))
    text = f"its path has {length} bytes, a socket's has at most 107; give .host. state a shorter"
    with pytest.raises(ControlError, match=text):
        use(path, dict)


def test_stopping_removes_it_and_a_second_stop_is_not_an_error(serve: Serve, path: Path) -> None:
    server = serve(dict)
    server.stop()
    server.stop()
    assert not path.exists()
    with pytest.raises(ControlError, match="no host answers"):
        ask(path, {})


def test_a_socket_that_fails_is_told(
    serve: Serve, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(dict)
    server._socket.shutdown(socket.SHUT_RDWR)
    words = f"the control socket {path} failed, flyte-host ctl does not work for now: "
    wait_until(lambda: [each for each in caplog.messages if each.startswith(words)], words)


def test_it_hears_again_once_there_are_descriptors(
    serve: Serve, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    serve(lambda question: question)
    first, second = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    with no_descriptors():
        first.connect(str(path))  # for this one the server has a descriptor already
        first.close()
        second.connect(str(path))
        wait_until(lambda: "does not work for now" in caplog.text, "the failure is logged")
    second.close()  # else it would be heard out first
    assert ask(path, {"do": "it"}) == {"do": "it"}
    assert caplog.text.count("does not work for now") == 1


def test_a_client_that_drips_keeps_nobody_waiting(serve: Serve, path: Path) -> None:
    serve(lambda question: question)
    with socket.socket(socket.AF_UNIX) as dripping:
        dripping.connect(str(path))
        stop = threading.Event()

        def drip() -> None:
            with suppress(OSError):
                while not stop.wait(0.01):
                    dripping.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert ask(path, {"do": "it"}) == {"do": "it"}
        finally:
            stop.set()
            thread.join(PATIENCE_SECONDS)


def test_another_default_timeout_of_sockets_changes_nothing(
    serve: Serve, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    socket.setdefaulttimeout(1e-6)
    try:
        serve(lambda question: question)
        for _ in range(20):
            assert ask(path, {"do": "it"}) == {"do": "it"}
    finally:
        socket.setdefaulttimeout(None)
    assert caplog.messages == []


@pytest.mark.parametrize("sent", [b'{"packs":', b'{"packs":"\xff"}', b"[1]"])
def test_a_line_that_is_not_an_answer(path: Path, sent: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(str(path))
        host.listen()

        def answer() -> None:
            connection, _ = host.accept()
            with connection:
                connection.recv(QUESTION_BYTES)
                connection.sendall(sent)

        ending = threading.Thread(target=answer)
        ending.start()
        with pytest.raises(ControlError, match="the host ended before it answered"):
            ask(path, {})
        ending.join()


def test_a_host_that_hangs_is_not_waited_for_long(path: Path) -> None:
    assert ANSWER_SECONDS <= 10
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()

        def close_after_reading() -> None:
            connection, _ = mute.accept()
            connection.recv(10)
            connection.close()

        thread = threading.Thread(target=close_after_reading)
        thread.start()
        with pytest.raises(ControlError, match="ended before it answered"):
            ask(path, {"do": "status"})
        thread.join(PATIENCE_SECONDS)
