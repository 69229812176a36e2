"""Random sequences of calls, done alike on two directories, and the shortest sequence that shows a difference.

A sequence is plain data, made from a seed before anything runs, so that any part of it can be run again by itself.
"""
from __future__ import annotations

import mmap
import os
import random
import stat
import time
from typing import Any, Optional

from . import calls
from .steps import describe_tree, plain, remove_tree, view

Step = tuple[Any, ...]
SLOTS = 6
FILES, DIRECTORIES = ("a", "b", "c", "d"), ("D", "E", "F")
FLAGS = (os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_APPEND, os.O_RDWR | os.O_TRUNC, os.O_WRONLY | os.O_CREAT,
         os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_APPEND, os.O_RDWR | os.O_CREAT,
         os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDWR | os.O_CREAT | os.O_TRUNC, os.O_RDONLY | os.O_DIRECTORY)

# How often each kind of call comes.
WEIGHTS = {"open": 18, "close": 4, "write": 12, "append": 4, "read": 8, "content": 6, "truncate": 5, "ftruncate": 4, "map": 4,
           "link": 12, "linkfd": 4, "unlink": 10, "rename": 14, "noreplace": 3, "exchange": 5, "symlink": 2, "mkdir": 5,
           "rmdir": 5, "chmod": 4, "fchmod": 2, "chown": 2, "utime": 3, "stat": 4, "fstat": 4, "list": 4, "readlink": 1,
           "mkfifo": 1, "tmpfile": 2, "fsync": 1, "copy": 2, "allocate": 4, "punch": 4}


def random_path(chance: random.Random, directory: bool) -> str:
    """A path of one to three names. The last is mostly, but not always, of the kind that suits the call."""
    depth = chance.choices((1, 2, 3), (5, 4, 1))[0]
    leaf = chance.choice(DIRECTORIES if directory == (chance.random() < 0.9) else FILES)
    return "/".join([*(chance.choice(DIRECTORIES) for _ in range(depth - 1)), leaf])


def make_steps(seed: int, count: int) -> list[Step]:
    chance = random.Random(seed)
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    steps: list[Step] = []
    for _ in range(count):
        kind = chance.choices(kinds, weights)[0]
        directory = kind in ("mkdir", "rmdir", "list", "tmpfile") or \
            kind in ("rename", "exchange", "noreplace", "utime", "chmod", "stat", "open") and chance.random() < 0.25
        path, other, slot = random_path(chance, directory), random_path(chance, directory), chance.randrange(SLOTS)
        at = chance.choice((0, 10, 100, 4096, 4097, 10_000, 70_000, 200_000)) + chance.randrange(3)
        size = chance.choice((1, 10, 511, 4096, 5000, 66_000))
        fill = chance.randrange(1, 256)
        if kind == "open":
            steps.append((kind, path, slot, chance.choice(FLAGS), chance.choice((0o644, 0o600, 0o755))))
        elif kind in ("close", "fstat", "fsync"):
            steps.append((kind, slot))
        elif kind in ("write", "map"):
            steps.append((kind, slot, at, size, fill))
        elif kind == "append":
            steps.append((kind, path, size, fill))
        elif kind == "read":
            steps.append((kind, slot, at, size))
        elif kind == "truncate":
            steps.append((kind, path, at))
        elif kind == "ftruncate":
            steps.append((kind, slot, at))
        elif kind in ("allocate", "punch"):
            mode = calls.FALLOC_KEEP_SIZE * chance.randrange(2) if kind == "allocate" else \
                calls.FALLOC_KEEP_SIZE | calls.FALLOC_PUNCH_HOLE
            steps.append((kind, slot, mode, at, size))
        elif kind in ("link", "rename", "noreplace", "exchange", "symlink"):
            steps.append((kind, path, other))
        elif kind == "linkfd":
            steps.append((kind, slot, path))
        elif kind == "copy":
            steps.append((kind, slot, chance.randrange(SLOTS), at, size))
        elif kind in ("chmod", "fchmod"):
            steps.append((kind, path if kind == "chmod" else slot, chance.choice((0o600, 0o644, 0o755, 0o4755, 0o2711))))
        elif kind == "chown":
            steps.append((kind, path, chance.choice((0, 61001, -1)), chance.choice((0, 62001, -1))))
        elif kind == "utime":
            steps.append((kind, path, chance.randrange(2 * 10**18)))
        elif kind == "tmpfile":
            steps.append((kind, path, slot))
        else:
            steps.append((kind, path))
    return steps


