"""What a run of random requests to both servers, side by side, found: a case for each finding."""

import http.client
from typing import Any

import pytest

YAML = {"Content-Type": "application/x-yaml"}


def exchange(flyte: Any, method: str, path: str, *headers: tuple[str, str]) -> tuple[int, bytes]:
    """Status and body of a request that is sent exactly as written."""
    connection = http.client.HTTPConnection(flyte.host, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def input_of(flyte: Any, step: Any, value: Any, *, body: dict[str, Any] | None = None) -> Any:
    """What the input ``value`` of a step becomes on an event."""
    pack = flyte.pack()
    flyte.flow(step(f"{pack}/E", f"{pack}/c", input=value))
    answer = flyte.call("POST", f"/v1/packs/{pack}/events", json={"event": "E"} | (body or {}))
    assert answer.status_code == 202
    return flyte.take(pack)["input"]


# -- YAML -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{x: 1, y: 2, n: 3}", {"x": 1, "true": 2, "false": 3}),
        ("[y, n, Y, N]", [True, False, True, False]),
        ("[1e3, 1., 5., 1e400, =, <<]", ["1e3", "1.", "5.", "1e400", "=", "<<"]),
        ("[1e+3, .5, 017, 0x1F, 1_000]", [1000, 0.5, 15, 31, 1000]),
        ("[!!binary aGk=, !foo x]", ["hi", "x"]),
        ("{1.0: a, 2.50: b, 1234567.0: c}", {"1": "a", "1.234567e+06": "c", "2.5": "b"}),
        ("{1e+39: a, -.inf: b}", {"-.inf": "b", ".inf": "a"}),
        ("[0x10000000000000000, !!timestamp 2018-02-14]", ["0x10000000000000000", "2018-02-14"]),
        ("{!!merge <<: {a: 1}}", {"a": 1}),
    ],
    ids=["keys", "words", "text", "numbers", "tags", "float keys", "inf", "long", "merge"],
)
def test_yaml_is_resolved_as_in_go(flyte: Any, text: str, value: Any) -> None:
    """POST /v1/flows"""
    name, pack = flyte.name("yaml"), flyte.name("Pack")
    body = (
        f"name: {name}\nsteps: [{{event: {{name: E, packName: {pack}}}, "
        f"command: {{name: c, packName: {pack}, input: {text}}}}}]"
    )
    assert flyte.status("POST", "/v1/flows", data=body, headers=YAML) == 201
    flow = flyte.call("GET", f"/v1/flows/{name}").json()
    assert flow["steps"][0]["command"]["input"] == value


@pytest.mark.parametrize("value", ["!!bool foo", "!!timestamp soon", "!!timestamp 2018-02-30"])
def test_a_tag_that_does_not_fit_its_value(flyte: Any, value: str) -> None:
    """POST /v1/packs"""
    assert flyte.status("POST", "/v1/packs", data=f"name: {value}", headers=YAML) == 400


def test_an_escaped_slash_in_yaml(flyte: Any) -> None:
    """POST /v1/packs"""
    body = f'{{name: {flyte.name("S")}, events: [{{name: "a\\/b"}}]}}'
    expected = flyte.differs(here=201, go=400, why="YAML 1.2 has this escape, as JSON has")
    assert flyte.status("POST", "/v1/packs", data=body, headers=YAML) == expected


# -- what packs send --------------------------------------------------------------------------


def test_nested_keys_in_another_case_are_read(flyte: Any) -> None:
    """POST /v1/packs"""
    body = {
        "NAME": flyte.name("Case"),
        "COMMANDS": [{"Name": "c", "EVENTS": ["e"]}],
        "Events": [{"NAME": "e", "Links": [{"Href": "http://x", "REL": "help"}]}],
        "links": [{"HREF": "http://y", "Rel": "help"}],
    }
    document = flyte.call("POST", "/v1/packs", json=body).json()
    assert (document["commands"][0]["name"], document["commands"][0]["events"]) == ("c", ["e"])
    link = {"href": "http://x", "rel": "help"}
    assert document["events"] == [{"name": "e", "links": [link]}]
    assert document["links"][0] == {"href": "http://y", "rel": "help"}


def test_null_in_lists_of_a_pack_is_an_empty_object(flyte: Any) -> None:
    """POST /v1/packs"""
    body = {"name": flyte.name("Null"), "commands": [None], "events": [None]}
    document = flyte.call("POST", "/v1/packs", json=body).json()
    assert document["commands"][0]["name"] == ""
    assert document["events"] == [{"name": ""}]


def test_a_command_without_events_has_an_empty_list(flyte: Any) -> None:
    """GET /v1/packs/{packId}"""
    pack = flyte.pack(commands=[{"name": "c"}])
    document = flyte.call("GET", f"/v1/packs/{pack}").json()
    assert document["commands"][0]["events"] == []


def test_a_connection_is_kept_after_an_answer_without_a_body(flyte: Any) -> None:
    """POST /v1/packs/{packId}/actions/take"""
    pack = flyte.pack()
    connection = http.client.HTTPConnection(flyte.host, timeout=20)
    for _ in range(3):
        connection.request("POST", f"/v1/packs/{pack}/actions/take")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
        assert connection.sock is not None
    connection.close()


