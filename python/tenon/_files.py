"""Open files and entries of listings on a volume that is tested: what tenon.testing gives out."""
from __future__ import annotations

import contextlib
import errno
import os
import stat
from types import TracebackType
from typing import TYPE_CHECKING, AnyStr, Generic, Iterator, Union

from . import _wire as wire
from ._kernel import Node, Path, Place, failure, get_attributes, like, refuse_taken, with_paths

if TYPE_CHECKING:
    from .testing import FileSystem

Data = Union[bytes, bytearray, memoryview]


class DirEntry(Generic[AnyStr]):
    """One entry of scandir(), as os.DirEntry."""

    def __init__(self, fs: FileSystem, directory: AnyStr | os.PathLike[AnyStr], entry: wire.Entry) -> None:
        self._fs = fs
        self._entry = entry
        self.name: AnyStr = like(directory, entry.name)  # type: ignore[assignment]
        self.path: AnyStr = os.path.join(directory, self.name)

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def __fspath__(self) -> AnyStr:
        return self.path

    def inode(self) -> int:
        """The file's number, as the listing gives it."""
        return self._entry.inode

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a directory, or a symlink to one."""
        return self._is(stat.S_IFDIR, follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a plain file, or a symlink to one."""
        return self._is(stat.S_IFREG, follow_symlinks)

    def is_symlink(self) -> bool:
        """Whether it is a symlink."""
        return self._is(stat.S_IFLNK, False)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """What the listing said of it; where that was not enough, or it is a symlink to follow, what the volume says now."""
        if self._entry.nodeid and not (follow_symlinks and self.is_symlink()):
            return self._entry.attributes.as_stat()
        return self._fs.stat(self.path, follow_symlinks=follow_symlinks)

    def _is(self, kind: int, follow_symlinks: bool) -> bool:
        listed = self._entry.kind << 12
        if not follow_symlinks or listed != stat.S_IFLNK:
            return listed == kind
        try:
            return stat.S_IFMT(self._fs.stat(self.path).st_mode) == kind
        except FileNotFoundError:
            return False


