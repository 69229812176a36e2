"""rename(2) and renameat2(2)."""
from __future__ import annotations

import itertools
import mmap
import os

from .. import calls
from ..steps import Steps, describe_tree, read_file, scenario, write_file

FLAGS = {"rename": 0, "NOREPLACE": calls.RENAME_NOREPLACE, "EXCHANGE": calls.RENAME_EXCHANGE}
THINGS = ("file", "twin", "other", "empty", "full", "full2", "to-file", "to-full", "dangling", "fifo", "missing",
          "full/inside", "full/below", "full/below/deep", "file/", "empty/", "full/", "missing/", "to-full/", ".", "..", "")


def make_things() -> None:
    """A tree with a name of each kind. `twin` is another name of `file`."""
    write_file("file", b"file")
    os.link("file", "twin")
    write_file("other", b"other")
    os.mkdir("empty")
    os.makedirs("full/below/deep")
    write_file("full/inside", b"inside")
    os.mkdir("full2")
    write_file("full2/inside", b"inside 2")
    os.symlink("file", "to-file")
    os.symlink("full", "to-full")
    os.symlink("nowhere", "dangling")
    os.mkfifo("fifo")


def rename_table(s: Steps, word: str) -> None:
    """Everything onto everything. The tree is made again after each call that changed it.

    Calls that fail must change nothing: that is seen when the next one succeeds, or at the end."""
    flags, top, number = FLAGS[word], os.getcwd(), 0

    def renew() -> dict:
        nonlocal number
        number += 1
        os.mkdir(f"{top}/{number}")
        os.chdir(f"{top}/{number}")
        make_things()
        return describe_tree(".")

    def changes() -> dict:
        after = describe_tree(".")
        return {key: after.get(key, "gone") for key in {**before, **after} if before.get(key) != after.get(key)}
    before = renew()
    for old, new in itertools.product(THINGS, THINGS):
        if s.step(f"{word} {old} -> {new}", rename_or_not, old, new, flags):
            changed = changes()
            s.note(f"{word} {old} -> {new} changed", changed)
            if changed:
                before = renew()
    s.note("the failed ones changed", changes())
    os.chdir(top)


def rename_or_not(old: str, new: str, flags: int) -> bool:
    calls.renameat2(old, new, flags)
    return True


@scenario
def rename_everything_to_everything(s: Steps) -> None:
    rename_table(s, "rename")


@scenario
def rename_without_replacing(s: Steps) -> None:
    rename_table(s, "NOREPLACE")


@scenario
def rename_exchanging(s: Steps) -> None:
    rename_table(s, "EXCHANGE")


@scenario
def rename_flags_that_do_not_go_together(s: Steps) -> None:
    s.put("a")
    s.put("b")
    s.do(calls.renameat2, "a", "b", calls.RENAME_NOREPLACE | calls.RENAME_EXCHANGE)
    s.do(calls.renameat2, "a", "b", calls.RENAME_WHITEOUT | calls.RENAME_EXCHANGE)
    s.do(calls.renameat2, "a", "b", 1 << 10)
    s.listing()


@scenario
def rename_into_itself(s: Steps) -> None:
    s.do(os.makedirs, "a/b/c")
    for new in ("a/x", "a/b", "a/b/x", "a/b/c", "a/b/c/x", "a"):
        for flags in FLAGS.values():
            s.do(calls.renameat2, "a", new, flags)
    s.do(os.rename, "a/b/c", "a")
    s.do(os.rename, "a/b", "a")
    s.step("exchange with an ancestor", calls.renameat2, "a/b/c", "a", calls.RENAME_EXCHANGE)
    s.tree()


@scenario
def rename_over_an_open_file(s: Steps) -> None:
    s.put("old", b"old data " * 1000)
    s.put("new", b"new data")
    old = s.open("old", os.O_RDWR)
    s.do(os.rename, "new", "old")
    s.content("old")
    s.stat(old)
    s.do(os.pread, old, 20, 8990)
    s.do(os.pwrite, old, b"still mine", 0)
    s.do(os.pread, old, 20, 0)
    s.do(os.ftruncate, old, 5)
    s.stat(old)
    s.content("old")
    s.do(os.fchmod, old, 0o600)
    s.stat("old")
    again = s.open("old", os.O_RDWR)
    s.put("third", b"third")
    s.do(os.rename, "third", "old")
    s.do(os.pread, again, 20, 0)
    s.do(os.pread, old, 20, 0)
    s.step("no way back", calls.link_open_file, old, "back")
    s.listing()


@scenario
def rename_over_an_open_file_with_another_name(s: Steps) -> None:
    s.put("a", b"data")
    s.do(os.link, "a", "b")
    s.put("new", b"new")
    fd = s.open("a", os.O_RDWR)
    s.do(os.rename, "new", "a")
    s.stat(fd)
    s.do(os.pwrite, fd, b"DATA", 0)
    s.content("b")
    s.content("a")


@scenario
def rename_onto_own_link(s: Steps) -> None:
    s.put("a", b"data")
    s.do(os.link, "a", "b")
    fd = s.open("a", os.O_RDWR)
    s.do(os.rename, "a", "b")
    s.tree()
    s.do(os.rename, "a", "a")
    s.step("exchange", calls.renameat2, "a", "b", calls.RENAME_EXCHANGE)
    s.tree()
    s.do(os.pwrite, fd, b"D", 0)
    s.content("b")