def test_a_rel_that_ends_in_a_newline_is_not_refused(flyte: Any) -> None:
    """POST /v1/packs"""
    body = {"name": flyte.name("Rel"), "links": [{"href": "http://x", "rel": "x/event\n"}]}
    assert flyte.status("POST", "/v1/packs", json=body) == 201


def test_a_newline_at_the_end_of_a_name_is_not_in_the_location(flyte: Any) -> None:
    """POST /v1/packs"""
    name = flyte.name("Line")
    answer = flyte.call("POST", "/v1/packs", json={"name": f"{name}\n"})
    assert answer.headers["Location"] == f"{flyte.url}/v1/packs/{name}"


@pytest.mark.parametrize(
    "part",
    [
        {"receivedAt": 5},
        {"receivedAt": "soon"},
        {"pack": "P"},
        {"pack": {"name": 5}},
        {"pack": {"labels": ["a"]}},
    ],
)
def test_wrong_types_in_an_event(flyte: Any, part: dict[str, Any]) -> None:
    """POST /v1/packs/{packId}/events"""
    pack = flyte.pack()
    body = {"event": "E"} | part
    assert flyte.status("POST", f"/v1/packs/{pack}/events", json=body) == 400


@pytest.mark.parametrize("value", [5, "soon"])
def test_wrong_types_in_a_registration(flyte: Any, value: Any) -> None:
    """POST /v1/packs"""
    body = {"name": flyte.name("Seen"), "lastSeen": value}
    assert flyte.status("POST", "/v1/packs", json=body) == 400


@pytest.mark.parametrize("time", ["2018-02-14T3:18:09Z", "2018-02-14T23:18:09+25:00"])
def test_odd_times_of_an_event(flyte: Any, time: str) -> None:
    """POST /v1/packs/{packId}/events"""
    pack = flyte.pack()
    body = {"event": "E", "createdAt": time}
    assert flyte.status("POST", f"/v1/packs/{pack}/events", json=body) == 202


def test_a_template_sees_the_zone_of_an_event(flyte: Any, step: Any) -> None:
    """POST /v1/packs/{packId}/events"""
    body = {"createdAt": "2018-02-14T23:18:09.123456+02:00"}
    seen = input_of(flyte, step, "{{ Event.CreatedAt }}", body=body)
    assert seen == "2018-02-14 23:18:09.123456 +0200 +0200"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ Event.CreatedAt }}", "2018-02-14 23:18:09.123456789 +0200 +0200"),
        ("{{ Event.CreatedAt.UTC }}", "2018-02-14 21:18:09.123456789 +0000 UTC"),
        ("{{ Event.CreatedAt|date:'05.000000000 Z07:00' }}", "09.123456789 +02:00"),
        ("{{ Event.CreatedAt.Nanosecond }}", "123456789"),
        ("{{ Event.CreatedAt.UnixNano }}", "1518643089123456789"),
        ("{{ Event.CreatedAt.AddDate(0, 1, 0) }}", "2018-03-14 23:18:09.123456789 +0200 +0200"),
        ("{{ Event.CreatedAt.Equal(Event.CreatedAt.UTC) }}", "True"),
        ("{{ Event.CreatedAt.Sub(Event.CreatedAt.UTC) }}", "0"),
    ],
)
def test_a_template_sees_nanoseconds(flyte: Any, step: Any, template: str, expected: str) -> None:
    """POST /v1/packs/{packId}/events"""
    body = {"createdAt": "2018-02-14T23:18:09.123456789+02:00"}
    assert input_of(flyte, step, template, body=body) == expected


def test_a_number_that_no_float_holds(flyte: Any) -> None:
    """POST /v1/packs"""
    body = f'{{"name": "{flyte.name("Huge")}", "unknown": 1e999}}'
    expected = flyte.differs(here=400, go=201, why="a document is read before its keys are known")
    assert flyte.status("POST", "/v1/packs", data=body) == expected


@pytest.mark.parametrize("key", ["$where", "a\x00b"])
def test_keys_that_mongodb_refuses(flyte: Any, step: Any, key: str) -> None:
    """POST /v1/flows"""
    pack = flyte.pack()
    steps = [step(f"{pack}/E", f"{pack}/c", input={key: 1})]
    expected = flyte.differs(here=201, go=500, why="our store takes any key")
    body = {"name": flyte.name("dollar"), "steps": steps}
    assert flyte.status("POST", "/v1/flows", json=body) == expected


# -- flows ------------------------------------------------------------------------------------


def test_a_flow_that_is_followed_by_text(flyte: Any) -> None:
    """POST /v1/flows"""
    body = f'{{"name": "{flyte.name("tail")}", "steps": []}} x'
    assert flyte.status("POST", "/v1/flows", data=body) == 400
    pack = f'{{"name": "{flyte.name("Tail")}"}} x'
    assert flyte.status("POST", "/v1/packs", data=pack) == 201


