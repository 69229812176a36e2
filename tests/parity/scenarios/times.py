"""What each call does to the times of a file and of its directory, and times set by hand."""
from __future__ import annotations

import os
import time

from .. import calls
from ..steps import ANNA, Steps, opens, scenario, write_file

NOW, OMIT = calls.UTIME_NOW, calls.UTIME_OMIT


@scenario
def times_after_content_calls(s: Steps) -> None:
    s.put("f", b"0123456789")
    fd = s.open("f", os.O_RDWR)

    def each(label, act) -> None:
        s.past("f")
        s.touched(label, act, "f", ".")
    each("read", lambda: os.pread(fd, 5, 0))
    each("write", lambda: os.pwrite(fd, b"x", 0))
    each("append", lambda: os.pwrite(fd, b"x", 20))
    each("write nothing", lambda: os.write(fd, b""))
    each("ftruncate down", lambda: os.ftruncate(fd, 5))
    each("ftruncate up", lambda: os.ftruncate(fd, 50))
    each("truncate down", lambda: os.truncate("f", 4))
    each("O_TRUNC", lambda: opens("f", os.O_WRONLY | os.O_TRUNC))
    each("open and close", lambda: opens("f", os.O_RDWR))
    each("fsync", lambda: os.fsync(fd))
    each("stat", lambda: os.stat("f"))


@scenario
def times_after_attribute_calls(s: Steps) -> None:
    s.put("f", b"data")
    fd = s.open("f", os.O_RDWR)
    for label, act in (("chmod", lambda: os.chmod("f", 0o600)), ("chmod to the same", lambda: os.chmod("f", 0o600)),
                       ("fchmod", lambda: os.fchmod(fd, 0o644)), ("chown", lambda: os.chown("f", ANNA, ANNA)),
                       ("chown to the same", lambda: os.chown("f", ANNA, ANNA)),
                       ("chown of nothing", lambda: os.chown("f", -1, -1)),
                       ("utime", lambda: os.utime("f", ns=(10**18, 2 * 10**18))),
                       ("utime now", lambda: os.utime("f")),
                       ("utime of atime alone", lambda: calls.utimensat("f", (5, 6), (0, OMIT)))):
        s.past("f")
        s.touched(label, act, "f", ".")


@scenario
def times_after_directory_calls(s: Steps) -> None:
    s.do(os.mkdir, "d")
    s.do(os.mkdir, "e")
    s.put("f")
    everything = ("d", "e", "f")

    def each(label, act, *more) -> None:
        s.past(*everything, *more)
        s.touched(label, act, *everything, *more)
    each("create", lambda: write_file("d/a"))
    each("open again", lambda: opens("d/a", os.O_CREAT | os.O_RDWR), "d/a")
    each("mkdir", lambda: os.mkdir("d/b"))
    each("mkfifo", lambda: os.mkfifo("d/c"))
    each("symlink", lambda: os.symlink("x", "d/l"))
    each("link", lambda: os.link("f", "d/hard"))
    each("link fails", lambda: os.link("f", "d/hard"))
    each("unlink", lambda: os.unlink("d/hard"))
    each("unlink fails", lambda: os.unlink("d/hard"))
    each("rename within", lambda: os.rename("d/a", "d/aa"), "d/a", "d/b")
    each("rename across", lambda: os.rename("d/aa", "e/aa"))
    each("rename of a directory across", lambda: os.rename("d/b", "e/b"), "d/b")
    s.put("e/over")
    each("rename over", lambda: os.rename("e/aa", "e/over"))
    each("rename onto itself", lambda: os.rename("e/over", "e/over"), "e/over")
    s.do(os.link, "e/over", "e/twin")
    each("rename onto its own link", lambda: os.rename("e/over", "e/twin"), "e/over", "e/twin")
    each("exchange", lambda: calls.renameat2("d/c", "e/twin", calls.RENAME_EXCHANGE), "d/c", "e/twin")
    each("rmdir", lambda: os.rmdir("e/b"))
    each("rmdir fails", lambda: os.rmdir("e"))
    each("list", lambda: os.listdir("d"))
    each("chmod", lambda: os.chmod("d", 0o700))


