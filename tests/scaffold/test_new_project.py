from dataclasses import replace
from pathlib import Path

import pytest

from flyte_host.errors import FlyteHostError
from flyte_host.scaffold.new_project import NewProject
from flyte_host.scaffold.pack_name import LONGEST, PackName
from tests.support.new_pack import GOLDEN, PROJECT, golden_text
from tests.support.projects import run_module

PLAIN = NewProject(PackName.parse("pager"), "0.1")


def test_the_golden_copy_is_what_is_written() -> None:
    assert golden_text() == GOLDEN.read_text(encoding="utf-8"), (
        "look at the difference, then run python -m tests.support.new_pack"
    )


def test_no_mark_of_a_template_is_left() -> None:
    for project in (PLAIN, PROJECT):
        for path, text in project.files():
            assert "%%" not in text, path
            assert "$" not in text.replace("${{ matrix.python }}", ""), path


def test_options_bring_their_parts_and_nothing_else_differs() -> None:
    plain, observing, adding = (
        dict(project.files())
        for project in (PLAIN, replace(PLAIN, observer=True), replace(PLAIN, extends="Shell"))
    )
    assert {*adding} - {*plain} == {"flyte_pack_pager/add_on.py", "tests/test_add_on.py"}
    assert {*observing} == {*plain}
    assert "flyte_observe" in observing["flyte_pack_pager/pack.py"]
    assert "flyte_observe" not in plain["flyte_pack_pager/pack.py"]
    assert "PagerAddOn" in adding["pyproject.toml"]
    assert "AddOn" not in plain["pyproject.toml"]


@pytest.mark.parametrize(
    ("name", "extends"),
    [("Null", "None"), ("Chat", "Chat1"), ("TestRail", "Test"), ("Flow", "Other"), ("AddOn", "A")],
)
def test_its_tests_pass_whatever_the_name_is(name: str, extends: str, tmp_path: Path) -> None:
    project = NewProject(PackName.parse(name), "0.1", observer=True, extends=extends)
    assert len(project.write(tmp_path)) == len(set(project.files()))
    run_module("pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path, site=tmp_path)
    run_module("ruff", "check", "--no-cache", ".", cwd=tmp_path, site=tmp_path)
    run_module("ruff", "format", "--no-cache", "--check", ".", cwd=tmp_path, site=tmp_path)


def test_ruff_has_nothing_to_say_whatever_the_length(tmp_path: Path) -> None:
    for name in ("a", "a" * LONGEST):
        for observer, extends in ((True, "P" * 40), (False, "")):
            folder = tmp_path / f"{len(name)}-{observer}"
            NewProject(PackName.parse(name), "0.1", observer, extends).write(folder)
    run_module("ruff", "check", "--no-cache", ".", cwd=tmp_path, site=tmp_path)
    run_module("ruff", "format", "--no-cache", "--check", ".", cwd=tmp_path, site=tmp_path)


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    written = PLAIN.write(tmp_path)
    assert sorted(written) == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(FlyteHostError) as raised:
        PLAIN.write(tmp_path)
    assert str(raised.value) == (
        f'{tmp_path} holds 4 files already ("a", "b", "c", …), expected a new or empty folder: '
        "nothing is overwritten; --folder names another one"
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "b", "c", "d"]


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FlyteHostError, match="Not a directory, expected a new or empty folder"):
        PLAIN.write(tmp_path / "file")


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(FlyteHostError, match=r"link/pyproject.toml cannot be written: File exists"):
        PLAIN.write(tmp_path / "link")
