"""Section 1, packs: registration, listing, deletion."""

from typing import Any

import pytest


def test_register(flyte: Any) -> None:
    """POST /v1/packs"""
    name = flyte.name("Bench")
    help_link = {"href": "http://127.0.0.1/help", "rel": "help"}
    answer = flyte.call(
        "POST",
        "/v1/packs",
        json={
            "name": name,
            "labels": {"zone": "b", "env": "a.b"},
            "events": [{"name": "Echoed", "links": [help_link]}, {"name": "Other"}],
            "commands": [{"name": "echo", "events": ["Echoed"], "links": [help_link]}],
            "links": [help_link],
        },
    )
    this = f"{flyte.url}/v1/packs/{name}.env.a.b.zone.b"
    take_rel = f"{flyte.url}/swagger#!/action/takeAction"
    assert answer.status_code == 201
    assert answer.headers["Location"] == this
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    document = answer.json()
    assert document.pop("lastSeen").endswith("Z")
    assert document == {
        "id": f"{name}.env.a.b.zone.b",
        "name": name,
        "labels": {"env": "a.b", "zone": "b"},
        "commands": [
            {
                "name": "echo",
                "events": ["Echoed"],
                "links": [{"href": f"{this}/actions/take?commandName=echo", "rel": take_rel}],
            }
        ],
        "events": [{"name": "Echoed", "links": [help_link]}, {"name": "Other"}],
        "links": [
            help_link,
            {"href": this, "rel": "self"},
            {"href": f"{flyte.url}/v1/packs", "rel": "up"},
            {"href": f"{this}/actions/take", "rel": take_rel},
            {"href": f"{this}/events", "rel": f"{flyte.url}/swagger#/event"},
        ],
        "status": "live",
    }


def test_keys_come_in_the_order_of_the_go_server(flyte: Any) -> None:
    """POST /v1/packs"""
    body = {"name": flyte.name("O"), "labels": {"a": "b"}, "commands": [{"name": "c"}]}
    document = flyte.call("POST", "/v1/packs", json=body).json()
    assert list(document) == ["id", "name", "labels", "commands", "lastSeen", "links", "status"]
    assert document["commands"][0]["events"] is None


def test_empty_parts_are_left_out(flyte: Any) -> None:
    """POST /v1/packs"""
    body = {"name": flyte.name("E"), "labels": {}, "commands": [], "events": None}
    answer = flyte.call("POST", "/v1/packs", json=body)
    assert answer.status_code == 201
    assert list(answer.json()) == ["id", "name", "lastSeen", "links", "status"]


@pytest.mark.parametrize("body", [{}, {"name": "a/b"}, {"name": "a", "labels": {"k": "b/c"}}])
def test_a_pack_that_no_path_leads_to(flyte: Any, body: dict[str, Any]) -> None:
    """POST /v1/packs"""
    expected = flyte.differs(here=400, go=201, why="it could never take an action")
    assert flyte.status("POST", "/v1/packs", json=body) == expected


@pytest.mark.parametrize(
    "rel",
    ["self", "up", "support", "startup", "myself", "x/event", "/takeAction", "a/actionResult"],
)
def test_forbidden_rels(flyte: Any, rel: str) -> None:
    """POST /v1/packs: 400 forbidden link rel"""
    body = {"name": flyte.name("X"), "links": [{"href": "http://x", "rel": rel}]}
    assert flyte.status("POST", "/v1/packs", json=body) == 400


@pytest.mark.parametrize("rel", ["help", "myevent", "", "event/x"])
def test_allowed_rels_come_first(flyte: Any, rel: str) -> None:
    """POST /v1/packs: own links first"""
    body = {"name": flyte.name("Ev"), "links": [{"href": "http://x/mine", "rel": rel}]}
    answer = flyte.call("POST", "/v1/packs", json=body)
    assert answer.status_code == 201
    expected = {"href": "http://x/mine"} | ({"rel": rel} if rel else {})
    assert answer.json()["links"][0] == expected


@pytest.mark.parametrize(
    "body",
    ["", '{"name":', "[1]", '"text"', '{"name": 5}', '{"labels": {"a": 1}}', '{"commands": {}}'],
)
def test_register_bad_body(flyte: Any, body: str) -> None:
    """POST /v1/packs: 400 bad JSON"""
    assert flyte.status("POST", "/v1/packs", data=body) == 400


