"""Tests of one group run in one process, whatever the versions of pytest and xdist."""

from pathlib import Path

import pytest

from tests.support.suite import group_of, mixed

pytestmark = pytest.mark.xdist_group("suite")


@pytest.fixture
def workers(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str, worker_id: str) -> set[str]:
    """Those that have run a test of this module so far."""
    folder = tmp_path_factory.getbasetemp().parent / f"workers-{testrun_uid}"
    folder.mkdir(exist_ok=True)
    (folder / worker_id).touch()
    return {each.name for each in folder.iterdir()}


@pytest.mark.parametrize("_number", range(6))
def test_cases_run_in_one_process(workers: set[str], worker_id: str, _number: int) -> None:
    assert workers == {worker_id}


def test_a_module_runs_in_one_process(workers: set[str], worker_id: str) -> None:
    assert workers == {worker_id}


def test_another_of_the_module_runs_there_too(workers: set[str], worker_id: str) -> None:
    assert workers == {worker_id}


def test_a_group_is_read_from_its_module(tmp_path: Path) -> None:
    module = tmp_path / "test_it.py"
    module.write_text('pytestmark = pytest.mark.xdist_group("one")\n')
    assert group_of(module) == "one"
    other = tmp_path / "test_other.py"
    other.write_text('# not pytest.mark.xdist_group("one")\n')
    assert group_of(other) == ""


def test_single_tests_come_evenly_among_larger_groups() -> None:
    sizes = {"a": 3, "b": 2, "c": 2, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1, "i": 1}
    groups = {name: {f"{name}{n}": False for n in range(size)} for name, size in sizes.items()}
    order = mixed(groups)
    assert "".join(order) == "adebfgchi"
    assert order == groups


def test_groups_of_one_kind_keep_their_order() -> None:
    for size in (1, 2):
        groups = {name: {str(n): False for n in range(size)} for name in "bac"}
        assert [*mixed(groups)] == ["b", "a", "c"]
    assert mixed({}) == {}