@scenario
def rename_open_files(s: Steps) -> None:
    s.do(os.makedirs, "d/e")
    s.put("f", b"data")
    fd = s.open("f", os.O_RDWR)
    for old, new in (("f", "g"), ("g", "d/g"), ("d/g", "d/e/h"), ("d", "x"), ("x/e", "e"), ("e/h", "f")):
        s.do(os.rename, old, new)
        s.do(os.pwrite, fd, new.encode(), 0)
        s.do(os.pread, fd, 20, 0)
        s.stat(fd)
        s.do(os.fchmod, fd, 0o600)
        s.do(os.utime, fd, ns=(5, 6))
    s.put("g", b"another")
    s.step("exchange", calls.renameat2, "f", "g", calls.RENAME_EXCHANGE)
    s.do(os.pwrite, fd, b"mine", 0)
    s.content("f")
    s.content("g")
    s.tree()


@scenario
def rename_directories_with_open_files(s: Steps) -> None:
    s.do(os.makedirs, "a/b/c")
    fds = []
    for n in range(5):
        fds.append(s.open(f"a/b/c/{n}", os.O_RDWR | os.O_CREAT))
        s.do(os.write, fds[n], b"before")
    directory = s.open("a/b/c", os.O_RDONLY)
    shared = None
    for turn, (old, new) in enumerate((("a", "z"), ("z/b", "b"), ("b/c", "z/c"), ("z", "y"))):
        s.do(os.rename, old, new)
        for n, fd in enumerate(fds):
            s.do(os.pwrite, fd, b"%d-%d" % (turn, n), turn * 4)
        if shared is None:
            shared = mmap.mmap(fds[0], 4)
        shared[0:1] = b"%d" % turn
        s.step("the directory lists", lambda: sorted(os.listdir(directory)))
        s.step("new file below it", lambda: os.close(os.open(f"new-{turn}", os.O_CREAT, 0o644, dir_fd=directory)))
    s.do(os.unlink, "y/c/1")
    s.do(os.pwrite, fds[1], b"gone", 0)
    s.do(os.pread, fds[1], 20, 0)
    s.tree()


@scenario
def rename_the_working_directory(s: Steps) -> None:
    s.do(os.makedirs, "a/b")
    s.put("a/b/f", b"data")
    os.chdir("a/b")
    here = os.getcwd()[:-len("a/b")]
    other = s.peer()
    for old, new in (("a", "x"), ("x/b", "moved"), ("moved", "x/back")):
        other.step(f"{old} -> {new}", os.rename, os.path.join(here, old), os.path.join(here, new))
        s.step("I am in", lambda: os.getcwd()[len(here):])
        s.step("I read", read_file, "f")
        s.step("I see above me", lambda: sorted(os.listdir("..")))
        s.step("I write", write_file, "new")
    os.chdir(here)
    s.tree()


@scenario
def rename_exchanges_contents(s: Steps) -> None:
    s.do(os.makedirs, "d1/sub")
    s.do(os.mkdir, "d2")
    s.put("d1/f", b"in d1")
    s.put("d2/g", b"in d2")
    s.put("file", b"file")
    fd1, fd2 = s.open("d1/f", os.O_RDWR), s.open("d2/g", os.O_RDWR)
    for old, new in (("d1", "d2"), ("d1", "file"), ("d2/sub", "file"), ("d2/f", "d1"), ("d2", "file")):
        s.step(f"exchange {old} {new}", calls.renameat2, old, new, calls.RENAME_EXCHANGE)
        s.do(os.pwrite, fd1, b"one", 0)
        s.do(os.pwrite, fd2, b"two", 0)
        s.tree()
        s.stat(".")


@scenario
def rename_is_atomic_for_readers(s: Steps) -> None:
    """Somebody who replaces a file by rename never lets a reader see none, or half of one."""
    s.put("f", b"0" * 1000)
    writer = s.peer()
    writer.start(replace_often, "f", 300)
    bad = 0
    for _ in range(300):
        data = read_file("f")
        bad += len(data) != 1000 or len(set(data)) != 1
    writer.finish("has replaced it")
    s.note("bad reads", bad)
    s.listing()


def replace_often(path: str, count: int) -> None:
    for n in range(count):
        write_file("temporary", b"%d" % (n % 10) * 1000)
        os.rename("temporary", path)


@scenario
def rename_many_times(s: Steps) -> None:
    s.put("n0", b"data")
    ino = os.stat("n0").st_ino
    for n in range(500):
        os.rename(f"n{n}", f"n{n + 1}")
    s.listing()
    s.note("the same file", os.stat("n500").st_ino == ino)
    s.content("n500")
    s.do(os.mkdir, "d")
    for n in range(100):
        os.rename("n500" if n % 2 == 0 else "d/n", "d/n" if n % 2 == 0 else "n500")
    s.listing()


@scenario
def rename_and_old_names(s: Steps) -> None:
    """The old name is gone and may be used again, with what it was known for forgotten."""
    s.put("a", b"first")
    s.stat("b")
    s.do(os.rename, "a", "b")
    s.stat("a")
    s.do(os.mkdir, "a")
    s.stat("a")
    s.do(os.rmdir, "a")
    s.do(os.symlink, "b", "a")
    s.content("a")
    s.do(os.rename, "a", "c")
    s.put("a", b"new")
    s.content("a")
    s.content("b")
    s.tree()


@scenario
def rename_whole_trees(s: Steps) -> None:
    for n in range(30):
        os.makedirs(f"tree/{n % 3}/{n % 5}", exist_ok=True)
        write_file(f"tree/{n % 3}/{n % 5}/{n}", b"%d" % n)
    s.tree("tree")
    s.do(os.mkdir, "other")
    s.do(os.rename, "tree", "other/tree")
    s.tree()
    s.do(os.rename, "other/tree/1", "one")
    s.tree("one")
    s.do(os.rename, "one", "other/tree/0/inside")
    s.tree()
