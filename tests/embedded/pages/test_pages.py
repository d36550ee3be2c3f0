"""Pages for browsers: each shows the API's data, and nothing in it becomes markup."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from flyte_host.embedded.pages import page_source
from flyte_host.embedded.pages.pages import PAGE_POLICY
from flyte_host.records.host_view import JournalRecord

EVIL = "<img src=x onerror=alert(1)>"
FORM = "application/x-www-form-urlencoded"
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def show(call: Any) -> Any:
    """The text of a page."""

    def show(path: str, status: int = 200) -> str:
        answer = call("GET", path, headers=HTML)
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Security-Policy"] == PAGE_POLICY
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return str(answer.text)

    return show


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def execution_id(call: Any) -> str:
    return str(call.executions()[0]["correlationId"])


def test_the_entry_is_a_page_for_browsers_only(call: Any, show: Any) -> None:
    assert "<h1>Overview</h1>" in show("/")
    for accept in ("application/json", "*/*", ""):
        assert call("GET", "/", headers={"Accept": accept}).get_json()["links"]
    assert call("GET", "/v1", headers=HTML).get_json()["links"]
    assert call("POST", "/", headers=HTML).status_code == 405


def test_the_overview_warns_of_what_nobody_serves(call: Any, step: Any, show: Any) -> None:
    assert "no pack is registered" not in show("/")
    call.flow(step("Go", "c") | {"command": {"packName": "Shel", "name": "c", "input": 1}})
    call.pack("Shell")
    call.event("Go")
    assert "1 action waits for Shel.c: no pack &#39;Shel&#39; is registered" in show("/")
    call.event("Go")
    assert "2 actions wait for Shel.c" in show("/")
    asked = {"packName": "Shell", "name": "c", "packLabels": {"env": "live"}}
    call.flow(step("Go", "c") | {"command": asked}, name="labelled")
    call.event("Go")
    told = text_of(show("/"))
    assert "1 action waits for Shell.c: no pack &#39;Shell&#39; has the labels env=live" in told
    assert "Shell live" in " ".join(told.split())
    assert "4 in the last hour, at most 4 in a minute" in text_of(show("/"))


def test_executions_are_listed_and_filtered(call: Any, step: Any, show: Any) -> None:
    call.flow(step("Go", "c", id="a"), name="one")
    call.flow(step("Go", "d", id="a"), name="two")
    call.event("Go", {"word": "Ada"})
    call.finish(call.take(), "Done")
    call.event("Hm")
    page = show("/executions")
    assert page.count("<code>") == 2
    assert "Events that no flow waits for" in page
    assert "P.Hm of P" in text_of(page)
    assert show("/executions?flow=one").count("<code>") == 1
    assert show("/executions?state=RUNNING").count("<code>") == 1
    assert show("/executions?text=ada").count("<code>") == 2
    assert show("/executions?text=bob").count("<code>") == 0
    assert show("/executions?pack=Q").count("<code>") == 0
    assert show("/executions?start=1").count("<code>") == 1
    assert show("/executions?start=x").count("<code>") == 2
    assert show(f"/executions?{'a&' * 2000}").count("<code>") == 2


def test_a_long_list_leads_to_earlier_ones(call: Any, step: Any, show: Any) -> None:
    call.flow(step("Go", "c"), name="one")
    for _ in range(60):
        call.event("Go")
    page = show("/executions?flow=one")
    assert page.count("<code>") == 50
    [following] = re.findall(r'href="(/executions\?[^"]*start=[^"]*)"', page)
    earlier = show(following.replace("&amp;", "&"))
    assert earlier.count("<code>") == 10
    assert "Earlier ones" not in earlier


def test_an_execution_says_how_each_step_ended(call: Any, step: Any, show: Any) -> None:
    call.flow(
        step("Go", "c", id="a", context={"who": "Ada"}),
        step("Go", "c", id="b", criteria="{{ Event.Payload == 1 }}"),
        step("Done", "c", id="c", dependsOn=["a"]),
    )
    call.event("Go", 1)
    page = text_of(show(f"/executions/{execution_id(call)}"))
    assert "P.c has waited" in page
    assert "criteria is &#39;False&#39;, where Event.Payload is 1, a float" in page
    assert "depends on a, which has no result" in page
    assert "flyte-host flows test flow.yaml --event event.json" in page
    assert "data-live" in show(f"/executions/{execution_id(call)}")
    call.finish(call.take(), "Done", "fine")
    call.finish(call.take(), "FATAL", "no such disk")
    done = show(f"/executions/{execution_id(call)}")
    assert "P.c → FATAL" in text_of(done)
    assert "no such disk" in done
    assert "data-live" not in done
    shown = re.search(r'id="event-json">(.*?)</pre>', done, re.DOTALL)
    assert shown is not None
    assert json.loads(shown[1].replace("&#34;", '"')) == {"pack": "P", "event": "Go", "payload": 1}


def test_a_flow_is_shown_with_what_is_wrong_in_it(call: Any, step: Any, show: Any) -> None:
    assert "no flow" in show("/flows")
    call.flow(step("Go", "c", id="a") | {"command": {"packName": "Q", "name": "c", "input": 1}})
    call.event("Go", {"n": 1})
    assert 'href="/flows/flow"' in show("/flows")
    page = show("/flows/flow")
    assert "command.packName is &#39;Q&#39;" in page
    assert page.count('class="dot running"') == 1
    assert "&#34;n&#34;: 1" in page  # the last trigger fills the try box


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"pack": "P", "event": "Go", "payload": "x"}, "a runs"),
        ({"pack": "P", "event": "Gone"}, "waits for event &#39;Go&#39;, this is &#39;Gone&#39;"),
        ({"pack": "P"}, "event is None, expected a text"),
        ("{", "is not valid JSON"),
    ],
    ids=["runs", "does not run", "not an event", "not JSON"],
)
def test_a_flow_is_tried_without_a_trace(call: Any, step: Any, event: Any, expected: str) -> None:
    call.flow(step("Go", "c", id="a", context={"x": "{{ 1 }}"}))
    text = event if isinstance(event, str) else json.dumps(event)
    answer = call(
        "POST", "/flows/flow/try", data=urlencode({"event": text}),
        content_type=FORM,
    )  # fmt: skip
    assert answer.status_code == 200
    assert expected in text_of(answer.text) or expected in answer.text
    assert call.executions() == []


def test_what_is_not_there(call: Any, show: Any) -> None:
    for path in ("/executions/x", "/flows/x", "/packs/x", "/datastore/x", "/pages/x.css"):
        assert "Not found" in show(path, 404)
    for path in ("/flows/x/try", "/packs/P/try", "/executions"):
        answer = call(
            "POST", path, data="event=1", content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code == 404, path
    assert call("GET", "/nothing", headers=HTML).get_json()["error"]


def test_packs_and_what_uses_them(call: Any, step: Any, show: Any) -> None:
    call.pack("Q", commands=[{"name": "run", "events": ["Ran"]}, {"name": "no"}],
              events=[{"name": "Ran", "links": [{"href": "http://h.example", "rel": "help"}]}],
              labels={"env": "x"})  # fmt: skip
    call.flow(
        step("Ran", "run", id="a") | {"event": {"packName": "Q", "name": "Ran"}},
        step("Go", "rin", id="b") | {"command": {"packName": "Q", "name": "rin", "input": 1}},
    )
    assert "Q.env.x" in show("/packs")
    page = text_of(show("/packs/Q.env.x"))
    assert "run → Ran" in page
    assert "no → only FATAL" in page
    assert "(help: http://h.example )" in page
    assert "step a: waits for Ran" in page
    assert "step b: runs rin the pack has none with that name" in page


def test_names_with_spaces_are_found_in_their_pack(call: Any, step: Any, show: Any) -> None:
    call.pack("Q", commands=[{"name": "run it", "events": []}], events=[{"name": "All done"}])
    call.flow(
        step("All done", "run it", id="a") | {"event": {"packName": "Q", "name": "All done"}},
        step("Go", "run it", id="b") | {"command": {"packName": "Q", "name": "run it"}},
    )
    page = text_of(show("/packs/Q"))
    assert "step a: waits for All done" in page
    assert "step b: runs run it" in page
    assert "none with that name" not in page


def test_nothing_is_taken_for_markup(call: Any, step: Any, show: Any) -> None:
    call.pack(EVIL, labels={"k": EVIL}, commands=[{"name": EVIL, "events": [EVIL]}],
              events=[{"name": EVIL}])  # fmt: skip
    call.flow(step("Go", EVIL, id=EVIL, context={"k": EVIL}), name=EVIL)
    call.flow(step("Go", EVIL, id=EVIL, criteria="{{ 1 == 2 }}"), name=f"{EVIL}2")
    call.event("Go", EVIL)
    call.event(EVIL, EVIL)
    call.finish(call.take(), EVIL, EVIL)
    call.flow(step("Go", "\x1b[31m\u202e", id="x"), name="controls")
    call.event("Go", "\x1b\u202e")
    call("PUT", "/v1/datastore/k", data={"value": (io.BytesIO(b"x"), "f", "text/html"),
                                         "description": EVIL})  # fmt: skip
    call.flyte.show_host(ShownHost())
    name = quote(EVIL, safe="")
    paths = [
        "/", "/executions", f"/executions?text={name}", "/flows", "/packs", "/datastore",
        "/journal", f"/flows/{name}", f"/packs/{name}.k.{name}", f"/flows/{name}2",
        "/flows/controls",
    ]  # fmt: skip
    paths += [f"/executions/{each['correlationId']}" for each in call.executions()]
    for path in paths:
        page = show(path)
        assert "<img" not in page, path
        assert not re.search("[\x00-\x08\x1b\u202e]", page), path


class ShownHost:
    """A host as pages ask for it."""

    def scrub(self, text: str) -> str:
        return text.replace("tok-en-1", "***")

    def input_schemas(self, pack_id: str) -> Mapping[str, Mapping[str, Any]]:
        schema = {
            "type": "object", "required": ["url", EVIL],
            "properties": {
                "url": {"type": "string", "description": EVIL},
                "tries": {"type": "integer", "default": 3},
                EVIL: {"type": "null"}, "note": {"type": "string"},
            },
        }  # fmt: skip
        return {"run": schema, "any": {}} if pack_id == "Q" else {}

    def entries_of(self, action_ids: Sequence[str]) -> Mapping[str, JournalRecord]:
        return {each: entry(action_id=each, state="parked", attempt=2) for each in action_ids}

    def journal(self) -> Sequence[JournalRecord]:
        return [entry(), entry(name="e2", command="", action_id="", state="waiting", reason="")]


def entry(**fields: Any) -> JournalRecord:
    since = datetime(2026, 11, 23, 21, tzinfo=UTC)
    made = JournalRecord("r12", "key", "run", "6b04", "parked", since, EVIL)
    return replace(made, **fields)


def test_a_page_hides_what_the_host_knows_as_a_secret(call: Any, step: Any, show: Any) -> None:
    call.flow(step("Go", "run", id="a", criteria="{{ Event.Payload.key == 'x' }}"))
    call.flow(step("Go", "run", id="a"), name="g")
    call.event("Go", {"key": "tok-en-1"})
    call.event("Unheard-tok-en-1")
    call.flyte.show_host(ShownHost())
    for path in ("/executions", "/flows/flow", "/flows/g", f"/executions/{execution_id(call)}"):
        page = show(path)
        assert "***" in page, path
        assert "tok-en-1" not in page, path


def test_a_pack_tells_the_input_of_its_commands_where_its_host_is(call: Any, show: Any) -> None:
    call.pack("Q", commands=[{"name": "run"}, {"name": "any"}, {"name": "unknown"}])
    assert "Input of" not in show("/packs/Q")
    call.flyte.show_host(ShownHost())
    page = text_of(show("/packs/Q"))
    assert "url string FATAL" in page
    assert "tries integer 3" in page
    assert "note string left out" in page
    assert "Input of any Field Type Without it Meaning all of it anything -" in page
    assert "Input of unknown" not in page


def test_an_execution_shows_the_entries_of_the_journal(call: Any, step: Any, show: Any) -> None:
    call.flow(step("Go", "run", id="a"))
    call.event("Go")
    path = f"/executions/{execution_id(call)}"
    assert "journal show" not in show(path)
    call.flyte.show_host(ShownHost())
    page = show(path)
    assert '<a href="/journal#r12">journal</a>' in page
    assert "r12 parked since 2026-11-23 21:00:00, begun 2 times; &lt;img" in text_of(page)
    assert "flyte-host journal show r12" in page


def test_the_journal_of_the_host(call: Any, show: Any) -> None:
    assert "This flyte has no host in its process" in show("/journal")
    call.flyte.show_host(ShownHost())
    page = show("/journal")
    assert '<tr id="r12">' in page
    assert "<img" not in page
    assert "e2 waiting key - - 2026-11-23 21:00:00 -" in text_of(page)
    assert "flyte-host journal retry ENTRY" in page
    show("/journal/r12", 404)


def test_a_flow_shows_its_versions(call: Any, step: Any, show: Any) -> None:
    call.flow(step("Go", "old"), name="f")
    call.flow(step("Go", "new"), name="f")
    call.flow(step("Go", "other"), name="g")
    page = show("/flows/f")
    links = re.findall(r'href="(/flows/f\?version=\w+)"', page)
    assert len(links) == 2
    assert "2026-11-23 21:00:00 current" in text_of(page)
    assert "2026-11-23 21:00:00 2026-11-23 21:00:00" in text_of(page)
    assert "name: new" in page
    assert "name: new" in show(links[0])
    old = show(links[1])
    assert "name: old" in old
    assert "name: new" not in old
    show(links[1].replace("/flows/f", "/flows/g"), 404)
    show("/flows/f?version=none", 404)


def test_assets_are_our_own(call: Any) -> None:
    style = call("GET", "/pages/style.css")
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"
    script = call("GET", "/pages/live.js")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    for text in (style.text, script.text):
        assert not re.search(r"https?://|@import", text)


def test_a_page_that_fails_says_so(call: Any, show: Any, caplog: pytest.LogCaptureFixture) -> None:
    call.flyte.close()
    assert "the log says why" in show("/", 500)
    assert "internal error in the page /" in caplog.text


def test_a_search_says_how_far_it_looked(
    call: Any, step: Any, show: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_source, "MOST_SEARCHED", 3)
    call.flow(step("Go", "c", id="a"))
    for number in range(5):
        call.event("Go", number)
    page = show("/executions?state=FATAL")
    assert "These are all among 3 executions" in page
    [following] = re.findall(r'href="(/executions\?[^"]+)">Earlier', page)
    assert "Earlier" not in show(following.replace("&amp;", "&"))
    assert "are all among" not in show("/executions?state=NEW&start=2")
