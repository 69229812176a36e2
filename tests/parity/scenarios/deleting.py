"""unlink and rmdir, and files that live on without a name."""
from __future__ import annotations

import mmap
import os
import shutil

from .. import calls
from ..steps import ANNA, BERT, Steps, opens, read_file, scenario, write_file
from .opening import KINDS, make_kinds


@scenario
def unlink_every_kind(s: Steps) -> None:
    for name in (*KINDS, "", ".", "..", "directory/missing"):
        s.do(make_kinds)
        s.do(os.unlink, name)
        s.listing()
        clear()


@scenario
def rmdir_every_kind(s: Steps) -> None:
    for name in (*KINDS, "", ".", "..", "directory/missing"):
        s.do(make_kinds)
        s.do(os.rmdir, name)
        s.listing()
        clear()


def clear() -> None:
    for name in os.listdir("."):
        (os.rmdir if os.path.isdir(name) and not os.path.islink(name) else os.unlink)(name)


@scenario
def rmdir_full_directories(s: Steps) -> None:
    s.do(os.mkdir, "d")
    for make, name in ((write_file, "d/f"), (os.mkdir, "d/d"), (os.mkfifo, "d/p")):
        make(name)
        s.do(os.rmdir, "d")
        s.do(os.rmdir if name == "d/d" else os.unlink, name)
    s.do(os.symlink, "x", "d/l")
    s.do(os.rmdir, "d")
    s.do(os.unlink, "d/l")
    s.do(os.rmdir, "d")
    s.listing()


@scenario
def rmdir_of_a_directory_in_use(s: Steps) -> None:
    s.do(os.makedirs, "d/e")
    fd = s.open("d/e", os.O_RDONLY)
    os.chdir("d/e")
    s.step("while a process is in it", os.rmdir, "../../d/e")
    s.step("its files", os.listdir, ".")
    s.step("itself", lambda: os.stat("."))
    s.step("up", lambda: sorted(os.listdir("..")))
    s.step("new file", opens, "f", os.O_CREAT | os.O_RDWR)
    s.step("new directory", os.mkdir, "f")
    s.stat(fd)
    os.chdir("..")
    s.step("made again", os.mkdir, "e")
    s.note("is another", os.fstat(fd).st_ino != os.stat("e").st_ino or os.fstat(fd).st_nlink == 0)
    s.put("e/new")
    s.step("the old one stays empty", lambda: os.listdir(fd))
    os.chdir("..")
    s.tree()


@scenario
def deleted_files_leave_no_error(s: Steps) -> None:
    """syncfs(2) tells of what could not be written; of a file that is gone nothing is to be written."""
    top = s.open(".", os.O_RDONLY)
    s.step("nothing", sync_all, top)
    for label, gone in (("unlinked", lambda: os.unlink("f")), ("replaced", lambda: os.rename("new", "f")),
                        ("two names", unlink_both), ("truncated first", unlink_truncated), ("mapped", unlink_mapped),
                        ("open", unlink_open)):
        for data in (b"", b"data", bytes(300_000)):
            write_file("f", data)
            write_file("new", data)
            os.chmod("f", 0o600)
            s.step(label, gone)
            s.step("synced", sync_all, top)
            s.step("and for one who comes later", sync_by_name, ".")


def sync_all(fd: int) -> None:
    calls.syncfs(fd)


