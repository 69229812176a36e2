"""The drive's process is killed at any moment while several programs work: what is there afterwards is the state of one
commit, and nothing that was flushed is missing. With and without the kernel's caches, and the dead mount goes by itself.

Every client keeps a journal outside the drive: a line when an operation begins and one when it has ended. Each operation gives
a tree that never was before, so the tree that is found tells how far each client got; that must be one cut through all of
them, since all share one transaction. With the caches that holds for names, and for contents that are written when a file is closed; of
a mapped file each page is as of a moment of its own.
"""
from __future__ import annotations

import os
import pathlib
import random
import resource
import select
import signal
import stat
import subprocess
import sys
import time
from typing import Optional

import pytest

from .conftest import LIMIT, mounted, server_of, wait_until_gone
from .mapped import MappedClient, expect_pages, names_found

pytestmark = pytest.mark.usefixtures("real")

ROUNDS = 3
DEEP_ROUNDS = 100
# Up to this much of the work is done before the kill.
LONGEST = 0.6

Tree = dict[str, tuple]


def seed_of_run() -> int:
    seed = int(os.environ.get("TENON_SEED", time.time_ns() & 0xFFFFFFFF))
    print(f"TENON_SEED={seed}")
    return seed


class Client:
    """A sequence of operations that its seed decides, done for real or only on paper."""

    def __init__(self, seed: int, folder: Optional[str]):
        self.random = random.Random(seed)
        self.folder = folder
        self.tree: Tree = {}
        self.nodes: dict[int, list] = {}
        self.number = 0
        self.flushed = False

    def path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def files(self) -> list[str]:
        return [name for name, what in self.tree.items() if what[0] == "file"]

    def pick(self, names: list[str]) -> str:
        return self.random.choice(sorted(names))

    def next(self) -> None:
        self.number += 1
        self.flushed = False
        kinds = ["create", "create", "mkdir", "symlink", "flush", "flush_folder"]
        if self.files():
            kinds += ["write", "write", "write", "rename", "replace", "link", "unlink", "truncate", "chmod", "unlink_open"]
        if any(what[0] == "folder" for what in self.tree.values()):
            kinds += ["rename_folder", "rmdir"]
        getattr(self, self.random.choice(kinds))()

    def create(self) -> None:
        name = f"f{self.number}"
        self.nodes[self.number] = [0o600, b""]
        self.tree[name] = ("file", self.number)
        if self.folder:
            os.close(os.open(self.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    def mkdir(self) -> None:
        self.tree[f"d{self.number}"] = ("folder",)
        if self.folder:
            os.mkdir(self.path(f"d{self.number}"), 0o700)

    def symlink(self) -> None:
        self.tree[f"s{self.number}"] = ("link", f"to {self.number}")
        if self.folder:
            os.symlink(f"to {self.number}", self.path(f"s{self.number}"))

    def write(self) -> None:
        """At most a page's worth at once, so that the kernel makes one request of it."""
        name = self.pick(self.files())
        node = self.nodes[self.tree[name][1]]
        data = (b"%d " % self.number) * self.random.randrange(1, 400)
        at = self.random.randrange(0, 5) * 4096
        node[1] = node[1][:at].ljust(at, b"\0") + data + node[1][at + len(data):]
        if self.folder:
            fd = os.open(self.path(name), os.O_WRONLY)
            assert os.pwrite(fd, data, at) == len(data)
            os.close(fd)

    def truncate(self) -> None:
        name = self.pick(self.files())
        node = self.nodes[self.tree[name][1]]
        node[1] = node[1][:self.number].ljust(self.number, b"\0")
        if self.folder:
            os.truncate(self.path(name), self.number)

    def chmod(self) -> None:
        name = self.pick(self.files())
        mode = 0o400 | self.number & 0o377
        self.nodes[self.tree[name][1]][0] = mode
        if self.folder:
            os.chmod(self.path(name), mode)

    def rename(self) -> None:
        name = self.pick(self.files())
        self.tree[f"r{self.number}"] = self.tree.pop(name)
        if self.folder:
            os.rename(self.path(name), self.path(f"r{self.number}"))

    def rename_folder(self) -> None:
        name = self.pick([name for name, what in self.tree.items() if what[0] == "folder"])
        self.tree[f"e{self.number}"] = self.tree.pop(name)
        if self.folder:
            os.rename(self.path(name), self.path(f"e{self.number}"))

    def rmdir(self) -> None:
        name = self.pick([name for name, what in self.tree.items() if what[0] == "folder"])
        del self.tree[name]
        if self.folder:
            os.rmdir(self.path(name))

    def replace(self) -> None:
        """The last name of the file that was there goes, or one of its names."""
        name, other = self.pick(self.files()), self.pick(self.files())
        if self.tree[name] != self.tree[other]:
            self.tree[other] = self.tree.pop(name)
        if self.folder:
            os.rename(self.path(name), self.path(other))

    def link(self) -> None:
        name = self.pick(self.files())
        self.tree[f"l{self.number}"] = self.tree[name]
        if self.folder:
            os.link(self.path(name), self.path(f"l{self.number}"))

    def unlink(self) -> None:
        name = self.pick(self.files())
        del self.tree[name]
        if self.folder:
            os.unlink(self.path(name))

    def unlink_open(self) -> None:
        name = self.pick(self.files())
        node = self.tree.pop(name)
        if self.folder:
            fd = os.open(self.path(name), os.O_RDWR)
            os.unlink(self.path(name))
            if node not in self.tree.values():
                os.pwrite(fd, b"unseen", 0)
            os.close(fd)

    def flush(self) -> None:
        name = self.pick(self.files()) if self.files() else "."
        self.fsync(name)

    def flush_folder(self) -> None:
        self.fsync(".")

    def fsync(self, name: str) -> None:
        self.flushed = True
        if self.folder:
            fd = os.open(self.path(name), os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)

    def state(self) -> tuple:
        """What can be seen of it, with files by their names."""
        names: dict[int, list[str]] = {}
        for name, what in self.tree.items():
            if what[0] == "file":
                names.setdefault(what[1], []).append(name)
        files = sorted((sorted(group), *self.nodes[node]) for node, group in names.items())
        rest = sorted((name, *what) for name, what in self.tree.items() if what[0] != "file")
        return repr((files, rest)),


def found(folder: pathlib.Path) -> tuple:
    """The same of what is really there."""
    names: dict[int, list] = {}
    rest = []
    for name in sorted(os.listdir(folder)):
        status = os.lstat(folder / name)
        if stat.S_ISREG(status.st_mode):
            group = names.setdefault(status.st_ino, [[], stat.S_IMODE(status.st_mode), (folder / name).read_bytes()])
            group[0].append(name)
            assert status.st_nlink >= len(group[0])
        elif stat.S_ISLNK(status.st_mode):
            rest.append((name, "link", os.readlink(folder / name)))
        else:
            assert stat.S_ISDIR(status.st_mode) and status.st_nlink == 2
            rest.append((name, "folder"))
    return repr((sorted(tuple(group) for group in names.values()), rest)),


def work(kind: str, seed: int, folder: str, journal: str) -> None:
    """A client's process: until the drive is gone, which a mapping tells with SIGBUS."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    client = KINDS[kind](seed, folder)
    log = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    while True:
        os.write(log, b"%d begin %d\n" % (client.number + 1, time.monotonic_ns()))
        try:
            client.next()
        except OSError:
            return
        os.write(log, b"%d %s %d\n" % (client.number, b"flushed" if client.flushed else b"end", time.monotonic_ns()))


class Journal:
    def __init__(self, path: pathlib.Path):
        self.begin: dict[int, int] = {}
        self.end: dict[int, int] = {}
        self.flushes: list[int] = []  # when each that was acknowledged began
        for line in path.read_text().splitlines():
            number, what, when = line.split()
            (self.begin if what == "begin" else self.end)[int(number)] = int(when)
            if what == "flushed":
                self.flushes.append(self.begin[int(number)])

    def ended_before(self, when: int) -> int:
        return max((number for number, end in self.end.items() if end < when), default=0)


class Mode:
    """How the drive is mounted, and who works there."""

    def __init__(self, options: list[str], kinds: list[str]):
        self.options = options
        self.kinds = kinds


KINDS = {"plain": Client, "mapped": MappedClient}
MODES = {"uncached": Mode(["-o", "file_cache=none"], ["plain"] * 3), "cached": Mode([], ["plain", "mapped", "mapped"])}


def reached(seed: int, journal: Journal, seen: tuple) -> list[int]:
    """After how many operations the tree is the one that is there."""
    client = Client(seed, None)
    fits = [0] if client.state() == seen else []
    for number in range(1, max(journal.begin, default=0) + 1):
        client.next()
        if client.state() == seen:
            fits.append(number)
    return fits


def expect_one_cut(ranges: list[list[int]], journals: list[Journal]) -> None:
    assert all(ranges), f"a tree that never was: {[bool(fits) for fits in ranges]}"
    flushed = max((when for journal in journals for when in journal.flushes), default=0)
    for fits, journal in zip(ranges, journals):
        assert fits[-1] >= journal.ended_before(flushed), "what was flushed is missing"
    # Who is there, everything that ended before it began is there too. Flushes change nothing, so a tree fits several numbers:
    # the first is what must have happened, the last what may have.
    for fits, journal in zip(ranges, journals):
        began = journal.begin.get(fits[0], 0)
        for other, theirs in zip(ranges, journals):
            assert other[-1] >= theirs.ended_before(began), "a change is there without one before it"


def kill(pid: int) -> None:
    fd = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(LIMIT * 1000)
    os.close(fd)


def look(kind: str, seed: int, folder: pathlib.Path, journal: Journal) -> list[int]:
    """After how many of the client's operations what can be seen of names is as it is there."""
    if kind == "plain":
        return reached(seed, journal, found(folder))
    begun = max(journal.begin, default=0)
    expect_pages(seed, folder, begun, max(journal.end, default=0))
    return names_found(seed, folder, begun)


def start_clients(bench, mode: Mode, seeds: list[int], folders: list[pathlib.Path], journals: list[pathlib.Path]) -> list[subprocess.Popen]:
    clients = [subprocess.Popen([sys.executable, "-m", "tool.test_kill", kind, str(seed), folder, journal],
                                cwd=pathlib.Path(__file__).parents[1])
               for kind, seed, folder, journal in zip(mode.kinds, seeds, folders, journals)]
    bench.running += clients
    while not all(journal.exists() and journal.stat().st_size for journal in journals):
        assert all(client.poll() is None for client in clients)
        time.sleep(0.01)
    return clients


def one_round(bench, mode: Mode, seed: int) -> None:
    choose = random.Random(seed)
    seeds = [choose.randrange(1 << 30) for _ in mode.kinds]
    bench.ok("mount", *mode.options, "demo.vault", "mnt")
    folders = [bench.point / f"{seed}-{number}" for number in range(len(seeds))]
    for folder in folders:
        folder.mkdir()
    fd = os.open(bench.point, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    journals = [bench.folder / f"journal-{number}" for number in range(len(seeds))]
    clients = start_clients(bench, mode, seeds, folders, journals)
    time.sleep(choose.random() * LONGEST)  # the moment of the kill, not a wait for something
    pid = server_of(bench.point)
    assert pid is not None
    kill(pid)
    for client, kind in zip(clients, mode.kinds):
        assert client.wait(LIMIT) in ([0, -signal.SIGBUS] if kind == "mapped" else [0])
    wait_until_gone(bench.point)
    assert bench.ok("check", "demo.vault").endswith(": sound\n")
    bench.ok("mount", *mode.options, "demo.vault", "mnt")
    read = [Journal(journal) for journal in journals]
    expect_one_cut([look(*one) for one in zip(mode.kinds, seeds, folders, read)], read)
    assert bench.tenon("umount", "mnt").returncode == 0
    assert mounted(bench.point) is None
    for journal in journals:
        journal.unlink()


@pytest.mark.parametrize("mode", MODES)
def test_killed_at_any_moment(bench, mode):
    seed = seed_of_run()
    rounds = int(os.environ.get("TENON_KILLS", DEEP_ROUNDS if os.environ.get("TENON_THOROUGH") else ROUNDS))
    for number in range(rounds):
        print(f"round {number}")
        one_round(bench, MODES[mode], seed + number)


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
