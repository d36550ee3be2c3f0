"""Sections 1 to 3, what is said in passing: prefixes, spaces, rels, times, names, races."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

Step = Callable[..., dict[str, Any]]


def test_the_path_prefix_of_a_proxy_is_not_known(flyte: Any) -> None:
    """1. Links: a path prefix added by a proxy is not known"""
    headers = {"X-Forwarded-Prefix": "/flyte", "X-Script-Name": "/flyte"}
    document = flyte.call("GET", "/v1", headers=headers).json()
    assert document["links"][0]["href"] == f"{flyte.url}/v1"


def test_the_health_link_is_found_by_its_suffix(flyte: Any) -> None:
    """1. Rels that clients match by suffix"""
    pack = flyte.pack()
    documents = [flyte.call("GET", path).json() for path in ("/v1", f"/v1/packs/{pack}")]
    rels = [link["rel"] for document in documents for link in document["links"]]
    for suffix in ("/swagger#!/pack/listPacks", "/swagger#!/info/health"):
        assert [rel for rel in rels if rel.endswith(suffix)] == [f"{flyte.url}{suffix}"]
    for suffix in ("/swagger#!/action/takeAction", "/swagger#/event"):
        assert [rel for rel in rels if rel.endswith(suffix)] == [f"{flyte.url}{suffix}"]


def test_a_label_value_with_a_space(flyte: Any) -> None:
    """1. Links: a label value with a space gives an href with a space"""
    name = flyte.name("Label")
    answer = flyte.call("POST", "/v1/packs", json={"name": name, "labels": {"team": "a b"}})
    this = f"{flyte.url}/v1/packs/{name}.team.a b"
    assert answer.headers["Location"] == this
    assert answer.json()["links"][0]["href"] == this
    path = f"/v1/packs/{name}.team.a%20b/actions/take"
    assert flyte.status("POST", path) == 204


@pytest.mark.parametrize("rel", ["self", "up", "x/event"])
def test_rels_of_commands_and_events_are_not_looked_at(flyte: Any, rel: str) -> None:
    """1. Pack document: nothing is validated except link rels at pack level"""
    links = [{"href": "http://x", "rel": rel}]
    pack = flyte.pack(
        commands=[{"name": "c", "events": [], "links": links}],
        events=[{"name": "E", "links": links}],
    )
    assert flyte.call("GET", f"/v1/packs/{pack}").json()["events"] == [
        {"name": "E", "links": links}
    ]


@pytest.mark.parametrize("created", [None, "0001-01-01T00:00:00Z"])
def test_without_created_at_it_is_the_time_of_arrival(
    flyte: Any, step: Step, created: str | None
) -> None:
    """1. Event body: createdAt absent or zero → set to receivedAt"""
    pack = flyte.pack()
    flow = flyte.flow(step(f"{pack}/Go", f"{pack}/c", id="s"))
    body = {"event": "Go"} | ({"createdAt": created} if created else {})
    assert flyte.status("POST", f"/v1/packs/{pack}/events", json=body) == 202
    flyte.take(pack)
    trigger = flyte.executions(flow)[0]["actions"]["s"]["trigger"]
    assert trigger["createdAt"] == trigger["receivedAt"]
    assert not trigger["createdAt"].startswith("0001")


@pytest.mark.parametrize("key", ["a.b", "$set", "a\x00b"])
def test_keys_that_a_store_may_refuse(flyte: Any, step: Step, key: str) -> None:
    """1. Event body: keys with `.` or a leading `$`, NUL characters can be refused by the store"""
    pack = flyte.pack()
    flyte.flow(step(f"{pack}/Go", f"{pack}/c", input="came"))
    flyte.event(pack, "Go", {key: 1})
    if flyte.is_ours:
        assert flyte.take(pack)["input"] == "came"


def test_two_takers_of_one_action(flyte: Any, step: Step) -> None:
    """1. take: 500 incl. lost race"""
    pack = flyte.pack()
    flyte.flow(step(f"{pack}/Go", f"{pack}/c"))
    lost = flyte.differs(here={204}, go={204, 500}, why="a take is one transaction")

    def take(_: int) -> int | str:
        status: int | str = flyte.status("POST", f"/v1/packs/{pack}/actions/take")
        return status

    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            flyte.event(pack, "Go")
            codes: list[int | str] = []
            while 200 not in codes:
                codes += pool.map(take, range(4))
            assert codes.count(200) == 1
            assert set(codes) - {200} <= lost


def test_a_filter_by_a_label_value_with_a_colon(flyte: Any, step: Step) -> None:
    """GET /v1/audit/flows: values containing `:` are dropped (Go)"""
    pack = flyte.pack()
    body = step(f"{pack}/Go", f"{pack}/c", id="s")
    body["command"]["packLabels"] = {"url": "http://x"}
    flow = flyte.flow(body)
    flyte.event(pack, "Go")
    flyte.until(lambda: flyte.executions(flow))
    assert len(flyte.executions(flow, "&actionPackLabels=url:http://x")) == 1
    assert len(flyte.executions(flow, "&actionPackLabels=url:http://y")) == flyte.differs(
        here=0, go=1, why="URLs have colons, and a filter that is ignored shows what was not asked"
    )


def test_nothing_has_to_be_there_for_a_flow(flyte: Any, step: Step) -> None:
    """3. No check that pack, command or event exists"""
    name = flyte.flow(step("NoSuchPack/NoSuchEvent", "NeitherThis/norThat"))
    assert flyte.status("GET", f"/v1/flows/{name}") == 200


@pytest.mark.parametrize("field", ["name", "description"])
def test_a_text_of_two_lines(flyte: Any, field: str) -> None:
    """3. Schema check: a multi-line description is refused"""
    body = {"name": flyte.name("two"), "steps": []} | {field: "a\nb"}
    assert flyte.status("POST", "/v1/flows", json=body) == flyte.differs(
        here=400, go=500, why="a bad flow is its author's mistake, not the server's"
    )


def test_context_fails_before_criteria_turn_down(flyte: Any, step: Step) -> None:
    """3. Context errors hit even events that criteria would have rejected"""
    pack = flyte.pack()
    broken = {"context": {"x": "{{ datastore('no such item') }}"}, "criteria": "false"}
    flow = flyte.flow(step(f"{pack}/Go", f"{pack}/c", id="s", **broken))
    flyte.event(pack, "Go")
    flyte.quiet(pack)
    skipped = [each["skipped"] for each in flyte.executions(flow)]
    assert len(skipped) == flyte.differs(here=1, go=0, why="a step that fails should be seen")


def test_a_fatal_that_nobody_hears_ends_a_flow(flyte: Any, step: Step) -> None:
    """3. Most flows do not listen to FATAL, so it usually ends a flow silently"""
    pack = flyte.pack()
    flow = flyte.flow(
        step(f"{pack}/Go", f"{pack}/one", id="a"),
        step(f"{pack}/Done", f"{pack}/two", id="b", dependsOn=["a"]),
    )
    flyte.event(pack, "Go")
    flyte.finish(flyte.take(pack), "FATAL", "why")
    flyte.quiet(pack)
    assert list(flyte.executions(flow)[0]["actions"]) == ["a"]


def test_a_step_whose_criteria_failed_may_run_later(flyte: Any, step: Step) -> None:
    """3. Candidates: that have no action yet in this execution"""
    pack = flyte.pack()
    flyte.flow(
        step(f"{pack}/Go", f"{pack}/a", id="a"),
        step(f"{pack}/Go", f"{pack}/b", id="b"),
        step(
            f"{pack}/Done",
            f"{pack}/c",
            id="c",
            dependsOn=["a", "b"],
            criteria="{{ Event.Payload == 'yes' }}",
        ),
    )
    flyte.event(pack, "Go")
    first, second = flyte.take(pack), flyte.take(pack)
    flyte.finish(first, "Done", "no")
    flyte.quiet(pack)
    flyte.finish(second, "Done", "yes")
    assert flyte.take(pack)["command"] == "c"
