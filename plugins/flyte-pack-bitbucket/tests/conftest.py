from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flyte_pack_bitbucket import BitBucketPack, BitBucketSettings

from tests.support.rest_stand_in import RestStandIn

from .bitbucket_stand_in import PASSWORD, USER, BitBucket


@pytest.fixture
def bitbucket() -> BitBucket:
    return BitBucket()


@pytest.fixture
def served(bitbucket: BitBucket) -> Iterator[RestStandIn]:
    with RestStandIn(bitbucket.answer) as running:
        bitbucket.url = running.url
        yield running


@pytest.fixture
def make_pack() -> Callable[..., BitBucketPack]:
    def make(url: str, **settings: Any) -> BitBucketPack:
        login = {"user": USER, "password": PASSWORD}
        return BitBucketPack(BitBucketSettings(url, **(login | settings)), {})

    return make


@pytest.fixture
def call(call: Callable[..., Any]) -> Callable[[BitBucketPack, Any], tuple[str, Any]]:
    """Run createRepo and give back the event's name and payload as flows see them."""
    return lambda pack, document: call(pack, "createRepo", document)
