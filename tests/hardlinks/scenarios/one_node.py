"""One node for all names: data, mappings, attributes, locks, times and counts are the same through every name and descriptor."""
from __future__ import annotations

import fcntl
import mmap
import os
import subprocess
from typing import Callable

from parity import calls
from parity.scenarios.locking import F_OFD_SETLK, held, lock
from parity.scenarios.mapping import read_by_map, write_by_map
from parity.steps import Steps, read_file, write_file

from . import scenario

PAGE = mmap.PAGESIZE
NAMES = ("a", "d/b", "d/e/c")


def three_names(s: Steps, data: bytes = b"data") -> None:
    """One file with three names, in three directories."""
    s.do(os.makedirs, "d/e")
    s.put("a", data)
    for name in NAMES[1:]:
        s.do(os.link, "a", name)


@scenario
def data_is_one(s: Steps) -> None:
    """Whatever is written through one name is read through each other, in order, without a sync."""
    three_names(s, b"." * 3 * PAGE)
    fds = [s.open(name, os.O_RDWR) for name in NAMES]
    for number, writer in enumerate(fds):
        s.do(os.pwrite, writer, b"%d" % number * 10, number * PAGE + 5)
        for reader in fds:
            s.do(os.pread, reader, 20, number * PAGE)
        for name in NAMES:
            s.content(name)
    for number, name in enumerate(NAMES):
        s.do(os.truncate, name, 5000 - 1000 * number)
        for reader in fds:
            s.do(os.fstat, reader)
            s.do(os.pread, reader, 20, 2990)
    s.do(write_file, "d/b", b"cut and written anew")
    for name in NAMES:
        s.content(name)
        s.stat(name)


@scenario
def mappings_are_one(s: Steps) -> None:
    """Shared mappings through two names are the same pages, with msync and without, also once a name is gone."""
    three_names(s, b"." * 2 * PAGE)
    fds = [s.open(name, os.O_RDWR) for name in NAMES]
    maps = [mmap.mmap(fd, 0) for fd in fds]
    for synced in (False, True):
        for number, own in enumerate(maps):
            at = number * 100 + synced * 50
            own[at:at + 5] = b"map-%d" % number
            if synced:
                s.step("msync", own.flush)
            s.note("seen in the mappings", [bytes(other[at - 2 if at else 0:at + 8]) for other in maps])
            for fd in fds:
                s.do(os.pread, fd, 10, at)
            s.do(os.pwrite, fds[number - 1], b"write", PAGE + at)
            s.note("written through another name", [bytes(other[PAGE + at:PAGE + at + 8]) for other in maps])
    s.do(os.unlink, "a")
    maps[0][0:4] = b"gone"
    s.content("d/b")
    s.do(os.rename, "d/e", "moved")
    maps[1][4:9] = b"moved"
    s.content("moved/c")
    for own in maps:
        own.close()
    for fd in fds:
        os.close(fd)
    s.content("d/b")


@scenario
def mappings_of_two_processes(s: Steps) -> None:
    """Both directions, each process with a name of its own."""
    three_names(s, b"." * PAGE)
    fd = s.open("a", os.O_RDWR)
    mine = mmap.mmap(fd, 0)
    other = s.peer()
    other.step("writes through d/b", write_by_map, "d/b", 10, b"theirs")
    s.note("seen", mine[5:20])
    mine[50:54] = b"mine"
    other.step("reads the mapping of d/b", read_by_map, "d/b", 45, 15)
    other.step("reads d/e/c", read_file, "d/e/c")
    mine.flush()
    other.step("reads it after msync", read_file, "d/e/c")
    other.step("cuts it", os.truncate, "d/b", 52)
    s.do(os.fstat, fd)
    s.do(os.pread, fd, 20, 45)


