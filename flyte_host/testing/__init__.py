"""What plugin authors get to test a pack with: real flyte, real host, no mocks.

The pytest fixtures come by themselves; here are their types, for annotations, and what is called
without a fixture. Each is imported when it is first used. Nothing of the host imports this package.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte_host.testing.called import Called
    from flyte_host.testing.contract import check_contract
    from flyte_host.testing.example import Example
    from flyte_host.testing.finished import Finished
    from flyte_host.testing.flyte_call import FlyteCall
    from flyte_host.testing.flyte_run_host import FlyteRunHost
    from flyte_host.testing.flyte_run_observer import FlyteRunObserver
    from flyte_host.testing.flyte_server import FlyteServer
    from flyte_host.testing.running_host import RunningHost
    from flyte_host.testing.running_observer import RunningObserver
    from flyte_host.testing.waiting import wait_until

_HOMES = {
    "Called": "called",
    "Example": "example",
    "Finished": "finished",
    "FlyteCall": "flyte_call",
    "FlyteRunHost": "flyte_run_host",
    "FlyteRunObserver": "flyte_run_observer",
    "FlyteServer": "flyte_server",
    "RunningHost": "running_host",
    "RunningObserver": "running_observer",
    "check_contract": "contract",
    "wait_until": "waiting",
}

__all__ = [
    "Called",
    "Example",
    "Finished",
    "FlyteCall",
    "FlyteRunHost",
    "FlyteRunObserver",
    "FlyteServer",
    "RunningHost",
    "RunningObserver",
    "check_contract",
    "wait_until",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
