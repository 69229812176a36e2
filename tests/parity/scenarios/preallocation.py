"""fallocate: space before it is needed, and holes where it is not needed any more."""
from __future__ import annotations

import ctypes
import mmap
import os
import subprocess

from .. import calls
from ..calls import FALLOC_COLLAPSE, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE
from ..steps import ANNA, STAFF, Steps, read_file, scenario

PAGE = mmap.PAGESIZE
KEEP, PUNCH = FALLOC_KEEP_SIZE, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE


def bytes_of(count: int) -> bytes:
    return bytes(1 + n % 251 for n in range(count))


@scenario
def space_within_and_behind_the_end(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.write, fd, b"data")
    for mode, offset, length in ((0, 0, 4), (0, 2, 1), (KEEP, 0, 100_000), (0, 4, 1), (0, 10_000, 5), (KEEP, 1 << 20, PAGE),
                                 (0, 3, 99_999), (KEEP, 0, 1)):
        s.do(calls.fallocate, fd, mode, offset, length)
        s.stat(fd)
        s.stat("f")
    s.content("f")
    s.do(os.pwrite, fd, b"behind", 1 << 20)
    s.content("f")
    s.do(os.ftruncate, fd, 3)
    s.do(calls.fallocate, fd, 0, 0, 2 * PAGE)
    s.content("f")