def sync_by_name(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        calls.syncfs(fd)
    finally:
        os.close(fd)


def unlink_both() -> None:
    os.link("f", "g")
    os.unlink("f")
    os.unlink("g")


def unlink_truncated() -> None:
    os.truncate("f", 5)
    os.unlink("f")


def unlink_mapped() -> None:
    write_file("f", bytes(8192))
    fd = os.open("f", os.O_RDWR)
    with mmap.mmap(fd, 8192) as view:
        os.close(fd)
        view[:4] = b"data"
        os.unlink("f")
        view[5000:5004] = b"data"


def unlink_open() -> None:
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    os.write(fd, b"late")
    os.close(fd)


@scenario
def rmdir_of_the_working_directory(s: Steps) -> None:
    """A directory that nothing but a process's working directory holds can be opened still, and is empty."""
    for label, remove in (("removed", remove_e), ("replaced", replace_e)):
        s.do(os.makedirs, "d/e")
        other = s.peer()
        os.chdir("d/e")
        other.step(label, remove)
        s.step("itself", lambda: os.stat("."))
        s.step("its files", os.listdir, ".")
        s.step("a file in it", os.stat, "f")
        s.step("new file", opens, "f", os.O_CREAT | os.O_RDWR)
        s.do(os.access, ".", os.W_OK)
        fd = s.open(".", os.O_RDONLY | os.O_DIRECTORY)
        if fd is not None:
            s.do(os.listdir, fd)
            s.do(os.fsync, fd)
            s.stat(fd)
            s.do(os.close, fd)
        s.step("open for writing", opens, ".", os.O_RDWR)
        s.step("only its path", opens, ".", os.O_PATH)
        os.chdir("../..")
        s.tree()
        s.do(shutil.rmtree, "d")


def remove_e() -> None:
    os.rmdir("d/e")


def replace_e() -> None:
    os.mkdir("d/f")
    os.rename("d/f", "d/e")


def nameless(s: Steps, flags: int) -> None:
    s.put("f", b"0123456789" * 1000)
    fd = s.open("f", flags)
    s.do(os.unlink, "f")
    s.stat("f")
    s.listing()
    s.stat(fd)
    s.do(os.pread, fd, 20, 9990)
    s.do(os.pwrite, fd, b"new", 5)
    s.do(os.pread, fd, 20, 0)
    s.do(os.ftruncate, fd, 7)
    s.stat(fd)
    s.do(os.ftruncate, fd, 70_000)
    s.do(os.pread, fd, 20, 0)
    s.do(os.fchmod, fd, 0o601)
    s.do(os.fchown, fd, ANNA, BERT)
    s.do(os.utime, fd, ns=(10**18, 10**18 + 7))
    s.stat(fd)
    s.note("mtime", os.fstat(fd).st_mtime_ns)
    s.do(os.fsync, fd)
    s.step("open again through /proc", lambda: read_file(f"/proc/self/fd/{int(fd)}")[:10])
    s.step("write through /proc", lambda: write_file(f"/proc/self/fd/{int(fd)}", b"through proc"))
    s.do(os.pread, fd, 20, 0)
    s.step("cannot be linked again", calls.link_open_file, fd, "again")
    s.step("nor by an empty path", calls.linkat, fd, "", "again", calls.AT_EMPTY_PATH)
    s.put("f", b"another")
    s.content("f")
    s.do(os.pread, fd, 20, 0)
    s.note("two files", os.fstat(fd).st_ino != os.stat("f").st_ino)
    os.close(fd)
    s.tree()


@scenario
def unlinked_and_open(s: Steps) -> None:
    nameless(s, os.O_RDWR)


@scenario
def unlinked_and_open_for_appending(s: Steps) -> None:
    nameless(s, os.O_RDWR | os.O_APPEND)


@scenario
def unlinked_with_several_descriptors(s: Steps) -> None:
    fd = s.open("f", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    two = s.open("f", os.O_RDONLY)
    three = s.open("f", os.O_WRONLY | os.O_APPEND)
    s.do(os.link, "f", "g")
    s.do(os.unlink, "f")
    s.stat(fd)
    s.do(os.write, three, b"abc")
    s.content("g")
    s.do(os.unlink, "g")
    s.stat(two)
    s.do(os.write, three, b"def")
    s.do(os.pread, two, 10, 0)
    os.close(three)
    s.do(os.pread, two, 10, 0)
    os.close(fd)
    s.do(os.pread, two, 10, 0)
    s.stat(two)
    os.close(two)
    s.listing()


@scenario
def unlinked_by_another_process(s: Steps) -> None:
    s.put("f", b"data")
    fd = s.open("f", os.O_RDWR)
    other = s.peer()
    other.do(os.unlink, "f")
    s.stat("f")
    s.stat(fd)
    other.do(write_file, "f", b"new")
    s.content("f")
    s.do(os.pread, fd, 10, 0)
    theirs = other.open("f", os.O_RDWR)
    s.do(os.unlink, "f")
    other.do(os.pwrite, theirs, b"NEW", 0)
    other.do(os.pread, theirs, 10, 0)
    other.do(os.fstat, theirs)
    s.listing()


@scenario
def unlinked_and_the_directory_too(s: Steps) -> None:
    s.do(os.mkdir, "d")
    s.put("d/f", b"data")
    s.put("d/g", b"more")
    f, g = s.open("d/f", os.O_RDWR), s.open("d/g", os.O_RDWR)
    s.do(os.unlink, "d/f")
    s.do(os.unlink, "d/g")
    s.listing("d")
    s.step("list again", lambda: [e.name for e in os.scandir("d")])
    s.stat("d")
    s.do(os.rmdir, "d")
    s.stat("d")
    s.do(os.pwrite, f, b"still", 0)
    s.do(os.pread, f, 10, 0)
    s.do(os.pread, g, 10, 0)
    s.stat(f)
    s.do(os.mkdir, "d")
    s.put("d/f", b"new")
    s.do(os.pread, f, 10, 0)
    os.close(f)
    os.close(g)
    s.tree()


@scenario
def unlinked_in_a_directory_that_is_replaced(s: Steps) -> None:
    for name in ("a", "b"):
        s.do(os.mkdir, name)
        s.put(f"{name}/f", name.encode())
    inside = s.open("b/f", os.O_RDWR)
    s.do(os.unlink, "b/f")
    s.step("a directory over one that is empty but for a nameless file", os.rename, "a", "b")
    s.do(os.pread, inside, 10, 0)
    s.do(os.pwrite, inside, b"B", 0)
    s.do(os.pread, inside, 10, 0)
    s.tree()


@scenario
def unlinked_in_a_directory_that_moves(s: Steps) -> None:
    s.do(os.mkdir, "d")
    s.put("d/f", b"data")
    fd = s.open("d/f", os.O_RDWR)
    s.do(os.unlink, "d/f")
    s.do(os.mkdir, "e")
    s.do(os.rename, "d", "e/d")
    s.do(os.pwrite, fd, b"DATA", 0)
    s.do(os.pread, fd, 10, 0)
    s.do(os.fchmod, fd, 0o600)
    s.stat(fd)
    s.tree()
    os.close(fd)
    s.do(os.rmdir, "e/d")
    s.do(os.rmdir, "e")


@scenario
def unlinked_and_still_open_many_times(s: Steps) -> None:
    """The same name is made, opened and removed again and again; each descriptor keeps its own file."""
    fds = []
    for n in range(100):
        fd = os.open("f", os.O_RDWR | os.O_CREAT | os.O_EXCL)
        os.write(fd, b"%d" % n)
        os.unlink("f")
        fds.append(fd)
    s.note("contents", [os.pread(fd, 10, 0) for fd in fds])
    s.note("links", {os.fstat(fd).st_nlink for fd in fds})
    s.note("different files", len({os.fstat(fd).st_ino for fd in fds}))
    s.listing()
    for fd in fds:
        os.close(fd)
    s.listing()


@scenario
def unlinked_special_files_stay_open(s: Steps) -> None:
    s.do(os.mkfifo, "p")
    reader = s.open("p", os.O_RDONLY | os.O_NONBLOCK)
    writer = s.open("p", os.O_WRONLY)
    s.do(os.unlink, "p")
    s.do(os.write, writer, b"through")
    s.do(os.read, reader, 20)
    s.stat(reader)
    s.do(os.fchmod, reader, 0o601)
    s.do(os.fchown, reader, ANNA, BERT)
    s.do(os.utime, reader, ns=(10**18, 10**18 + 7))
    s.stat(reader)


@scenario
def unlink_one_of_two_names(s: Steps) -> None:
    s.put("a", b"data")
    s.do(os.link, "a", "b")
    fd = s.open("a", os.O_RDWR)
    s.do(os.unlink, "a")
    s.stat(fd)
    s.stat("b")
    s.do(os.pwrite, fd, b"D", 0)
    s.content("b")
    s.do(os.truncate, "b", 2)
    s.do(os.pread, fd, 10, 0)
    s.step("another name for the open file", calls.link_open_file, fd, "c")
    s.stat(fd)
    s.do(os.unlink, "b")
    s.do(os.unlink, "c")
    s.stat(fd)
    s.listing()
