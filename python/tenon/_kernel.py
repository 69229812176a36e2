"""The kernel's part of a mount without one: what it remembers of files, and how it finds them by their paths.

tenon.testing makes system calls of this. A file that was looked up is remembered until its last name is gone or until it is
told to be forgotten; what somebody uses meanwhile is held.
"""
from __future__ import annotations

import errno
import os
import stat
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Iterable, NamedTuple, Protocol, Union

from . import _wire as wire

if TYPE_CHECKING:
    from . import CBFS

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

# As Linux has it: more symlinks than this in one path are a loop.
MOST_SYMLINKS = 40
# How long the engine may take to do what it has been sent already.
PATIENCE_SECONDS = 10.0


def failure(number: int) -> OSError:
    """The error of this number, of the class that os.stat() would raise."""
    return OSError(number, os.strerror(number))


def with_paths(error: OSError, path: object, other: object = None) -> OSError:
    """The same error, which names the file."""
    number = error.errno or errno.EIO
    return OSError(number, os.strerror(number), path, None, other)


def like(path: Path, name: bytes) -> str | bytes:
    """A name as str or bytes, as the path was given."""
    return name if isinstance(os.fspath(path), bytes) else os.fsdecode(name)


def encode(path: Path) -> bytes:
    """A path as the kernel gets it."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


class Caller(NamedTuple):
    """Who makes a system call; without a pid it is the thread that does."""

    uid: int
    gid: int
    pid: int | None

    @property
    def is_root(self) -> bool:
        return self.uid == 0


class Node:
    """A file that the kernel knows. Its numbers change under the kernel's lock."""

    __slots__ = ("id", "lookups", "holders", "gone", "names")

    def __init__(self, nodeid: int) -> None:
        self.id = nodeid
        # How often the engine has told of it, and how many use it.
        self.lookups = 0
        self.holders = 0
        # The name by which it was known has been removed.
        self.gone = False
        # Of a directory: who changes names in it has this.
        self.names = threading.Lock()


class Found(NamedTuple):
    """A node with the attributes that it was found with."""

    node: Node
    attributes: wire.Attributes

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.attributes.mode)

    @property
    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self.attributes.mode)

    @property
    def is_regular(self) -> bool:
        return stat.S_ISREG(self.attributes.mode)


class Closable(Protocol):
    """An open file, for its end."""

    def close(self) -> None: ...


