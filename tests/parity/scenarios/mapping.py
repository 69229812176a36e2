"""mmap: shared and private, coherent with read and write, through every name of the file."""
from __future__ import annotations

import mmap
import os
import signal
import subprocess

from ..steps import Steps, digest, read_file, scenario

PAGE = mmap.PAGESIZE


@scenario
def map_and_read(s: Steps) -> None:
    s.put("f", b"0123456789" * 1000)
    fd = s.open("f", os.O_RDONLY)
    shared = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    s.note("content", digest(shared[:]))
    s.note("at an offset", mmap.mmap(fd, 100, prot=mmap.PROT_READ, offset=PAGE)[:20])
    s.step("writable and shared on a read-only descriptor", map_only, fd, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    s.step("writable and private", map_only, fd, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    write_only = s.open("f", os.O_WRONLY)
    s.step("on a write-only descriptor", map_only, write_only, mmap.MAP_SHARED, mmap.PROT_WRITE)
    s.do(os.mkdir, "d")
    s.step("a directory", map_only, s.open("d", os.O_RDONLY), mmap.MAP_SHARED, mmap.PROT_READ)
    s.step("executable", map_only, fd, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)


def map_only(fd: int, flags: int, protection: int) -> None:
    mmap.mmap(fd, 100, flags=flags, prot=protection).close()


@scenario
def map_and_write(s: Steps) -> None:
    s.put("f", b"." * 3 * PAGE)
    fd = s.open("f", os.O_RDWR)
    shared = mmap.mmap(fd, 0)
    shared[10:15] = b"first"
    s.step("read sees it", os.pread, fd, 20, 5)
    s.do(os.pwrite, fd, b"second", 20)
    s.note("the mapping sees it", shared[5:30])
    s.step("msync", shared.flush)
    s.content("f")
    shared[PAGE - 3:PAGE + 3] = b"across"
    os.close(fd)
    s.content("f")
    del shared
    s.content("f")


@scenario
def map_privately(s: Steps) -> None:
    s.put("f", b"." * 100)
    fd = s.open("f", os.O_RDWR)
    private = mmap.mmap(fd, 100, flags=mmap.MAP_PRIVATE)
    private[0:4] = b"mine"
    s.content("f")
    s.note("in memory", private[:6])
    private.close()
    s.content("f")


@scenario
def map_through_two_names(s: Steps) -> None:
    s.do(os.mkdir, "d")
    s.put("a", b"." * 5000)
    s.do(os.link, "a", "d/b")
    a, b = s.open("a", os.O_RDWR), s.open("d/b", os.O_RDWR)
    one, two = mmap.mmap(a, 0), mmap.mmap(b, 0)
    one[0:3] = b"one"
    s.note("seen through the other", two[:6])
    two[4090:4100] = b"x" * 10
    s.step("read through the first", os.pread, a, 20, 4085)
    s.do(os.pwrite, b, b"write", 100)
    s.note("seen in the first mapping", one[95:110])
    s.content("a")
    s.content("d/b")
    s.do(os.unlink, "a")
    one[0:3] = b"ONE"
    s.content("d/b")


@scenario
def map_between_processes(s: Steps) -> None:
    s.put("f", b"." * 100)
    fd = s.open("f", os.O_RDWR)
    mine = mmap.mmap(fd, 100)
    other = s.peer()
    other.step("writes by its own mapping", write_by_map, "f", 10, b"theirs")
    s.note("seen", mine[5:20])
    mine[50:54] = b"mine"
    other.step("reads", read_file, "f")
    other.step("reads by its own mapping", read_by_map, "f", 45, 15)


def write_by_map(path: str, at: int, data: bytes) -> None:
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 0) as shared:
        shared[at:at + len(data)] = data
    os.close(fd)


def read_by_map(path: str, at: int, length: int) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as shared:
        data = shared[at:at + length]
    os.close(fd)
    return data


@scenario
def map_outlives_descriptor_and_name(s: Steps) -> None:
    s.put("f", b"x" * 10_000)
    fd = os.open("f", os.O_RDWR)
    shared = mmap.mmap(fd, 0)
    keep = os.open("f", os.O_RDONLY)
    os.close(fd)
    s.do(os.unlink, "f")
    s.note("readable", digest(shared[:]))
    shared[0:5] = b"still"
    s.do(os.pread, keep, 10, 0)
    os.close(keep)
    shared[5:9] = b"here"
    s.note("and alone", shared[:12])
    s.listing()


@scenario
def map_alone_keeps_an_unlinked_file(s: Steps) -> None:
    s.put("f", b"x" * 100_000)
    fd = os.open("f", os.O_RDWR)
    shared = mmap.mmap(fd, 0)
    os.close(fd)
    s.do(os.unlink, "f")
    s.note("pages not read before", digest(shared[:]))
    shared[60_000:60_005] = b"write"
    s.step("msync", shared.flush)
    s.note("content", digest(shared[:]))


@scenario
def map_beyond_the_end(s: Steps) -> None:
    s.put("f", b"x" * 100)
    fd = s.open("f", os.O_RDWR)
    shared = mmap.mmap(fd, 0)
    s.do(os.ftruncate, fd, 3 * PAGE)
    grown = mmap.mmap(fd, 0)
    s.note("grown", digest(grown[:]))
    grown[2 * PAGE:2 * PAGE + 3] = b"far"
    s.step("read", os.pread, fd, 10, 2 * PAGE - 5)
    s.do(os.ftruncate, fd, 50)
    s.note("the rest of the page reads zero", grown[40:60])
    s.do(os.ftruncate, fd, 3 * PAGE)
    s.note("and stays so", digest(grown[:]))
    s.content("f")
    shared.close()


@scenario
def map_of_pages_that_are_gone(s: Steps) -> None:
    """Touching a page beyond the end is SIGBUS."""
    s.put("f", b"x" * 3 * PAGE)
    fd = os.open("f", os.O_RDWR)
    shared = mmap.mmap(fd, 0)
    os.ftruncate(fd, 100)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        bytes(shared[2 * PAGE:2 * PAGE + 1])
        os._exit(0)
    s.note("ends by", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@scenario
def map_and_append(s: Steps) -> None:
    s.put("f", b"." * 100)
    fd = s.open("f", os.O_RDWR | os.O_APPEND)
    shared = mmap.mmap(fd, 100)
    s.do(os.write, fd, b"appended")
    shared[0:3] = b"map"
    s.step("msync", shared.flush)
    s.stat(fd)
    s.content("f")


@scenario
def map_updates_times(s: Steps) -> None:
    s.put("f", b"x" * 5000)
    fd = s.open("f", os.O_RDWR)
    s.past("f")
    shared = mmap.mmap(fd, 0)

    def change() -> None:
        shared[0:1] = b"y"
        shared.flush()
        os.fsync(fd)
    s.touched("a change by mapping, synced", change, "f")


@scenario
def map_with_program_loader(s: Steps) -> None:
    """A shared library is loaded from here."""
    s.step("copy", lambda: subprocess.run(["cp", "/lib/x86_64-linux-gnu/libm.so.6", "libm.so.6"]).returncode
           if os.path.exists("/lib/x86_64-linux-gnu/libm.so.6") else 0)
    if os.path.exists("libm.so.6"):
        s.step("load", lambda: subprocess.run(["/bin/true"], env={"LD_PRELOAD": os.path.abspath("libm.so.6")},
                                              stderr=subprocess.PIPE).stderr)
