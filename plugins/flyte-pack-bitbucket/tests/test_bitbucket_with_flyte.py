"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from typing import Any

from flyte_pack_bitbucket import BitBucketPack

from tests.support.rest_stand_in import RestStandIn

from .bitbucket_stand_in import PASSWORD, USER, BitBucket


def test_two_bitbuckets_side_by_side(
    flyte_server: Any,
    flyte_run_host: Callable[..., Any],
    bitbucket: BitBucket,
    served: RestStandIn,
) -> None:
    settings = {"url": served.url, "user": USER, "password": PASSWORD}
    other = {"plugin": "bitbucket", "labels": {"at": "eu"}, "settings": settings}
    packs = {"bitbucket": {"settings": settings}, "eu": other}
    flyte_run_host({"bitbucket": BitBucketPack}, packs=packs)
    assert flyte_server.packs() == ["BitBucket", "BitBucket.at.eu"]
    finished = flyte_server.run("BitBucket", "createRepo", {"project": "FOO", "name": "new"})
    assert (finished.state, finished.event) == ("SUCCESS", "createRepo")
    assert bitbucket.projects["FOO"] == ["old", "new"]