@scenario
def space_for_a_new_file(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(calls.fallocate, fd, KEEP, 0, 1 << 20)
    s.stat("f")
    s.do(os.read, fd, 10)
    s.do(calls.fallocate, fd, 0, 0, 1 << 20)
    s.stat("f")
    s.content("f")
    os.close(fd)
    s.content("f")
    s.do(os.truncate, "f", 0)
    os.sync()
    s.note("space is given back", os.stat("f").st_blocks * 512 <= 8192)


@scenario
def space_behind_the_end_goes_with_a_truncation(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.write, fd, b"data")
    # A drive that has not heard of the data takes the truncation for one that makes the file longer.
    s.do(os.fsync, fd)
    s.do(calls.fallocate, fd, KEEP, 0, 1 << 20)
    s.do(os.ftruncate, fd, 4)
    os.fsync(fd)
    s.note("little is left", os.fstat(fd).st_blocks * 512 <= 8192)
    s.content("f")


@scenario
def preallocation_that_cannot_be(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.write, fd, b"data")
    for mode in (0, KEEP, PUNCH):
        s.do(calls.fallocate, fd, mode, 0, 0)
        s.do(calls.fallocate, fd, mode, 0, -1)
        s.do(calls.fallocate, fd, mode, -1, 10)
        s.do(calls.fallocate, fd, mode, (1 << 63) - 10, 100)
    for mode in (FALLOC_PUNCH_HOLE, PUNCH | FALLOC_ZERO_RANGE, FALLOC_COLLAPSE | KEEP, 1 << 20, 4):
        s.do(calls.fallocate, fd, mode, 0, PAGE)
    os.mkfifo("fifo")
    os.mkdir("d")
    for name, flags in (("f", os.O_RDONLY), ("f", os.O_PATH), ("d", os.O_RDONLY), ("fifo", os.O_RDWR)):
        other = s.open(name, flags)
        for mode in (0, PUNCH):
            s.do(calls.fallocate, other, mode, 0, 10)
    s.stat(fd)
    s.content("f")


@scenario
def preallocation_by_appenders_and_writers(s: Steps) -> None:
    for flags in (os.O_WRONLY, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_APPEND):
        fd = s.open("f", flags | os.O_CREAT)
        s.do(calls.fallocate, fd, 0, 0, 3 * PAGE)
        s.do(os.write, fd, b"more")
        s.do(calls.fallocate, fd, PUNCH, 10, PAGE)
        s.stat(fd)
        s.content("f")


@scenario
def holes_read_as_zeros(s: Steps) -> None:
    size = 40 * PAGE + 123
    for number, (offset, length) in enumerate(((0, 1), (5, 10), (0, PAGE), (PAGE - 1, 2), (PAGE, 3 * PAGE), (7, 30 * PAGE),
                                               (17 * PAGE + 1, PAGE - 2), (size - 5, 5), (size - 5, 1 << 20), (size, PAGE),
                                               (1 << 40, 1), (0, size), (16 * PAGE, 16 * PAGE), (15 * PAGE + 9, 18 * PAGE))):
        s.put(f"f{number}", bytes_of(size))
        fd = s.open(f"f{number}", os.O_RDWR)
        s.do(calls.fallocate, fd, PUNCH, offset, length)
        s.stat(fd)
        s.content(f"f{number}")
        s.do(os.pwrite, fd, b"again", offset + length // 2)
        s.content(f"f{number}") if offset < size else s.stat(fd)
        os.fsync(fd)
        s.do(calls.fallocate, fd, PUNCH, 0, 1 << 42)
        os.fsync(fd)
        s.note("nothing is left", os.fstat(fd).st_blocks * 512 <= 8192)


@scenario
def holes_in_what_is_not_written_back(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.pwrite, fd, bytes_of(10 * PAGE), 0)
    s.do(calls.fallocate, fd, PUNCH, 100, 5 * PAGE)
    s.do(os.pwrite, fd, b"new", 2 * PAGE)
    s.do(calls.fallocate, fd, 0, 0, 20 * PAGE)
    s.do(os.pwrite, fd, b"far", 25 * PAGE)
    s.do(calls.fallocate, fd, 0, 0, 22 * PAGE)
    s.do(calls.fallocate, fd, PUNCH, 9 * PAGE, 1)
    s.stat(fd)
    s.content("f")
    s.do(os.fsync, fd)
    s.content("f")
    os.close(fd)
    s.content("f")
    s.stat("f")


@scenario
def mappings_see_holes(s: Steps) -> None:
    s.put("f", bytes_of(8 * PAGE))
    fd = s.open("f", os.O_RDWR)
    shared = mmap.mmap(fd, 0)
    private = mmap.mmap(fd, 8 * PAGE, flags=mmap.MAP_PRIVATE)
    s.note("before", shared[:])
    shared[3 * PAGE:3 * PAGE + 5] = b"dirty"
    private[PAGE:PAGE + 4] = b"mine"
    s.do(calls.fallocate, fd, PUNCH, 10, 4 * PAGE)
    s.note("after", shared[:])
    shared[2 * PAGE:2 * PAGE + 5] = b"again"
    s.do(os.pread, fd, 10, 2 * PAGE)
    s.content("f")
    s.do(calls.fallocate, fd, 0, 0, 9 * PAGE)
    grown = mmap.mmap(fd, 0)
    s.note("grown", grown[:])
    grown[8 * PAGE:8 * PAGE + 3] = b"end"
    s.step("msync", grown.flush)
    s.content("f")
    other = s.peer()
    other.step("and by another process", read_file, "f")


@scenario
def preallocation_and_times(s: Steps) -> None:
    s.put("f", bytes_of(4 * PAGE))
    fd = s.open("f", os.O_RDWR)
    for label, mode, offset, length in (("within", 0, 0, 10), ("behind, kept", KEEP, 8 * PAGE, 10), ("longer", 0, 0, 6 * PAGE),
                                        ("a hole", PUNCH, 0, 10), ("a hole behind", PUNCH, 1 << 30, 10)):
        s.past("f")
        s.touched(label, lambda: calls.fallocate(fd, mode, offset, length), "f")
        os.fsync(fd)
        s.note("and stays", os.stat("f").st_mtime_ns > 10**18 + 2)
    s.past("f")
    s.touched("refused", lambda: _refused(fd), "f")


def _refused(fd: int) -> None:
    try:
        calls.fallocate(fd, FALLOC_PUNCH_HOLE, 0, 10)
    except OSError:
        pass


def allocate_by_path(path: str, mode: int, offset: int, length: int) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        calls.fallocate(fd, mode, offset, length)
    finally:
        os.close(fd)


@scenario
def preallocation_clears_set_id_bits(s: Steps) -> None:
    os.chmod(".", 0o777)
    for mode, offset, length in ((0, 0, 10), (KEEP, 0, 1 << 16), (PUNCH, 0, 2), (0, 0, 1 << 16)):
        for permissions in (0o6777, 0o2767):
            s.put("f", b"data")
            s.owned("f", permissions, ANNA, STAFF)
            s.peer(ANNA, STAFF).do(allocate_by_path, "f", mode, offset, length)
            s.stat("f")
            s.owned("f", permissions, ANNA, STAFF)
            s.do(allocate_by_path, "f", mode, offset, length)
            s.stat("f")
            os.unlink("f")


@scenario
def preallocation_through_other_names(s: Steps) -> None:
    s.put("a", b"data")
    os.mkdir("d")
    os.link("a", "d/b")
    fd = s.open("d/b", os.O_RDWR)
    s.do(calls.fallocate, fd, 0, 0, 10_000)
    s.stat("a")
    s.do(os.unlink, "d/b")
    s.do(calls.fallocate, fd, 0, 0, 20_000)
    s.stat("a")
    s.do(os.rename, "a", "c")
    s.do(calls.fallocate, fd, PUNCH, 1, 2)
    s.content("c")
    s.do(os.unlink, "c")
    s.do(calls.fallocate, fd, 0, 0, 30_000)
    s.do(calls.fallocate, fd, PUNCH, 0, 1)
    s.stat(fd)
    s.do(os.pread, fd, 10, 0)
    temporary = s.open(".", os.O_TMPFILE | os.O_RDWR)
    s.do(calls.fallocate, temporary, 0, 0, 5000)
    s.do(calls.link_open_file, temporary, "t")
    s.stat("t")


@scenario
def preallocation_up_to_a_limit(s: Steps) -> None:
    s.put("f", b"data")
    s.peer().do(allocate_under_limit, "f", 0, 0, 50_000, 100_000)
    s.stat("f")
    s.peer().do(allocate_under_limit, "f", PUNCH, 0, 200_000, 100_000)
    s.stat("f")


def allocate_under_limit(path: str, mode: int, offset: int, length: int, limit: int) -> None:
    import resource
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    allocate_by_path(path, mode, offset, length)


def run_fallocate(*words: str) -> int:
    return subprocess.run(["fallocate", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


@scenario
def preallocation_by_programs(s: Steps) -> None:
    for words in (("-l", "1M", "f"), ("-n", "-l", "2M", "f"), ("-o", "1M", "-l", "10", "f"), ("-x", "-l", "3M", "f"),
                  ("-l", "0", "f"), ("-l", "1", "d/missing")):
        s.do(run_fallocate, *words)
        s.step("size", lambda: os.stat("f").st_size)
    s.put("g", bytes_of(PAGE) + bytes(100 * PAGE) + bytes_of(PAGE))
    s.do(run_fallocate, "-p", "-o", "10", "-l", "100", "g")
    s.content("g")
    s.do(run_fallocate, "-d", "g")
    s.content("g")
    os.sync()
    s.note("zeros take no room", os.stat("g").st_blocks * 512 <= 16 * PAGE)


def posix_fallocate(fd: int, offset: int, length: int) -> int:
    """The error number that the C library gives: it raises nothing by itself."""
    call = calls.libc.posix_fallocate
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return call(fd, offset, length)


@scenario
def preallocation_by_the_c_function(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(posix_fallocate, fd, 0, 1 << 20)
    s.do(posix_fallocate, fd, 1 << 19, 1 << 20)
    s.do(posix_fallocate, fd, 0, 0)
    s.do(posix_fallocate, fd, -1, 10)
    s.do(posix_fallocate, fd, (1 << 63) - 1, 10)
    s.do(posix_fallocate, s.open("f", os.O_RDONLY), 0, 10)
    s.stat("f")
    s.content("f")


def keep_reserving(path: str, number: int) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    for n in range(100):
        at = (n * 2 + number) * PAGE
        calls.fallocate(fd, 0, at, PAGE)
        os.pwrite(fd, b"%c" % (65 + number) * PAGE, at)
        if n % 3 == 0:
            calls.fallocate(fd, PUNCH, at + 100, 100)
    os.close(fd)


@scenario
def several_preallocate_at_once(s: Steps) -> None:
    peers = [s.peer() for _ in range(2)]
    for number, peer in enumerate(peers):
        peer.start(keep_reserving, "f", number)
    for peer in peers:
        peer.finish("has written and punched")
    s.content("f")
