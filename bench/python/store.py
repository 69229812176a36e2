"""A tree in memory, which the three drives of this folder serve, each through another package.

Names are whatever a drive's package gives: text or bytes. A file's content stays as long as somebody refers to its node.
"""
from __future__ import annotations

import errno
import itertools
import os
import stat
import time
from typing import Optional, Union

Name = Union[str, bytes]

ROOT = 1


class Node:
    """A file or a directory; a directory's entries are its names."""

    __slots__ = ("number", "mode", "uid", "gid", "links", "data", "entries", "accessed", "modified", "changed", "born")

    def __init__(self, number: int, mode: int, uid: int, gid: int):
        self.number, self.mode, self.uid, self.gid = number, mode, uid, gid
        self.data = bytearray()
        self.entries: Optional[dict[Name, Node]] = {} if stat.S_ISDIR(mode) else None
        self.links = 1
        self.accessed = self.modified = self.changed = self.born = time.time_ns()

    def read(self, position: int, size: int) -> memoryview:
        """To be dropped before the file is written to."""
        return memoryview(self.data)[position:position + size]

    def write(self, position: int, data: Union[bytes, memoryview]) -> int:
        size = len(data)
        if position + size > len(self.data):
            self.data.extend(bytes(position + size - len(self.data)))
        # An assignment to the bytearray itself would copy twice.
        memoryview(self.data)[position:position + size] = data
        self.modified = self.changed = time.time_ns()
        return size

    def resize(self, size: int) -> None:
        if size < len(self.data):
            del self.data[size:]
        else:
            self.data.extend(bytes(size - len(self.data)))
        self.modified = self.changed = time.time_ns()

    def find(self, name: Name) -> Optional[Node]:
        if self.entries is None:
            raise NotADirectoryError(errno.ENOTDIR, "not a directory")
        return self.entries.get(name)

    def touch(self) -> None:
        self.modified = self.changed = time.time_ns()


class Store:
    """The tree."""

    def __init__(self) -> None:
        self._numbers = itertools.count(ROOT)
        self.root = Node(next(self._numbers), stat.S_IFDIR | 0o755, os.getuid(), os.getgid())

    def at(self, path: str) -> Optional[Node]:
        """What is there; None where nothing is."""
        node: Optional[Node] = self.root
        for name in path.split("/"):
            if name and node:
                node = node.find(name)
        return node

    def place(self, path: str) -> tuple[Node, str]:
        """The directory that a path lies in, and its last name."""
        above, _, name = path.rpartition("/")
        directory = self.at(above)
        if directory is None:
            raise FileNotFoundError(errno.ENOENT, "no such directory")
        return directory, name

    def make(self, directory: Node, name: Name, mode: int, uid: int, gid: int) -> Node:
        if directory.find(name):
            raise FileExistsError(errno.EEXIST, "the name is taken")
        node = directory.entries[name] = Node(next(self._numbers), mode, uid, gid)
        directory.touch()
        return node

    def remove(self, directory: Node, name: Name) -> Node:
        node = directory.find(name)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "no such name")
        if node.entries:
            raise OSError(errno.ENOTEMPTY, "there is something in the directory")
        del directory.entries[name]
        node.links = 0
        directory.touch()
        return node
