"""Whatever handlers get and return, and whatever a parser is given: documented errors only."""

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import strategies as st

from flyte_host.client import wire
from flyte_host.model import EventDef
from flyte_host.plugins.bound_command import BoundCommand, InputMismatch
from tests.faults.test_fuzz import leaves, values
from tests.support.exploring import explore
from tests.support.figures import Figures
from tests.support.host_parts import utc_now
from tests.support.parsers import KINDS, PARSERS, Parser, taking

DONE = EventDef("Done")


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


fields = st.sampled_from(["title", "when", "tags", "other"])
fitting = st.sampled_from(["a b", "2030-01-01T00:00:00Z", "AAAA", 1, 1e300, 10**30, None, True])
inputs = st.tuples(
    st.sampled_from([taking(kind) for kind in KINDS]),
    st.one_of(
        st.binary(max_size=32),
        (values | st.dictionaries(fields, fitting | values)).map(
            lambda value: json.dumps(value).encode()
        ),
    ),
)
foreign = st.one_of(
    leaves, fitting, st.binary(), st.datetimes(), st.decimals(), st.fractions(), st.uuids(),
    st.builds(object), st.just(KINDS), st.sets(st.integers()),
)  # fmt: skip
payloads = st.recursive(
    foreign,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(foreign.filter(_hashable), inner),
    max_leaves=8,
)


def take_in(case: tuple[BoundCommand, bytes]) -> None:
    bound, document = case
    with suppress(InputMismatch):
        bound.decode(document)


def send_out(payload: object) -> None:
    try:
        body = wire.encode_event(DONE(payload), utc_now())
    except ValueError:
        return
    assert json.loads(body, parse_constant=float.fromhex).keys() == {
        "event", "payload", "createdAt",
    }  # fmt: skip


def test_whatever_handlers_get_and_return() -> None:
    explore(inputs, 100, take_in)
    explore(payloads, 100, send_out)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_whatever_handlers_get_and_return_20000_times(figures: Figures) -> None:
    explore(inputs, 10_000, take_in)
    explore(payloads, 10_000, send_out)
    figures.note("fuzzing: 10,000 inputs of commands, 10,000 payloads: documented errors only")


# werkzeug leaves the file of a part that breaks off to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("made", PARSERS.values(), ids=PARSERS)
def test_what_the_fuzzer_begins_with(made: Callable[[], Parser]) -> None:
    """The first inputs of ``make fuzz``, and each without its second half."""
    parser = made()
    for seed in parser.seeds:
        for data in (seed, seed[: len(seed) // 2]):
            with suppress(*parser.documented):
                parser.parse(data)