def test_register_yaml(flyte: Any) -> None:
    """Request bodies: YAML only if Content-Type is exactly that"""
    name = flyte.name("Y")
    for content_type, status in (
        ("application/x-yaml", 201),
        ("application/x-yaml; charset=utf-8", 400),
        ("text/yaml", 400),
    ):
        answer = flyte.status(
            "POST", "/v1/packs", data=f"name: {name}", headers={"Content-Type": content_type}
        )
        assert answer == status
    bad = {"data": "name: [", "headers": {"Content-Type": "application/x-yaml"}}
    assert flyte.status("POST", "/v1/packs", **bad) == 400


def test_json_is_read_whatever_the_content_type(flyte: Any) -> None:
    """Request bodies: JSON whatever the Content-Type"""
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    body = f'{{"name": "{flyte.name("T")}"}}'
    assert flyte.status("POST", "/v1/packs", data=body, headers=headers) == 201


@pytest.mark.parametrize("name", ["My Pack", "naïve", "50%off", "q?#"])
def test_odd_names_are_not_encoded(flyte: Any, name: str) -> None:
    """Links: nothing is URL-escaped"""
    name = flyte.name(name)
    answer = flyte.call("POST", "/v1/packs", json={"name": name})
    location = answer.headers["Location"].encode("latin-1").decode()
    assert location == f"{flyte.url}/v1/packs/{name}"
    assert answer.json()["links"][0]["href"] == f"{flyte.url}/v1/packs/{name}"


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("My Pack", "My%20Pack", 204),
        ("naïve", "na%C3%AFve", 204),
        ("50%off", "50%25off", 204),
    ],
)
def test_take_of_an_odd_name(flyte: Any, name: str, path: str, status: int) -> None:
    """POST /v1/packs/{packId}/actions/take: odd names"""
    flyte.pack(name)
    assert flyte.status("POST", f"/v1/packs/{path}/actions/take") == status


def test_register_again_replaces(flyte: Any) -> None:
    """POST /v1/packs: upsert"""
    name = flyte.name("Again")
    flyte.pack(name, commands=[{"name": "old", "events": []}])
    pack = flyte.pack(name, events=[{"name": "New"}])
    document = flyte.call("GET", f"/v1/packs/{pack}").json()
    assert "commands" not in document
    assert document["events"] == [{"name": "New"}]


def test_list(flyte: Any) -> None:
    """GET /v1/packs"""
    prefix = flyte.name("List")
    for name in ("b", "a"):
        flyte.pack(prefix + name, labels={"k": "v"}, commands=[{"name": "c", "events": []}])
    answer = flyte.call("GET", "/v1/packs").json()
    mine = [pack for pack in answer["packs"] if pack["name"].startswith(prefix)]
    assert [pack["name"] for pack in mine] == [prefix + "a", prefix + "b"]
    assert list(mine[0]) == ["id", "name", "labels", "lastSeen", "links", "status"]
    href = f"{flyte.url}/v1/packs/{prefix}a.k.v"
    assert mine[0]["links"] == [{"href": href, "rel": "self"}]
    assert [link["rel"] for link in answer["links"]] == ["self", "up", "help"]


def test_get(flyte: Any) -> None:
    """GET /v1/packs/{packId}"""
    pack = flyte.pack(commands=[{"name": "echo", "events": ["Echoed"]}])
    document = flyte.call("GET", f"/v1/packs/{pack}").json()
    assert document["commands"][0]["links"][0]["href"].endswith("/actions/take?commandName=echo")
    assert flyte.status("GET", "/v1/packs/Nobody") == 404


def test_delete(flyte: Any) -> None:
    """DELETE /v1/packs/{packId}"""
    pack = flyte.pack()
    assert flyte.status("DELETE", f"/v1/packs/{pack}") == 204
    assert flyte.status("DELETE", f"/v1/packs/{pack}") == 404
    assert flyte.status("POST", f"/v1/packs/{pack}/actions/take") == 404


@pytest.mark.parametrize("path", ["events", "actions/take"])
def test_last_seen_moves(flyte: Any, path: str) -> None:
    """lastSeen moves on registration, take, event, result"""
    pack = flyte.pack()
    before = flyte.call("GET", f"/v1/packs/{pack}").json()["lastSeen"]

    def moved() -> bool:
        flyte.call("POST", f"/v1/packs/{pack}/{path}", data="{}")
        return bool(flyte.call("GET", f"/v1/packs/{pack}").json()["lastSeen"] != before)

    assert flyte.until(moved)
