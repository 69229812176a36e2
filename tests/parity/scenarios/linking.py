"""link(2): two names, one file."""
from __future__ import annotations

import itertools
import os

from .. import calls
from ..steps import Steps, opens, read_file, scenario, write_file
from .opening import KINDS, make_kinds, restore_kinds


@scenario
def link_every_kind_to_every_kind(s: Steps) -> None:
    s.do(make_kinds)
    for old, new in itertools.product((*KINDS, ""), ("new", "new/", "file", "directory", "to-file", "dangling", "loop",
                                                     "directory/new", "directory/new/", "file/new", "missing/new", "")):
        s.do(os.link, old, new, follow_symlinks=False)
        s.do(calls.linkat, calls.AT_FDCWD, old, new, calls.AT_SYMLINK_FOLLOW)
        for made in ("new", "directory/new", "nowhere"):
            if os.path.lexists(made):
                s.lstat(made)
                os.unlink(made)
    s.do(restore_kinds)
    s.tree()


@scenario
def link_counts(s: Steps) -> None:
    s.put("a", b"data")
    s.do(os.mkdir, "d")
    for n in range(5):
        s.do(os.link, "a", f"d/{n}")
        s.stat("a")
        s.stat(f"d/{n}")
    s.same_file("a", "d/3")
    s.do(os.unlink, "a")
    s.stat("d/0")
    s.do(os.rename, "d/0", "a")
    s.stat("d/1")
    s.do(os.link, "a", "d/1")
    s.put("other")
    s.step("rename over one of the names", os.rename, "other", "d/1")
    s.stat("a")
    s.stat("d/1")
    s.tree()


@scenario
def link_is_the_same_file(s: Steps) -> None:
    s.put("a", b"first")
    s.do(os.mkdir, "d")
    s.do(os.link, "a", "d/b")
    s.do(write_file, "d/b", b"second, longer")
    s.content("a")
    s.stat("a")
    s.do(os.truncate, "a", 6)
    s.content("d/b")
    s.do(os.chmod, "d/b", 0o604)
    s.stat("a")
    s.do(os.chown, "a", 1, 2)
    s.stat("d/b")
    s.do(os.utime, "a", ns=(1, 2))
    s.note("times", (os.stat("d/b").st_atime_ns, os.stat("d/b").st_mtime_ns))
    one, two = s.open("a", os.O_RDWR), s.open("d/b", os.O_RDWR)
    s.same_file(int(one), int(two))
    s.do(os.pwrite, one, b"ONE", 0)
    s.do(os.pread, two, 20, 0)
    s.do(os.pwrite, two, b"TWO", 100)
    s.do(os.fstat, one)
    s.do(os.pread, one, 200, 0)
    s.do(os.ftruncate, one, 2)
    s.do(os.fstat, two)
    s.do(os.unlink, "a")
    s.do(os.pread, one, 20, 0)
    s.stat("d/b")
    s.do(os.pwrite, one, b"after", 0)
    s.content("d/b")


@scenario
def link_after_the_first_name_is_gone(s: Steps) -> None:
    """Whichever name goes, the others live; also when files and directories on the way are renamed."""
    s.do(os.makedirs, "x/y")
    s.put("a", b"data")
    s.do(os.link, "a", "x/y/b")
    s.do(os.unlink, "a")
    s.do(os.link, "x/y/b", "c")
    s.do(os.rename, "x", "z")
    s.content("z/y/b")
    s.do(os.unlink, "c")
    s.content("z/y/b")
    fd = s.open("z/y/b", os.O_RDWR)
    s.do(os.link, "z/y/b", "e")
    s.do(os.unlink, "z/y/b")
    s.do(os.rmdir, "z/y")
    s.do(os.pwrite, fd, b"DA", 0)
    s.content("e")
    s.do(os.rename, "e", "z/e")
    s.do(os.fchmod, fd, 0o611)
    s.stat("z/e")
    s.do(os.ftruncate, fd, 1)
    s.content("z/e")


@scenario
def link_special_files(s: Steps) -> None:
    s.do(os.mkfifo, "p")
    s.do(os.link, "p", "q")
    s.do(os.symlink, "target", "l")
    s.do(os.link, "l", "m", follow_symlinks=False)
    s.same_file("p", "q")
    s.same_file("l", "m")
    s.do(os.unlink, "p")
    s.do(os.unlink, "l")
    reader = s.open("q", os.O_RDONLY | os.O_NONBLOCK)
    writer = s.open("q", os.O_WRONLY)
    s.do(os.write, writer, b"x")
    s.do(os.read, reader, 5)
    s.tree()


@scenario
def link_across_file_systems(s: Steps) -> None:
    s.put("a")
    s.step("link", os.link, "a", "/dev/shm/tenon-tests-never-made")
    s.step("rename", os.rename, "a", "/dev/shm/tenon-tests-never-made")
    s.step("exchange", calls.renameat2, "a", "/dev/null", calls.RENAME_EXCHANGE)
    s.listing()


@scenario
def link_a_thousand_times(s: Steps) -> None:
    s.put("f", b"data")
    s.do(os.mkdir, "d")
    for n in range(1000):
        os.link("f", f"d/{n}")
    s.stat("f")
    s.stat("d/999")
    s.note("one file", len({e.inode() for e in os.scandir("d")}))
    s.do(write_file, "d/500", b"changed")
    s.content("d/17")
    s.do(os.unlink, "f")
    for n in range(0, 1000, 2):
        os.unlink(f"d/{n}")
    s.stat("d/1")
    s.note("left", len(os.listdir("d")))
    s.content("d/501")


@scenario
def link_open_files(s: Steps) -> None:
    s.put("f", b"data")
    fd = s.open("f", os.O_RDWR)
    s.step("by /proc", calls.link_open_file, fd, "g")
    s.step("by an empty path", calls.linkat, fd, "", "h", calls.AT_EMPTY_PATH)
    s.stat(fd)
    s.step("the last of many goes", lambda: [os.unlink(n) for n in ("f", "g", "h")] and None)
    s.stat(fd)
    s.step("no way back", calls.link_open_file, fd, "again")
    s.listing()


@scenario
def link_while_another_reads(s: Steps) -> None:
    """Making and removing links does not disturb open descriptors or caches."""
    s.put("f", b"0" * 100_000)
    fd = s.open("f", os.O_RDWR)
    for n in range(50):
        os.link("f", "g")
        os.pwrite(fd, b"%d" % (n % 10), n)
        s.note(f"{n}", (os.stat("g").st_nlink, read_file("g")[n:n + 1], os.fstat(fd).st_nlink))
        os.unlink("f")
        os.rename("g", "f")
    s.content("f")
    s.stat(fd)


@scenario
def link_by_name_and_open_by_both(s: Steps) -> None:
    """O_TRUNC and O_APPEND through one name act on the other."""
    s.put("a", b"content")
    s.do(os.link, "a", "b")
    s.step("O_TRUNC", opens, "b", os.O_WRONLY | os.O_TRUNC)
    s.stat("a")
    one, two = s.open("a", os.O_WRONLY | os.O_APPEND), s.open("b", os.O_WRONLY | os.O_APPEND)
    for n in range(10):
        s.do(os.write, one if n % 2 else two, b"%d" % n)
    s.content("a")
