"""fusepy_memory.py MOUNTING-POINT: the store through fusepy (libfuse 2), with no cache of the kernel.

As fast as fusepy lets it be: one thread (several would only pass the interpreter's lock around), no paths where there is a handle,
requests as large as libfuse 2 can take (128 KiB), and handlers that do nothing are not there, so that the kernel stops asking.
"""
from __future__ import annotations

import errno
import itertools
import stat
import sys
from typing import Any, Optional

from store import Node, Store

try:
    import fusepy  # Debian's name; python3-fuse is another package, and has the name fuse
except ImportError:
    import fuse as fusepy

REQUEST = 128 * 1024
OPTIONS = {"nothreads": True, "direct_io": True, "hard_remove": True, "use_ino": True, "attr_timeout": 0, "entry_timeout": 0,
           "negative_timeout": 0, "big_writes": True, "max_read": REQUEST, "max_write": REQUEST, "noatime": True}


class Drive(fusepy.Operations):
    """Paths and handles of the drive are nodes of the store."""

    use_ns = True
    flag_nullpath_ok = True  # sets libfuse's flag_nopath, in fusepy 3.0.1
    access = flush = fsync = fsyncdir = opendir = releasedir = getxattr = listxattr = statfs = None

    def __init__(self) -> None:
        self._store = Store()
        self._open: dict[int, Node] = {}
        self._handles = itertools.count(1)

    def __call__(self, operation: str, *arguments: Any) -> Any:
        return getattr(self, operation)(*arguments)

    def _at(self, path: Optional[str], handle: Optional[int] = None) -> Node:
        node = self._open[handle] if handle else self._store.at(path)
        if node is None:
            raise fusepy.FuseOSError(errno.ENOENT)
        return node

    def _opened(self, node: Node) -> int:
        handle = next(self._handles)
        self._open[handle] = node
        return handle

    def getattr(self, path: Optional[str], fh: Optional[int] = None) -> dict[str, int]:
        node = self._at(path, fh)
        return {"st_ino": node.number, "st_mode": node.mode, "st_nlink": node.links, "st_uid": node.uid, "st_gid": node.gid,
                "st_size": len(node.data), "st_blocks": len(node.data) + 511 >> 9, "st_atime": node.accessed,
                "st_mtime": node.modified, "st_ctime": node.changed}

    def create(self, path: str, mode: int, fi: object = None) -> int:
        uid, gid, _ = fusepy.fuse_get_context()
        return self._opened(self._store.make(*self._store.place(path), mode, uid, gid))

    def mkdir(self, path: str, mode: int) -> None:
        uid, gid, _ = fusepy.fuse_get_context()
        self._store.make(*self._store.place(path), stat.S_IFDIR | mode, uid, gid)

    def open(self, path: str, flags: int) -> int:
        return self._opened(self._at(path))

    def release(self, path: Optional[str], fh: int) -> None:
        del self._open[fh]

    def read(self, path: Optional[str], size: int, offset: int, fh: int) -> bytes:
        return bytes(self._open[fh].read(offset, size))

    def write(self, path: Optional[str], data: bytes, offset: int, fh: int) -> int:
        return self._open[fh].write(offset, data)

    def truncate(self, path: Optional[str], length: int, fh: Optional[int] = None) -> None:
        self._at(path, fh).resize(length)

    def chmod(self, path: str, mode: int) -> None:
        self._at(path).mode = mode

    def chown(self, path: str, uid: int, gid: int) -> None:
        node = self._at(path)
        node.uid, node.gid = (node.uid if uid == -1 else uid), (node.gid if gid == -1 else gid)

    def utimens(self, path: str, times: Optional[tuple[int, int]] = None) -> None:
        if times:
            node = self._at(path)
            node.accessed, node.modified = times

    def unlink(self, path: str) -> None:
        self._store.remove(*self._store.place(path))

    rmdir = unlink

    def readdir(self, path: Optional[str], fh: int) -> list[str]:
        return [".", "..", *self._at(path).entries]


if __name__ == "__main__":
    fusepy.FUSE(Drive(), sys.argv[1], foreground=True, **OPTIONS)
