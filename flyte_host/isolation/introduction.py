"""What every process of a plugin learns first.

A new process takes over where the first one was: the plugin is loaded, and each handle
means the same. Must not know when a process starts.
"""

import msgspec

from flyte_host.foreign_code import Misbehaved
from flyte_host.isolation import messages as say
from flyte_host.isolation.child_process import ChildProcess

CHILD_SHARE, ANSWER_SHARE = 0.9, 0.95
"""Parts of a time limit after which the child, and then the wait for its answer, give up.

Both come before the host gives up: the child can say where its plugin hangs, and the wait can name
the process.
"""
CHECK_SECONDS = 5.0
"""How long the health pages wait for a check."""


class Introduction:
    """The plugin to load, and what its hooks answered so far."""

    def __init__(self, load: say.LoadPlugin) -> None:
        self._limit_seconds = load.limit_seconds * ANSWER_SHARE
        self._load = msgspec.structs.replace(
            load,
            limit_seconds=load.limit_seconds * CHILD_SHARE,
            check_seconds=CHECK_SECONDS * CHILD_SHARE,
        )
        self._answers: list[tuple[say.AskHook, say.HookAnswer]] = []
        self.hooks: list[str] = []
        self.settings_schema = b"null"

    @property
    def pack_key(self) -> str:
        return self._load.pack_key

    def give(self, child: ChildProcess) -> None:
        """Load the plugin, and ask again what other processes were asked; raises Misbehaved."""
        loaded = child.ask(self._load, say.PluginLoaded, self._limit_seconds)
        self.hooks, self.settings_schema = loaded.hooks, loaded.settings_schema
        for question, answer in self._answers:
            if child.ask(question, say.HookAnswer, self._limit_seconds) != answer:
                raise Misbehaved(
                    f"{question.hook} returned something else than at the start: restart the host"
                )

    def ask(self, child: ChildProcess, hook: str, pack: say.PackText | None) -> say.HookAnswer:
        """What the hook answers, now and in every later process; raises Misbehaved."""
        question = say.AskHook(hook, pack)
        answer = child.ask(question, say.HookAnswer, self._limit_seconds)
        self._answers.append((question, answer))
        return answer
