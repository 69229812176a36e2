"""A drive whose process is suspended: its users wait, nothing is lost, and who is killed goes."""
from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Iterator

from parity.places import PATIENCE, Tenon, wait_for_end
from parity.steps import read_file

PIECE = 5000


def until(what: str, true: Callable[[], object]) -> None:
    """Look again until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"not after {PATIENCE} seconds: {what}"
        os.sched_yield()


def states(pid: int) -> set[str]:
    """What the threads of a process do: R, S, D, T and so on."""
    return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in Path("/proc", str(pid), "task").iterdir()}


def waits_for_a_drive(pid: int) -> bool:
    """It sleeps in the kernel's FUSE code, or (D) for the lock of a directory that another such process holds."""
    try:
        return states(pid) == {"D"} or states(pid) == {"S"} and "fuse" in Path("/proc", str(pid), "stack").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def suspended(drive: Tenon) -> Iterator[None]:
    server, = drive.server()
    os.kill(server, signal.SIGSTOP)
    try:
        until("all threads stand still", lambda: states(server) == {"T"})
        yield
    finally:
        os.kill(server, signal.SIGCONT)


def clients(*commands: list[object]) -> list[subprocess.Popen]:
    """Programs that use a suspended drive, each waiting for it."""
    started = [subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for words in commands]
    for process in started:
        until(f"{process.args} waits", lambda: waits_for_a_drive(process.pid))
    return started


def test_clients_wait(drive: Tenon) -> None:
    """Calls of all kinds wait for the drive and are then answered as ever."""
    for name in ("read", "renamed", "removed", "copied"):
        (drive.root / name).write_text(f"content of {name}")
    with suspended(drive):
        waiting = clients(["ls", drive.root / "not there"], ["mkdir", drive.root / "made"], ["rm", drive.root / "removed"],
                          ["mv", drive.root / "renamed", drive.root / "moved"], ["cp", drive.root / "copied", drive.root / "copy"],
                          ["ln", "-s", "target", drive.root / "symlink"], ["touch", drive.root / "touched"],
                          ["cat", drive.root / "read"], ["df", drive.root])
        assert [process.poll() for process in waiting] == [None] * len(waiting)
    results = [(process.communicate(timeout=PATIENCE), process.returncode) for process in waiting]
    assert [code for _, code in results] == [2, 0, 0, 0, 0, 0, 0, 0, 0], results
    assert results[7][0][0] == b"content of read"
    assert sorted(os.listdir(drive.root)) == ["copied", "copy", "made", "moved", "read", "symlink", "touched"]
    assert (drive.root / "copy").read_text() == "content of copied"


def test_killed_clients_go(drive: Tenon) -> None:
    """What a client has asked for and nobody has begun to answer is withdrawn with it."""
    (drive.root / "kept").write_text("kept")
    with suspended(drive):
        waiting = clients(*(["mkdir", drive.root / f"never {number}"] for number in range(10)), ["rm", drive.root / "kept"])
        for process in waiting:
            process.kill()
        assert [process.wait(PATIENCE) for process in waiting] == [-signal.SIGKILL] * len(waiting)
    assert os.listdir(drive.root) == ["kept"]


def append(path: Path, number: int, count: int) -> None:
    """Write a file piece by piece, with everything that a careful program does."""
    directory = os.open(path.parent, os.O_RDONLY)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    for piece in range(count):
        os.write(fd, bytes([number, piece % 256]) * PIECE)
        if piece % 5 == 0:
            os.fsync(fd)
        os.rename(path, path.with_suffix(f".{piece}"))
        path = path.with_suffix(f".{piece}")
        if piece % 7 == 0:
            os.fsync(directory)
        assert os.pread(fd, 2, piece * PIECE * 2) == bytes([number, piece % 256])


def test_nothing_is_lost(drive: Tenon) -> None:
    """Writers are held up again and again."""
    count = 150
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append, args=(drive.root / f"file{number}", number, count), daemon=True) for number in range(3)]
    for process in writers:
        process.start()
    times = 0
    while any(process.is_alive() for process in writers):
        with suspended(drive):
            until("all writers wait or have ended", lambda: all(not p.is_alive() or waits_for_a_drive(p.pid) for p in writers))
            times += 1
    assert [process.exitcode for process in writers] == [0] * 3
    assert times >= 3
    assert sorted(os.listdir(drive.root)) == [f"file{number}.{count - 1}" for number in range(3)]
    for number in range(3):
        assert read_file(drive.root / f"file{number}.{count - 1}") == b"".join(bytes([number, n % 256]) * PIECE for n in range(count))


def test_umount_waits(drive: Tenon) -> None:
    """What is in the page cache alone is stored after the drive goes on."""
    (drive.root / "cached").write_bytes(b"cached" * 10_000)
    server, = drive.server()
    with suspended(drive):
        unmounting = subprocess.Popen(["umount", drive.root])
        until("umount waits", lambda: waits_for_a_drive(unmounting.pid))
    assert unmounting.wait(PATIENCE) == 0
    assert wait_for_end([server], PATIENCE) == []
    drive.check()
    drive.mount()
    assert os.listdir(drive.root) == ([] if drive.drive == "memory" else ["cached"])
    if drive.drive == "vault":
        assert read_file(drive.root / "cached") == b"cached" * 10_000
