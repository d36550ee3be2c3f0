"""Executions by the end of an id, as log lines show it.

Owns which ids count, and the words for none and for several. Must not know where executions come
from.
"""

from collections.abc import Iterable

from flyte_host.errors import FlyteHostError
from flyte_host.records.execution_record import ExecutionRecord

SHORTEST_END = 4


def find_by_end(name: str, executions: Iterable[ExecutionRecord]) -> str:
    """The id of the only execution with an id, its own or an action's, that ends with ``name``.

    Raises FlyteHostError. ``executions`` are not read if ``name`` is too short to be an end.
    """
    end = name.removeprefix("…")
    searched = executions if len(end) >= SHORTEST_END else ()
    found = [
        each.correlation_id
        for each in searched
        if any(known.endswith(end) for known in _ids_of(each))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise FlyteHostError(f"ids of several executions end with {end!r}: {', '.join(found)}")
    raise FlyteHostError(f"flyte has no execution {name!r}; flyte-host executions list shows them")


def _ids_of(execution: ExecutionRecord) -> list[str]:
    return [execution.correlation_id, *(each.id for each in execution.all_actions())]
