"""The definition, the settings and the health check."""

import pytest
from flyte_pack_jira import JiraPack, JiraSettings

from flyte_host import Health
from tests.support.rest_stand_in import RestReply

from .jira_stand_in import PASSWORD, USER, Jira

COMMANDS = {
    "IssueInfo": ["Info", "InfoFailure"],
    "CreateIssue": ["CreateIssue", "CreateIssueFailure"],
    "CreateIncIssue": ["CreateIncIssue", "CreateIncIssueFailure", "CreateIssueFailure"],
    "CommentIssue": ["Comment", "CommentFailure"],
    "GetTransitions": ["GetTransitions", "GetTransitionsFailure"],
    "Transition": ["Transition", "TransitionFailure"],
    "SearchIssues": ["SearchSuccess", "SearchFailure"],
    "IssueAssign": ["Assign", "AssignFailure"],
    "IssueCreateLink": ["Link", "LinkFailure"],
    "IssueGetLink": ["Link", "LinkFailure"],
    "IssueDeleteLink": ["Link", "LinkFailure"],
}


def declared(pack: JiraPack) -> list[tuple[str, list[str]]]:
    commands = pack.flyte_pack().commands
    return [(each.name, [event.name for event in each.output_events]) for each in commands]


def test_the_definition_is_the_go_packs(pack: JiraPack) -> None:
    definition = pack.flyte_pack()
    assert (definition.name, dict(definition.labels)) == ("Jira", {})
    assert definition.help_url == "https://github.com/ExpediaGroup/flyte-jira/blob/master/README.md"
    assert list(definition.event_defs) == []
    assert declared(pack) == list(COMMANDS.items())


def test_only_what_reads_may_be_run_again(pack: JiraPack) -> None:
    idempotent = {each.name for each in pack.flyte_pack().commands if each.idempotent}
    assert idempotent == {"IssueInfo", "GetTransitions", "SearchIssues", "IssueGetLink"}


def test_without_compatibility_incidents_fail_as_declared_by_the_go_pack(
    strict_pack: JiraPack,
) -> None:
    events = dict(declared(strict_pack))["CreateIncIssue"]
    assert events == ["CreateIncIssue", "CreateIncIssueFailure"]


def health(pack: JiraPack) -> Health:
    [check] = pack.flyte_health_checks()
    assert (check.name, check.critical) == ("jira", False)
    return check.check()


def test_health(pack: JiraPack, jira: Jira) -> None:
    assert health(pack) == Health(True, f"{jira.url} knows {USER}")
    assert jira.requests[0].raw_path == "/rest/api/2/myself"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (RestReply(401), "{} refuses flyte with 401: check user and password"),
        (RestReply(403), "{} refuses flyte with 403: check user and password"),
        (
            RestReply(302, headers=(("Location", "https://new/"),)),
            "{} sends us to https://new/: set url to where Jira is",
        ),
        (RestReply(503), "{} answers 503"),
    ],
)
def test_health_of_a_jira_that_refuses(
    pack: JiraPack, jira: Jira, said: RestReply, status: str
) -> None:
    jira.next_replies.append(said)
    assert health(pack) == Health(False, status.format(jira.url))


def test_health_of_no_jira(unreached_pack: JiraPack) -> None:
    found = health(unreached_pack)
    assert not found.healthy
    assert " does not answer: ConnectionError: " in found.status


ENVIRONMENT = {"JIRA_HOST": "https://env", "JIRA_USER": "envuser", "JIRA_PASSWORD": "envpassword"}


def test_the_environment_steps_in_for_what_is_not_set() -> None:
    assert JiraSettings().completed(ENVIRONMENT) == JiraSettings(
        "https://env", "envuser", "envpassword"
    )
    settings = JiraSettings("https://own", "me", "mine", verify=False)
    assert settings.completed(ENVIRONMENT) == settings


def test_the_environment_is_the_processes_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    assert len(JiraPack(JiraSettings()).flyte_pack().commands) == len(COMMANDS)


def test_what_is_nowhere_is_named() -> None:
    with pytest.raises(ValueError) as raised:
        JiraPack(JiraSettings(user="me"), {"JIRA_HOST": ""})
    assert str(raised.value) == (
        "url: missing; set it in the pack's settings or as JIRA_HOST; "
        "password: missing; set it in the pack's settings or as JIRA_PASSWORD"
    )


@pytest.mark.parametrize("url", ["jira.example.com", "ftp://jira", "https://", "localhost:8080"])
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises(ValueError) as raised:
        JiraPack(JiraSettings(url, USER, PASSWORD), {})
    expected = f"url: found {url!r}, expected one like 'https://jira.example.com'"
    assert str(raised.value) == expected


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"^url: found a user or password in it") as raised:
        JiraPack(JiraSettings("https://me:hidden@jira", USER, PASSWORD), {})
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_time_out_that_is_none(seconds: float) -> None:
    with pytest.raises(ValueError) as raised:
        JiraSettings(timeout_seconds=seconds)
    assert str(raised.value) == f"timeout_seconds: found {seconds}, expected more than 0"


def test_the_password_is_never_shown() -> None:
    assert PASSWORD not in repr(JiraSettings("https://jira", USER, PASSWORD))
