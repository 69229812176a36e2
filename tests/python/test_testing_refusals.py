"""What Linux refuses before it asks a file system, tenon.testing refuses, too: one table, for a drive and for Linux itself."""
from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Iterator

import pytest
import tenon.testing

from parity import calls

from .tree import Tree

NOREPLACE, EXCHANGE = 1, 2
CREATE, EXCLUSIVE = os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_EXCL
CHAIN = 41


class Linux:
    """The functions of a FileSystem, by system calls below a folder."""

    def __init__(self, root: str) -> None:
        self.root = root

    def at(self, path: str) -> str:
        return path and self.root + path

    @contextlib.contextmanager
    def open(self, path, flags=os.O_RDONLY, mode=0o644):
        number = os.open(self.at(path), flags, mode)
        try:
            yield Descriptor(number)
        finally:
            os.close(number)

    def rename(self, src, dst, flags=0):
        calls.renameat2(self.at(src), self.at(dst), flags)

    def symlink(self, src, dst):
        os.symlink(src, self.at(dst))

    def link(self, src, dst, *, follow_symlinks=False):
        os.link(self.at(src), self.at(dst), src_dir_fd=0 if follow_symlinks else None, follow_symlinks=follow_symlinks)

    def __getattr__(self, name):
        return lambda path, *arguments, **named: getattr(os, name)(self.at(path), *arguments, **named)


class Descriptor:
    """The functions of a File."""

    def __init__(self, number: int) -> None:
        self.number = number

    def read(self, size, offset):
        return os.pread(self.number, size, offset)

    def write(self, data, offset):
        return os.pwrite(self.number, data, offset)

    def truncate(self, length):
        os.ftruncate(self.number, length)

    def fallocate(self, offset, length, mode=0):
        calls.fallocate(self.number, mode, offset, length)


@pytest.fixture(params=["drive", "linux"])
def fs(request: pytest.FixtureRequest, tmp_path) -> Iterator[object]:
    if request.param == "linux":
        yield Linux(str(tmp_path))
        return
    tree = Tree()
    with tenon.testing.mounted(tree.cbfs, threads=False) as fs:
        yield fs
    assert not any(tree.cbfs._testing_balance())


def fill(fs) -> None:
    for path in ("/d", "/d/e", "/full", "/full/x"):
        fs.mkdir(path)
    with fs.open("/a", CREATE) as file:
        file.write(b"x", 0)
    for target, path in (("a", "/s"), ("d/e", "/u"), ("nowhere", "/dangling"), ("loop/x", "/loop"), ("a", "/0")):
        fs.symlink(target, path)
    for number in range(CHAIN - 1):
        fs.symlink(str(number), f"/{number + 1}")
    fs.mknod("/fifo", stat.S_IFIFO | 0o600)


def on_open(path: str, flags: int, use):
    def call(fs):
        with fs.open(path, flags) as file:
            use(file)
    return call


def opens(path: str, flags: int):
    return on_open(path, flags, lambda file: None)


