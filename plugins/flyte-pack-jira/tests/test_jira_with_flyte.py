"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from typing import Any

from flyte_pack_jira import JiraPack

from .jira_stand_in import PASSWORD, USER, Jira

CREATE_AND_COMMENT = """
name: create and comment
steps:
  - id: create
    event:
      packName: Jira
      name: SearchFailure
    command:
      packName: Jira
      name: CreateIssue
      input:
        project: FOO
        issuetype: Bug
        summary: "search failed: {{ Event.Payload.error }}"
  - id: comment
    dependsOn: [create]
    event:
      packName: Jira
      name: CreateIssue
    command:
      packName: Jira
      name: CommentIssue
      input:
        id: "{{ Event.Payload.id }}"
        comment: "see {{ Event.Payload.url }}"
"""


def test_a_flow_of_three_commands(
    flyte_server: Any, flyte_run_host: Callable[..., Any], jira: Jira
) -> None:
    settings = {"url": jira.url, "user": USER, "password": PASSWORD}
    flyte_run_host({"jira": JiraPack}, packs={"jira": {"settings": settings}})
    flyte_server.put_flow(CREATE_AND_COMMENT)
    finished = flyte_server.run("Jira", "SearchIssues", {"query": ""})
    assert (finished.state, finished.event) == ("SUCCESS", "SearchFailure")
    payload = flyte_server.wait_for_event("Jira", "Comment")
    assert payload == {"id": "FOO-1", "comment": f"see {jira.url}/browse/FOO-1"}
    assert jira.issues["FOO-1"]["fields"]["summary"] == "search failed: Empty query string"
    assert jira.comments == {"FOO-1": [payload["comment"]]}


def test_bad_input_of_a_search_is_fatal_in_flyte(
    flyte_server: Any, flyte_run_host: Callable[..., Any], jira: Jira
) -> None:
    settings = {"url": jira.url, "user": USER, "password": PASSWORD}
    host = flyte_run_host({"jira": JiraPack}, packs={"jira": {"settings": settings}})
    finished = flyte_server.run("Jira", "SearchIssues", {"query": 5})
    assert (finished.state, finished.event, finished.payload) == ("FATAL", "FATAL", {})
    assert host.page("/")[1]["jira"] == {"healthy": True, "status": f"{jira.url} knows {USER}"}
