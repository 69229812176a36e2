"""What a plain directory cannot show: Tenon's own rules, and a vault's second life."""
from __future__ import annotations

import fcntl
import mmap
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Iterator

import pytest

from . import calls
from .places import Base, Place, Tenon, mounts, run, tenon_command, wait_for_end
from .runner import in_child
from .steps import ANNA, STAFF, describe_tree, give, read_file, write_file

HIDDEN = ".tenon-nameless-0123456789abcdef"


@pytest.fixture(scope="module", params=["memory", "vault"])
def drive(request: pytest.FixtureRequest, tenon_mount):
    with tenon_mount(request.param) as place:
        yield place


@pytest.fixture
def here(drive: Tenon, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A fresh directory on the drive, which is the working directory."""
    path = drive.root / request.node.name.replace("[", "-").replace("]", "")
    path.mkdir()
    before = os.getcwd()
    os.chdir(path)
    yield path
    os.chdir(before)


def error_of(call, *args) -> str:
    """The name of the error that a call ends with."""
    try:
        call(*args)
    except OSError as error:
        return calls.error_name(error)
    return "ok"


def test_hidden_names_are_refused(here: Path) -> None:
    write_file("f")
    os.mkdir("d")
    for name in (HIDDEN, f"d/{HIDDEN}"):
        assert error_of(os.stat, name) == "ENOENT"
        assert error_of(os.open, name, os.O_RDONLY) == "ENOENT"
        assert error_of(os.unlink, name) == "ENOENT"
        assert error_of(os.rmdir, name) == "ENOENT"
        assert error_of(os.rename, name, "g") == "ENOENT"
        assert error_of(os.open, name, os.O_CREAT | os.O_RDWR) == "EPERM"
        assert error_of(os.mkdir, name) == "EPERM"
        assert error_of(os.mkfifo, name) == "EPERM"
        assert error_of(os.symlink, "x", name) == "EPERM"
        assert error_of(os.link, "f", name) == "EPERM"
        assert error_of(os.rename, "f", name) == "EPERM"
        assert error_of(os.rename, "d", name.removeprefix("d/")) == "EPERM"
        assert error_of(calls.renameat2, "f", name, calls.RENAME_NOREPLACE) == "EPERM"
    assert sorted(os.listdir(".")) == ["d", "f"] and os.listdir("d") == []


def test_hidden_names_are_never_listed(here: Path) -> None:
    """Files without a name live on, but no call shows them: not in listings, link counts, sizes of directories."""
    fds = [os.open(f"f{n}", os.O_RDWR | os.O_CREAT) for n in range(10)]
    for n in range(10):
        os.unlink(f"f{n}")
    temporary = os.open(".", os.O_TMPFILE | os.O_RDWR)
    directory = os.open(".", os.O_RDONLY)
    assert os.listdir(directory) == []
    assert [e.name for e in calls.getdents(directory)] in ([b".", b".."], [b"..", b"."])
    assert os.stat(".").st_nlink == 2
    assert {os.fstat(fd).st_nlink for fd in (*fds, temporary)} == {0}
    for fd in (*fds, temporary, directory):
        os.close(fd)
    os.chdir("/")
    os.rmdir(here)


def zeroize(root: Path) -> list:
    """FALLOC_ZERO_RANGE in all forms; what it answers and what is in the file afterwards."""
    folder = Path(tempfile.mkdtemp(dir=root))
    notes: list = []
    keep, zero, page = calls.FALLOC_KEEP_SIZE, calls.FALLOC_ZERO_RANGE, mmap.PAGESIZE
    for mode in (zero, zero | keep):
        for offset, length in ((0, 1), (100, 3 * page), (page, page), (9 * page, 100), (10 * page - 3, 100), (20 * page, 5),
                               (0, 50 * page), (0, 0)):
            path = folder / str(len(notes))
            write_file(path, bytes(1 + n % 251 for n in range(10 * page)))
            fd = os.open(path, os.O_RDWR)
            shared = mmap.mmap(fd, 0)
            shared[page:page + 5] = b"dirty"
            notes.append((error_of(calls.fallocate, fd, mode, offset, length), os.fstat(fd).st_size, shared[:]))
            os.pwrite(fd, b"after", offset)
            os.fsync(fd)
            notes.append(read_file(path))
            os.close(fd)
    shutil.rmtree(folder)
    return notes


def test_ranges_are_zeroed_as_on_ext4(drive: Tenon, ext4: Place) -> None:
    """tmpfs has no such thing, so there is no scenario of it."""
    assert zeroize(drive.root) == zeroize(ext4.root)


def test_forms_of_fallocate_without_an_event(here: Path) -> None:
    fd = os.open(here / "f", os.O_RDWR | os.O_CREAT)
    os.write(fd, bytes(3 * mmap.PAGESIZE))
    for mode in (calls.FALLOC_COLLAPSE, calls.FALLOC_INSERT, calls.FALLOC_UNSHARE, calls.FALLOC_PUNCH_HOLE):
        assert error_of(calls.fallocate, fd, mode, 0, mmap.PAGESIZE) == "EOPNOTSUPP"
    # And what has one goes on working.
    assert error_of(calls.fallocate, fd, 0, 0, 10) == "ok"
    os.close(fd)


def reserve_and_fill(root: Path) -> list:
    """What a small drive says when it gets full, and what can be written then because it was reserved."""
    half, page = 1 << 19, mmap.PAGESIZE
    reserved = os.open(root / "reserved", os.O_RDWR | os.O_CREAT)
    notes: list = [error_of(calls.fallocate, reserved, calls.FALLOC_KEEP_SIZE, 0, half),
                   error_of(calls.fallocate, reserved, 0, 0, 1 << 21), error_of(calls.fallocate, reserved, 0, 0, 1 << 50),
                   os.fstat(reserved).st_size, os.fstat(reserved).st_blocks * 512]
    filler = os.open(root / "filler", os.O_RDWR | os.O_CREAT)
    with suppress(OSError):
        for number in range(1000):
            os.pwrite(filler, b"x" * page, number * page)
            os.fsync(filler)
    notes += [error_of(calls.fallocate, filler, 0, 0, 1 << 20), os.statvfs(root).f_bavail]
    for number in range(half // page):
        os.pwrite(reserved, b"%c" % (number % 251) * page, number * page)
        os.fsync(reserved)
    notes.append(read_file(root / "reserved"))
    # A hole makes room for somebody else.
    notes.append(error_of(calls.fallocate, reserved, calls.FALLOC_KEEP_SIZE | calls.FALLOC_PUNCH_HOLE, 0, half // 2))
    notes.append(os.fstat(reserved).st_blocks * 512)
    notes.append(error_of(calls.fallocate, filler, calls.FALLOC_KEEP_SIZE, 1 << 20, half // 4))
    for fd in (reserved, filler):
        os.close(fd)
    return notes


@pytest.mark.parametrize("option", ["file_cache=system", "file_cache=none", "FileCachePolicyWriteThrough=true"])
def test_what_is_reserved_can_be_written(base: Base, option: str) -> None:
    small, drive = base.fresh("small-tmpfs"), base.fresh("small-memory")
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tenon-tests", small)
    try:
        wanted = reserve_and_fill(small)
    finally:
        run("umount", small)
    run(tenon_command(), "mount", "-o", option, "memory:1M", drive)
    try:
        assert reserve_and_fill(drive) == wanted
    finally:
        run(tenon_command(), "umount", drive)


FS_IOC_GETFSLABEL, FS_IOC_SETFSLABEL = 0x81009431, 0x41009432


def get_label(path: Path | str) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return fcntl.ioctl(fd, FS_IOC_GETFSLABEL, bytes(256)).rstrip(b"\0")
    finally:
        os.close(fd)


def set_label(path: Path | str, label: bytes) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, FS_IOC_SETFSLABEL, label.ljust(256, b"\0"))
    finally:
        os.close(fd)


def test_label(drive: Tenon, here: Path) -> None:
    write_file("f")
    os.chmod("f", 0o666)
    assert get_label(drive.root) == get_label("f") == b""
    for label in (b"notes", b"x" * 32, "é".encode() * 32, b"\xff\xfe"):
        set_label("f", label)
        assert get_label(drive.root) == get_label("f") == label
    for label in (b"x" * 33, b"x" * 256):
        assert error_of(set_label, drive.root, label) == "EINVAL"
    assert get_label("f") == b"\xff\xfe"
    set_label(".", b"")
    assert get_label("f") == b""
    # What else there is to control, there is not.
    fd = os.open("f", os.O_RDWR)
    for number in (0x12345678, 0x5401, 0x80046789):
        assert error_of(fcntl.ioctl, fd, number, bytes(8)) == "ENOTTY"
    os.close(fd)


@pytest.mark.parametrize("through", ["true", "false"])
def test_truncation_to_the_same_length(tenon_mount, through: str) -> None:
    """It is a change, for whoever keeps the times: the kernel, under its write-back cache, does not see one."""
    with tenon_mount("memory", f"FileCachePolicyWriteThrough={through}") as place:
        write_file(place.root / "f", b"data")
        os.utime(place.root / "f", ns=(5, 5))
        os.truncate(place.root / "f", 4)
        assert (os.stat(place.root / "f").st_mtime_ns == 5) == (through == "false")


def test_label_is_for_the_mounter_to_set(tenon_mount) -> None:
    with tenon_mount("memory", "allow_other=true") as place:
        set_label(place.root, b"mine")

        def as_anna(progress) -> tuple[str, bytes]:
            os.setresuid(ANNA, ANNA, ANNA)
            return error_of(set_label, place.root, b"theirs"), get_label(place.root)
        assert in_child(as_anna, 20, place.abandon) == ("EPERM", b"mine")


def test_vault_keeps_its_label(tenon_mount) -> None:
    with tenon_mount("vault") as place:
        set_label(place.root, b"my notes")
        place.again()
        assert get_label(place.root) == b"my notes"


def test_mount_table(drive: Tenon) -> None:
    entry, = mounts(drive.root)
    assert entry.kind == "fuse.tenon"
    assert {"rw", "nosuid", "nodev"} <= set(entry.options.split(","))


def test_root_directory(drive: Tenon) -> None:
    st = os.stat(drive.root)
    assert st.st_ino == 1
    assert stat.S_ISDIR(st.st_mode) and (st.st_uid, st.st_gid) == (os.geteuid(), os.getegid())
    assert os.stat(drive.root / ".").st_ino == 1
    assert st.st_nlink == 2 + sum(e.is_dir(follow_symlinks=False) for e in os.scandir(drive.root))
    fd = os.open(drive.root, os.O_RDONLY)
    assert {e.name: e.ino for e in calls.getdents(fd)}[b"."] == 1
    before = os.stat(drive.root).st_mode
    try:
        os.fchmod(fd, 0o700)
        os.utime(fd, ns=(5, 6))
        assert (os.stat(drive.root).st_mode & 0o7777, os.stat(drive.root).st_mtime_ns) == (0o700, 6)
    finally:
        os.fchmod(fd, before & 0o7777)
        os.close(fd)


def test_root_cannot_be_moved_or_removed(drive: Tenon, here: Path) -> None:
    assert error_of(os.rmdir, drive.root) == "EBUSY"
    assert error_of(os.rename, drive.root, str(drive.root) + "-moved") == "EBUSY"
    assert error_of(os.rename, here, drive.root) in ("EBUSY", "ENOTEMPTY", "EXDEV")


def test_names_of_one_file_have_one_number(here: Path) -> None:
    """Also after the kernel has forgotten them, and in listings."""
    write_file("a", b"data")
    os.mkdir("d")
    os.link("a", "d/b")
    number = os.stat("a").st_ino
    drop_caches()
    assert os.stat("d/b").st_ino == number
    assert {e.inode() for e in os.scandir("d")} == {number}
    drop_caches()
    fd = os.open("d/b", os.O_RDWR)
    assert os.stat("a").st_ino == number and os.fstat(fd).st_nlink == 2
    os.pwrite(fd, b"DATA", 0)
    assert read_file("a") == b"DATA"
    os.close(fd)


def drop_caches() -> None:
    """Let the kernel forget what is not in use."""
    os.sync()
    with suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("2")


def test_everything_survives_forgetting(here: Path) -> None:
    populate()
    before = describe_tree(".")
    open_one = os.open("plain", os.O_RDWR)
    nameless = os.open("nameless", os.O_RDWR | os.O_CREAT)
    os.write(nameless, b"nameless")
    os.unlink("nameless")
    drop_caches()
    assert describe_tree(".") == before
    assert os.pread(open_one, 10, 0) == b"plain"
    assert os.pread(nameless, 20, 0) == b"nameless" and os.fstat(nameless).st_nlink == 0
    os.rename("tree", "moved")
    drop_caches()
    assert sorted(os.listdir("moved")) == ["1", "2"]
    os.close(open_one)
    os.close(nameless)


def populate() -> None:
    """One of everything in the working directory, with owners, modes, times and links that are all different."""
    write_file("plain", b"plain")
    write_file("big", os.urandom(3 << 20))
    fd = os.open("sparse", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"far", 1 << 32)
    os.ftruncate(fd, (1 << 33) + 5)
    os.pwrite(fd, b"x", 100_000)
    os.close(fd)
    os.truncate("sparse", 1 << 21)
    os.makedirs("tree/1/2/3")
    os.mkdir("tree/2")
    for number in range(120):
        write_file(f"tree/2/{number}", b"%d" % number * number)
    os.symlink("x" * 4095, "long")
    os.symlink("plain", "link")
    os.link("link", "link2", follow_symlinks=False)
    os.link("plain", "tree/1/plain")
    os.link("plain", "tree/1/2/3/again")
    os.mkfifo("fifo", 0o600)
    os.link("fifo", "fifo2")
    os.mknod("socket", 0o755 | stat.S_IFSOCK)
    os.mknod("character", 0o640 | stat.S_IFCHR, os.makedev(300, 70_000))
    os.mknod("block", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    for name in (b"\xff\xfe", b"new\nline", b"a:b", b"n" * 255, b"back\\slash", "é".encode()):
        write_file(name, name)
    write_file("setuid")
    give("setuid", 0o6755, ANNA, STAFF)
    os.chmod("tree/2", 0o3770)
    for number, name in enumerate(("plain", "big", "link", "fifo", "tree/2", "block", b"\xff\xfe")):
        os.chown(name, ANNA + number, STAFF, follow_symlinks=False)
        os.utime(name, ns=(number - 10**9, number * 10**15 + 7), follow_symlinks=False)
    os.utime("tree", ns=(15_000_000_000 * 10**9 + 1, 15_000_000_000 * 10**9 + 2))


def times(path: str) -> dict[bytes, tuple[int, ...]]:
    """Every time and number below a directory that must survive."""
    found = {}
    for name in describe_tree(path, content=False):
        st = os.lstat(os.path.join(os.fsencode(path), name))
        birth = calls.statx(os.path.join(os.fsencode(path), name), calls.AT_SYMLINK_NOFOLLOW).btime
        found[name] = (st.st_ino, st.st_mtime_ns, st.st_ctime_ns, birth, st.st_atime_ns if st.st_atime_ns < 10**18 else 0)
    return found


def test_vault_keeps_everything(tenon_mount) -> None:
    with tenon_mount("vault") as place:
        def fill(progress) -> None:
            os.chdir(place.root)
            populate()
        in_child(fill, 60, place.abandon)
        root = str(place.root)
        os.chmod(root, 0o751)
        os.chown(root, ANNA, STAFF)
        before, stamps, top = describe_tree(root), times(root), os.stat(root)
        for _ in range(2):
            place.again()
            assert describe_tree(root) == before
            assert times(root) == stamps
            now = os.stat(root)
            assert (now.st_mode, now.st_uid, now.st_gid, now.st_mtime_ns) == \
                (top.st_mode, top.st_uid, top.st_gid, top.st_mtime_ns)


def test_vault_forgets_nameless_files(tenon_mount) -> None:
    """Files that have no name at the end leave nothing behind."""
    def files(place: Tenon) -> int:
        numbers = os.statvfs(place.root)
        return numbers.f_files - numbers.f_ffree
    with tenon_mount("vault") as place:
        at_first = files(place)
        fds = []
        for number in range(20):
            fd = os.open(place.root / "f", os.O_RDWR | os.O_CREAT)
            os.write(fd, os.urandom(100_000))
            os.unlink(place.root / "f")
            fds.append(fd)
        fds.append(os.open(place.root, os.O_TMPFILE | os.O_RDWR))
        assert files(place) == at_first + 21
        for fd in fds:
            os.close(fd)
        # A close is not waited for: the drive hears of it a moment later.
        deadline = time.monotonic() + 20
        while files(place) != at_first and time.monotonic() < deadline:
            os.sched_yield()
        assert files(place) == at_first
        place.again()
        assert os.listdir(place.root) == []
        assert os.stat(place.root).st_nlink == 2
        assert files(place) == at_first


def test_new_numbers_after_mounting_again(tenon_mount) -> None:
    """A number is never given to a second file while the first lives, in whichever process it was made."""
    with tenon_mount("vault") as place:
        seen: dict[int, str] = {}
        for turn in range(3):
            for number in range(30):
                name = f"{turn}-{number}"
                write_file(place.root / name)
                ino = os.stat(place.root / name).st_ino
                assert ino not in seen, f"{name} has the number of {seen[ino]}"
                seen[ino] = name
            place.again()


@pytest.mark.parametrize("name", ["memory", "vault"])
def test_umount_by_the_system_ends_the_drive(tenon_mount, name: str) -> None:
    """umount(8) of the last mounting point ends the process by itself, and loses nothing."""
    with tenon_mount(name) as place:
        servers = place.server()
        assert servers, "no process names the mounting point"
        write_file(place.root / "f", b"written and not synced")
        run("umount", place.root)
        assert not wait_for_end(servers, 10), "still there after umount"
        place.check()
        place.mount()
        if name == "vault":
            assert read_file(place.root / "f") == b"written and not synced"


def test_busy_mounts_stay(tenon_mount) -> None:
    with tenon_mount("memory") as place:
        write_file(place.root / "f", b"data")
        fd = os.open(place.root / "f", os.O_RDWR)
        try:
            assert run("umount", place.root, check=False).returncode != 0
            os.pwrite(fd, b"DATA", 0)
            assert read_file(place.root / "f") == b"DATA"
        finally:
            os.close(fd)