@scenario
def attributes_are_one(s: Steps) -> None:
    """Set through any name or descriptor, they are seen through all."""
    three_names(s)
    fds = [s.open(name, os.O_RDWR) for name in NAMES]
    paths = [s.open(name, os.O_PATH) for name in NAMES]

    def look() -> None:
        for target in (*NAMES, *fds, *paths):
            st = os.stat(target)
            s.note(f"{target!r}", (oct(st.st_mode), st.st_uid, st.st_gid, st.st_size, st.st_nlink, st.st_mtime_ns < 10**18))
            if not isinstance(target, int):
                seen = calls.statx(target)
                s.note(f"statx {target!r}", (oct(seen.mode), seen.uid, seen.gid, seen.size, seen.nlink))
    for number, target in enumerate((*NAMES, *fds)):
        s.do(os.chmod, target, 0o600 + number)
        look()
        s.do(os.chown, target, 100 + number, 200 + number)
        look()
        s.do(os.utime, target, ns=(number, number))
        look()
        s.note("one mtime", {os.stat(t).st_mtime_ns for t in (*NAMES, *fds, *paths)} == {number})
        s.do(os.truncate, target, 10 + number)
        look()


@scenario
def appends_meet(s: Steps) -> None:
    """O_APPEND through all names: nothing is overwritten."""
    three_names(s, b"")
    fds = [s.open(name, os.O_RDWR | os.O_APPEND) for name in NAMES]
    for number in range(30):
        os.write(fds[number % 3], b"%02d;" % number)
    s.content("a")
    peers = [s.peer() for _ in NAMES]
    for peer, name in zip(peers, NAMES):
        peer.start(append_often, name, 50)
    for peer in peers:
        peer.finish("appended")
    s.note("nothing lost", sorted(read_file("a").split(b";")[30:-1]) == sorted(name.encode() for name in NAMES * 50))
    s.stat("d/b")


def append_often(name: str, count: int) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_APPEND)
    for _ in range(count):
        os.write(fd, name.encode() + b";")
    os.close(fd)