def test_required_keys_of_a_flow_in_another_case(flyte: Any) -> None:
    """POST /v1/flows"""
    expected = flyte.differs(here=400, go=500, why="it is the author's mistake")
    body = {"name": flyte.name("case"), "STEPS": []}
    assert flyte.status("POST", "/v1/flows", json=body) == expected


def test_optional_keys_of_a_flow_in_another_case(flyte: Any, step: Any) -> None:
    """POST /v1/flows"""
    pack = flyte.pack()
    name = flyte.flow(step(f"{pack}/E", f"{pack}/c") | {"ID": "a", "CONTEXT": {"k": "v"}})
    [shown] = flyte.call("GET", f"/v1/flows/{name}").json()["steps"]
    assert (shown["id"], shown["context"]) == ("a", {"k": "v"})


@pytest.mark.parametrize("name", ["a/b", ""])
def test_a_flow_that_no_path_leads_to(flyte: Any, name: str) -> None:
    """POST /v1/flows"""
    expected = flyte.differs(here=400, go=201, why="nobody could read or delete it")
    assert flyte.status("POST", "/v1/flows", json={"name": name, "steps": []}) == expected


# -- datastore and audit ----------------------------------------------------------------------


def test_a_file_without_a_name_before_one_with_a_name(flyte: Any) -> None:
    """PUT /v1/datastore/{key}"""
    key = flyte.name("two")
    part = 'Content-Disposition: form-data; name="value"; filename="{}"\r\n\r\n{}\r\n'
    body = f"--B\r\n{part.format('', 'first')}--B\r\n{part.format('x', 'second')}--B--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    answer = flyte.call("PUT", f"/v1/datastore/{key}", data=body, headers=headers)
    assert answer.status_code == 201
    assert flyte.call("GET", f"/v1/datastore/{key}").text == "second"


@pytest.mark.parametrize("query", ["limit=%2B1", "limit=2147483648", "start=%2B0"])
def test_numbers_of_the_audit(flyte: Any, query: str) -> None:
    """GET /v1/audit/flows"""
    assert flyte.status("GET", f"/v1/audit/flows?flowName=none&{query}") == 200


@pytest.mark.parametrize("query", ["actionName=c%", "actionName=c;d"])
def test_a_broken_query_drops_its_parameter(flyte: Any, step: Any, query: str) -> None:
    """POST /v1/packs/{packId}/actions/take"""
    pack = flyte.pack()
    flyte.flow(step(f"{pack}/E", f"{pack}/c"))
    flyte.event(pack, "E")
    flyte.taken(pack)
    flyte.event(pack, "E")

    def status() -> int | None:
        path = f"/v1/packs/{pack}/actions/take?{query}"
        found, _ = exchange(flyte, "POST", path, ("Host", flyte.host), ("Content-Length", "0"))
        return found if found == 200 else None

    assert flyte.until(status) == 200


# -- paths and methods ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/packs", "/v1/flows", "/v1/datastore", "/v1/audit/flows"]
)
def test_head_of_links_and_lists(flyte: Any, path: str) -> None:
    """GET /v1"""
    dropped = "the connection was dropped"
    expected = flyte.differs(here=200, go=dropped, why="a request must not break the server")
    assert flyte.status("HEAD", path) == expected


def test_head_of_other_pages(flyte: Any) -> None:
    """GET /health"""
    assert flyte.status("HEAD", "/health") == 200
    expected = flyte.differs(here=200, go=405, why="HEAD follows GET")
    assert flyte.status("HEAD", "/v1/swagger") == expected


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [("GET", "/nope", 404, "Not Found"), ("PATCH", "/v1/packs", 405, "Method Not Allowed")],
)
def test_errors_of_the_router(flyte: Any, method: str, path: str, status: int, text: str) -> None:
    """GET /v1"""
    answer = flyte.call(method, path)
    assert answer.status_code == status
    expected = flyte.differs(here="{", go=text[:1], why="an error has a JSON body")
    assert answer.text[:1] == expected


@pytest.mark.parametrize(
    ("method", "here", "go"), [("OPTIONS", 404, 200), ("PATCH", 404, 405)], ids=["options", "patch"]
)
def test_methods_of_an_unknown_path(flyte: Any, method: str, here: int, go: int) -> None:
    """GET /v1"""
    expected = flyte.differs(here=here, go=go, why="there is nothing that could have a method")
    assert flyte.status(method, "/nope") == expected


def test_options_of_a_path(flyte: Any) -> None:
    """GET /v1/packs"""
    answer = flyte.call("OPTIONS", "/v1/packs")
    assert answer.status_code == 200
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


def test_a_request_without_a_host(flyte: Any) -> None:
    """GET /v1"""
    assert exchange(flyte, "GET", "/v1")[0] == 400


@pytest.mark.parametrize(("path", "here", "go"), [("//", 404, 404), ("/v1/packs/%zz", 404, 400)])
def test_paths_that_are_not_plain(flyte: Any, path: str, here: int, go: int) -> None:
    """GET /v1/packs/{packId}"""
    expected = flyte.differs(here=here, go=go, why="the web server reads paths before the API")
    assert exchange(flyte, "GET", path, ("Host", flyte.host))[0] == expected
