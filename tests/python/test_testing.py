"""tenon.testing: what it shows of a drive, what it asks of it, and that it gives everything back."""
from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator

import pytest
import tenon.testing
from tenon.testing import Balance, FileSystem

from .tree import Tree

NOTHING = Balance(0, 0, 0, 0)
NOREPLACE, EXCHANGE = 1, 2
ODD = "caf\udcff \n'\\é"  # not UTF-8


@pytest.fixture
def tree() -> Tree:
    return Tree()


@pytest.fixture(params=[True, False], ids=["threads", "in-line"])
def fs(request: pytest.FixtureRequest, tree: Tree) -> Iterator[FileSystem]:
    with tenon.testing.mounted(tree.cbfs, threads=request.param) as fs:
        yield fs
    assert tree.cbfs._testing_balance() == NOTHING


def trace(tree: Tree, *wanted: str) -> list[tuple[str, object]]:
    """Events of these names from now on, with their parameters as attributes at that time."""
    events: list[tuple[str, object]] = []
    tree.before = lambda name, e: events.append((name, getattr(e, "file_name", ""))) if name in wanted else None
    return events


class error:
    """The block must fail with this number and these names of files."""

    def __init__(self, number: int, *names: object) -> None:
        self.wanted = (number, *names)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, raised, trace) -> bool:
        if raised is None:
            pytest.fail(f"nothing was raised where {errno.errorcode[self.wanted[0]]} is right")
        if not isinstance(raised, OSError):
            return False
        names = (raised.filename, raised.filename2)[:len(self.wanted) - 1]
        assert (raised.errno, *names) == self.wanted
        assert raised.strerror == os.strerror(self.wanted[0])
        return True


# ---------------------------------------------------------------------------------------------------- files

def test_the_example(fs):
    fs.write_bytes("/a", b"hello")
    fs.link("/a", "/b")
    assert fs.stat("/b").st_nlink == 2
    with fs.open("/a", os.O_RDWR) as file:
        assert file.read(10, offset=0) == b"hello"
        assert file.write(b"x", offset=3) == 1
        file.truncate(4)
        file.sync()
        assert file.stat().st_size == 4
    assert fs.read_bytes("/b") == b"helx"


def test_positions(fs):
    with fs.open("/a", os.O_RDWR | os.O_CREAT, 0o600) as file:
        assert (file.write(b"01234"), file.write(b"56789"), file.position) == (5, 5, 10)
        assert file.write(b"x", offset=1) == 1
        assert file.position == 10
        file.position = 2
        assert (file.read(3), file.read(), file.read(), file.read(2, offset=0)) == (b"234", b"56789", b"", b"0x")
    assert stat.S_IMODE(fs.stat("/a").st_mode) == 0o600


def test_appending(fs):
    fs.write_bytes("/a", b"one")
    with fs.open("/a", os.O_WRONLY | os.O_APPEND) as file:
        fs.write_bytes("/a", b"longer")
        file.write(b"!")
        file.write(b"?", offset=0)
    assert fs.read_bytes("/a") == b"longer!?"


def test_more_than_one_request_carries(fs):
    data = os.urandom(3 * 2**20 + 5)
    assert fs.write_bytes("/large", memoryview(data)) == len(data)
    assert fs.read_bytes("/large") == data
    with fs.open("/large") as file:
        assert file.read(2**20 + 1, offset=7) == data[7:2**20 + 8]


def test_a_write_that_fails_in_the_middle(fs, tree):
    def full(name, e):
        if name == "write_file" and e.position >= 2**20:
            raise OSError(errno.ENOSPC, "full")
    tree.before = full
    with fs.open("/a", os.O_RDWR | os.O_CREAT) as file:
        assert file.write(bytes(2**20 + 1)) == 2**20
        with error(errno.ENOSPC, "/a"):
            file.write(b"more")
    with error(errno.ENOSPC, "/a"):
        fs.write_bytes("/a", bytes(2**20 + 1))