class File:
    """A file or directory that is open: a file descriptor with methods. Made by FileSystem.open().

    name is the path by which it was opened, position where the next read() or write() begins that is not told.
    """

    def __init__(self, fs: FileSystem, place: Place, name: Path, node: Node, flags: int, answer: bytes,
                 is_directory: bool = False) -> None:
        self.name = name
        self.position = 0
        self._fs = fs
        self._node = node
        self._held = place.hold_longer()
        self._flags = flags
        self._is_directory = is_directory
        self._fh: int | None = wire.OPEN_OUT.unpack(answer)[0]
        fs._kernel.open_files.add(self)

    def __enter__(self) -> File:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<tenon.testing.File {self.name!r}{' (closed)' if self.closed else ''}>"

    @property
    def closed(self) -> bool:
        """Whether close() has been called."""
        return self._fh is None

    @property
    def lookup_id(self) -> int:
        """The number under which the kernel knows the file, as FileSystem.lookup() gives it."""
        return self._node.id

    def read(self, size: int = -1, offset: int | None = None) -> bytes:
        """Up to size bytes, or all to the end of the file; without an offset from position on, which moves."""
        self._need(os.O_RDONLY)
        at = self._where(offset)
        data = bytearray()
        while size < 0 or len(data) < size:
            wanted = wire.MOST if size < 0 else min(size - len(data), wire.MOST)
            body = wire.READ_IN.pack(self._handle, at + len(data), wanted, self._flags)
            piece = self._request(wire.READ, body, wanted)
            data += piece
            if len(piece) < wanted:
                break
        if offset is None:
            self.position = at + len(data)
        return bytes(data)

    def write(self, data: Data, offset: int | None = None) -> int:
        """Write data; without an offset at position, which moves; with O_APPEND at the end. How many bytes were written.

        Fewer than there are where the handler took fewer, or failed after some: the next write tells how.
        """
        self._need(os.O_WRONLY)
        at = self._where(offset)
        if self._flags & os.O_APPEND:
            at = self.stat().st_size
        done = self._write(memoryview(data).cast("B"), at)
        if offset is None:
            self.position = at + done
        return done

    def truncate(self, length: int) -> None:
        """As os.ftruncate()."""
        if self._flags & os.O_ACCMODE == os.O_RDONLY:
            raise self._failure(errno.EINVAL)
        with self._errors():
            body = self._fs._resize(length, self._handle)
        self._request(wire.SETATTR, body, wire.ATTR_OUT.size)

    def fallocate(self, offset: int, length: int, mode: int = 0) -> None:
        """As fallocate(2): see FileSystem.fallocate()."""
        self._need(os.O_WRONLY)
        if offset < 0 or length <= 0:
            raise self._failure(errno.EINVAL)
        self._request(wire.FALLOCATE, wire.FALLOCATE_IN.pack(self._handle, offset, length, mode))

    def stat(self) -> os.stat_result:
        """As os.fstat(), which asks the volume each time."""
        fh = self._handle
        with self._errors():
            attributes = get_attributes(self._fs._kernel, self._fs._caller, self._node.id, None if self._is_directory else fh)
        return attributes.as_stat()

    def sync(self, data_only: bool = False) -> None:
        """As os.fsync(), or os.fdatasync()."""
        opcode = wire.FSYNCDIR if self._is_directory else wire.FSYNC
        body = wire.FSYNC_IN.pack(self._handle, wire.FSYNC_DATA_ONLY if data_only else 0)
        with self._errors():
            self._fs._kernel.request_if_served(self._fs._caller, opcode, self._node.id, body)

    def link(self, dst: Path) -> None:
        """Give the file one more name, or its first one if O_TMPFILE has made it: linkat(2) with AT_EMPTY_PATH."""
        with self._errors(dst), self._fs._walk(dst, None, lock=True) as place:
            refuse_taken(place)
            if self._is_directory:
                raise failure(errno.EPERM)
            self._fs._link(self._node, place)

    def close(self) -> None:
        """Close it. Raises what close(2) would return, cleanup_file's result; it is closed all the same. Nothing the second time."""
        kernel, caller = self._fs._kernel, self._fs._caller
        try:
            kernel.open_files.remove(self)
        except KeyError:
            return
        fh, self._fh = self._handle, None
        opcode = wire.RELEASEDIR if self._is_directory else wire.RELEASE
        with self._errors():
            try:
                if not self._is_directory:
                    kernel.request_if_served(caller, wire.FLUSH, self._node.id, wire.FLUSH_IN.pack(fh))
            finally:
                try:
                    kernel.request(caller, opcode, self._node.id, wire.RELEASE_IN.pack(fh, self._flags))
                finally:
                    kernel.drop(self._held)

    @property
    def _handle(self) -> int:
        if self._fh is None:
            raise ValueError("I/O operation on closed file")
        return self._fh

    def _need(self, access: int) -> None:
        """EISDIR and EBADF, as for a descriptor that was not opened for this."""
        if self._is_directory:
            raise self._failure(errno.EISDIR if access == os.O_RDONLY else errno.EBADF)
        if self._flags & os.O_ACCMODE not in (access, os.O_RDWR):
            raise self._failure(errno.EBADF)

    def _where(self, offset: int | None) -> int:
        if offset is not None and offset < 0:
            raise self._failure(errno.EINVAL)
        return self.position if offset is None else offset

    def _write(self, data: memoryview, at: int) -> int:
        flags = 0 if self._fs._caller.is_root else wire.WRITE_KILL_SUIDGID
        done = 0
        while done < len(data):
            piece = data[done:done + wire.MOST]
            body = wire.WRITE_IN.pack(self._handle, at + done, len(piece), flags, self._flags) + piece
            try:
                (took,) = wire.WRITE_OUT.unpack(self._request(wire.WRITE, body, wire.WRITE_OUT.size))
            except OSError:
                if done:
                    break
                raise
            done += took
            if took < len(piece):
                break
        return done

    def _read_listing(self, offset: int, plus: bool) -> list[wire.Entry]:
        """The entries behind offset, as many as one request brings. With plus each is counted as looked up."""
        body = wire.READ_IN.pack(self._handle, offset, wire.LISTING, self._flags)
        answer = self._request(wire.READDIRPLUS if plus else wire.READDIR, body, wire.LISTING)
        entries = list(wire.take_listing(answer, plus))
        for entry in entries:
            if entry.nodeid:
                self._fs._kernel.count(entry.nodeid)
        return entries

    def _request(self, opcode: int, body: bytes = b"", room: int = 0) -> bytes:
        with self._errors():
            return self._fs._request(opcode, self._node.id, body, room)

    def _failure(self, number: int) -> OSError:
        return with_paths(failure(number), self.name)

    @contextlib.contextmanager
    def _errors(self, other: object = None) -> Iterator[None]:
        """Errors name the file."""
        try:
            yield
        except OSError as error:
            raise with_paths(error, self.name, other) from None
