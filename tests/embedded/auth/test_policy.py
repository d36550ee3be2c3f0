"""Which rule of a policy decides, whom it lets through, and what is wrong with a policy."""

from typing import Any

import pytest

from flyte_host.embedded.auth.policy import Policy, PolicyRule
from flyte_host.embedded.auth.policy_file import PolicyInvalid, read_policy


def policy(*rules: dict[str, Any]) -> Policy:
    return Policy([PolicyRule(**rule) for rule in rules])


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyInvalid) as raised:
        read_policy(text, source="p.yaml")
    return raised.value.problems


@pytest.mark.parametrize(
    ("path", "request_path", "parameters"),
    [
        ("/v1/packs", "/v1/packs", {}),
        ("/", "/", {}),
        ("/v1/packs/:pack", "/v1/packs/Shell.env.x", {"pack": "Shell.env.x"}),
        ("/a/:x/b/:y", "/a/1/b/2", {"x": "1", "y": "2"}),
        ("/v1/packs/*", "/v1/packs/a/b/c", {}),
        ("/v1/packs/*", "/v1/packs/", {}),
        ("/*", "/", {}),
        ("/*", "/v1/packs", {}),
        ("/v1/:x/*", "/v1/packs/a/b", {"x": "packs"}),
    ],
)
def test_a_path_that_a_rule_is_about(
    path: str, request_path: str, parameters: dict[str, str]
) -> None:
    match = policy({"path": path}).find("GET", request_path)
    assert match is not None
    assert match.parameters == parameters
    assert match.is_public


@pytest.mark.parametrize(
    ("path", "request_path"),
    [
        ("/v1/packs", "/v1/packs/"),
        ("/v1/packs", "/v1/packs/a"),
        ("/v1/packs", "/v1/Packs"),
        ("/v1/packs/a", "/v1/packs"),
        ("/v1/packs/:pack", "/v1/packs"),
        ("/v1/packs/:pack", "/v1/packs/"),
        ("/v1/packs/:pack", "/v1/packs/a/b"),
        ("/v1/packs/*", "/v1/packs"),
        ("/v1/packs/*", "/v2/packs/a"),
        ("/*", "//v1/packs"),
        ("/*", "/v1//packs"),
        ("/*", "/v1/./packs"),
        ("/v1/packs/*", "/v1/packs/../flows"),
        ("/v1/packs/:pack", "/v1/packs/.."),
    ],
)
def test_a_path_that_a_rule_is_not_about(path: str, request_path: str) -> None:
    assert policy({"path": path}).find("GET", request_path) is None


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("request_path", "decides"),
    [
        ("/v1/packs/Shell", "/v1/packs/Shell"),
        ("/v1/packs/Jira", "/v1/packs/:pack"),
        ("/v1/packs/Jira/events", "/v1/packs/:pack/events"),
        ("/v1/packs/Shell/events", "/v1/packs/Shell/*"),
        ("/v1/packs/Jira/actions/take", "/v1/packs/*"),
        ("/v1/flows", "/v1/*"),
        ("/health", "/*"),
    ],
)
def test_the_closest_path_decides_in_any_order(
    request_path: str, decides: str, backwards: bool
) -> None:
    paths = ["/*", "/v1/*", "/v1/packs/*", "/v1/packs/:pack", "/v1/packs/:pack/events"]
    paths += ["/v1/packs/Shell", "/v1/packs/Shell/*"]
    found = policy(*({"path": path} for path in sorted(paths, reverse=backwards)))
    match = found.find("GET", request_path)
    assert match is not None
    assert match.rule.path == decides


def test_no_wider_path_helps_a_method_that_the_closest_does_not_have() -> None:
    rules = policy({"path": "/*"}, {"path": "/v1/flows", "methods": frozenset({"GET"})})
    assert rules.find("GET", "/v1/flows") is not None
    assert rules.find("POST", "/v1/flows") is None