def test_truncating_opens_and_creates_through_symlinks(fs, tree):
    fs.symlink("target", "/s")
    assert fs.write_bytes("/s", b"long") == 4
    assert fs.listdir() == ["s", "target"]
    events = []

    def note(name, e):
        if name in ("open_file", "set_file_size", "create_file") and e.file_name == "/target":
            events.append((name, getattr(e, "open_flags", None)))
    tree.before = note
    fs.write_bytes("/s", b"x")
    assert events == [("open_file", os.O_WRONLY), ("set_file_size", None)]
    assert fs.read_bytes("/target") == b"x"


def test_an_open_that_cannot_truncate_is_closed(fs, tree):
    fs.write_bytes("/a", b"x")

    def refuse(name, e):
        if name == "set_file_size":
            raise PermissionError(errno.EPERM, "no")
    tree.before = refuse
    with error(errno.EPERM, "/a"):
        fs.write_bytes("/a", b"y")
    assert fs.balance().handles == 0


def test_files_without_names(fs):
    with fs.open("/", os.O_RDWR | os.O_TMPFILE, 0o640) as file:
        file.write(b"data")
        assert fs.listdir() == []
        file.link("/a")
        with error(errno.EEXIST, "/", "/a"):
            file.link("/a")
        file.link("/b")
    assert (fs.read_bytes("/b"), fs.stat("/a").st_nlink, fs.stat("/a").st_mode) == (b"data", 2, stat.S_IFREG | 0o640)


def test_deleted_and_still_open(fs):
    fs.write_bytes("/a", b"here")
    with fs.open("/a", os.O_RDWR) as file:
        fs.unlink("/a")
        assert not fs.exists("/a") and file.lookup_id in fs._kernel._nodes
        file.write(b"!", offset=4)
        assert file.read(offset=0) == b"here!"
        fs.forget_all()
        assert file.read(offset=0) == b"here!"
    assert not fs._kernel._nodes


def test_a_name_deleted_and_another_one_known(fs):
    fs.write_bytes("/a", b"x")
    fs.link("/a", "/b")
    with fs.open("/a"):
        fs.unlink("/a")
        fs.stat("/b")
    assert fs.balance().nodes == 1 and fs._kernel._nodes


def test_closing(fs, tree):
    events = trace(tree, "cleanup_file", "close_file")
    file = fs.open("/a", os.O_RDWR | os.O_CREAT)
    assert not file.closed and "closed" not in repr(file)
    file.close()
    file.close()
    assert file.closed and "(closed)" in repr(file)
    assert events == [("cleanup_file", "/a"), ("close_file", "/a")]
    for use in (file.read, file.sync, file.stat, lambda: file.write(b"x"), lambda: file.truncate(0), lambda: file.fallocate(0, 1)):
        with pytest.raises(ValueError, match="closed"):
            use()
    directory = fs.open("/")
    directory.close()
    for use in (directory.stat, directory.sync):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_what_close_tells(fs, tree):
    def full(name, e):
        if name == "cleanup_file":
            raise OSError(errno.EDQUOT, "quota")
    file = fs.open("/a", os.O_WRONLY | os.O_CREAT)
    tree.before = full
    with error(errno.EDQUOT, "/a"):
        file.close()
    assert file.closed and fs.balance().handles == 0


def test_without_handlers_for_flushing():
    tree = Tree()
    tree.cbfs.on_cleanup_file = tree.cbfs.on_flush_file = None
    with tenon.testing.mounted(tree.cbfs) as fs:
        for _ in range(2):
            with fs.open("/a", os.O_WRONLY | os.O_CREAT) as file:
                file.sync(data_only=True)
            assert fs._kernel._unserved == {25}, "FLUSH is sent again"


def test_allocating(fs, tree):
    fs.write_bytes("/a", b"12345")
    fs.fallocate("/a", 3, 7)
    assert fs.read_bytes("/a") == b"12345" + bytes(5)
    fs.fallocate("/a", 1, 2, 3)  # punch a hole
    assert fs.read_bytes("/a") == b"1\0\x0045" + bytes(5)
    with error(errno.EOPNOTSUPP, "/a"):
        fs.fallocate("/a", 0, 1, 0x20)


