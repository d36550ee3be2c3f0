"""A race in msgspec that ends the process: a separate interpreter tries it."""

import pytest

from flyte_host.type_caches import fill_type_caches
from tests.support.script import run_script

RACE = """
import dataclasses, sys, threading
import msgspec
from flyte_host.type_caches import fill_type_caches

sys.setswitchinterval(1e-6)

def new_types():
    inner = dataclasses.make_dataclass("Inner", [("a", "dict[str, list[int | str] | None]")])
    return dataclasses.make_dataclass("Outer", [("x", list[inner]), ("y", dict[str, inner])])

def decode_in_threads(kind, ready):
    def decode():
        ready.wait()
        fill_type_caches(kind)
        assert msgspec.convert({"x": [{"a": {"k": [1]}}], "y": {}}, kind).y == {}
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for each in threads: each.start()
    for each in threads: each.join()

for _ in range(300):
    decode_in_threads(new_types(), threading.Barrier(4))
print("survived")
"""


def test_threads_may_use_a_type_for_the_first_time_at_once() -> None:
    done = run_script(RACE)
    assert (done.stdout, done.stderr) == ("survived\n", "")


def test_a_type_that_cannot_be_decoded_is_refused() -> None:
    with pytest.raises(TypeError, match="more than one array-like"):
        fill_type_caches(list[int] | tuple[int, ...])
