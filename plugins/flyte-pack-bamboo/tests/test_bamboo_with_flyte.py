"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from typing import Any

from flyte_pack_bamboo import BambooPack

from tests.support.rest_stand_in import RestStandIn

from .bamboo_stand_in import BUILD, PASSWORD, USER, BambooServer


def test_two_bamboos_side_by_side(
    flyte_server: Any, flyte_run_host: Callable[..., Any], bamboo: BambooServer, served: RestStandIn
) -> None:
    settings = {"url": served.url, "user": USER, "password": PASSWORD}
    other = {"plugin": "bamboo", "labels": {"at": "eu"}, "settings": settings}
    packs = {"bamboo": {"settings": settings}, "eu": other}
    flyte_run_host({"bamboo": BambooPack}, packs=packs)
    assert flyte_server.packs() == ["Bamboo", "Bamboo.at.eu"]
    finished = flyte_server.run("Bamboo", "AddLabel", {"build": BUILD, "label": "good"})
    assert (finished.state, finished.event) == ("SUCCESS", "AddedLabel")
    assert bamboo.labels == {BUILD: ["good"]}
