"""Tracebacks begin with the plugin's own frames."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import flyte_host
from flyte_host.foreign_code import foreign_part

OURS = Path(flyte_host.__file__).parent


def files(part: TracebackType | None) -> list[str]:
    found = []
    while part is not None:
        found.append(part.tb_frame.f_code.co_filename)
        part = part.tb_next
    return found


def shown(call: Callable[[], object]) -> list[str]:
    """The files of what is left of a traceback that begins in ``call``."""
    try:
        call()
    except ValueError as error:
        trace = error.__traceback__
        assert trace is not None
        return files(foreign_part(trace.tb_next))
    raise AssertionError("it did not raise")


def failing() -> None:
    raise ValueError


def in_file(file: Path, inner: Callable[[], object]) -> Callable[[], object]:
    """A function that calls ``inner``, as if it were in ``file``."""
    names: dict[str, Callable[[], object]] = {"inner": inner}
    exec(compile("def call():\n    inner()\n", str(file), "exec"), names)
    return names["call"]


def test_frames_of_the_host_before_the_plugin_are_cut() -> None:
    ours = in_file(OURS / "runner.py", in_file(OURS / "binding.py", failing))
    assert shown(ours) == [__file__]


def test_frames_of_the_host_after_the_plugin_stay() -> None:
    emit = in_file(OURS / "observers.py", failing)
    plugin = in_file(Path("/site/pack.py"), emit)
    assert shown(in_file(OURS / "runner.py", plugin)) == [
        "/site/pack.py",
        str(OURS / "observers.py"),
        __file__,
    ]


def test_a_folder_whose_name_only_begins_like_ours_is_foreign() -> None:
    plugin = OURS.with_name("flyte_host_jira") / "pack.py"
    ours = in_file(OURS / "runner.py", in_file(plugin, failing))
    assert shown(ours) == [str(plugin), __file__]


def test_a_traceback_of_the_host_alone_is_kept() -> None:
    names: dict[str, Callable[[], object]] = {}
    exec(compile("def call():\n    raise ValueError\n", str(OURS / "wire.py"), "exec"), names)
    ours = in_file(OURS / "runner.py", names["call"])
    assert shown(ours) == [str(OURS / "runner.py"), str(OURS / "wire.py")]


def test_no_traceback_stays_none() -> None:
    assert foreign_part(None) is None
