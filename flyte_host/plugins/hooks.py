"""The hooks that one plugin implements.

Owns which marks and signatures are refused. Each plugin has its own pluggy manager, so that
one that raises or misspells a hook concerns itself alone and every answer has a known owner. Must
not know what the answers mean.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import pluggy

from flyte_host import forks, hookspecs
from flyte_host.foreign_code import Misbehaved
from flyte_host.text import nearest, type_of


class Hooks:
    """Those of one plugin; ``manager`` holds it alone."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._manager = manager

    @property
    def implemented(self) -> list[str]:
        """The names of the hooks that the plugin implements."""
        return [each for each in _known(self._manager) if self.has(each)]

    def has(self, hook: str) -> bool:
        """Whether the plugin implements the hook."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    def call(self, hook: str, **arguments: Any) -> Any:
        """The plugin's own answer, None if it has none; raises what the plugin raises."""
        with forks.end_children():
            answers: Sequence[Any] = getattr(self._manager.hook, hook)(**arguments)
        return answers[0] if answers else None


def hooks_of(made: object, name: str) -> Hooks:
    """Those of a plugin object; raises Misbehaved for every hook that would never be called."""
    manager = pluggy.PluginManager(hookspecs.PROJECT_NAME)
    manager.add_hookspecs(hookspecs)
    known = _known(manager)
    marked = marked_hooks(made)
    for hook in sorted(marked - known):
        raise Misbehaved(f"{hook} is not a hook of flyte-host{nearest(hook, known)}")
    for hook in sorted(known - marked):
        if callable(getattr(made, hook, None)):
            raise Misbehaved(f"{hook} is not marked with @hookimpl, so it would never be called")
    if not marked:
        hooks = ", ".join(sorted(known))
        raise Misbehaved(f"has none of the hooks {hooks}: found {type_of(made)}")
    try:
        manager.register(made, name)
    except pluggy.PluginValidationError as error:
        problem = _unknown_argument(made, manager, marked) or " ".join(str(error).split())
        raise Misbehaved(problem) from error
    for hook in sorted(known):
        for each in getattr(manager.hook, hook).get_hookimpls():
            _check_plain(hook, each.function)
    return Hooks(manager)


def marked_hooks(candidate: object) -> set[str]:
    """Names that ``@hookimpl`` marks, found as pluggy finds them when it registers a plugin."""
    options_of = pluggy.PluginManager(hookspecs.PROJECT_NAME).parse_hookimpl_opts
    found = [(name, options_of(candidate, name)) for name in dir(candidate)]
    return {options["specname"] or name for name, options in found if options is not None}


def _unknown_argument(made: object, manager: pluggy.PluginManager, hooks: set[str]) -> str:
    """The sentence for the first argument that a hook does not get, or nothing."""
    for hook in sorted(hooks):
        given = getattr(manager.hook, hook).spec.argnames
        for name in inspect.signature(getattr(made, hook)).parameters:
            if name not in given:
                expected = ", ".join(given) or "none"
                return f"{hook} takes {name!r}{nearest(name, given)}; its arguments: {expected}"
    return ""


def _check_plain(hook: str, function: Callable[..., Any]) -> None:
    """Nobody would await what an async one returns, nor iterate over an observer."""
    if hook == "flyte_observe" and inspect.isgeneratorfunction(function):
        raise Misbehaved(
            f"{hook} has a yield, so its body would never run: call emit(event) instead"
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise Misbehaved(
            f"{hook} is async, but hooks are called in threads, not on an event loop: make it a "
            "plain function"
        )


def _known(manager: pluggy.PluginManager) -> set[str]:
    """The names of all hooks that there are."""
    return {hook for hook in vars(manager.hook) if hook.startswith("flyte_")}
