"""System calls that Python's os module does not offer, or not with all their flags."""
from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from typing import Iterator, NamedTuple, Optional

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_SYMLINK_NOFOLLOW = 0x100
AT_SYMLINK_FOLLOW = 0x400
AT_EACCESS = 0x200
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_COLLAPSE, FALLOC_ZERO_RANGE, FALLOC_INSERT, FALLOC_UNSHARE = 1, 2, 8, 16, 32, 64
MNT_FORCE, MNT_DETACH = 1, 2
MAX_HANDLE = 128
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
STATX_BASIC, STATX_BTIME = 0x7FF, 0x800

libc = ctypes.CDLL(None, use_errno=True)
libc.readdir.restype = ctypes.c_void_p
libc.fdopendir.restype = ctypes.c_void_p
for _name in ("readdir", "closedir", "rewinddir", "telldir"):
    getattr(libc, _name).argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
libc.getdents64.restype = ctypes.c_ssize_t
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def _checked(result: int, name: object = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def renameat2(old: str | bytes, new: str | bytes, flags: int) -> None:
    _checked(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags), old)


def linkat(old_dir: int, old: str | bytes, new: str | bytes, flags: int) -> None:
    _checked(libc.linkat(old_dir, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags), old)


def link_open_file(fd: int, new: str | bytes) -> None:
    """Give an open file a name, the way that O_TMPFILE documents."""
    linkat(AT_FDCWD, f"/proc/self/fd/{int(fd)}", new, AT_SYMLINK_FOLLOW)


def utimensat(path: str | bytes, atime: tuple[int, int], mtime: tuple[int, int], flags: int = 0) -> None:
    """Times as (seconds, nanoseconds), so that UTIME_NOW and UTIME_OMIT can be given."""
    times = (ctypes.c_int64 * 4)(*atime, *mtime)
    _checked(libc.utimensat(AT_FDCWD, os.fsencode(path), times, flags), path)


def futimens(fd: int, atime: tuple[int, int], mtime: tuple[int, int]) -> None:
    _checked(libc.futimens(fd, (ctypes.c_int64 * 4)(*atime, *mtime)))


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    _checked(libc.fallocate(fd, mode, offset, length))


def syncfs(fd: int) -> None:
    _checked(libc.syncfs(int(fd)))


def faccessat(path: str | bytes, mode: int, flags: int = 0) -> None:
    _checked(libc.faccessat(AT_FDCWD, os.fsencode(path), mode, flags), path)


def umount(path: str | bytes, flags: int = 0) -> None:
    _checked(libc.umount2(os.fsencode(path), flags), path)


def die_with_parent() -> None:
    """The kernel kills this process when its parent goes, whatever the parent died of."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def stay_dumpable() -> None:
    """After a change of user, /proc/self would belong to root."""
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


class Handle(NamedTuple):
    """A file as name_to_handle_at(2) tells of it."""
    kind: int
    data: bytes


def name_to_handle(path: str | bytes, flags: int = 0, dir_fd: int = AT_FDCWD) -> Handle:
    buffer = ctypes.create_string_buffer(struct.pack("=Ii", MAX_HANDLE, 0), 8 + MAX_HANDLE)
    mount = ctypes.c_int()
    _checked(libc.name_to_handle_at(dir_fd, os.fsencode(path), buffer, ctypes.byref(mount), flags), path)
    size, kind = struct.unpack_from("=Ii", buffer)
    return Handle(kind, buffer.raw[8:8 + size])


def open_by_handle(mount_fd: int, handle: Handle, flags: int) -> int:
    data = struct.pack("=Ii", len(handle.data), handle.kind) + handle.data
    return _checked(libc.open_by_handle_at(int(mount_fd), data, flags | os.O_CLOEXEC))


class Statx(NamedTuple):
    mask: int
    nlink: int
    uid: int
    gid: int
    mode: int
    ino: int
    size: int
    blocks: int
    btime: tuple[int, int]
    mtime: tuple[int, int]


def statx(path: str | bytes, flags: int = 0, mask: int = STATX_BASIC | STATX_BTIME, dir_fd: int = AT_FDCWD) -> Statx:
    buffer = ctypes.create_string_buffer(256)
    _checked(libc.statx(dir_fd, os.fsencode(path), flags, mask, buffer), path)
    got_mask, _, _, nlink, uid, gid, mode, ino, size, blocks, _ = struct.unpack_from("=IIQIIIHxxQQQQ", buffer, 0)
    stamps = [struct.unpack_from("=qI", buffer, 64 + 16 * n) for n in range(4)]
    return Statx(got_mask, nlink, uid, gid, mode, ino, size, blocks, stamps[1], stamps[3])


class Entry(NamedTuple):
    ino: int
    offset: int
    kind: int
    name: bytes


def getdents(fd: int, size: int = 32768) -> list[Entry]:
    """One getdents64 call: the entries it gave; none at the end."""
    buffer = ctypes.create_string_buffer(size)
    length = _checked(libc.getdents64(fd, buffer, ctypes.c_size_t(size)))
    entries, at = [], 0
    while at < length:
        ino, offset, record, kind = struct.unpack_from("=QqHB", buffer, at)
        entries.append(Entry(ino, offset, kind, buffer.raw[at + 19:at + record].split(b"\0", 1)[0]))
        at += record
    return entries


class DirectoryStream:
    """opendir(3) and its kin, as C programs use them."""

    def __init__(self, path: str | bytes):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._stream: Optional[int] = libc.fdopendir(fd)

    def read(self) -> Optional[Entry]:
        ctypes.set_errno(0)
        at = libc.readdir(self._stream)
        if not at:
            if ctypes.get_errno():
                _checked(-1)
            return None
        ino, offset, _, kind = struct.unpack_from("=QqHB", (ctypes.c_char * 19).from_address(at), 0)
        return Entry(ino, offset, kind, ctypes.string_at(at + 19))

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self.read()) is not None:
            yield entry

    def rewind(self) -> None:
        libc.rewinddir(self._stream)

    def tell(self) -> int:
        return libc.telldir(self._stream)

    def seek(self, position: int) -> None:
        libc.seekdir(self._stream, position)

    def close(self) -> None:
        if self._stream:
            libc.closedir(self._stream)
            self._stream = None


def error_name(error: OSError) -> str:
    """The error's name; of those with two, the better known."""
    name = errno.errorcode.get(error.errno or 0, f"errno {error.errno}")
    return {"ENOTSUP": "EOPNOTSUPP", "EDEADLOCK": "EDEADLK"}.get(name, name)
