"""docs/reference/health-pages.md shows the answers of a running host."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from flyte_host import Health, HealthCheck, PackDef, hookimpl
from flyte_host.testing.running_host import RunningHost
from tests.support.blocks import ROOT, blocks_of, read

PAGE = ROOT / "docs" / "reference" / "health-pages.md"
SHOWN = {
    each.attributes["page"]: json.loads(each.text)
    for each in blocks_of(PAGE)
    if "page" in each.attributes
}


class DiskPack:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Disk")

    @hookimpl
    def flyte_health_checks(self) -> list[HealthCheck]:
        return [HealthCheck("disk", lambda: Health(True, "/: 61.2 % free"))]


@pytest.fixture
def host(flyte_run_host: Callable[..., RunningHost]) -> RunningHost:
    return flyte_run_host({"disk": DiskPack})


def test_the_page_shows_every_page(host: RunningHost) -> None:
    assert SHOWN.keys() == {"/", "/packs/disk", "/live", "/ready"}
    status, document = host.page("/no-such-page")
    assert status == 404
    table = read(PAGE).split("\n\n")[2]
    for page in document["pages"]:
        assert f"| `{page}` |" in table


@pytest.mark.parametrize("page", SHOWN)
def test_a_document_is_as_shown(host: RunningHost, page: str) -> None:
    status, document = host.page(page)
    assert status == 200
    assert without_ages(document) == without_ages(SHOWN[page])


def without_ages(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_ages(each) for name, each in value.items() if name != "age_seconds"}
    return value


def test_the_lines_of_ready(host: RunningHost) -> None:
    _, document = host.page("/ready")
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|", read(PAGE), re.MULTILINE)
    shown = [(name, each["critical"]) for name, each in document["checks"].items()]
    of_embedded = [("store", False), ("unserved", False)]
    assert [(name, critical == "yes") for name, critical in rows] == shown + of_embedded


def test_without_checks_there_is_the_default(flyte_run_host: Callable[..., RunningHost]) -> None:
    class Bare:
        @hookimpl
        def flyte_pack(self) -> PackDef:
            return PackDef("Bare")

    status, document = flyte_run_host({"bare": Bare}).page("/")
    page = ROOT / "docs" / "how-to" / "replace-go-packs.md"
    [shown] = [json.loads(each.text) for each in blocks_of(page) if each.language == "json"]
    assert (status, document) == (200, shown)