def test_rules_of_one_path_share_it_by_methods() -> None:
    rules = policy(
        {"path": "/v1/packs/:a", "methods": frozenset({"GET"})},
        {"path": "/v1/packs/:b", "methods": frozenset({"DELETE"}), "claims": {"x": ("y",)}},
    )
    got, deleted = (rules.find(method, "/v1/packs/p") for method in ("GET", "DELETE"))
    assert got is not None
    assert deleted is not None
    assert (got.is_public, got.parameters) == (True, {"a": "p"})
    assert (deleted.is_public, deleted.parameters) == (False, {"b": "p"})


@pytest.mark.parametrize(
    ("method", "is_through"),
    [
        ("GET", True),
        ("PATCH", True),
        ("HEAD", False),
        ("OPTIONS", False),
        ("TRACE", False),
        ("get", False),
        ("BREW", False),
    ],
)
def test_a_rule_without_methods_is_about_those_that_do_something(
    method: str, is_through: bool
) -> None:
    assert (policy({"path": "/v1"}).find(method, "/v1") is not None) is is_through


@pytest.mark.parametrize(
    ("claims", "token", "is_fulfilled"),
    [
        ({"role": ("admin",)}, {"role": "admin"}, True),
        ({"role": ("admin",)}, {"role": "administrator"}, False),
        ({"role": ("admin", "boss")}, {"role": "boss"}, True),
        ({"role": ("admin",), "groups": ("dev",)}, {"groups": ["ops", "dev"]}, True),
        ({"role": ("admin",), "groups": ("dev",)}, {"role": "dev", "groups": ["admin"]}, False),
        ({"super": ("true",)}, {"super": True}, True),
        ({"super": ("1",)}, {"super": True}, False),
        ({"level": ("1",)}, {"level": 1}, True),
        ({"level": ("1",)}, {"level": 1.0}, False),
        ({"level": ("1",)}, {"level": [1]}, False),
        ({"groups": ("dev",)}, {"groups": ["dev", 7]}, False),
        ({"role": ("admin",)}, {"role": {"admin": True}}, False),
        ({"role": ("admin",)}, {"role": None}, False),
        ({"role": ("admin",)}, {}, False),
        ({"pack": (":pack",)}, {"pack": "Shell"}, True),
        ({"pack": (":pack",)}, {"pack": ":pack"}, False),
        ({"pack": (":pack",)}, {"pack": ""}, False),
        ({":pack": ("writer",)}, {"Shell": "writer"}, True),
        ({":pack": ("writer",)}, {"Jira": "writer"}, False),
    ],
)
def test_one_fulfilled_claim_is_enough(
    claims: dict[str, tuple[str, ...]], token: dict[str, Any], is_fulfilled: bool
) -> None:
    match = policy({"path": "/v1/packs/:pack", "claims": claims}).find("GET", "/v1/packs/Shell")
    assert match is not None
    assert not match.is_public
    assert match.is_fulfilled(token) is is_fulfilled


