"""Which packs follow which, and what that is worth to flows that walk from pack to pack."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_host.pipeline.schedule.followers import (
    KEPT,
    SOURCES,
    UNFOLLOWED,
    WINDOW_SECONDS,
    Followers,
)
from flyte_host.pipeline.schedule.poll_rules import EXTRA_POLLS_BURST, EXTRA_POLLS_PER_SECOND
from tests.support.flow_walk import FlowWalk


def learned(*found: str, source: str = "a") -> Followers:
    followers = Followers()
    for pack_key in found:
        followers.accept(source, 0.0)
        followers.find(pack_key, 1.0)
    return followers


def test_finds_after_a_result_make_followers_the_likeliest_first() -> None:
    assert learned("b", "c", "c").likely("a") == ["c", "b"]


def test_find_long_after_a_result_has_another_reason() -> None:
    followers = Followers()
    followers.accept("a", 0.0)
    followers.find("b", WINDOW_SECONDS + 1)
    assert followers.likely("a") == []


def test_known_reason_of_a_find_is_its_only_one() -> None:
    followers = learned("c", source="b")
    followers.accept("a", 0.0)
    followers.find("c", 1.0)
    assert followers.likely("a") == []


def test_wrong_reason_is_forgotten() -> None:
    """Both may be the reason at first; the later result is whenever both have been accepted."""
    followers = Followers()
    for _ in range(30):
        followers.accept("a", 0.0)
        followers.accept("b", 0.0)
        followers.find("c", 1.0)
    assert (followers.likely("a"), followers.likely("b")) == ([], ["c"])


def test_follower_that_does_not_come_any_longer_is_forgotten() -> None:
    followers = learned("b")
    for _ in range(30):
        followers.miss("b", 1.0)
    assert followers.likely("a") == []


def test_pack_without_followers_is_counted_until_it_has_one() -> None:
    followers = Followers()
    for _ in range(2 * UNFOLLOWED):
        followers.accept("a", 0.0)
    assert followers.unfollowed("a") == UNFOLLOWED
    followers.find("b", 1.0)
    assert followers.unfollowed("a") == 0


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["accept", "find", "miss"]), st.integers(0, 30)), max_size=300
    )
)
def test_table_is_bounded(steps: list[tuple[str, int]]) -> None:
    followers = Followers()
    for now, (name, number) in enumerate(steps):
        getattr(followers, name)(f"p{number}", float(now) / 10)
        for pack in range(31):
            likely = followers.likely(f"p{pack}")
            assert len(likely) <= KEPT
            assert len(set(likely)) == len(likely)
    assert sum(followers.accepted_at(f"p{pack}") >= 0 for pack in range(31)) <= SOURCES


@pytest.mark.parametrize("packs", [5, 20, 100])
def test_flow_over_five_packs_takes_a_moment_once_its_way_is_known(packs: int) -> None:
    walk = FlowWalk(packs, random.Random(1))
    flow = walk.names[:5]
    walk.run([flow] * 30, every_seconds=10.0)
    walk.run([flow] * 100, every_seconds=10.0)
    assert walk.p50 <= 0.1
    assert walk.p99 <= 0.25


def test_the_first_flow_over_unknown_packs_does_not_wait_for_their_polls() -> None:
    """Four hops that wait for polls take 9 s on average."""
    rng = random.Random(1)
    firsts = []
    for _ in range(10):
        walk = FlowWalk(20, rng)
        walk.run([rng.sample(walk.names, 5)], every_seconds=1.0)
        firsts += walk.seconds
    assert sorted(firsts)[5] <= 1.5


def test_flows_do_not_wake_packs_that_do_not_follow() -> None:
    """Each of four hops costs a poll or two, and the end of the flow a last ladder at most."""
    walk = FlowWalk(100, random.Random(1))
    walk.run([walk.names[:5]] * 30, every_seconds=10.0)
    before = walk.schedule.extra_polls
    walk.run([walk.names[:5]] * 100, every_seconds=10.0)
    assert walk.schedule.extra_polls - before <= 12 * 100


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), every=st.floats(0.05, 2.0), packs=st.integers(2, 30))
def test_flows_of_any_kind_end_within_the_budget(seed: int, every: float, packs: int) -> None:
    rng = random.Random(seed)
    walk = FlowWalk(packs, rng)
    began_at = walk.time.hand.seconds
    walk.run([rng.choices(walk.names, k=rng.randint(1, 5)) for _ in range(30)], every)
    seconds = walk.time.hand.seconds - began_at
    allowed = EXTRA_POLLS_BURST + EXTRA_POLLS_PER_SECOND * seconds
    assert walk.schedule.extra_polls <= allowed
