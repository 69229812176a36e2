"""read, write and truncate: every byte where it belongs, and zeroes where there are none."""
from __future__ import annotations

import errno
import mmap
import os
import random
import resource
import signal

from .. import calls
from ..steps import Steps, digest, read_file, scenario, write_file

# Sizes around the units that caches and stores work in.
EDGES = (0, 1, 511, 512, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 200_000)


def pattern(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


@scenario
def read_and_write_at_offsets(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.read, fd, 10)
    s.do(os.pread, fd, 10, 100)
    s.do(os.write, fd, b"hello world")
    s.do(os.read, fd, 10)
    s.do(os.lseek, fd, 0, os.SEEK_SET)
    s.do(os.read, fd, 5)
    s.do(os.read, fd, 0)
    s.do(os.read, fd, 100)
    s.do(os.read, fd, 100)
    s.do(os.pread, fd, 5, 6)
    s.do(os.pread, fd, 100, 6)
    s.do(os.pread, fd, 5, 11)
    s.do(os.pread, fd, 5, 12)
    s.do(os.pread, fd, 5, -1)
    s.do(os.pwrite, fd, b"x", -1)
    s.do(os.write, fd, b"")
    s.do(os.pwrite, fd, b"", 1000)
    s.stat(fd)
    s.do(os.pwrite, fd, b"HELLO", 0)
    s.do(os.lseek, fd, 0, os.SEEK_CUR)
    s.do(os.lseek, fd, -5, os.SEEK_END)
    s.do(os.read, fd, 10)
    s.do(os.lseek, fd, 50, os.SEEK_END)
    s.do(os.write, fd, b"far")
    s.do(os.lseek, fd, -1, os.SEEK_SET)
    s.do(os.lseek, fd, 0, 77)
    s.content("f")


@scenario
def read_and_write_vectors(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.step("writev", os.writev, fd, [b"one", b"", b"two", b"x" * 5000])
    s.step("pwritev", os.pwritev, fd, [b"AA", b"BB"], 1)
    buffers = [bytearray(2), bytearray(0), bytearray(5), bytearray(10_000)]
    s.step("preadv", os.preadv, fd, buffers, 0)
    s.note("buffers", [bytes(b) if len(b) < 64 else digest(b) for b in buffers])
    s.do(os.lseek, fd, 4990, os.SEEK_SET)
    s.step("readv", os.readv, fd, buffers)
    s.note("buffers", [bytes(b) if len(b) < 64 else digest(b) for b in buffers])
    s.step("readv at the end", os.readv, fd, buffers)
    s.content("f")


@scenario
def overwrite_pieces(s: Steps) -> None:
    for size in EDGES:
        data = bytearray(pattern(size))
        s.put("f", data)
        fd = os.open("f", os.O_RDWR)
        for at in EDGES:
            if at <= size:
                piece = pattern(777, at)
                os.pwrite(fd, piece, at)
                data[at:at + len(piece)] = piece
                if os.pread(fd, len(data) + 1, 0) != data:
                    s.note(f"wrong after writing at {at} of {size}", os.fstat(fd))
        os.close(fd)
        s.note("as expected", read_file("f") == data)
        s.stat("f")


@scenario
def sparse_files(s: Steps) -> None:
    for at in (1, 4096, 1 << 20, (1 << 20) + 5, 5 << 30, (1 << 40) - 3):
        name = f"at-{at}"
        fd = s.open(name, os.O_RDWR | os.O_CREAT)
        s.do(os.pwrite, fd, b"end", at)
        s.stat(fd)
        s.do(os.pread, fd, 10, at - 1)
        s.do(os.pread, fd, 10, at // 2)
        s.do(os.pread, fd, 4096, 0)
        s.do(os.pwrite, fd, b"start", 0)
        s.do(os.pread, fd, 10, 0)
        s.do(os.fsync, fd)
        s.note("few blocks", os.fstat(fd).st_blocks * 512 <= 1 << 20)
        os.close(fd)
        fd = s.open(name, os.O_RDONLY)
        s.do(os.pread, fd, 10, at - 2)
        os.close(fd)


@scenario
def sparse_file_with_islands(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    model = bytearray(3 << 20)
    for at in range(5000, 3 << 20, 300_007):
        os.pwrite(fd, b"island", at)
        model[at:at + 6] = b"island"
    end = len(bytes(model).rstrip(b"\0"))
    s.note("as expected", os.pread(fd, 4 << 20, 0) == model[:end])
    s.do(os.fsync, fd)
    os.close(fd)
    s.note("as expected again", read_file("f") == model[:end])
    s.note("blocks below the size", os.stat("f").st_blocks * 512 < os.stat("f").st_size)


def stale_bytes(s: Steps, by_path: bool, reopen: bool) -> None:
    """After each pair of sizes, bytes beyond the shorter one must have become zeroes."""
    for small in EDGES:
        for large in EDGES:
            if small >= large:
                continue
            write_file("f", b"\xff" * large)
            fd = os.open("f", os.O_RDWR)
            for size in (small, large):
                os.truncate("f", size) if by_path else os.ftruncate(fd, size)
            if reopen:
                os.close(fd)
                fd = os.open("f", os.O_RDWR)
            got = os.pread(fd, large + 10, 0)
            os.close(fd)
            s.note(f"{large} to {small} and back", got == b"\xff" * small + bytes(large - small))


@scenario
def truncate_leaves_no_stale_bytes(s: Steps) -> None:
    stale_bytes(s, by_path=True, reopen=False)


@scenario
def ftruncate_leaves_no_stale_bytes(s: Steps) -> None:
    stale_bytes(s, by_path=False, reopen=True)


@scenario
def write_beyond_a_truncated_end(s: Steps) -> None:
    for small in EDGES:
        for gap in (0, 1, 100, 4096, 70_000):
            write_file("f", b"\xff" * 150_000)
            fd = os.open("f", os.O_RDWR)
            os.ftruncate(fd, small)
            os.pwrite(fd, b"tail", small + gap)
            os.close(fd)
            got = read_file("f")
            want = (b"\xff" * 150_000)[:small]
            want += bytes(small - len(want)) + bytes(gap) + b"tail"
            s.note(f"{small} + {gap}", got == want)


@scenario
def truncate_errors(s: Steps) -> None:
    s.put("f", b"data")
    s.do(os.mkdir, "d")
    s.do(os.mkfifo, "p")
    s.do(os.symlink, "f", "l")
    for name in ("missing", "d", "p", "f/", "f/x", "l", ""):
        s.do(os.truncate, name, 2)
    s.content("f")
    s.do(os.truncate, "f", -1)
    fd = s.open("f", os.O_RDONLY)
    s.do(os.ftruncate, fd, 0)
    fd = s.open("f", os.O_RDWR)
    s.do(os.ftruncate, fd, -1)
    reader, writer = os.pipe()
    s.step("ftruncate of a pipe", os.ftruncate, writer, 0)
    s.do(os.truncate, "f", 1 << 40)
    s.stat("f")
    s.do(os.truncate, "f", 3)
    s.content("f")


@scenario
def size_limits_of_the_process(s: Steps) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.write, fd, b"x" * 9_990)
    s.step("a write that fits in part", os.write, fd, b"y" * 100)
    s.step("a write beyond", os.write, fd, b"z")
    s.do(os.ftruncate, fd, 10_001)
    s.do(os.truncate, "f", 20_000)
    s.do(os.ftruncate, fd, 10_000)
    s.stat(fd)


@scenario
def random_reads_and_writes(s: Steps) -> None:
    """A small fsx: random calls against a model in memory."""
    for seed in range(3):
        chance = random.Random(seed)
        name = f"f{seed}"
        fd = s.open(name, os.O_RDWR | os.O_CREAT)
        model = bytearray()
        for step in range(250):
            at, length = chance.randrange(300_000), chance.randrange(1, 70_000)
            act = chance.choice(("write", "write", "write", "read", "read", "truncate", "append", "map", "reopen", "sync"))
            if act == "write":
                data = chance.randbytes(length)
                os.pwrite(fd, data, at)
                model.extend(bytes(max(0, at - len(model))))
                model[at:at + length] = data
            elif act == "append":
                data = chance.randbytes(length % 5000)
                os.pwrite(fd, data, len(model))
                model.extend(data)
            elif act == "truncate":
                os.ftruncate(fd, at)
                del model[at:]
                model.extend(bytes(at - len(model)))
            elif act == "map" and len(model) > 10:
                with mmap.mmap(fd, len(model)) as shared:
                    spot = at % (len(model) - 5)
                    if shared[:] != model:
                        s.note(f"seed {seed} step {step}: the mapping differs", describe(shared[:], model))
                    shared[spot:spot + 5] = b"mapped"[:5]
                    model[spot:spot + 5] = b"mapped"[:5]
            elif act == "reopen":
                os.close(fd)
                fd = os.open(name, os.O_RDWR)
            elif act == "sync":
                os.fdatasync(fd)
            got = os.pread(fd, length, at)
            if got != model[at:at + length]:
                s.note(f"seed {seed} step {step}: {act} {at} {length}: wrong", describe(got, model[at:at + length]))
                break
            if os.fstat(fd).st_size != len(model):
                s.note(f"seed {seed} step {step}: {act}: size", (os.fstat(fd).st_size, len(model)))
                break
        os.close(fd)
        s.note("at the end", read_file(name) == model)


def describe(got: bytes, want: bytes) -> str:
    """Where two contents part."""
    spot = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    return f"{len(got)} bytes instead of {len(want)}, the first difference at {spot}"


@scenario
def big_writes(s: Steps) -> None:
    data = pattern(8 << 20)
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.write, fd, data)
    s.step("all of it", os.pread, fd, 9 << 20, 0)
    s.step("from an odd offset", os.pread, fd, (8 << 20) - 12345, 12345)
    s.step("over the end", os.pread, fd, 1 << 20, (8 << 20) - 1000)
    s.do(os.pwrite, fd, data[: 3 << 20], 1_234_567)
    s.do(os.fsync, fd)
    os.close(fd)
    s.content("f")
    s.stat("f")


@scenario
def direct_io(s: Steps) -> None:
    data = mmap.mmap(-1, 1 << 20)
    data.write(pattern(1 << 20))
    fd = s.open("f", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    s.step("write", os.write, fd, data)
    s.step("overwrite", os.pwrite, fd, memoryview(data)[:8192], 65536)
    target = mmap.mmap(-1, 1 << 20)
    s.step("read", os.preadv, fd, [target], 0)
    s.note("content", digest(target[:]))
    s.step("at the end", os.preadv, fd, [target], 1 << 20)
    s.do(os.ftruncate, fd, 10_000)
    s.step("a short read", os.preadv, fd, [target], 8192)
    s.note("tail", digest(target[:10_000 - 8192]))
    cached = s.open("f", os.O_RDWR)
    s.do(os.pwrite, cached, b"cached", 100)
    s.step("sees what was cached", os.preadv, fd, [target], 0)
    s.note("content", digest(target[:10_000]))
    s.step("writes under the cache", os.pwrite, fd, memoryview(data)[4096:8192], 0)
    s.step("is seen by the cache", os.pread, cached, 10_000, 0)


@scenario
def syncing(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.write, fd, b"data")
    s.do(os.fsync, fd)
    s.do(os.fdatasync, fd)
    reader = s.open("f", os.O_RDONLY)
    s.do(os.fsync, reader)
    s.do(os.mkdir, "d")
    d = s.open("d", os.O_RDONLY)
    s.do(os.fsync, d)
    s.do(os.fdatasync, d)
    s.do(os.unlink, "f")
    s.do(os.write, fd, b"more")
    s.do(os.fsync, fd)
    s.do(os.rmdir, "d")
    s.do(os.fsync, d)
    s.do(os.sync)
    s.do(os.mkfifo, "p")
    p = s.open("p", os.O_RDWR)
    s.do(os.fsync, p)
    for flags in (os.O_SYNC, os.O_DSYNC):
        fd = s.open("g", os.O_RDWR | os.O_CREAT | flags)
        s.do(os.write, fd, b"at once")
        s.content("g")


def write_part(path: str, number: int, parts: int, size: int) -> None:
    """One of several processes that fill a file in turns of their own."""
    fd = os.open(path, os.O_WRONLY)
    for at in range(number * 1000, size, parts * 1000):
        os.pwrite(fd, bytes([65 + number]) * 1000, at)
    os.close(fd)


@scenario
def writers_at_different_offsets(s: Steps) -> None:
    s.put("f")
    size = 400_000
    peers = [s.peer() for _ in range(4)]
    for number, peer in enumerate(peers):
        peer.start(write_part, "f", number, 4, size)
    for peer in peers:
        peer.finish("has written")
    s.content("f")


def append_records(path: str, number: int, count: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for n in range(count):
        os.write(fd, b"%c%06d%s\n" % (65 + number, n, b"." * (n % 50)))
    os.close(fd)


@scenario
def appenders_do_not_overwrite(s: Steps) -> None:
    peers = [s.peer() for _ in range(2)]
    for number, peer in enumerate(peers):
        peer.start(append_records, "f", number, 400)
    for peer in peers:
        peer.finish("has appended")
    lines = read_file("f").splitlines()
    s.note("all records", len(lines))
    for number in range(2):
        mine = [line for line in lines if line[:1] == bytes([65 + number])]
        s.note(f"in order, whole: {number}", mine == [b"%c%06d%s" % (65 + number, n, b"." * (n % 50)) for n in range(400)])


@scenario
def readers_see_writers(s: Steps) -> None:
    """What one process has written the other reads at once, through whatever it had open or cached before."""
    s.put("f", b"old")
    other = s.peer()
    theirs = other.open("f", os.O_RDWR)
    mine = s.open("f", os.O_RDWR)
    s.do(os.pread, mine, 10, 0)
    for n in range(20):
        other.do(os.pwrite, theirs, b"%05d" % n, n)
        s.do(os.pread, mine, 100, 0)
        s.note("size", os.fstat(mine).st_size)
        s.do(os.pwrite, mine, b"!", n)
        other.do(os.pread, theirs, 100, 0)
        other.do(os.stat, "f")
    other.do(os.ftruncate, theirs, 2)
    s.do(os.pread, mine, 100, 0)
    s.stat("f")


@scenario
def preallocation_by_the_c_library(s: Steps) -> None:
    """posix_fallocate works everywhere: where the system cannot, the C library writes."""
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.write, fd, b"data")
    s.do(os.posix_fallocate, fd, 0, 100_000)
    s.stat(fd)
    s.do(os.posix_fallocate, fd, 50, 10)
    s.content("f")
    s.do(os.posix_fallocate, fd, 0, 0)
    s.step("advice", os.posix_fadvise, fd, 0, 0, os.POSIX_FADV_DONTNEED)
    s.content("f")


@scenario
def holes_and_data(s: Steps) -> None:
    """lseek may find fewer holes than there are, but what it calls a hole must be one."""
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"data", 0)
    os.pwrite(fd, b"more", 1 << 20)
    size = os.fstat(fd).st_size
    at, seen = 0, bytearray(size)
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            assert error.errno == errno.ENXIO
            break
        end = os.lseek(fd, start, os.SEEK_HOLE)
        assert at <= start < end <= size
        seen[start:end] = os.pread(fd, end - start, start)
        at = end
    s.note("data are where it says", bytes(seen) == os.pread(fd, size, 0))
    s.note("the end is a hole", os.lseek(fd, size - 1, os.SEEK_HOLE) == size)
    s.do(os.lseek, fd, size, os.SEEK_DATA)
    s.do(os.lseek, fd, size, os.SEEK_HOLE)
    s.do(os.lseek, fd, size + 10, os.SEEK_HOLE)
    empty = s.open("e", os.O_RDWR | os.O_CREAT)
    s.do(os.lseek, empty, 0, os.SEEK_DATA)


@scenario
def blocks_are_released(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    os.write(fd, pattern(1 << 20))
    os.fsync(fd)
    s.note("blocks cover the data", os.fstat(fd).st_blocks * 512 >= 1 << 20)
    s.do(os.ftruncate, fd, 0)
    os.fsync(fd)
    s.note("none left", os.fstat(fd).st_blocks * 512 <= 8192)
    s.do(os.ftruncate, fd, 1 << 30)
    s.note("still none", os.fstat(fd).st_blocks * 512 <= 8192)
    s.note("block size", os.fstat(fd).st_blksize >= 512)


@scenario
def truncate_while_open_elsewhere(s: Steps) -> None:
    s.put("f", pattern(100_000))
    other = s.peer()
    theirs = other.open("f", os.O_RDWR)
    other.do(os.lseek, theirs, 90_000, os.SEEK_SET)
    s.do(os.truncate, "f", 50_000)
    other.do(os.read, theirs, 10)
    other.do(os.write, theirs, b"beyond")
    s.content("f")
    s.stat("f")
    other.do(os.ftruncate, theirs, 0)
    s.content("f")
    s.step("and by a new open", lambda: calls.statx("f").size)
