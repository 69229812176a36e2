"""The messages of the kernel's FUSE protocol that tenon.testing sends, as linux/fuse.h lays them out.

Layouts, numbers and what is packed by more than one struct; who sends what, and when, is testing.py's.
"""
from __future__ import annotations

import os
import struct
from typing import Final, Iterator, NamedTuple

ROOT: Final = 1

LOOKUP: Final = 1
FORGET: Final = 2
GETATTR: Final = 3
SETATTR: Final = 4
READLINK: Final = 5
SYMLINK: Final = 6
MKNOD: Final = 8
MKDIR: Final = 9
UNLINK: Final = 10
RMDIR: Final = 11
LINK: Final = 13
OPEN: Final = 14
READ: Final = 15
WRITE: Final = 16
STATFS: Final = 17
RELEASE: Final = 18
FSYNC: Final = 20
FLUSH: Final = 25
OPENDIR: Final = 27
READDIR: Final = 28
RELEASEDIR: Final = 29
FSYNCDIR: Final = 30
CREATE: Final = 35
IOCTL: Final = 39
BATCH_FORGET: Final = 42
FALLOCATE: Final = 43
READDIRPLUS: Final = 44
RENAME2: Final = 45
TMPFILE: Final = 51
STATX: Final = 52

SET_MODE: Final = 1 << 0
SET_UID: Final = 1 << 1
SET_GID: Final = 1 << 2
SET_SIZE: Final = 1 << 3
SET_ATIME: Final = 1 << 4
SET_MTIME: Final = 1 << 5
SET_FH: Final = 1 << 6
SET_ATIME_NOW: Final = 1 << 7
SET_MTIME_NOW: Final = 1 << 8
SET_KILL_SUIDGID: Final = 1 << 11
WRITE_KILL_SUIDGID: Final = 1 << 2
GETATTR_FH: Final = 1 << 0
FSYNC_DATA_ONLY: Final = 1 << 0

# The most that one READ or WRITE carries, and what one reading of a directory asks for.
MOST: Final = 1 << 20
LISTING: Final = 1 << 16

# ioctl(2): FS_IOC_GETFSLABEL and FS_IOC_SETFSLABEL carry FSLABEL_MAX bytes.
FSLABEL_MAX: Final = 256
IOC_GETFSLABEL: Final = 2 << 30 | FSLABEL_MAX << 16 | 0x94 << 8 | 49
IOC_SETFSLABEL: Final = 1 << 30 | FSLABEL_MAX << 16 | 0x94 << 8 | 50

STATX_BTIME: Final = 0x800

BATCH_IN: Final = struct.Struct("=I4x")
BATCH_ONE: Final = struct.Struct("=QQ")
CREATE_IN: Final = struct.Struct("=II8x")
FALLOCATE_IN: Final = struct.Struct("=QQQI4x")
FLUSH_IN: Final = struct.Struct("=Q16x")
FORGET_IN: Final = struct.Struct("=Q")
FSYNC_IN: Final = struct.Struct("=QI4x")
GETATTR_IN: Final = struct.Struct("=I4xQ")
IOCTL_IN: Final = struct.Struct("=QIIQII")
LINK_IN: Final = struct.Struct("=Q")
MKDIR_IN: Final = struct.Struct("=I4x")
MKNOD_IN: Final = struct.Struct("=II8x")
OPEN_IN: Final = struct.Struct("=I4x")
READ_IN: Final = struct.Struct("=QQI12xI4x")
RELEASE_IN: Final = struct.Struct("=QI12x")
RENAME2_IN: Final = struct.Struct("=QI4x")
SETATTR_IN: Final = struct.Struct("=I4xQQ8xqq8xII4xI4xII4x")
STATX_IN: Final = struct.Struct("=16xII")
WRITE_IN: Final = struct.Struct("=QQII8xI4x")

ATTR: Final = struct.Struct("=QQQqqqIIIIIIIIII")
ATTR_OUT: Final = struct.Struct(f"=16x{ATTR.size}s")
# The node id, 32 bytes about how long it may be believed, and its attributes.
ENTRY_OUT: Final = struct.Struct(f"=Q32x{ATTR.size}s")
DIRENT: Final = struct.Struct("=QQII")
IOCTL_OUT: Final = struct.Struct("=iIII")
OPEN_OUT: Final = struct.Struct("=QIi")
STATFS_OUT: Final = struct.Struct("=QQQQQIII28x")
STATX_OUT: Final = struct.Struct("=32xI76xqI4x160x")
WRITE_OUT: Final = struct.Struct("=I4x")


class Attributes(NamedTuple):
    """What the kernel is told of a file."""

    ino: int
    size: int
    blocks: int
    atime: int
    mtime: int
    ctime: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    nlink: int
    uid: int
    gid: int
    rdev: int
    blksize: int
    flags: int

    def as_stat(self) -> os.stat_result:
        """As os.stat() gives it."""
        fields: dict[str, float] = {
            "st_blksize": self.blksize, "st_blocks": self.blocks, "st_rdev": host_device(self.rdev)}
        for name, seconds, part in (("st_atime", self.atime, self.atime_ns), ("st_mtime", self.mtime, self.mtime_ns),
                                    ("st_ctime", self.ctime, self.ctime_ns)):
            fields[name] = seconds + part / 1e9
            fields[name + "_ns"] = seconds * 10**9 + part
        return os.stat_result((self.mode, self.ino, 0, self.nlink, self.uid, self.gid, self.size,
                               self.atime, self.mtime, self.ctime), fields)


class Entry(NamedTuple):
    """An entry of a directory's listing, and what came with it: nodeid 0 is nothing."""

    name: bytes
    inode: int
    offset: int
    kind: int
    nodeid: int
    attributes: Attributes


def take_attributes(data: bytes) -> Attributes:
    """The attributes that are data."""
    return Attributes._make(ATTR.unpack(data))


def take_entry(answer: bytes) -> tuple[int, Attributes]:
    """The node id and attributes that an answer begins with."""
    nodeid, attributes = ENTRY_OUT.unpack_from(answer)
    return nodeid, take_attributes(attributes)


def take_listing(answer: bytes, plus: bool) -> Iterator[Entry]:
    """The entries of one READDIR or READDIRPLUS."""
    at = 0
    nodeid, attributes = 0, take_attributes(bytes(ATTR.size))
    while at < len(answer):
        if plus:
            nodeid, attributes = take_entry(answer[at:at + ENTRY_OUT.size])
            at += ENTRY_OUT.size
        inode, offset, length, kind = DIRENT.unpack_from(answer, at)
        at += DIRENT.size
        yield Entry(answer[at:at + length], inode, offset, kind, nodeid, attributes)
        at += (length + 7) & ~7


def put_setattr(valid: int, *, fh: int = 0, size: int = 0, atime_ns: int = 0, mtime_ns: int = 0, mode: int = 0,
                uid: int = 0, gid: int = 0) -> bytes:
    """The body of SETATTR: what valid names is to change."""
    atime, atime_part = divmod(atime_ns, 10**9)
    mtime, mtime_part = divmod(mtime_ns, 10**9)
    return SETATTR_IN.pack(valid, fh, size, atime, mtime, atime_part, mtime_part, mode, uid, gid)


def kernel_device(device: int) -> int:
    """A device number as the kernel writes it in 32 bits."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xff) | major << 8 | (minor & ~0xff) << 12


def host_device(rdev: int) -> int:
    """The device number that 32 bits of the kernel's mean."""
    return os.makedev((rdev & 0xfff00) >> 8, (rdev & 0xff) | ((rdev >> 12) & 0xfff00))