@scenario
def times_of_files_whose_names_change(s: Steps) -> None:
    """ctime tells of every change of the links."""
    s.put("a")
    fd = s.open("a", os.O_RDWR)
    s.past("a")
    s.touched("link", lambda: os.link("a", "b"), "a")
    s.past("a")
    s.touched("unlink of one", lambda: os.unlink("a"), "b", fd)
    s.past("b")
    s.touched("rename", lambda: os.rename("b", "c"), fd)
    s.put("x")
    s.past("c")
    s.touched("rename over it", lambda: os.rename("x", "c"), fd)
    s.do(os.mkdir, "d")
    s.do(os.mkdir, "e")
    d, e = s.open("d", os.O_RDONLY), s.open("e", os.O_RDONLY)
    s.touched("rename of a directory", lambda: os.rename("d", "dd"), d)
    s.touched("rename over a directory", lambda: os.rename("dd", "e"), d, e)
    s.touched("rmdir", lambda: os.rmdir("e"), d)


@scenario
def new_files_are_new(s: Steps) -> None:
    for word, make in (("file", write_file), ("directory", os.mkdir), ("fifo", os.mkfifo),
                       ("link", lambda name: os.symlink("x", name))):
        before = time.clock_gettime_ns(5)
        make(word)
        st = os.lstat(word)
        after = time.time_ns()
        for field in ("st_atime_ns", "st_mtime_ns", "st_ctime_ns"):
            s.note(f"{word} {field} is now", before <= getattr(st, field) <= after)


@scenario
def times_set_by_hand(s: Steps) -> None:
    """Every nanosecond kept, before 1970 and far ahead."""
    s.do(os.mkdir, "d")
    s.put("f")
    s.do(os.symlink, "f", "l")
    s.do(os.mkfifo, "p")
    stamps = (0, 1, 999_999_999, 10**9, 1_234_567_890_123_456_789, -1, -10**9, -1_500_000_001, -2_000_000_000 * 10**9,
              (2**31 - 1) * 10**9, 2**31 * 10**9 + 7, 2**32 * 10**9 + 123_456_789, 15_000_000_000 * 10**9 + 5)
    for name in ("f", "d", "l", "p"):
        for stamp in stamps:
            s.do(os.utime, name, ns=(stamp, stamp + 1), follow_symlinks=False)
            st = os.lstat(name)
            s.note("atime, mtime", (st.st_atime_ns, st.st_mtime_ns))
    fd = s.open("f", os.O_RDONLY)
    s.do(calls.futimens, fd, (123, 456), (789, 12))
    s.note("by descriptor", (os.fstat(fd).st_atime_ns, os.stat("f").st_mtime_ns))
    s.do(os.utime, "l", ns=(5, 6))
    s.note("the link's target", (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns))


@scenario
def times_now_and_omitted(s: Steps) -> None:
    s.put("f")

    def now(stamp: int) -> bool:
        return abs(time.time_ns() - stamp) < 60 * 10**9
    for label, atime, mtime in (("both now", (0, NOW), (0, NOW)), ("mtime now", (0, OMIT), (0, NOW)),
                                ("atime now", (0, NOW), (0, OMIT)), ("neither", (0, OMIT), (0, OMIT)),
                                ("one set, one now", (77, 88), (0, NOW)), ("one set, one omitted", (0, OMIT), (99, 11))):
        os.utime("f", ns=(10**18 + 1, 10**18 + 2))
        s.step(label, calls.utimensat, "f", atime, mtime)
        st = os.stat("f")
        s.note("atime, mtime", ["now" if now(stamp) else stamp for stamp in (st.st_atime_ns, st.st_mtime_ns)])
    s.step("bad nanoseconds", calls.utimensat, "f", (0, 10**9), (0, 0))
    s.step("missing", calls.utimensat, "missing", (0, 0), (0, 0))
    s.step("through a file", calls.utimensat, "f/x", (0, 0), (0, 0))


