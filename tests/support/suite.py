"""Settings for every test of this repository, including those of the packs: a plugin of pytest."""

import gc
import re
from collections import OrderedDict
from collections.abc import Generator, Mapping
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

Group = dict[str, bool]
"""Its tests by their ids, and whether each has run."""

pytest_plugins = ["tests.support.orphans", "tests.support.pack_call", "tests.support.postgres"]

# A busy machine takes long over an example, and over making one up.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


class SharedScheduling(LoadGroupScheduling):  # type: ignore[misc]
    """Tests that share something run in one process, which makes it only once.

    Those are the cases of a function, and the modules of one ``xdist_group``. xdist would read the
    mark from the id of a test, into which pytest 9.2 no longer lets it write.
    """

    workqueue: OrderedDict[str, Group]

    def schedule(self) -> None:
        super().schedule()
        self.workqueue = mixed(self.workqueue)

    def _split_scope(self, nodeid: str) -> str:
        path, _, _ = nodeid.partition("::")
        return group_of(self.config.rootpath / path) or nodeid.partition("[")[0]


def mixed(groups: Mapping[str, Group]) -> OrderedDict[str, Group]:
    """The same groups in another order: those of one test evenly among the others.

    xdist begins with the largest, and those mostly compute, while single tests mostly wait. One
    kind after the other, processors would be too few at first and idle later.
    """
    several = [name for name, group in groups.items() if len(group) > 1]
    single = [name for name, group in groups.items() if len(group) == 1]
    place = {name: n / len(kind) for kind in (several, single) for n, name in enumerate(kind)}
    return OrderedDict((name, groups[name]) for name in sorted(place, key=place.__getitem__))


@cache
def group_of(module: Path) -> str:
    """The name in the ``xdist_group`` of a module, if it has one."""
    mark = r'^[^#\n]*mark\.xdist_group\("([\w ]+)"\)'
    found = re.search(mark, module.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedScheduling | None:
    return SharedScheduling(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage only among what tests make: what is collected stays until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _children_of_few_plugins() -> Generator[None]:
    """A pytest that a test starts has the host's plugin alone, as in most environments of packs.

    To import all that this suite uses takes it four times as long as to run the tests of a pack.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.setenv("PYTEST_PLUGINS", "flyte_host.testing.plugin")
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured text: a worker of xdist dies of sending one."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report
