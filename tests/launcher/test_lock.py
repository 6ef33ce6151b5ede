import subprocess
import sys
import time

from ip_adapter_nodes.launcher.lock import Lock, locked

HOLDER = """
import pathlib, sys, types
package = types.ModuleType("pack")
package.__path__ = [sys.argv[1]]
sys.modules["pack"] = package
from pack.lock import Lock
Lock_ = Lock(pathlib.Path(sys.argv[2]))
Lock_.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def hold(root, path):
    """Another process that has the lock."""
    command = [sys.executable, "-c", HOLDER, str(root / "launcher"), str(path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"held"
    return holder


def end(holder):
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()


def test_a_lock_excludes_other_processes_until_they_end(root, odd_folder):
    path = odd_folder / "some.lock"
    holder = hold(root, path)
    assert not Lock(path).try_acquire()
    waited = []

    def waiting():
        if not waited:
            end(holder)  # killed, not asked: the system gives the lock back
        waited.append(time.monotonic())

    with locked(path, waiting):
        assert waited
        assert not Lock(path).try_acquire()
    lock = Lock(path)
    assert lock.try_acquire()
    lock.release()
    lock.release()
