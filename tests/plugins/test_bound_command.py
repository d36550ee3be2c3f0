"""What a handler may look like, and the words for an input that does not fit."""

import functools
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired, Protocol, TypedDict, no_type_check

import msgspec
import pytest

from flyte_host import Action, Command
from flyte_host.foreign_code import Misbehaved
from flyte_host.plugins.bound_command import BoundCommand, InputMismatch, bind
from flyte_host.plugins.handler_shape import RETURNS

ACTION = Action("id-1", "run", "Demo", datetime(2026, 1, 1, tzinfo=UTC))
FIXED = Action("id-2", "run", "Demo", datetime(2026, 1, 1, tzinfo=UTC))


def bound(handler: Any) -> BoundCommand:
    return bind(Command("run", handler, []), "demo")


def result(handler: Any, document: bytes = b"1") -> Any:
    return bound(handler).call(document, ACTION)


def refusal(handler: Any) -> str:
    with pytest.raises(Misbehaved) as raised:
        bound(handler)
    return str(raised.value)


def mismatch(input_type: Any, document: bytes) -> str:
    def handler(input: Any) -> None: ...

    handler.__annotations__["input"] = input_type
    with pytest.raises(InputMismatch) as raised:
        bound(handler).decode(document)
    return str(raised.value)


# --- signatures -------------------------------------------------------------------------------


def sync(input: int) -> Any:
    return input


def with_action(input: int, action: Action) -> Any:
    return input, action


def named_otherwise(value: int, context: Action) -> Any:
    return value, context


def optional_action(input: int, action: Action | None = None) -> Any:
    return input, action


def other_default(input: int, retries: int = 3) -> Any:
    return input, retries


def keyword_default(input: int, *, retries: int = 3) -> Any:
    return input, retries


def positional_only(input: int, action: Action, /) -> Any:
    return input, action


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return "decorated", function(*args, **kwargs)

    return wrapper