class World:
    """One of the two directories, with its open descriptors."""

    def __init__(self, root: str):
        self.root = root
        self.slots: list[Optional[int]] = [None] * SLOTS
        os.mkdir(root)

    def close(self) -> None:
        for slot in range(SLOTS):
            self.drop(slot)

    def drop(self, slot: int) -> None:
        fd, self.slots[slot] = self.slots[slot], None
        if fd is not None:
            os.close(fd)

    def perform(self, step: Step) -> Any:
        """Do one step; what it answered, and what the names it concerns look like afterwards."""
        try:
            answer = plain(getattr(self, f"do_{step[0]}")(*step[1:]))
        except OSError as error:
            answer = calls.error_name(error)
        return answer, [self.look(word) for word in step[1:] if isinstance(word, str)]

    def look(self, path: str) -> Any:
        try:
            return view(os.lstat(self.path(path)))
        except OSError as error:
            return calls.error_name(error)

    def path(self, path: str) -> str:
        return f"{self.root}/{path}"

    def fd(self, slot: int) -> int:
        fd = self.slots[slot]
        if fd is None:
            raise OSError(9, "nothing is open here")
        return fd

    def keep(self, slot: int, fd: int) -> Any:
        self.drop(slot)
        self.slots[slot] = fd
        return view(os.fstat(fd))

    def do_open(self, path: str, slot: int, flags: int, mode: int) -> Any:
        return self.keep(slot, os.open(self.path(path), flags | os.O_NONBLOCK, mode))

    def do_tmpfile(self, path: str, slot: int) -> Any:
        return self.keep(slot, os.open(self.path(path), os.O_TMPFILE | os.O_RDWR, 0o640))

    def do_close(self, slot: int) -> None:
        self.drop(slot)

    def do_write(self, slot: int, at: int, size: int, fill: int) -> Any:
        return os.pwrite(self.fd(slot), bytes([fill]) * size, at)

    def do_append(self, path: str, size: int, fill: int) -> Any:
        fd = os.open(self.path(path), os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
        try:
            return os.write(fd, bytes([fill]) * size) if os.path.isfile(self.path(path)) else None
        finally:
            os.close(fd)

    def do_read(self, slot: int, at: int, size: int) -> Any:
        return os.pread(self.fd(slot), size, at)

    def do_map(self, slot: int, at: int, size: int, fill: int) -> Any:
        fd = self.fd(slot)
        length = os.fstat(fd).st_size
        if length == 0 or not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with mmap.mmap(fd, 0) as shared:
            at %= length
            size = min(size, length - at)
            before = bytes(shared[at:at + size])
            shared[at:at + size] = bytes([fill]) * size
            return plain(before)

    def do_content(self, path: str) -> Any:
        fd = os.open(self.path(path), os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.pread(fd, 1 << 20, 0)
        finally:
            os.close(fd)

    def do_truncate(self, path: str, size: int) -> None:
        os.truncate(self.path(path), size)

    def do_ftruncate(self, slot: int, size: int) -> Any:
        os.ftruncate(self.fd(slot), size)
        return view(os.fstat(self.fd(slot)))

    def do_allocate(self, slot: int, mode: int, at: int, size: int) -> Any:
        calls.fallocate(self.fd(slot), mode, at, size)
        return view(os.fstat(self.fd(slot)))

    do_punch = do_allocate

    def do_copy(self, source: int, target: int, at: int, size: int) -> Any:
        return os.copy_file_range(self.fd(source), self.fd(target), size, at, at + 1)

    def do_link(self, old: str, new: str) -> None:
        os.link(self.path(old), self.path(new), follow_symlinks=False)

    def do_linkfd(self, slot: int, new: str) -> None:
        calls.link_open_file(self.fd(slot), self.path(new))

    def do_unlink(self, path: str) -> None:
        os.unlink(self.path(path))

    def do_rename(self, old: str, new: str) -> None:
        os.rename(self.path(old), self.path(new))

    def do_noreplace(self, old: str, new: str) -> None:
        calls.renameat2(self.path(old), self.path(new), calls.RENAME_NOREPLACE)

    def do_exchange(self, old: str, new: str) -> None:
        calls.renameat2(self.path(old), self.path(new), calls.RENAME_EXCHANGE)

    def do_symlink(self, target: str, path: str) -> None:
        os.symlink(target, self.path(path))

    def do_readlink(self, path: str) -> Any:
        return os.readlink(self.path(path))

    def do_mkdir(self, path: str) -> None:
        os.mkdir(self.path(path))

    def do_rmdir(self, path: str) -> None:
        os.rmdir(self.path(path))

    def do_mkfifo(self, path: str) -> None:
        os.mkfifo(self.path(path))

    def do_chmod(self, path: str, mode: int) -> None:
        os.chmod(self.path(path), mode)

    def do_fchmod(self, slot: int, mode: int) -> Any:
        os.fchmod(self.fd(slot), mode)
        return view(os.fstat(self.fd(slot)))

    def do_chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(self.path(path), uid, gid)

    def do_utime(self, path: str, stamp: int) -> Any:
        os.utime(self.path(path), ns=(stamp, stamp + 1))
        st = os.stat(self.path(path))
        return st.st_atime_ns, st.st_mtime_ns

    def do_stat(self, path: str) -> Any:
        return os.stat(self.path(path))

    def do_fstat(self, slot: int) -> Any:
        return os.fstat(self.fd(slot))

    def do_list(self, path: str) -> Any:
        return sorted(os.listdir(self.path(path)))

    def do_fsync(self, slot: int) -> None:
        os.fsync(self.fd(slot))


def compare(steps: list[Step], first: str, second: str, progress=lambda label: None, keep: bool = False) -> Optional[str]:
    """Do the steps in two new directories; the first difference in words, or None. Removes the directories unless asked."""
    worlds = World(first), World(second)
    try:
        for number, step in enumerate(steps):
            progress(f"step {number}: {step}")
            want, got = (world.perform(step) for world in worlds)
            if want != got:
                return f"step {number}: {step}\n    plain {want}\n    drive {got}"
            if number % 250 == 249 or number == len(steps) - 1:
                if found := tree_difference(first, second):
                    return f"after step {number}: {step}\n{found}"
        return None
    finally:
        for world in worlds:
            world.close()
        progress("removing the directories")
        if not keep:
            remove_tree(first)
            remove_tree(second)


def tree_difference(first: str, second: str) -> str:
    want, got = describe_tree(first), describe_tree(second)
    return "\n".join(f"    {name!r}: plain {want.get(name, 'nothing')}, drive {got.get(name, 'nothing')}"
                     for name in sorted({**want, **got}) if want.get(name) != got.get(name))


def shorten(steps: list[Step], differs, seconds: float) -> list[Step]:
    """Leave out what the difference does not need."""
    deadline = time.monotonic() + seconds
    size = max(1, len(steps) // 2)
    while time.monotonic() < deadline:
        at, before = 0, len(steps)
        while at < len(steps) and time.monotonic() < deadline:
            shorter = steps[:at] + steps[at + size:]
            if shorter and differs(shorter):
                steps = shorter
            else:
                at += size
        if size == 1 and len(steps) == before:
            break
        size = max(1, size // 2)
    return steps
