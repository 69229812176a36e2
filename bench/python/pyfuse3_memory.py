"""pyfuse3_memory.py MOUNTING-POINT: the store through pyfuse3 (libfuse 3) and trio, with no cache of the kernel.

As fast as pyfuse3 lets it be: requests of 1 MiB, which libfuse 3 has by itself, views instead of copies where data is read, and
an entry of no number instead of an exception for a name that is not there.
"""
from __future__ import annotations

import stat
import sys
from typing import Optional

import pyfuse3
import trio

from store import Node, Store

ABSENT = pyfuse3.EntryAttributes()
ABSENT.st_ino = 0
ABSENT.entry_timeout = 0


def attributes(node: Node) -> pyfuse3.EntryAttributes:
    entry = pyfuse3.EntryAttributes()
    entry.attr_timeout = entry.entry_timeout = 0
    entry.st_ino, entry.st_mode, entry.st_nlink, entry.st_uid, entry.st_gid = (
        node.number, node.mode, node.links, node.uid, node.gid)
    entry.st_size = len(node.data)
    entry.st_blocks = len(node.data) + 511 >> 9
    entry.st_atime_ns, entry.st_mtime_ns, entry.st_ctime_ns = node.accessed, node.modified, node.changed
    return entry


def opened(node: Node) -> pyfuse3.FileInfo:
    return pyfuse3.FileInfo(fh=node.number, direct_io=True)


class Drive(pyfuse3.Operations):
    """Inodes and handles are numbers of nodes that the kernel knows."""

    supports_dot_lookup = False
    enable_writeback_cache = False

    def __init__(self) -> None:
        super().__init__()
        self._store = Store()
        self._known: dict[int, Node] = {pyfuse3.ROOT_INODE: self._store.root}
        self._lookups: dict[int, int] = {}
        self._listings: dict[int, list[tuple[bytes, Node]]] = {}
        self._listed = 0

    def _remember(self, node: Node) -> None:
        """The kernel knows a node once more."""
        self._known[node.number] = node
        self._lookups[node.number] = self._lookups.get(node.number, 0) + 1

    def _told(self, node: Node) -> pyfuse3.EntryAttributes:
        self._remember(node)
        return attributes(node)

    async def lookup(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        node = self._known[parent_inode].entries.get(name)
        return self._told(node) if node else ABSENT

    async def forget(self, inode_list: list[tuple[int, int]]) -> None:
        for number, times in inode_list:
            self._lookups[number] -= times
            if not self._lookups[number]:
                del self._lookups[number], self._known[number]

    async def getattr(self, inode: int, ctx: Optional[pyfuse3.RequestContext] = None) -> pyfuse3.EntryAttributes:
        return attributes(self._known[inode])

    async def setattr(self, inode: int, attr: pyfuse3.EntryAttributes, fields: pyfuse3.SetattrFields, fh: Optional[int],
                      ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        node = self._known[inode]
        if fields.update_size:
            node.resize(attr.st_size)
        if fields.update_mode:
            node.mode = attr.st_mode
        if fields.update_uid:
            node.uid = attr.st_uid
        if fields.update_gid:
            node.gid = attr.st_gid
        if fields.update_atime:
            node.accessed = attr.st_atime_ns
        if fields.update_mtime:
            node.modified = attr.st_mtime_ns
        return attributes(node)

    def _make(self, parent: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext) -> Node:
        try:
            return self._store.make(self._known[parent], name, mode, ctx.uid, ctx.gid)
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno) from error

    async def create(self, parent_inode: int, name: bytes, mode: int, flags: int,
                     ctx: pyfuse3.RequestContext) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        node = self._make(parent_inode, name, mode, ctx)
        return opened(node), self._told(node)

    async def mkdir(self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        return self._told(self._make(parent_inode, name, stat.S_IFDIR | mode, ctx))

    async def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        return opened(self._known[inode])

    async def release(self, fh: int) -> None:
        """The kernel forgets a node after its last handle."""

    async def read(self, fh: int, off: int, size: int) -> memoryview:
        return self._known[fh].read(off, size)

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        return self._known[fh].write(off, buf)

    async def unlink(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        try:
            self._store.remove(self._known[parent_inode], name)
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno) from error

    rmdir = unlink

    async def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        self._listed += 1
        self._listings[self._listed] = list(self._known[inode].entries.items())
        return self._listed

    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        listing = self._listings[fh]
        for index in range(start_id, len(listing)):
            name, node = listing[index]
            if not pyfuse3.readdir_reply(token, name, attributes(node), index + 1):
                return
            self._remember(node)

    async def releasedir(self, fh: int) -> None:
        del self._listings[fh]


def serve(mounting_point: str) -> None:
    pyfuse3.init(Drive(), mounting_point, {"fsname=pyfuse3", "noatime"})
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close()


if __name__ == "__main__":
    serve(sys.argv[1])
