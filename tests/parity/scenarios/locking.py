"""flock and fcntl locks between processes."""
from __future__ import annotations

import fcntl
import os
import struct

from ..steps import Peer, Steps, scenario

F_OFD_GETLK, F_OFD_SETLK = 36, 37


def lock(fd: int, kind: int, start: int = 0, length: int = 0, command: int = fcntl.F_SETLK) -> None:
    fcntl.fcntl(fd, command, struct.pack("hhqqixxxx", kind, os.SEEK_SET, start, length, 0))


def held(fd: int, kind: int, start: int = 0, length: int = 0) -> tuple:
    """Who is in the way: the kind of lock, its range, and whether its owner is somebody else."""
    answer = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack("hhqqixxxx", kind, os.SEEK_SET, start, length, 0))
    found, _, at, count, pid = struct.unpack("hhqqixxxx", answer)
    return ("none",) if found == fcntl.F_UNLCK else (found, at, count, pid != os.getpid())


@scenario
def flock_between_processes(s: Steps) -> None:
    s.put("f")
    other = s.peer()
    mine, theirs = s.open("f", os.O_RDWR), other.open("f", os.O_RDWR)
    s.do(fcntl.flock, mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    other.do(fcntl.flock, theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
    other.do(fcntl.flock, theirs, fcntl.LOCK_SH | fcntl.LOCK_NB)
    s.do(fcntl.flock, mine, fcntl.LOCK_SH | fcntl.LOCK_NB)
    other.do(fcntl.flock, theirs, fcntl.LOCK_SH | fcntl.LOCK_NB)
    s.do(fcntl.flock, mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    other.do(fcntl.flock, theirs, fcntl.LOCK_UN)
    s.do(fcntl.flock, mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    other.start(fcntl.flock, theirs, fcntl.LOCK_EX)
    os.close(mine)
    other.finish("gets it when the other closes")
    second = s.open("f", os.O_RDWR)
    s.do(fcntl.flock, second, fcntl.LOCK_SH | fcntl.LOCK_NB)
    other.do(os.close, theirs)
    s.do(fcntl.flock, second, fcntl.LOCK_SH | fcntl.LOCK_NB)
    third = s.open("f", os.O_RDONLY)
    s.step("another description of the same process", fcntl.flock, third, fcntl.LOCK_EX | fcntl.LOCK_NB)


@scenario
def flock_is_shared_by_fork(s: Steps) -> None:
    s.put("f")
    mine = s.open("f", os.O_RDWR)
    s.do(fcntl.flock, mine, fcntl.LOCK_EX)
    child = s.peer()
    child.step("the child has it too", fcntl.flock, mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    child.step("and may give it up", fcntl.flock, mine, fcntl.LOCK_UN)
    fresh = child.open("f", os.O_RDWR)
    child.do(fcntl.flock, fresh, fcntl.LOCK_EX | fcntl.LOCK_NB)
    s.do(fcntl.flock, mine, fcntl.LOCK_EX | fcntl.LOCK_NB)


@scenario
def record_locks(s: Steps) -> None:
    s.put("f", b"x" * 100)
    other = s.peer()
    mine, theirs = s.open("f", os.O_RDWR), other.open("f", os.O_RDWR)
    s.do(lock, mine, fcntl.F_WRLCK, 0, 10)
    s.do(lock, mine, fcntl.F_RDLCK, 20, 10)
    for at in (0, 9, 10, 20, 30):
        other.do(lock, theirs, fcntl.F_WRLCK, at, 1)
        other.do(held, theirs, fcntl.F_WRLCK, at, 1)
        other.do(lock, theirs, fcntl.F_RDLCK, at, 1)
    s.do(held, mine, fcntl.F_WRLCK, 10, 100)
    s.do(held, mine, fcntl.F_WRLCK, 0, 5)
    s.do(lock, mine, fcntl.F_UNLCK, 5, 2)
    other.do(lock, theirs, fcntl.F_WRLCK, 5, 2)
    other.do(lock, theirs, fcntl.F_WRLCK, 4, 2)
    other.start(lock, theirs, fcntl.F_WRLCK, 0, 5, fcntl.F_SETLKW)
    s.do(lock, mine, fcntl.F_UNLCK, 0, 0)
    other.finish("waited for it")
    s.do(held, mine, fcntl.F_WRLCK, 0, 0)
    other.do(lock, theirs, fcntl.F_UNLCK)
    s.do(lock, mine, fcntl.F_WRLCK, 0, 0)
    read_only = s.open("f", os.O_RDONLY)
    s.do(lock, read_only, fcntl.F_WRLCK)
    os.close(read_only)
    other.step("a close of any descriptor ended it", lock, theirs, fcntl.F_WRLCK)


@scenario
def record_locks_end_with_the_process(s: Steps) -> None:
    s.put("f")
    other: Peer = s.peer()
    theirs = other.open("f", os.O_RDWR)
    other.do(lock, theirs, fcntl.F_WRLCK)
    mine = s.open("f", os.O_RDWR)
    s.do(lock, mine, fcntl.F_WRLCK)
    other.end()
    s.peers.remove(other)
    s.do(lock, mine, fcntl.F_WRLCK)


@scenario
def open_file_description_locks(s: Steps) -> None:
    s.put("f")
    one, two = s.open("f", os.O_RDWR), s.open("f", os.O_RDWR)
    s.do(lock, one, fcntl.F_WRLCK, 0, 10, F_OFD_SETLK)
    s.do(lock, two, fcntl.F_WRLCK, 5, 10, F_OFD_SETLK)
    s.do(lock, two, fcntl.F_WRLCK, 10, 10, F_OFD_SETLK)
    os.close(one)
    s.do(lock, two, fcntl.F_WRLCK, 0, 0, F_OFD_SETLK)


@scenario
def locks_through_two_names(s: Steps) -> None:
    """Two names of one file are one lock domain."""
    s.put("a")
    s.do(os.link, "a", "b")
    other = s.peer()
    a, b = s.open("a", os.O_RDWR), other.open("b", os.O_RDWR)
    s.do(fcntl.flock, a, fcntl.LOCK_EX | fcntl.LOCK_NB)
    other.do(fcntl.flock, b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    s.do(fcntl.flock, a, fcntl.LOCK_UN)
    s.do(lock, a, fcntl.F_WRLCK)
    other.do(lock, b, fcntl.F_WRLCK)
    other.do(held, b, fcntl.F_WRLCK)
    s.do(os.rename, "a", "c")
    s.do(os.unlink, "c")
    other.do(lock, b, fcntl.F_WRLCK)
    os.close(a)
    other.do(lock, b, fcntl.F_WRLCK)


@scenario
def locks_of_unlinked_files(s: Steps) -> None:
    s.put("f")
    fd = s.open("f", os.O_RDWR)
    s.do(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    s.do(os.unlink, "f")
    s.do(lock, fd, fcntl.F_WRLCK)
    s.put("f")
    other = s.open("f", os.O_RDWR)
    s.step("the new file is not locked", fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)