@scenario
def locks_are_one(s: Steps) -> None:
    """flock, record and open-file-description locks through different names are in each other's way; also when names go."""
    three_names(s)
    other = s.peer()
    for change in (lambda: None, lambda: os.rename("a", "z"), lambda: os.link("z", "a"), lambda: os.unlink("z"),
                   lambda: os.rename("d/e", "d/f"), lambda: os.rename("d/f", "d/e")):
        s.step("a change of names", change)
        mine, theirs = s.open("a" if os.path.exists("a") else "z", os.O_RDWR), other.open("d/b", os.O_RDWR)
        s.do(fcntl.flock, mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other.do(fcntl.flock, theirs, fcntl.LOCK_SH | fcntl.LOCK_NB)
        s.do(fcntl.flock, mine, fcntl.LOCK_UN)
        other.do(lock, theirs, fcntl.F_WRLCK, 10, 5)
        s.do(held, mine, fcntl.F_WRLCK, 0, 100)
        s.do(lock, mine, fcntl.F_RDLCK, 12, 1)
        s.do(lock, mine, fcntl.F_WRLCK, 20, 1, F_OFD_SETLK)
        other.do(lock, theirs, fcntl.F_WRLCK, 20, 1)
        other.do(lock, theirs, fcntl.F_UNLCK)
        other.start(lock, theirs, fcntl.F_WRLCK, 20, 1, fcntl.F_SETLKW)
        os.close(mine)
        other.finish("waited for the close through another name")
        other.do(os.close, theirs)


CHANGES: dict[str, Callable[[], object]] = {
    "link": lambda: os.link("d/b", "new"),
    "link of another": lambda: os.link("other", "other2"),
    "unlink": lambda: os.unlink("new"),
    "link again": lambda: os.link("a", "d/new"),
    "rename a name": lambda: os.rename("d/new", "new"),
    "rename a directory of names, and back": lambda: os.rename("d/e", "d/f") or os.rename("d/f", "d/e"),
    "exchange with another file": lambda: calls.renameat2("new", "other", calls.RENAME_EXCHANGE),
    "exchange two names": lambda: calls.renameat2("a", "d/b", calls.RENAME_EXCHANGE),
    "rename onto another name": lambda: os.rename("a", "d/b"),
    "rename over a name": lambda: os.rename("new", "other"),
    "link once more": lambda: os.link("a", "new"),
    "replace a name": lambda: os.rename("other2", "new"),
    "chmod": lambda: os.chmod("d/e/c", 0o640),
    "chown": lambda: os.chown("d/e/c", 7, 8),
    "write": lambda: write_file("d/e/c", b"written"),
    "truncate": lambda: os.truncate("a", 3),
    "write by a descriptor": lambda: os.close(append_to("d/e/c")),
}


def append_to(name: str) -> int:
    fd = os.open(name, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"x")
    return fd


@scenario
def counts_and_times_are_fresh(s: Steps) -> None:
    """After each change, whichever name it is made through, through every name and every descriptor that there is."""
    three_names(s)
    s.put("other")
    targets = [*NAMES, *(s.open(name, os.O_RDWR) for name in NAMES), s.open("d/b", os.O_PATH)]
    for label, change in CHANGES.items():
        s.touched(label, change, *targets)
        s.note(f"{label}: links", [os.stat(target).st_nlink for target in targets])
        s.note(f"{label}: statx", [calls.statx(name).nlink for name in NAMES])
        s.note(f"{label}: one ctime", len({os.stat(target).st_ctime_ns for target in targets}))
    s.tree()


@scenario
def counts_are_fresh_for_another_process(s: Steps) -> None:
    three_names(s)
    other = s.peer()
    theirs = other.open("d/b", os.O_RDWR)
    for number in range(10):
        s.do(os.link, "a", f"{number}")
        other.do(os.fstat, theirs)
        other.do(os.stat, "d/e/c")
        other.do(os.unlink, f"{number}" if number % 2 else "nothing")
        s.do(os.stat, "a")
    s.do(os.chmod, "a", 0o600)
    other.do(os.fstat, theirs)


@scenario
def listings_count_as_stat_does(s: Steps) -> None:
    """The numbers in a listing are those of stat, and the counts are right for whatever a listing has brought along."""
    three_names(s)
    for number in range(50):
        os.link("a", f"d/{number}")
        write_file(f"d/single-{number}")
    for _ in range(2):
        with os.scandir("d") as entries:
            found = {entry.name: (entry.inode(), os.stat(entry).st_ino, entry.stat(follow_symlinks=False).st_nlink) for entry in entries}
        s.note("numbers agree", all(one == two for one, two, _ in found.values()))
        s.note("counts", {name: links for name, (_, _, links) in found.items()})
        s.note("one file", len({found[name][0] for name in found if not name.startswith("single") and name != "e"}))
        fd = s.open("d", os.O_RDONLY)
        s.note("statx while listing", sorted((entry.name, calls.statx(b"d/" + entry.name).nlink) for entry in calls.getdents(fd)
                                             if entry.name not in (b".", b"..", b"e")))
        s.do(os.unlink, "d/7" if os.path.exists("d/7") else "d/8")


@scenario
def programs_run_by_any_name(s: Steps) -> None:
    """A running program cannot be written to, through whichever name."""
    s.step("copy", lambda: subprocess.run(["cp", "/bin/sleep", "sleep"]).returncode)
    s.do(os.link, "sleep", "again")
    process = subprocess.Popen([os.path.abspath("sleep"), "60"])
    # The program is running once its image is the one it was started with.
    while os.path.basename(os.readlink(f"/proc/{process.pid}/exe")) != "sleep":
        pass
    s.step("write through the other name", lambda: os.close(os.open("again", os.O_WRONLY)))
    s.do(os.unlink, "sleep")
    s.step("and when the first is gone", lambda: os.close(os.open("again", os.O_WRONLY)))
    process.kill()
    process.wait()
    s.step("afterwards", lambda: os.close(os.open("again", os.O_WRONLY)))
    s.step("run by the other name", lambda: subprocess.run([os.path.abspath("again"), "0"]).returncode)