REFUSED = [
    (errno.ENOENT, opens("/none", os.O_RDONLY)),
    (errno.ENOENT, opens("", os.O_RDONLY)),
    (errno.ENOTDIR, opens("/a", os.O_RDONLY | os.O_DIRECTORY)),
    (errno.ENOTDIR, opens("/a/", os.O_RDONLY)),
    (errno.ENOTDIR, opens("/a/.", os.O_RDONLY)),
    (errno.ENOTDIR, opens("/a/b", os.O_RDONLY)),
    (errno.ENOTDIR, opens("/a/..", os.O_RDONLY)),
    (errno.ENOTDIR, opens("/s/", os.O_RDONLY)),
    (errno.EISDIR, opens("/d", os.O_WRONLY)),
    (errno.EISDIR, opens("/u", os.O_RDWR)),
    (errno.EISDIR, opens("/d", os.O_RDONLY | os.O_TRUNC)),
    (errno.EISDIR, opens("/d", os.O_RDONLY | os.O_CREAT)),
    (errno.EISDIR, opens("/new/", CREATE)),
    (errno.ENOENT, opens("/none/new", CREATE)),
    (errno.EEXIST, opens("/a", EXCLUSIVE)),
    (errno.EEXIST, opens("/d", EXCLUSIVE)),
    (errno.EEXIST, opens("/dangling", EXCLUSIVE)),
    (errno.ENOENT, opens("/dangling", os.O_RDONLY)),
    (errno.ELOOP, opens("/s", os.O_RDONLY | os.O_NOFOLLOW)),
    (errno.ELOOP, opens("/loop", os.O_RDONLY)),
    (errno.ELOOP, opens("/loop", CREATE)),
    (errno.ENOTDIR, opens("/a", os.O_RDWR | os.O_TMPFILE)),
    (errno.EINVAL, opens("/d", os.O_RDONLY | os.O_TMPFILE)),
    (errno.EBADF, on_open("/a", os.O_WRONLY, lambda file: file.read(1, 0))),
    (errno.EBADF, on_open("/a", os.O_RDONLY, lambda file: file.write(b"y", 0))),
    (errno.EBADF, on_open("/a", os.O_RDONLY, lambda file: file.fallocate(0, 1))),
    (errno.EINVAL, on_open("/a", os.O_RDONLY, lambda file: file.truncate(0))),
    (errno.EINVAL, on_open("/a", os.O_RDWR, lambda file: file.truncate(-1))),
    (errno.EINVAL, on_open("/a", os.O_RDWR, lambda file: file.read(1, -1))),
    (errno.EINVAL, on_open("/a", os.O_RDWR, lambda file: file.write(b"y", -1))),
    (errno.EINVAL, on_open("/a", os.O_RDWR, lambda file: file.fallocate(0, 0))),
    (errno.EINVAL, on_open("/a", os.O_RDWR, lambda file: file.fallocate(-1, 2))),
    (errno.EISDIR, on_open("/d", os.O_RDONLY, lambda file: file.read(1, 0))),
    (errno.EBADF, on_open("/d", os.O_RDONLY, lambda file: file.write(b"y", 0))),
    (errno.ENOENT, lambda fs: fs.stat("/none/x")),
    (errno.ELOOP, lambda fs: fs.stat(f"/{CHAIN - 1}")),
    (errno.ELOOP, lambda fs: fs.listdir("/loop/x")),
    (errno.ENAMETOOLONG, lambda fs: fs.stat("/" + "x" * 256)),
    (errno.ENOTDIR, lambda fs: fs.listdir("/a")),
    (errno.EINVAL, lambda fs: fs.readlink("/a")),
    (errno.ENOENT, lambda fs: fs.readlink("/none")),
    (errno.EISDIR, lambda fs: fs.truncate("/d", 0)),
    (errno.EINVAL, lambda fs: fs.truncate("/a", -1)),
    (errno.EINVAL, lambda fs: fs.truncate("/fifo", 0)),
    (errno.EEXIST, lambda fs: fs.mkdir("/d")),
    (errno.EEXIST, lambda fs: fs.mkdir("/dangling")),
    (errno.EEXIST, lambda fs: fs.mkdir("/d/..")),
    (errno.EEXIST, lambda fs: fs.mkdir("/d/.")),
    (errno.ENOENT, lambda fs: fs.mkdir("/none/.")),
    (errno.ENOENT, lambda fs: fs.mkdir("/none/x")),
    (errno.ENOTDIR, lambda fs: fs.mkdir("/a/x")),
    (errno.EPERM, lambda fs: fs.mknod("/x", stat.S_IFDIR | 0o755)),
    (errno.ENOENT, lambda fs: fs.mknod("/x/")),
    (errno.EEXIST, lambda fs: fs.symlink("x", "/a")),
    (errno.ENOENT, lambda fs: fs.symlink("", "/x")),
    (errno.ENOENT, lambda fs: fs.symlink("x", "/x/")),
    (errno.EEXIST, lambda fs: fs.link("/a", "/d")),
    (errno.EPERM, lambda fs: fs.link("/d", "/x")),
    (errno.ENOENT, lambda fs: fs.link("/none", "/x")),
    (errno.ENOENT, lambda fs: fs.link("/a", "/x/")),
    (errno.ENOENT, lambda fs: fs.link("/a", "/none/x")),
    (errno.ENOENT, lambda fs: fs.link("/dangling", "/x", follow_symlinks=True)),
    (errno.EISDIR, lambda fs: fs.unlink("/d")),
    (errno.EISDIR, lambda fs: fs.unlink("/d/.")),
    (errno.EISDIR, lambda fs: fs.unlink("/d/e/..")),
    (errno.ENOENT, lambda fs: fs.unlink("/none")),
    (errno.ENOTDIR, lambda fs: fs.unlink("/a/")),
    (errno.ENOTEMPTY, lambda fs: fs.rmdir("/full")),
    (errno.ENOTDIR, lambda fs: fs.rmdir("/a")),
    (errno.ENOTDIR, lambda fs: fs.rmdir("/u")),
    (errno.ENOTDIR, lambda fs: fs.rmdir("/u/")),
    (errno.ENOENT, lambda fs: fs.rmdir("/none")),
    (errno.EINVAL, lambda fs: fs.rmdir("/u/.")),
    (errno.ENOTEMPTY, lambda fs: fs.rmdir("/d/e/..")),
    (errno.EINVAL, lambda fs: fs.rmdir("/d/e/.")),
    (errno.ENOENT, lambda fs: fs.rename("/none", "/x")),
    (errno.ENOENT, lambda fs: fs.rename("/a", "/none/x")),
    (errno.EISDIR, lambda fs: fs.rename("/a", "/d")),
    (errno.ENOTDIR, lambda fs: fs.rename("/d", "/a")),
    (errno.ENOTDIR, lambda fs: fs.rename("/a", "/x/")),
    (errno.ENOTDIR, lambda fs: fs.rename("/a/", "/x")),
    (errno.EINVAL, lambda fs: fs.rename("/d", "/d/e/x")),
    (errno.EINVAL, lambda fs: fs.rename("/d", "/u/x")),
    (errno.ENOTEMPTY, lambda fs: fs.rename("/d/e", "/d")),
    (errno.EINVAL, lambda fs: fs.rename("/d/e", "/d", EXCHANGE)),
    (errno.ENOTEMPTY, lambda fs: fs.rename("/d/e", "/full")),
    (errno.EEXIST, lambda fs: fs.rename("/a", "/s", NOREPLACE)),
    (errno.ENOENT, lambda fs: fs.rename("/a", "/x", EXCHANGE)),
    (errno.EINVAL, lambda fs: fs.rename("/a", "/x", NOREPLACE | EXCHANGE)),
    (errno.EBUSY, lambda fs: fs.rename("/a", "/d/..")),
    (errno.EBUSY, lambda fs: fs.rename("/d/.", "/x")),
]


