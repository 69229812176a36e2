"""The command meets the guard of a killed drive, which holds the dead mount for a moment before it takes that away."""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Iterator

import pytest

from .conftest import LIMIT, Bench, kill_with_guard, mounted, server_of

pytestmark = pytest.mark.usefixtures("real")

# For so many seconds a guard may hold what it takes away.
PATIENCE = 10

# Holds the mount as a guard does, and does what it is told.
GUARD = f"""#!{sys.executable}
import ctypes, os, sys
root = os.open(sys.argv[1], os.O_PATH)
os.write(1, b"+")
for order in sys.stdin:
    if order == "unmount\\n":
        assert ctypes.CDLL(None).umount2(sys.argv[1].encode(), 2) == 0
    elif order == "let go\\n":
        os.close(root)
    else:
        sys.exit()
"""


class Guard:
    def __init__(self, bench: Bench, name: str = "tenon-guard"):
        program = bench.folder / name
        program.write_text(GUARD)
        program.chmod(0o755)
        self.process = subprocess.Popen([program, bench.point], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        bench.running.append(self.process)
        assert self.process.stdout.read(1) == b"+"

    def is_waited_for_by(self, pid: int) -> bool:
        """The process has a pidfd of this one."""
        with contextlib.suppress(OSError):
            for file in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
                with contextlib.suppress(OSError):
                    if f"\nPid:\t{self.process.pid}\n" in file.read_text():
                        return True
        return False

    def order(self, what: str) -> None:
        self.process.stdin.write(f"{what}\n".encode())
        self.process.stdin.flush()


def umount_meets(bench: Bench, guard: Guard, ended, order: str) -> subprocess.Popen:
    """Starts the command; the guard gets the order once it is waited for."""
    kill_with_guard(server_of(bench.point), ended)
    command = bench.start("umount", "mnt", stderr=subprocess.PIPE)
    deadline = time.monotonic() + LIMIT
    while command.poll() is None and not guard.is_waited_for_by(command.pid):
        assert time.monotonic() < deadline
        os.sched_yield()
    guard.order(order)
    return command


# A guard may have to stay: another place that it watches is covered.
@pytest.mark.parametrize("order", ["end", "unmount", "let go"])
def test_umount_waits_for_the_guard(bench, ended, order):
    bench.ok("mount", "memory:", "mnt")
    guard = Guard(bench)
    command = umount_meets(bench, guard, ended, order)
    assert (command.wait(LIMIT), command.stderr.read()) == (0, "")
    assert mounted(bench.point) is None
    assert order == "end" or guard.process.poll() is None


def test_umount_does_not_wait_for_others(bench, ended):
    """Nor for a guard beside which somebody else holds the mount."""
    bench.ok("mount", "memory:", "mnt")
    guard, other = Guard(bench), Guard(bench, "tenon-guarding")
    kill_with_guard(server_of(bench.point), ended)
    started = time.monotonic()
    sentence = bench.refused("umount", "mnt")
    assert time.monotonic() - started < PATIENCE / 2
    assert f"{guard.process.pid} (tenon-guard)" in sentence and f"{other.process.pid} (tenon-guarding)" in sentence
    bench.ok("umount", "-l", "mnt")


@pytest.mark.skipif(not os.environ.get("TENON_THOROUGH"), reason="waits for long: TENON_THOROUGH=1")
def test_umount_does_not_wait_for_ever(bench, ended):
    bench.ok("mount", "memory:", "mnt")
    guard = Guard(bench)
    kill_with_guard(server_of(bench.point), ended)
    started = time.monotonic()
    assert f"in use by {guard.process.pid} (tenon-guard): " in bench.refused("umount", "mnt")
    assert time.monotonic() - started >= PATIENCE
    bench.ok("umount", "-l", "mnt")


@pytest.fixture
def hidden(bench) -> Iterator[Bench]:
    """
    The table tells of a drive that its place does not show, as between a look into the table and another at the place: here
    because the folder above is covered.
    """
    bench.ok("mount", "-o", "control_socket=false", "memory:", "mnt")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "cover", bench.folder], check=True)
    bench.point.mkdir()
    yield bench
    while mounted(bench.folder):
        subprocess.run(["umount", "-l", bench.folder], check=True)


def test_mount_where_a_dead_drive_has_gone(hidden, ended):
    kill_with_guard(server_of(hidden.point), ended)
    hidden.ok("mount", "memory:", "mnt", cwd=hidden.folder)
    (hidden.point / "file").touch()
    hidden.ok("umount", "mnt", cwd=hidden.folder)


def test_list_of_a_drive_that_has_gone(hidden):
    """What is below it has a size, too."""
    [entry] = [one for one in json.loads(hidden.ok("list", "--json")) if one["mountpoint"] == str(hidden.point)]
    assert entry["size"] is None