class Retry:
    """A decorator in the shape of an object, with an attribute that partials have too."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func

    def __call__(self, input: int) -> Any:
        return self.func(str(input))


def prefixed(prefix: str, input: int) -> Any:
    return prefix, input


@dataclass
class TypedAnswer:
    input: int


class Methods:
    def plain(self, input: int) -> Any:
        return input

    def full(self, input: int, action: Action) -> Any:
        return input, action

    def odd(this, input: int) -> Any:  # noqa: N805  as from another language
        return input

    @classmethod
    def of_class(cls, input: int) -> Any:
        return input

    @staticmethod
    def static(input: int, action: Action) -> Any:
        return input, action

    def __call__(self, input: int, action: Action) -> Any:
        return input, action


def yields(input: int, more: int = 0) -> Iterator[int]:
    yield input


async def yields_later(input: int) -> AsyncIterator[int]:
    yield input


class Yielding:
    def __call__(self, input: int) -> Iterator[int]:
        yield input


def hiding(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator without functools.wraps."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Hiding:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


class HiddenMethod:
    @hiding
    def full(self, input: int, action: Action) -> Any:
        return input, action


class Dispatching:
    @functools.singledispatchmethod
    def run(self, input: Any) -> Any:
        return input


def action_first(action: Action, input: int) -> Any:
    return input, action


def input_second(context: Any, input: int) -> Any:
    return context, input


def action_alone(about: Action | None) -> Any:
    return about


def second_of_another_type(input: int, retries: int) -> Any:
    return input, retries


def second_is_a_list(input: int, action: list[str] = []) -> Any:  # noqa: B006  it is the point
    return input, action


class HasId(Protocol):
    id: str


def narrowed(input: int, action: HasId) -> Any:
    return input, action


def annotated(input: int, action: Annotated[Action, "of now"] | None = None) -> Any:
    return input, action


def loose(input: int, action: object) -> Any:
    return input, action


@decorated
def wrapped(input: int, action: Action) -> Any:
    return input, action


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (sync, 1),
        (with_action, (1, ACTION)),
        (named_otherwise, (1, ACTION)),
        (optional_action, (1, ACTION)),
        (other_default, (1, 3)),
        (keyword_default, (1, 3)),
        (positional_only, (1, ACTION)),
        (narrowed, (1, ACTION)),
        (annotated, (1, ACTION)),
        (loose, (1, ACTION)),
        (lambda value: value, 1),
        (lambda value, action: (value, action), (1, ACTION)),
        (lambda value=5: value, 1),
        (Methods().plain, 1),
        (Methods().full, (1, ACTION)),
        (Methods.of_class, 1),
        (Methods.static, (1, ACTION)),
        (Methods(), (1, ACTION)),
        (wrapped, ("decorated", (1, ACTION))),
        (functools.partial(prefixed, "a"), ("a", 1)),
        (functools.partial(with_action, action=FIXED), (1, FIXED)),
        (functools.partial(functools.partial(wrapped)), ("decorated", (1, ACTION))),
        (Retry(lambda text: text + "!"), "1!"),
        (TypedAnswer, TypedAnswer(1)),
    ],
    ids=itertools.count(),
)
def test_handlers_get_what_they_ask_for(handler: Any, expected: Any) -> None:
    assert result(handler) == expected


def test_a_bound_command_knows_command_and_owner() -> None:
    command = Command("run", sync, [])
    made = bind(command, "demo")
    assert (made.command, made.owner, made.input_type) == (command, "demo", int)


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (lambda: None, "takes 0 arguments; expected (input) or (input, action)"),
        (
            lambda *args: None,
            "is <lambda>, which takes any arguments; expected (input) or (input, action)",
        ),
        (
            hiding(with_action),
            (
                "is hiding.<locals>.wrapper, which takes any arguments; expected (input) or "
                "(input, action): it hides with_action, so its decorator needs "
                "functools.wraps(with_action)"
            ),
        ),
        (
            Hiding(with_action),
            (
                "is Hiding, which takes any arguments; expected (input) or (input, action): "
                "it hides with_action, so its decorator needs functools.wraps(with_action)"
            ),
        ),
        (
            HiddenMethod().full,
            (
                "is hiding.<locals>.wrapper, which takes any arguments; expected (input) or "
                "(input, action): it hides HiddenMethod.full, so its decorator needs "
                "functools.wraps(full)"
            ),
        ),
        (
            Dispatching().run,
            (
                "is Dispatching.run, a functools.singledispatchmethod, whose parameters do not "
                "show; pass a method that takes the input and calls it"
            ),
        ),
        (action_first, "takes the Action first, as 'action'; expected (input) or (input, action)"),
        (action_alone, "takes the Action first, as 'about'; expected (input) or (input, action)"),
        (
            lambda action, value: None,
            "takes the Action first, as 'action'; expected (input) or (input, action)",
        ),
        (
            second_of_another_type,
            (
                "has the second parameter 'retries' of the type int, but would be given the Action "
                "there; expected (input) or (input, action)"
            ),
        ),
        (
            second_is_a_list,
            (
                "has the second parameter 'action' of the type list[str], but would be given the "
                "Action there; expected (input) or (input, action)"
            ),
        ),
        (lambda a, b, c: None, "takes 3 arguments; expected (input) or (input, action)"),
        (
            lambda value, *, retries: None,
            "requires the keyword 'retries'; expected (input) or (input, action)",
        ),
        (
            lambda *, value: None,
            "requires the keyword 'value'; expected (input) or (input, action)",
        ),
        (
            Methods.plain,
            (
                "is Methods.plain, a function of a class: its first parameter is 'self'; pass the "
                "method of an object, such as self.plain"
            ),
        ),
        (
            Methods.full,
            (
                "is Methods.full, a function of a class: its first parameter is 'self'; pass the "
                "method of an object, such as self.full"
            ),
        ),
        (
            Methods.odd,
            "takes the input second, after 'this'; expected (input) or (input, action)",
        ),
        (
            input_second,
            "takes the input second, after 'context'; expected (input) or (input, action)",
        ),
        (yields, f"is yields, which yields; {RETURNS}"),
        (yields_later, f"is yields_later, which yields; {RETURNS}"),
        (Yielding(), f"is Yielding, which yields; {RETURNS}"),
        (functools.partial(yields, 1), f"is yields, which yields; {RETURNS}"),
        (
            functools.partial(Methods.full),
            (
                "is Methods.full, a function of a class: its first parameter is 'self'; pass the "
                "method of an object, such as self.full"
            ),
        ),
    ],
    ids=itertools.count(),
)
def test_signatures_that_cannot_take_an_input(handler: Any, text: str) -> None:
    assert refusal(handler) == f"handler of command 'run' {text}"


def test_a_handler_without_a_signature() -> None:
    text = refusal(dict)
    assert text.startswith("handler of command 'run' has a signature that cannot be read: no ")


def test_an_annotation_that_cannot_be_resolved() -> None:
    def handler(input: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821  it is the point

    assert refusal(handler) == (
        "handler of command 'run' has an annotation of 'input' that cannot be resolved: "
        "NameError: name 'Missing' is not defined; the input is decoded into this type: define it "
        "in the module or the class, and import it outside of TYPE_CHECKING"
    )


class Nested:
    """As with ``from __future__ import annotations``: the annotations are strings."""

    @dataclass
    class Question:
        count: int

    def ask(self, input: "Question") -> None: ...

    def list(self, input: "list[Question]") -> None: ...

    @staticmethod
    def once(input: "Question") -> None: ...


def uses_what_is_around() -> Callable[..., Any]:
    @dataclass
    class Local:
        count: int

    def handler(input: "Local") -> Local:
        return Local(input.count)

    return handler


@pytest.mark.parametrize(
    ("handler", "document"),
    [
        (Nested().ask, b'{"count": 1}'),
        (Nested().list, b'[{"count": 1}]'),
        (Nested.once, b'{"count": 1}'),
        (functools.partial(Nested().ask), b'{"count": 1}'),
        (uses_what_is_around(), b'{"count": 1}'),
    ],
    ids=itertools.count(),
)
def test_an_annotation_may_name_what_is_around_the_function(handler: Any, document: bytes) -> None:
    with pytest.raises(InputMismatch):
        bound(handler).decode(b'"text"')
    assert "count=1" in str(bound(handler).decode(document))


def test_an_annotation_beside_a_variable_that_is_not_set_yet() -> None:
    @dataclass
    class Local:
        count: int

    def handler(input: "Local") -> Any:
        return Local, later

    assert bound(handler).input_type is Local
    later = 1


def test_what_is_not_an_annotation_is_not_read_as_one() -> None:
    @no_type_check
    def handler(input: "how many there are") -> None: ...

    assert bound(handler).input_type is Any


def test_annotations_that_only_exist_for_type_checkers() -> None:
    def handler(input: int, action: "Missing") -> "Event":  # type: ignore[name-defined]  # noqa: F821  it is the point
        return input, action

    assert result(handler) == (1, ACTION)
    with pytest.raises(InputMismatch):
        bound(handler).decode(b'"text"')


@dataclass
class Unresolvable:
    x: "Missing"  # type: ignore[name-defined]  # noqa: F821  it is the point


class Custom:
    pass


@dataclass
class HasCustom:
    inner: list[Custom]


@dataclass
class Other:
    x: int


@pytest.mark.parametrize(
    ("input_type", "text"),
    [
        (Custom, "JSON cannot be converted to a Custom"),
        (HasCustom, "JSON cannot be converted to a Custom"),
        (complex, "JSON cannot be converted to a complex"),
        (Unresolvable, "NameError: name 'Missing' is not defined"),
        (
            Other | HasCustom,
            (
                "Type unions may not contain more than one dataclass or attrs type - type "
                "`tests.test_binding.Other | tests.test_binding.HasCustom` is not supported"
            ),
        ),
    ],
)
def test_a_type_that_json_cannot_fill(input_type: Any, text: str) -> None:
    def handler(input: Any) -> None: ...

    handler.__annotations__["input"] = input_type
    shown = refusal(handler).replace(f"{__name__}.", "tests.test_binding.")
    assert shown == (f"handler of command 'run' has an input type that JSON cannot fill: {text}")


# --- inputs -----------------------------------------------------------------------------------


@dataclass
class TypedIssue:
    key: str
    votes: int = 0
    tags: list[str] = field(default_factory=list)


class IssueStruct(msgspec.Struct, rename="camel"):
    issue_key: str


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    key: str


class IssueDict(TypedDict):
    key: str
    votes: NotRequired[int]


@dataclass
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("Number is odd")


@pytest.mark.parametrize(
    ("input_type", "document", "value"),
    [
        (Any, b'{"a": [1, null]}', {"a": [1, None]}),
        (object, b'{"a": 1}', {"a": 1}),
        (Iterable[int], b"[1]", [1]),
        (None | int, b"null", None),
        (str, b'"text"', "text"),
        (int, b"7", 7),
        (float, b"7", 7.0),
        (bool, b"true", True),
        (list[int], b"[1, 2]", [1, 2]),
        (dict[str, int], b'{"a": 1}', {"a": 1}),
        (TypedIssue, b'{"key": "A", "tags": ["x"]}', TypedIssue("A", 0, ["x"])),
        (TypedIssue, b'{"key": "A", "unknown": 1}', TypedIssue("A")),
        (IssueStruct, b'{"issueKey": "A"}', IssueStruct("A")),
        (IssueDict, b'{"key": "A"}', {"key": "A"}),
        (TypedIssue | None, b"null", None),
        (datetime, b'"2026-01-01T00:00:00Z"', datetime(2026, 1, 1, tzinfo=UTC)),
        (Annotated[int, msgspec.Meta(ge=0)], b"0", 0),
    ],
    ids=itertools.count(),
)
def test_json_becomes_the_annotated_type(input_type: Any, document: bytes, value: Any) -> None:
    def handler(input: Any) -> Any:
        return input

    handler.__annotations__["input"] = input_type
    assert result(handler, document) == value
    assert type(result(handler, document)) is type(value)


@pytest.mark.parametrize(
    ("input_type", "document", "text"),
    [
        (int, b'"4"', "input: expected int, got str"),
        (str, b"null", "input: expected str, got null"),
        (dict[str, list[int]], b'{"a": ["x"]}', "input[...][0]: expected int, got str"),
        (dict[int, int], b'{"x": 1}', "key in input: expected int, got str"),
        (TypedIssue, b"{}", "input: object missing required field key"),
        (TypedIssue, b'{"key": 5}', "input.key: expected str, got int"),
        (TypedIssue, b'{"key": "A", "tags": [1]}', "input.tags[0]: expected str, got int"),
        (TypedIssue, b"[]", "input: expected object, got array"),
        (Strict, b'{"key": "A", "x": 1}', "input: object contains unknown field x"),
        (IssueStruct, b'{"issue_key": "A"}', "input: object missing required field issueKey"),
        (IssueDict, b'{"key": "A", "votes": "1"}', "input.votes: expected int, got str"),
        (TypedIssue | None, b"5", "input: expected object | null, got int"),
        (Even, b'{"number": 3}', "input: number is odd"),
        (list[Even], b'[{"number": 3}]', "input[0]: number is odd"),
        (
            Annotated[int, msgspec.Meta(ge=0)],
            b"-1",
            "input: expected int >= 0",
        ),
        (int, b"", "input: found invalid JSON (Input data was truncated)"),
        (
            Any,
            b"{'a': 1}",
            "input: found invalid JSON (JSON is malformed: object keys must be strings (byte 1))",
        ),
        (
            Any,
            b'"\xff"',
            "input: found invalid JSON (it has text that is not UTF-8)",
        ),
    ],
    ids=itertools.count(),
)
def test_an_input_that_does_not_fit(input_type: Any, document: bytes, text: str) -> None:
    assert mismatch(input_type, document) == text


def test_json_that_is_nested_too_deeply() -> None:
    text = "input: found invalid JSON (it is nested too deeply)"
    assert mismatch(Any, b"[" * 100_000) == text


def test_a_path_names_fields_and_places() -> None:
    class A(msgspec.Struct):
        a: list[int]

    assert mismatch(A, b'{"a": ["x"]}') == "input.a[0]: expected int, got str"


def test_annotations_may_be_strings() -> None:
    def handler(input: "TypedIssue", action: "Action") -> Any:
        return input

    assert result(handler, b'{"key": "A"}') == TypedIssue("A")


def test_attributes_of_a_handler_say_nothing_of_its_input() -> None:
    class OddHandler:
        input_schema = "anything"
        description = 7

        def __call__(self, input: int) -> Any:
            """What it does."""
            return input

    made = bound(OddHandler())
    assert (made.input_schema, made.description) == ({"type": "integer"}, "What it does.")