def names(fs) -> list[str]:
    return [sorted(fs.listdir(path)) for path in ("/", "/d", "/full")]


@pytest.mark.parametrize("number, call", REFUSED, ids=[f"{at}-{errno.errorcode[row[0]]}" for at, row in enumerate(REFUSED)])
def test_refused(fs, number, call):
    fill(fs)
    before = names(fs)
    with pytest.raises(OSError) as raised:
        call(fs)
    assert errno.errorcode[raised.value.errno] == errno.errorcode[number]
    assert raised.value.filename is not None or isinstance(fs, Linux)
    assert names(fs) == before


def test_the_longest_chain(fs):
    fill(fs)
    with fs.open(f"/{CHAIN - 2}") as file:
        assert file.read(5, 0) == b"x"


@pytest.mark.parametrize("fs", ["drive"], indirect=True)
def test_of_the_root_and_of_what_linux_opens_itself(fs):
    fill(fs)
    for number, call in ((errno.EBUSY, lambda: fs.rmdir("/")), (errno.EBUSY, lambda: fs.rename("/", "/x")),
                         (errno.EEXIST, lambda: fs.mkdir("/")), (errno.ENXIO, lambda: fs.open("/fifo"))):
        with pytest.raises(OSError) as raised:
            call()
        assert raised.value.errno == number