@scenario
def times_survive_other_calls(s: Steps) -> None:
    """A time set by hand stays through everything that is no change of the content."""
    s.put("f", b"data")
    fd = s.open("f", os.O_RDWR)
    s.do(os.write, fd, b"DATA")
    s.do(calls.futimens, fd, (10**9, 1), (10**9, 2))
    s.do(os.fsync, fd)
    s.note("after fsync", os.stat("f").st_mtime_ns)
    os.close(fd)
    s.note("after close", os.stat("f").st_mtime_ns)
    for act in (lambda: os.chmod("f", 0o600), lambda: os.link("f", "g"), lambda: os.rename("g", "h"),
                lambda: os.unlink("h"), lambda: opens("f", os.O_RDWR), lambda: os.chown("f", 1, 1)):
        act()
        s.note("kept", (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns))


@scenario
def times_of_a_written_file_settle(s: Steps) -> None:
    """The mtime seen while a file is open is the one it has after the close, and when it is opened again."""
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.do(os.write, fd, b"data")
    seen = os.fstat(fd).st_mtime_ns
    s.later(fd)
    os.fsync(fd)
    s.note("after fsync", os.fstat(fd).st_mtime_ns == seen)
    os.close(fd)
    s.note("after close", os.stat("f").st_mtime_ns == seen)
    fd = s.open("f", os.O_RDONLY)
    s.note("after open", os.fstat(fd).st_mtime_ns == seen)
    os.close(fd)


@scenario
def times_survive_forgetting(s: Steps) -> None:
    """What was shown once is still so when the kernel has forgotten the file and must ask again.

    Each file is made and written within one tick of the clock, where that can be, and closed after it."""
    names = [f"f{n}" for n in range(30)]
    for name in names:
        fd = os.open(name, os.O_RDWR | os.O_CREAT)
        os.write(fd, b"data")
        s.later(fd)
        os.close(fd)
    seen = {name: (os.stat(name).st_mtime_ns, os.stat(name).st_ctime_ns) for name in names}
    forget()
    now = {name: (os.stat(name).st_mtime_ns, os.stat(name).st_ctime_ns) for name in names}
    s.note("moved", sum(now[name] != seen[name] for name in names))


def forget() -> None:
    """Let the kernel drop the inodes that are not in use; where it may not be told so, nothing is lost."""
    os.sync()
    for _ in range(2):
        try:
            with open("/proc/sys/vm/drop_caches", "w") as file:
                file.write("2")
        except OSError:
            pass


@scenario
def times_only_move_forward(s: Steps) -> None:
    """ctime never goes back, whichever clock stamped it."""
    s.put("f")
    last = os.stat("f").st_ctime_ns
    back = 0
    acts = (lambda: write_file("f", b"x"), lambda: os.chmod("f", 0o600), lambda: os.link("f", "g"),
            lambda: os.unlink("g"), lambda: os.truncate("f", 5), lambda: os.rename("f", "h"),
            lambda: os.rename("h", "f"), lambda: os.utime("f"))
    for turn in range(20):
        for act in acts:
            act()
            now = os.stat("f" if os.path.exists("f") else "h").st_ctime_ns
            back += now < last
            last = now
    s.note("steps back", back)


@scenario
def times_set_by_other_users(s: Steps) -> None:
    s.do(os.chmod, ".", 0o777)
    anna = s.peer(ANNA)
    for mode in (0o644, 0o666, 0o600):
        s.put("f")
        s.owned("f", mode, 0, 0)
        anna.step("now", calls.utimensat, "f", (0, NOW), (0, NOW))
        anna.step("both omitted", calls.utimensat, "f", (0, OMIT), (0, OMIT))
        anna.step("a time", calls.utimensat, "f", (1, 1), (1, 1))
        anna.step("one now", calls.utimensat, "f", (0, NOW), (0, OMIT))
        s.owned("f", mode & 0o444, ANNA, ANNA)
        anna.step("her own, now", calls.utimensat, "f", (0, NOW), (0, NOW))
        anna.step("her own, a time", calls.utimensat, "f", (1, 1), (1, 1))
        s.do(os.unlink, "f")