def test_a_whole_policy_file() -> None:
    read = read_policy(
        """
        - path: /v1
        - path: /v1/packs/:pack
          methods: [PUT, DELETE]
          claims:
            groups: [dev, 7, yes]
            :pack:
            - owner
        - path: /v1/flows
          methods:
          claims:
        """,
        source="p.yaml",
    )
    open_to_all, packs, flows = read.rules
    assert open_to_all == PolicyRule("/v1") == PolicyRule("/v1", flows.methods, flows.claims)
    assert packs.methods == {"PUT", "DELETE"}
    assert packs.claims == {"groups": ("dev", "7", "yes"), ":pack": ("owner",)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "p.yaml: expected a list of rules: - path: /v1/…"),
        ("path: /v1", "p.yaml:1: expected a list of rules: - path: /v1/…"),
        ("[]", "p.yaml:1: expected a list of rules: - path: /v1/…"),
        ("\n- /v1", "p.yaml:2: expected a rule with path, methods and claims"),
        ("- methods: [GET]", "p.yaml:1: found a rule without path, expected path: /v1/…"),
        ("- path:\n  - a", "p.yaml:2: expected a path: /v1/…"),
        ("- path: ~", "p.yaml:1: expected a path: /v1/…"),
        ("- path: v1", 'p.yaml:1: path "v1" does not begin with /'),
        (
            "- path: /v1/*/take",
            (
                'p.yaml:1: path "/v1/*/take" has a * before its end, and flyte ignores what '
                "follows; expected it at the end"
            ),
        ),
        (
            "- path: /v1/S*",
            (
                'p.yaml:1: path "/v1/S*" has a : or * inside a segment, expected a segment of '
                "its own, :name or *"
            ),
        ),
        (
            "- path: /v1/a:b",
            (
                'p.yaml:1: path "/v1/a:b" has a : or * inside a segment, expected a segment of '
                "its own, :name or *"
            ),
        ),
        ("- path: '/v1/:'", 'p.yaml:1: path "/v1/:" has a : without a name or a name twice'),
        ("- path: /:a/:a", 'p.yaml:1: path "/:a/:a" has a : without a name or a name twice'),
        (
            "- path: /v1//packs",
            (
                'p.yaml:1: path "/v1//packs" has an empty segment, . or .., and requests with '
                "one are always refused"
            ),
        ),
        ("- path: /\n  methods: GET", "p.yaml:2: methods: expected a list: […]"),
        (
            "- path: /\n  methods: []",
            "p.yaml:2: methods: found an empty list: leave methods out to mean all of them",
        ),
        ("- path: /\n  methods: [[]]", "p.yaml:2: methods: expected texts in its list"),
        ("- path: /\n  methods: [get]", 'p.yaml:2: "get" is not a method (did you mean "GET"?)'),
        (
            "- path: /\n  methods: [BREW]",
            (
                'p.yaml:2: "BREW" is not a method, expected one of CONNECT, DELETE, GET, HEAD, '
                "OPTIONS, PATCH, POST, PUT, TRACE"
            ),
        ),
        ("- path: /\n  claims: [a]", "p.yaml:2: expected claims with a list of values each"),
        ("- path: /\n  claims: {a: b}", 'p.yaml:2: claim "a": expected a list: […]'),
        (
            "- path: /\n  claims: {a: []}",
            'p.yaml:2: claim "a": found an empty list: nobody could fulfil it',
        ),
        ("- path: /\n  claims: {a: [~]}", 'p.yaml:2: claim "a": expected texts in its list'),
        ("- path: /\n  claims: {'': [b]}", "p.yaml:2: expected a name"),
        (
            "- path: /:a\n  claims: {b: [':c']}",
            "p.yaml:1: found :c in claims, but the path /:a has no :c",
        ),
        (
            "- path: /\n  claim: {a: [b]}",
            'p.yaml:2: unknown key "claim" (did you mean "claims"?)',
        ),
        (
            "- path: /\n  who: [b]",
            'p.yaml:2: unknown key "who"; the keys here are path, methods, claims',
        ),
        ("- path: /\n  path: /a", 'p.yaml:2: found "path" twice, expected it once'),
        (
            "- path: /:a\n- path: /:b\n  methods: [HEAD, GET]",
            (
                "p.yaml:2: found a second rule for GET /:b, the first is on line 1; expected one "
                "with all its claims"
            ),
        ),
        ("- path: [", "p.yaml: found invalid YAML: "),
        (
            "- path: /\n---\n- path: /",
            "p.yaml: found a second document, expected a single document",
        ),
        ("- path: !!bool x", "p.yaml: line 1: found 'x' as a !!bool"),
    ],
)
def test_one_thing_wrong_with_a_policy(text: str, problem: str) -> None:
    (found,) = problems(text)
    assert found == problem or (
        problem.endswith(": found invalid YAML: ") and found.startswith(problem)
    )


def test_all_problems_of_a_policy_at_once() -> None:
    text = "- path: v1\n- method: [GET]\n  path: /\n- path: /a\n  methods: [GTE]\n"
    assert problems(text) == [
        'p.yaml:1: path "v1" does not begin with /',
        'p.yaml:2: unknown key "method" (did you mean "methods"?)',
        'p.yaml:5: "GTE" is not a method (did you mean "GET"?)',
    ]