class Kernel:
    """One volume as the kernel sees it."""

    def __init__(self, cbfs: CBFS) -> None:
        self.cbfs = cbfs
        self._lock = threading.Lock()
        self._nodes: dict[int, Node] = {}
        self._unserved: set[int] = set()
        self._calls = 0
        self.open_files: set[Closable] = set()
        # Who changes names in two directories has this, too.
        self.two_directories = threading.Lock()
        root_attributes = wire.take_attributes(bytes(wire.ATTR.size))._replace(ino=wire.ROOT, mode=stat.S_IFDIR)
        self.root = Found(Node(wire.ROOT), root_attributes)

    def request(self, caller: Caller, opcode: int, nodeid: int, body: bytes = b"", room: int = 0) -> bytes:
        """Send one request and give its answer back."""
        pid = threading.get_native_id() if caller.pid is None else caller.pid
        with self._lock:
            self._calls += 1
        try:
            return self.cbfs._testing_request(opcode, nodeid, body, room, caller.uid, caller.gid, pid)
        finally:
            with self._lock:
                self._calls -= 1

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return self._calls > 0

    def request_if_served(self, caller: Caller, opcode: int, nodeid: int, body: bytes) -> None:
        """Send one that need not be there: after ENOSYS, which means that nothing is to be done, it is not sent again."""
        if opcode in self._unserved:
            return
        try:
            self.request(caller, opcode, nodeid, body)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
            self._unserved.add(opcode)

    def hold(self, nodeid: int) -> Node:
        """Count one more lookup of a node, and hold it."""
        with self._lock:
            node = self._nodes.setdefault(nodeid, Node(nodeid))
            node.lookups += 1
            node.holders += 1
            node.gone = False
        return node

    def count(self, nodeid: int) -> None:
        """Count one more lookup of a node that nobody uses yet."""
        self.drop([self.hold(nodeid)])

    def hold_again(self, nodes: Iterable[Node]) -> list[Node]:
        """Hold what is held already, for longer."""
        with self._lock:
            held = list(nodes)
            for node in held:
                node.holders += 1
        return held

    def drop(self, nodes: Iterable[Node]) -> None:
        """Hold them no more; forget those that have gone meanwhile."""
        with self._lock:
            forgotten = []
            for node in nodes:
                node.holders -= 1
                if node.gone and not node.holders and self._nodes.get(node.id) is node:
                    del self._nodes[node.id]
                    forgotten.append(node)
        self._forget(forgotten)

    def _forget(self, nodes: list[Node]) -> None:
        body = wire.BATCH_IN.pack(len(nodes)) + b"".join(wire.BATCH_ONE.pack(node.id, node.lookups) for node in nodes)
        if not nodes:
            return
        try:
            self.cbfs._testing_request(wire.BATCH_FORGET, 0, body, 0, 0, 0, 0)
        except OSError as error:
            # The volume has ended, and nobody holds anything.
            if error.errno != errno.ENODEV:
                raise

    def forget_all(self) -> None:
        """Forget what nobody uses; where nothing is used, wait until the engine has done so as well."""
        with self._lock:
            forgotten = [node for node in self._nodes.values() if not node.holders]
            for node in forgotten:
                del self._nodes[node.id]
        self._forget(forgotten)
        # A FORGET has no answer. Whoever uses something meanwhile keeps it.
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._nodes and self.cbfs.active and any(self.cbfs._testing_balance()) and time.monotonic() < until:
            time.sleep(0.0005)

    def end(self) -> None:
        """Close and forget everything, as when the last process has ended: nobody hears of errors."""
        for file in list(self.open_files):
            try:
                file.close()
            except OSError:
                pass
        self.forget_all()


def get_attributes(kernel: Kernel, caller: Caller, nodeid: int, fh: int | None = None) -> wire.Attributes:
    """Ask for the attributes of a node, or of a file that is open."""
    body = wire.GETATTR_IN.pack(0 if fh is None else wire.GETATTR_FH, fh or 0)
    (attributes,) = wire.ATTR_OUT.unpack(kernel.request(caller, wire.GETATTR, nodeid, body, wire.ATTR_OUT.size))
    return wire.take_attributes(attributes)


