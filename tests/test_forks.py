"""Which processes count as children of a host; what they do is in tests/faults/test_forks.py."""

from tests.support.script import run_script

PROGRAM = """
import os
from pathlib import Path
from flyte_host import forks

def is_child():
    try:
        forks.check_not_in_child("emit")
    except RuntimeError as error:
        return str(error)
    return ""

def in_child(do):
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.write(writes, do().encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as file:
        return file.read()

def become_host():
    forks.own_file(Path("journal.db"))
    return is_child()

print(in_child(is_child) or "no child")
become_host()
print(in_child(is_child))
print(in_child(become_host) or "a host of its own")
print(in_child(lambda: in_child(is_child)))
print(in_child(lambda: str(forks.process_id() == os.getpid())))
"""


def test_only_a_process_forked_from_a_host_is_a_child() -> None:
    done = run_script(PROGRAM)
    words = "emit does not work in a forked process: call it in the parent"
    found = done.stdout.splitlines()
    assert found == ["no child", words, "a host of its own", words, "True"]


CONNECTED = """
import os, socket
from pathlib import Path
from flyte_host import forks

forks.own_file(Path("journal.db"))
near, far = socket.socketpair()
forks.own_connection(near)
number = near.fileno()
gone = socket.socket()
forks.own_connection(gone)
gone.close()
child = os.fork()
if child == 0:
    same = os.open("/dev/null", os.O_RDONLY)
    near.close()
    os.fstat(same)
    print(near.fileno(), same == number, flush=True)
    os._exit(0)
os.waitpid(child, 0)
near.sendall(b"still there")
print(far.recv(20).decode())
"""


def test_a_child_lets_go_of_the_connections_and_the_parent_keeps_them() -> None:
    done = run_script(CONNECTED)
    assert done.stdout.splitlines() == ["-1 True", "still there"]
