"""Templates are compiled in one thread, which a forked process does not have."""

from tests.support.script import run_script

PROGRAM = """
import os
from flyte_host.embedded.pongo2.template_compiler import TemplateCompiler

compiler = TemplateCompiler({})

def compiled(text):
    template, _seconds = compiler.compile(text)
    return f"{text}: {type(template).__name__}"

print(compiled("parent"), flush=True)
compiler._cache._lock.acquire()  # another thread may hold it at this moment
child = os.fork()
if child == 0:
    print(compiled("child"), flush=True)
    print(compiled("child"), flush=True)
    os._exit(0)
compiler._cache._lock.release()
os.waitpid(child, 0)
print(compiled("parent again"), flush=True)
"""

WITHOUT_ROOM = """
import resource, threading
from flyte_host.embedded.pongo2.template_compiler import TemplateCompiler

compiler = TemplateCompiler({})
threading.stack_size(1 << 40)  # more than any machine has
print(type(compiler.compile("a")[0]).__name__)
threading.stack_size(0)
print(type(compiler.compile("b")[0]).__name__, threading.active_count())
"""


def test_a_machine_without_room_for_a_thread_still_compiles() -> None:
    """The template is not to blame; its step would be skipped for good."""
    done = run_script(WITHOUT_ROOM)
    assert done.stdout.splitlines() == ["Template", "Template 2"]


def test_a_forked_process_compiles_too() -> None:
    done = run_script(PROGRAM)
    assert done.stdout.splitlines() == [
        "parent: Template", "child: Template", "child: Template", "parent again: Template",
    ]  # fmt: skip