class Place:
    """Where a path leads to: a name in a directory and the file that has it, if any.

    A context manager, which holds what was passed on the way.
    """

    def __init__(self, kernel: Kernel, caller: Caller, path: bytes, follow: bool | None, lock: bool = False,
                 look: bool = True) -> None:
        """Walk there.

        follow: through a symlink at the end, too; False: only where a slash follows; None: not even then. lock: nobody else
        changes names in the directory until this is given back. look=False: see what has the name later, by look_up().
        """
        self.kernel = kernel
        self.caller = caller
        self._held: list[Node] = []
        self._locks: list[threading.Lock] = []
        self._symlinks = 0
        # From the root on; the last one has the name. Without a name the path has ended in it: by ".", by ".." or at the root.
        self.directories = [kernel.root]
        self.name = b""
        self.dots = b""
        self.found: Found | None = None
        # The path ends as only a directory's may.
        self.wants_directory = False
        try:
            self._walk(path, follow, lock, look)
        except BaseException:
            self._give_back()
            raise

    def __enter__(self) -> Place:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._give_back()

    def _give_back(self) -> None:
        self.unlock()
        self.kernel.drop(self._held)

    @property
    def parent(self) -> int:
        """The directory of the name."""
        return self.directories[-1].node.id

    @property
    def file(self) -> Found:
        """What is there; ENOENT."""
        if self.found is None:
            raise failure(errno.ENOENT)
        return self.found

    @property
    def attributes(self) -> wire.Attributes:
        """Those of what is there. Lookups have told them, but of the root, which is never looked up."""
        if self.file is self.kernel.root:
            return get_attributes(self.kernel, self.caller, wire.ROOT)
        return self.file.attributes

    def request(self, opcode: int, body: bytes = b"", room: int = 0) -> bytes:
        """Send a request about the name to its directory."""
        return self.kernel.request(self.caller, opcode, self.parent, body, room)

    def take(self, answer: bytes) -> Node:
        """Hold the file that an answer begins with."""
        nodeid, _ = wire.take_entry(answer)
        node = self.kernel.hold(nodeid)
        self._held.append(node)
        return node

    def hold_longer(self) -> list[Node]:
        """Hold all that beyond the end of this place: to be dropped."""
        return self.kernel.hold_again(self._held)

    def look_up(self) -> None:
        """See what has the name."""
        self.found = self._look_up(self.name) if self.name else self.directories[-1]
        self._check_directory()

    def lock_both(self, other: Place) -> None:
        """Nobody else changes names in the directories of both until this one is given back."""
        nodes = {place.directories[-1].node for place in (self, other)}
        locks = [node.names for node in nodes]
        # Who has one already never waits for another one.
        for lock in [self.kernel.two_directories, *locks] if len(locks) > 1 else locks:
            self._lock(lock)

    def unlock(self) -> None:
        """Others may change names again."""
        while self._locks:
            self._locks.pop().release()

    def _lock(self, lock: threading.Lock) -> None:
        lock.acquire()
        self._locks.append(lock)

    def _walk(self, path: bytes, follow: bool | None, lock: bool, look: bool) -> None:
        todo = self._parts(path, True)
        while todo:
            name = todo.pop()
            if name in (b".", b".."):
                self.dots = name
                if name == b"..":
                    del self.directories[max(1, len(self.directories) - 1):]
                continue
            if not todo and not look:
                self.name = name
                return
            if not todo and lock:
                self._lock(self.directories[-1].node.names)
            found = self._look_up(name)
            if found and found.is_symlink and (todo or follow or (self.wants_directory and follow is not None)):
                self.unlock()
                todo += self._parts(self._read_symlink(found), not todo)
            elif not todo:
                self.name, self.found = name, found
            else:
                self._descend(found)
        if not self.name:
            self.found = self.directories[-1]
        self._check_directory()

    def _descend(self, found: Found | None) -> None:
        if found is None:
            raise failure(errno.ENOENT)
        if not found.is_directory:
            raise failure(errno.ENOTDIR)
        self.directories.append(found)

    def _check_directory(self) -> None:
        if self.wants_directory and self.found and not self.found.is_directory:
            raise failure(errno.ENOTDIR)

    def _parts(self, path: bytes, is_last: bool) -> list[bytes]:
        """The names in a path or in a symlink's target, the last one first. From the root where it begins there."""
        if not path:
            raise failure(errno.ENOENT)
        if path.startswith(b"/"):
            del self.directories[1:]
        if is_last and path.endswith(b"/"):
            self.wants_directory = True
        return [name for name in reversed(path.split(b"/")) if name]

    def _look_up(self, name: bytes) -> Found | None:
        try:
            answer = self.request(wire.LOOKUP, name + b"\0", wire.ENTRY_OUT.size)
        except FileNotFoundError:
            return None
        nodeid, attributes = wire.take_entry(answer)
        return Found(self.take(answer), attributes) if nodeid else None

    def _read_symlink(self, file: Found) -> bytes:
        self._symlinks += 1
        if self._symlinks > MOST_SYMLINKS:
            raise failure(errno.ELOOP)
        return self.kernel.request(self.caller, wire.READLINK, file.node.id, b"", 4096)


def refuse_taken(place: Place) -> None:
    """EEXIST where something has the name."""
    if place.found:
        raise failure(errno.EEXIST)