# ---------------------------------------------------------------------------------------------------- attributes

def test_stat(fs, tree):
    fs.write_bytes("/a", b"hello")
    fs.link("/a", "/b")
    told = fs.stat("/a")
    assert (told.st_mode, told.st_nlink, told.st_size) == (stat.S_IFREG | 0o644, 2, 5)
    assert told.st_ino == fs.lookup("/a") == fs.lookup("/b") == tree.items["/a"].id
    assert (told.st_mtime_ns, int(told.st_mtime)) == (tree.items["/a"].mtime, tree.items["/a"].mtime // 10**9)
    assert told.st_mtime == pytest.approx(tree.items["/a"].mtime / 1e9)
    assert fs.stat(b"a") == fs.stat("//a") == fs.stat("./a") == fs.stat("../../a") == told
    root = fs.stat("/")
    assert (root.st_mode, root.st_ino) == (stat.S_IFDIR | 0o755, 1)
    with error(errno.ENOENT, "/none"):
        fs.stat("/none")
    with error(errno.ENOENT, b"/none/a"):
        fs.stat(b"/none/a")
    with pytest.raises(ValueError):
        fs.stat("/a\0b")


def test_birth_time(fs, tree):
    fs.mkdir("/d")
    assert fs.birth_time_ns("/d") == tree.items["/d"].birth
    tree.items["/d"].birth = None
    assert fs.birth_time_ns("/d") is None


def test_changing_attributes(fs):
    fs.write_bytes("/a", b"")
    fs.symlink("a", "/s")
    fs.chmod("/s", 0o4751)
    assert fs.stat("/a").st_mode == stat.S_IFREG | 0o4751
    fs.chown("/a", 7, -1)
    fs.chown("/a", -1, 8)
    assert (fs.stat("/a").st_uid, fs.stat("/a").st_gid) == (7, 8)
    assert fs.stat("/a").st_mode == stat.S_IFREG | 0o751
    fs.chown("/s", 3, 4, follow_symlinks=False)
    assert (fs.stat("/a").st_uid, fs.lstat("/s").st_uid, fs.lstat("/s").st_gid) == (7, 3, 4)
    fs.truncate("/s", 3)
    assert fs.read_bytes("/a") == bytes(3)


def test_times(fs, tree):
    fs.write_bytes("/a", b"")
    fs.symlink("a", "/s")
    fs.utime("/s", ns=(-5, 10**18 + 7))
    assert (fs.stat("/a").st_atime_ns, fs.stat("/a").st_mtime_ns) == (-5, 10**18 + 7)
    fs.utime("/s", (1.5, 2), follow_symlinks=False)
    assert (fs.lstat("/s").st_atime_ns, fs.lstat("/s").st_mtime_ns) == (15 * 10**8, 2 * 10**9)
    fs.utime("/a")
    assert tree.items["/a"].birth - 10**9 < fs.stat("/a").st_mtime_ns < tree.items["/a"].birth + 60 * 10**9
    assert fs.stat("/a").st_atime_ns == fs.stat("/a").st_mtime_ns
    with pytest.raises(ValueError):
        fs.utime("/a", (1, 1), ns=(1, 1))


def test_special_files(fs):
    fs.mkfifo("/fifo", 0o600)
    assert fs.stat("/fifo").st_mode == stat.S_IFIFO | 0o600
    fs.mknod("/dev", stat.S_IFCHR | 0o620, os.makedev(300, 70001))
    assert (fs.stat("/dev").st_mode, fs.stat("/dev").st_rdev) == (stat.S_IFCHR | 0o620, os.makedev(300, 70001))
    fs.mknod("/plain")
    assert fs.stat("/plain").st_mode == stat.S_IFREG | 0o644


def test_volume(fs, tree):
    fs.mkdir("/d")
    told = fs.statvfs("/d")
    assert (told.f_blocks, told.f_bfree, told.f_bavail, told.f_frsize) == (1000, 400, 400, 512)
    assert (told.f_files, told.f_ffree, told.f_favail, told.f_namemax) == (50, 48, 48, 255)
    assert fs.get_label() == ""
    fs.set_label("Größe")
    assert (fs.get_label(), tree.label) == ("Größe", "Größe")
    with error(errno.EINVAL):
        fs.set_label("x" * 300)


# ---------------------------------------------------------------------------------------------------- names

def test_directories(fs):
    fs.mkdir("/d")
    fs.mkdir("/d/e/", 0o700)
    fs.write_bytes("/d/a", b"x")
    assert fs.stat("/d/e").st_mode == stat.S_IFDIR | 0o700
    assert (fs.listdir("/"), fs.listdir("/d"), fs.listdir(b"d/")) == (["d"], ["e", "a"], [b"e", b"a"])
    for change in (fs.mkdir, fs.listdir, fs.rmdir):
        with error(errno.ENOTDIR, "/d/a/x"):
            change("/d/a/x")
    fs.rmdir("/d/e")
    with fs.open("/d") as directory:
        assert stat.S_ISDIR(directory.stat().st_mode)
        directory.sync()
    assert fs.listdir("/d") == ["a"]


def test_a_listing_of_several_requests(fs):
    fs.mkdir("/d")
    names = [f"{number:04}-" + "x" * 200 for number in range(700)]
    for name in names:
        fs.mkdir("/d/" + name)
    assert fs.listdir("/d") == names
    assert [entry.name for entry in fs.scandir("/d")] == names


def test_scandir(fs, tree):
    fs.write_bytes("/a", b"12345")
    fs.mkdir("/d")
    for name, target in (("s", "a"), ("t", "d"), ("u", "none")):
        fs.symlink(target, name)
    a, d, s, t, u = fs.scandir()
    assert (a.name, a.path, os.fspath(d), repr(a)) == ("a", "/a", "/d", "<DirEntry 'a'>")
    assert [entry.is_file() for entry in (a, d, s, t, u)] == [True, False, True, False, False]
    assert [entry.is_dir() for entry in (a, d, s, t, u)] == [False, True, False, True, False]
    assert [entry.is_symlink() for entry in (a, d, s, t, u)] == [False, False, True, True, True]
    assert [entry.is_file(follow_symlinks=False) for entry in (a, s)] == [True, False]
    assert a.inode() == fs.stat("/a").st_ino
    assert (a.stat(), s.stat()) == (fs.stat("/a"), fs.stat("/a"))
    assert s.stat(follow_symlinks=False) == fs.lstat("/s")
    assert fs.scandir(b"/")[0].path == b"/a"


def test_attributes_in_a_listing_are_the_listing_s(fs, tree):
    fs.write_bytes("/a", b"12345")
    tree.tell, plain = lambda e, item: (plain(e, item), setattr(e, "size", 7)), tree.tell
    (entry,) = fs.scandir()
    tree.tell = plain
    assert (entry.stat().st_size, fs.stat("/a").st_size) == (7, 5)


def test_walk(fs):
    fs.mkdir("/d")
    fs.mkdir("/d/e")
    fs.write_bytes("/d/a", b"")
    fs.symlink("/d", "/s")
    assert list(fs.walk()) == [("/", ["d"], ["s"]), ("/d", ["e"], ["a"]), ("/d/e", [], [])]


def test_hard_links(fs):
    fs.write_bytes("/a", b"x")
    fs.mkdir("/d")
    fs.link("/a", "/d/b")
    assert sorted(fs.links("/a")) == sorted(fs.links("d/b")) == ["/a", "/d/b"]
    with error(errno.EEXIST, "/a", "/d/b"):
        fs.link("/a", "/d/b")
    with error(errno.EPERM, "/d", "/e"):
        fs.link(src="/d", dst="/e")
    with error(errno.ENOENT, "/none", "/e"):
        fs.link("/none", dst="/e")
    with error(errno.ENOENT, "/none"):
        fs.links("/none")
    fs.unlink("/a")
    assert (fs.stat("/d/b").st_nlink, fs.read_bytes("/d/b")) == (1, b"x")


def test_symlinks(fs):
    fs.mkdir("/d")
    fs.write_bytes("/d/a", b"x")
    fs.symlink("../d/a", "/d/s")
    fs.symlink("/d/s", "/t")
    fs.symlink("d/", "/u")
    fs.mkdir("/d/e")
    fs.symlink("/d/a", "/d/e/absolute")
    assert fs.read_bytes("/d/e/absolute") == fs.read_bytes("/d/e/../a") == b"x"
    fs.unlink("/d/e/absolute")
    fs.rmdir("/d/e")
    assert (fs.readlink("/d/s"), fs.readlink(b"/d/s")) == ("../d/a", b"../d/a")
    assert fs.read_bytes("/t") == fs.read_bytes("/u/s") == fs.read_bytes("u/../d/a") == b"x"
    assert stat.S_ISLNK(fs.lstat("/u").st_mode) and stat.S_ISDIR(fs.stat("/u").st_mode)
    assert stat.S_ISDIR(fs.lstat("/u/").st_mode)
    fs.link("/t", "/link")
    fs.link("/t", "/followed", follow_symlinks=True)
    assert fs.readlink("/link") == "/d/s" and stat.S_ISREG(fs.lstat("/followed").st_mode)
    with error(errno.EEXIST, "x", "/t"):
        fs.symlink("x", "/t")
    fs.unlink("/t")
    assert fs.exists("/d/s") and fs.listdir("/d") == ["a", "s"]


def test_symlinks_to_nowhere(fs):
    for target, path, number in (("x/y", "/x", errno.ELOOP), ("gone", "/dangling", errno.ENOENT)):
        fs.symlink(target, path)
        with error(number, path):
            fs.stat(path)
        assert fs.readlink(path) == target and fs.lstat(path).st_size == len(target)
    assert not fs.exists("/dangling")


def test_renaming(fs):
    fs.write_bytes("/a", b"a")
    fs.write_bytes("/b", b"b")
    fs.mkdir("/d")
    fs.mkdir("/d/e")
    fs.rename("/a", "/d/a")
    fs.rename("/d/a", "/b")
    assert (fs.read_bytes("/b"), fs.listdir()) == (b"a", ["d", "b"])
    fs.write_bytes("/c", b"c")
    with error(errno.EEXIST, "/c", "/b"):
        fs.rename("/c", "/b", NOREPLACE)
    fs.rename("/c", "/b", EXCHANGE)
    assert (fs.read_bytes("/c"), fs.read_bytes("/b")) == (b"a", b"c")
    fs.rename("/d", "/f/")
    assert list(fs.walk("/f")) == [("/f", ["e"], []), ("/f/e", [], [])]
    fs.link("/b", "/same")
    fs.rename("/b", "/same")
    assert fs.exists("/b")


def test_odd_names(fs, tree):
    fs.mkdir("/" + ODD)
    fs.write_bytes(f"/{ODD}/{ODD}", b"x")
    assert fs.listdir() == [ODD] and fs.listdir(b"/") == [os.fsencode(ODD)]
    assert fs.read_bytes(os.fsencode(f"/{ODD}/{ODD}")) == b"x"
    fs.symlink(ODD, "/s")
    assert (fs.readlink("/s"), fs.listdir("/s")) == (ODD, [ODD])
    assert fs.links(f"/{ODD}/{ODD}") == [f"/{ODD}/{ODD}"]
    fs.mkdir("/" + "x" * 255)


def test_what_changed_under_way_is_looked_for_again(fs, tree):
    """ESTALE is never the caller's: the kernel looks the name up once more."""
    fs.write_bytes("/a", b"x")
    fails = [errno.ESTALE]

    def stale(name, e):
        if name == "open_file" and fails:
            raise OSError(fails.pop(), "stale")
    tree.before = stale
    assert fs.read_bytes("/a") == b"x"
    fails[:] = [errno.ESTALE] * 2
    with error(errno.ESTALE, "/a"):
        fs.read_bytes("/a")


# ---------------------------------------------------------------------------------------------------- who, and how many

def test_another_user(fs, tree):
    other = fs.as_user(1234, 99)
    with other.open("/a", os.O_WRONLY | os.O_CREAT, 0o6755) as file:
        assert (fs.stat("/a").st_uid, fs.stat("/a").st_gid) == (1234, 99)
        assert fs.stat("/a").st_mode == stat.S_IFREG | 0o6755
        # Who is not root takes set-id bits away.
        file.write(b"x")
        assert fs.stat("/a").st_mode == stat.S_IFREG | 0o755
    other.chmod("/a", 0o6755)
    other.truncate("/a", 1)
    assert fs.stat("/a").st_mode == stat.S_IFREG | 0o755
    assert (fs.read_bytes("/a"), other.listdir()) == (b"x", ["a"])
    assert "user 1234, group 99" in repr(other)
    fs.mkdir("/mine")
    assert (fs.stat("/mine").st_uid, fs.stat("/mine").st_gid) == (os.getuid(), os.getgid())


def test_whose_thread(fs, tree):
    seen = []
    tree.before = lambda name, e: seen.append(tree.cbfs.get_originator_thread_id()) if name == "get_file_info" else None
    fs.exists("/a")
    fs.as_user(1, 1, pid=4321).exists("/a")
    thread = threading.Thread(target=lambda: (fs.exists("/a"), seen.append(threading.get_native_id())))
    thread.start()
    thread.join()
    assert seen == [threading.get_native_id(), 4321, seen[3], seen[3]] and seen[3] != seen[0]


def test_interrupting(tree):
    arrived = threading.Event()

    def wait(name, e):
        if name == "get_file_info" and e.file_name == "/a":
            arrived.set()
            while not e.cancelled:
                pass
            raise InterruptedError(errno.EINTR, "cancelled")
    tree.before = wait
    with tenon.testing.mounted(tree.cbfs) as fs, ThreadPoolExecutor() as pool:
        waiting = pool.submit(fs.as_user(0, 0, pid=77).stat, "/a")
        assert arrived.wait(30)
        with pytest.raises(ProcessLookupError):
            fs.interrupt(78)
        fs.interrupt(77)
        assert isinstance(waiting.exception(30), InterruptedError)


def test_forgetting(fs):
    fs.write_bytes("/a", b"x")
    fs.mkdir("/d")
    fs.link("/a", "/d/b")
    fs.scandir("/d")
    assert fs.balance() != NOTHING
    with fs.open("/d/b") as file:
        assert fs.balance().handles == 1
        fs.forget_all()
        assert fs.balance().nodes >= 1 and file.read() == b"x"
    fs.forget_all()
    assert fs.balance() == NOTHING
    assert sorted(fs.links("/a")) == ["/a", "/d/b"] and fs.read_bytes("/d/b") == b"x"


def test_what_has_no_name_is_forgotten_by_itself(fs):
    for number in range(50):
        fs.write_bytes("/a", b"x")
        fs.write_bytes("/b", b"x")
        fs.rename("/a", "/b")
        fs.unlink("/b")
        fs.mkdir("/d")
        fs.rmdir("/d")
    assert not fs._kernel._nodes


def test_many_threads(tree):
    def work(number: int) -> None:
        own, here, there = f"/{number}", ("/x", "/y")[number % 2], ("/y", "/x")[number % 2]
        for step in range(60):
            fs.write_bytes(own, bytes([number]) * (step + 1))
            fs.link(own, own + "-link")
            assert fs.stat(own).st_nlink == 2
            assert fs.read_bytes(own + "-link") == bytes([number]) * (step + 1)
            with fs.open("/shared", os.O_WRONLY | os.O_CREAT):
                fs.listdir()
            fs.mkdir(here + own)
            fs.rename(here + own, there + own)
            fs.rmdir(there + own)
            for path in ("/shared", own + "-link"):
                try:
                    fs.unlink(path)
                except FileNotFoundError:
                    assert path == "/shared"
            if step % 20 == number:
                fs.forget_all()

    with tenon.testing.mounted(tree.cbfs) as fs, ThreadPoolExecutor(8) as pool:
        fs.mkdir("/x")
        fs.mkdir("/y")
        for done in [pool.submit(work, number) for number in range(8)]:
            done.result(120)
        assert sorted({*fs.listdir()} - {"shared"}) == [*"01234567", "x", "y"]
        fs.forget_all()
        assert fs.balance() == NOTHING


def test_changes_of_names_wait_for_each_other_in_one_directory(tree):
    """As in Linux: a handler never hears of a name that another call has just removed."""
    arrived, go_on, deleted = threading.Event(), threading.Event(), []

    def wait(name, e):
        if name == "delete_file":
            deleted.append(e.file_name)
            if e.file_name == "/d/a":
                arrived.set()
                assert go_on.wait(30)
    with tenon.testing.mounted(tree.cbfs) as fs, ThreadPoolExecutor() as pool:
        fs.mkdir("/d")
        fs.mkdir("/e")
        fs.write_bytes("/d/a", b"")
        tree.before = wait
        first = pool.submit(fs.unlink, "/d/a")
        assert arrived.wait(30)
        fs.write_bytes("/e/c", b"x")
        fs.unlink("/e/c")
        others = [pool.submit(fs.unlink, "/d/a"), pool.submit(fs.rename, "/d/a", "/e/b"), pool.submit(fs.rename, "/e/b", "/d/a")]
        go_on.set()
        assert first.result(30) is None
        assert [type(other.exception(30)) for other in others] == [FileNotFoundError] * 3
    assert deleted == ["/d/a", "/e/c"]


@pytest.mark.parametrize("event, locked, change", [
    ("create_file", "/d", lambda fs: fs.mkdir("/d/x")),
    ("create_file", "/d", lambda fs: fs.mkfifo("/e/../d/x")),
    ("create_file", "/d", lambda fs: fs.symlink("x", "/d/x")),
    ("create_file", "/d", lambda fs: fs.write_bytes("/s", b"x")),
    ("open_file", "", lambda fs: fs.write_bytes("/d/a", b"x")),
    ("create_hard_link", "/d", lambda fs: fs.link("/e/b", "/d/x")),
    ("create_hard_link", "/d", lambda fs: fs.open("/e/b").link("/d/x")),
    ("delete_file", "/d", lambda fs: fs.unlink("/d/a")),
    ("delete_file", "/", lambda fs: fs.rmdir("/empty")),
    ("rename_or_move_file", "/d", lambda fs: fs.rename("/d/a", "/d/x")),
    ("rename_or_move_file", "/d /e two", lambda fs: fs.rename("/d/a", "/e/x")),
    ("rename_or_move_file", "/d /e two", lambda fs: fs.rename("/e/b", "/d/x")),
])
def test_what_is_locked(fs, tree, event, locked, change):
    for path in ("/d", "/e", "/empty"):
        fs.mkdir(path)
    fs.write_bytes("/d/a", b"")
    fs.write_bytes("/e/b", b"")
    fs.symlink("d/x", "/s")
    nodes = {path: fs._kernel._nodes[fs.lookup(path)] for path in ("/d", "/e")} | {"/": fs._kernel.root.node}
    seen = []

    def note(name, e):
        if name == event:
            held = sorted(path for path, node in nodes.items() if node.names.locked())
            seen.append(" ".join(held + ["two"] * fs._kernel.two_directories.locked()))
    tree.before = note
    change(fs)
    assert seen[:1] == [locked]
    assert not any(node.names.locked() for node in nodes.values()) and not fs._kernel.two_directories.locked()


# ---------------------------------------------------------------------------------------------------- mounting

def test_two_volumes_at_once():
    one, two = Tree(), Tree()
    with tenon.testing.mounted(one.cbfs) as first, tenon.testing.mounted(two.cbfs, threads=False) as second:
        first.write_bytes("/a", b"one")
        second.write_bytes("/a", b"two")
        assert (first.read_bytes("/a"), second.read_bytes("/a")) == (b"one", b"two")
    assert list(one.items) == list(two.items) == ["/", "/a"]


@pytest.mark.parametrize("threads", [True, False])
def test_in_line_means_this_thread(tree, threads):
    seen = set()
    tree.before = lambda name, e: seen.add(threading.get_ident())
    with tenon.testing.mounted(tree.cbfs, threads=threads) as fs:
        seen.clear()
        fs.listdir()
        assert (seen == {threading.get_ident()}) is not threads


def test_a_block_that_fails(tree):
    events = trace(tree, "close_file")
    with pytest.raises(ZeroDivisionError):
        with tenon.testing.mounted(tree.cbfs) as fs:
            file = fs.open("/a", os.O_WRONLY | os.O_CREAT)
            1 / 0
    assert not tree.cbfs.active and file.closed and events == [("close_file", "/a")]
    assert tree.cbfs._testing_balance() == NOTHING
    for late in (lambda: fs.stat("/a"), fs.listdir):
        with pytest.raises(OSError) as raised:
            late()
        assert raised.value.errno == errno.ENODEV
    with tenon.testing.mounted(tree.cbfs) as fs:
        assert fs.listdir() == ["a"]


def test_a_failing_close_at_the_end_is_not_told(tree):
    def fail(name, e):
        if name == "cleanup_file":
            raise OSError(errno.EIO, "broken")
    tree.before = fail
    with tenon.testing.mounted(tree.cbfs) as fs:
        fs.open("/a", os.O_WRONLY | os.O_CREAT)
    assert tree.cbfs._testing_balance() == NOTHING


def test_a_block_that_unmounts(tree):
    with tenon.testing.mounted(tree.cbfs) as fs:
        fs.open("/a", os.O_WRONLY | os.O_CREAT)
        tree.cbfs.unmount_media(True)
    with tenon.testing.mounted(tree.cbfs):
        tree.cbfs.delete_storage(True)
    assert not tree.cbfs.active


def test_a_block_that_ends_while_somebody_waits(tree):
    arrived = threading.Event()

    def keep(e):
        e.defer()
        e.result_code = errno.EINTR
        e.on_cancel = e.complete  # without it the end takes 5 seconds
        arrived.set()
    tree.cbfs.on_read_file = keep
    with ThreadPoolExecutor() as pool:
        with tenon.testing.mounted(tree.cbfs) as fs:
            file = fs.open("/a", os.O_RDWR | os.O_CREAT)
            waiting = pool.submit(file.read, 1)
            assert arrived.wait(30)
        assert waiting.exception(30).errno in (errno.EINTR, errno.ENODEV)
    assert file.closed and not tree.cbfs.active


def test_what_cannot_be_mounted(tree):
    with tenon.testing.mounted(tree.cbfs), pytest.raises(tenon.CBFSError) as raised:
        with tenon.testing.mounted(tree.cbfs):
            pass
    assert raised.value.errno == errno.EBUSY
    with pytest.raises(tenon.CBFSError, match="get_file_info"):
        with tenon.testing.mounted(tenon.CBFS()):
            pass


def test_a_handler_that_is_wrong(tree, caplog):
    def wrong(name, e):
        if name == "get_file_info":
            e.file_size = 3
    told = []
    tree.before = wrong
    tree.cbfs.on_error = lambda e: told.append(e.description)
    with tenon.testing.mounted(tree.cbfs) as fs, error(errno.EIO, "/a"):
        fs.stat("/a")
    assert "file_size" in caplog.text and "file_size" in told[0]


@pytest.mark.parametrize("threads", [True, False])
def test_handlers_that_are_coroutines(tree, threads):
    async def later(e):
        await asyncio.sleep(0)
        tree.on_get_file_info(e)
    tree.cbfs.on_get_file_info = later
    with tenon.testing.mounted(tree.cbfs, threads=threads) as fs:
        fs.write_bytes("/a", b"x")
        assert fs.read_bytes("/a") == b"x"

    async def inside_a_loop() -> bytes:
        with tenon.testing.mounted(tree.cbfs, threads=threads) as fs:
            return fs.read_bytes("/a")
    assert asyncio.run(inside_a_loop()) == b"x"
