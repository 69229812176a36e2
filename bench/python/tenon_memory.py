"""tenon_memory.py MOUNTING-POINT: the store through Tenon's Python edition, with no cache of the kernel.

As fast as the edition lets it be: one worker (several would only pass the interpreter's lock around), the node of an open file is
its context, so that no path is walked, and data is copied once, between the node and the event's buffer.
"""
from __future__ import annotations

import errno
import stat
import sys

import tenon

from store import Node, Store

DIRECTORY = tenon.FILE_ATTRIBUTE_DIRECTORY
# Set what the event's valid says: its bit, the member of the event, the member of the node.
CHANGES = ((tenon.SET_MODE, "mode", "mode"), (tenon.SET_UID, "uid", "uid"), (tenon.SET_GID, "gid", "gid"),
           (tenon.SET_LAST_ACCESS_TIME, "last_access_time_ns", "accessed"),
           (tenon.SET_LAST_WRITE_TIME, "last_write_time_ns", "modified"),
           (tenon.SET_CHANGE_TIME, "change_time_ns", "changed"))


class Drive:
    """Paths of the drive are those of the store; contexts are nodes."""

    def __init__(self) -> None:
        self._store = Store()
        self.cbfs = cbfs = tenon.CBFS()
        cbfs.metadata_cache_enabled = False
        cbfs.file_cache = tenon.FILE_CACHE_NONE
        cbfs.serialize_events = True
        cbfs.default_permissions = False
        cbfs.implicit_open = False
        cbfs.support_posix_unlink_rename = True
        cbfs.on_get_file_info = self.get_file_info
        cbfs.on_create_file = self.create_file
        cbfs.on_open_file = self.open_file
        cbfs.on_read_file = self.read_file
        cbfs.on_write_file = self.write_file
        cbfs.on_set_file_size = self.set_file_size
        cbfs.on_set_file_attributes = self.set_file_attributes
        cbfs.on_delete_file = self.delete_file
        cbfs.on_is_directory_empty = self.is_directory_empty
        cbfs.on_enumerate_directory = self.enumerate_directory

    def get_file_info(self, e: tenon.CBFSGetFileInfoEventParams) -> None:
        node = e.file_context or self._store.at(e.file_name)
        if not node:
            return
        e.file_exists = True
        e.file_id = node.number
        if node.entries is not None:
            e.attributes = DIRECTORY
        e.mode, e.uid, e.gid, e.hard_link_count = stat.S_IMODE(node.mode), node.uid, node.gid, node.links
        e.size = len(node.data)
        e.allocation_size = len(node.data) + 511 & -512
        e.last_access_time_ns, e.last_write_time_ns, e.change_time_ns = node.accessed, node.modified, node.changed

    def create_file(self, e: tenon.CBFSCreateFileEventParams) -> None:
        kind = stat.S_IFDIR if e.attributes & DIRECTORY else stat.S_IFREG
        e.file_context = self._store.make(*self._store.place(e.file_name), kind | e.mode, e.uid, e.gid)

    def open_file(self, e: tenon.CBFSOpenFileEventParams) -> None:
        e.file_context = self._at(e.file_name)

    def _at(self, path: str) -> Node:
        node = self._store.at(path)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        return node

    def read_file(self, e: tenon.CBFSReadFileEventParams) -> None:
        data = e.file_context.read(e.position, e.bytes_to_read)
        memoryview(e.buffer)[:len(data)] = data
        e.bytes_read = len(data)

    def write_file(self, e: tenon.CBFSWriteFileEventParams) -> None:
        e.bytes_written = e.file_context.write(e.position, e.buffer)

    def set_file_size(self, e: tenon.CBFSSetFileSizeEventParams) -> None:
        (e.file_context or self._at(e.file_name)).resize(e.size)

    def set_file_attributes(self, e: tenon.CBFSSetFileAttributesEventParams) -> None:
        node = e.file_context or self._at(e.file_name)
        for bit, member, name in CHANGES:
            if e.valid & bit:
                value = getattr(e, member)
                setattr(node, name, stat.S_IFMT(node.mode) | value if name == "mode" else value)

    def delete_file(self, e: tenon.CBFSDeleteFileEventParams) -> None:
        self._store.remove(*self._store.place(e.file_name))

    def is_directory_empty(self, e: tenon.CBFSIsDirectoryEmptyEventParams) -> None:
        e.is_empty = not self._at(e.directory_name).entries

    def enumerate_directory(self, e: tenon.CBFSEnumerateDirectoryEventParams) -> None:
        if e.restart:
            e.enumeration_context = iter(list(self._at(e.directory_name).entries.items()))
        for name, node in e.enumeration_context:
            e.file_found = True
            e.file_name = name
            e.file_id = node.number
            if node.entries is not None:
                e.attributes = DIRECTORY
            return


if __name__ == "__main__":
    Drive().cbfs.serve(sys.argv[1], tenon.MOUNT_NO_ATIME)
