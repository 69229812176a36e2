"""A drive of a few files in memory, and the kernel's part for drives that are not mounted.

    drive = Drive(read_file=...)        keyword arguments are handlers that replace or add to the drive's own
    channel = Channel(drive)            events fire on the thread that makes the request
    channel.read("/a")

The drive notes what fires (trace) and what it is told (errors). Its methods answer synchronously.
"""
from __future__ import annotations

import os
import struct
import threading
from typing import Any, Callable, Iterator, Optional

import tenon

GUID = "{0F6E4F5C-7C0E-4B3B-8F5C-2D1E6A7B8C9D}"
TEXT = b"hello, world"

LOOKUP, FORGET, SETATTR, MKDIR, UNLINK, RMDIR, LINK, OPEN, READ, WRITE, STATFS = 1, 2, 4, 9, 10, 11, 13, 14, 15, 16, 17
RELEASE, FLUSH, OPENDIR, READDIR, RELEASEDIR, CREATE = 18, 25, 27, 28, 29, 35


class Drive:
    """Files by path; None is a directory."""

    def __init__(self, cbfs: Optional[Any] = None, **handlers: Optional[Callable[[Any], object]]) -> None:
        self.cbfs = tenon.CBFS() if cbfs is None else cbfs
        self.files: dict[str, Optional[bytearray]] = {"/": None, "/a": bytearray(TEXT), "/b": bytearray(b"b")}
        self.errors: list[tuple[int, str]] = []
        self.trace: list[str] = []
        own = ("get_file_info", "enumerate_directory", "open_file", "create_file", "cleanup_file", "close_file", "read_file", "write_file",
               "set_file_size", "set_file_attributes", "delete_file", "rename_or_move_file", "error")
        for name in own:
            handlers.setdefault(name, getattr(self, name))
        for name, handler in handlers.items():
            setattr(self.cbfs, f"on_{name}", handler)

    def note(self, name: str, e: Any) -> None:
        self.trace.append(f"{name} {e.file_name}")

    def get_file_info(self, e: Any) -> None:
        if e.file_name not in self.files:
            raise FileNotFoundError(tenon.ERROR_FILE_NOT_FOUND, "no such file")
        data = self.files[e.file_name]
        e.file_exists = True
        e.attributes = tenon.FILE_ATTRIBUTE_DIRECTORY if data is None else tenon.FILE_ATTRIBUTE_NORMAL
        e.size = 0 if data is None else len(data)

    def enumerate_directory(self, e: Any) -> None:
        if not e.enumeration_context:
            top = e.directory_name.rstrip("/") + "/"
            e.enumeration_context = iter([name for name in sorted(self.files) if name != "/" and name.startswith(top)
                                          and "/" not in name[len(top):]])
        name = next(e.enumeration_context, None)
        if name is not None:
            data = self.files[name]
            e.file_found = True
            e.file_name = name.rpartition("/")[2]
            e.attributes = tenon.FILE_ATTRIBUTE_DIRECTORY if data is None else tenon.FILE_ATTRIBUTE_NORMAL
            e.size = 0 if data is None else len(data)

    def open_file(self, e: Any) -> None:
        self.note("open_file", e)

    def create_file(self, e: Any) -> None:
        self.note("create_file", e)
        self.files[e.file_name] = None if e.attributes & tenon.FILE_ATTRIBUTE_DIRECTORY else bytearray()

    def cleanup_file(self, e: Any) -> None:
        self.note("cleanup_file", e)

    def close_file(self, e: Any) -> None:
        self.note("close_file", e)

    def data(self, e: Any) -> bytearray:
        found = self.files[e.file_name]
        if found is None:
            raise IsADirectoryError(tenon.ERROR_INVALID_PARAMETER, "a directory")
        return found

    def read_file(self, e: Any) -> None:
        part = self.data(e)[e.position:e.position + e.bytes_to_read]
        memoryview(e.buffer)[:len(part)] = part
        e.bytes_read = len(part)

    def write_file(self, e: Any) -> None:
        data = self.data(e)
        data.extend(bytes(max(0, e.position - len(data))))
        data[e.position:e.position + e.bytes_to_write] = bytes(e.buffer)
        e.bytes_written = e.bytes_to_write

    def set_file_size(self, e: Any) -> None:
        data = self.data(e)
        del data[e.size:]
        data.extend(bytes(e.size - len(data)))

    def set_file_attributes(self, e: Any) -> None:
        pass

    def delete_file(self, e: Any) -> None:
        del self.files[e.file_name]

    def rename_or_move_file(self, e: Any) -> None:
        self.files[e.new_file_name] = self.files.pop(e.file_name)

    def error(self, e: Any) -> None:
        self.errors.append((e.error_code, e.description))


class Channel:
    """Requests to a drive by path, as the kernel would make them. With in_line events fire on the calling thread."""

    def __init__(self, drive: Any, in_line: bool = True) -> None:
        self.cbfs = drive.cbfs if isinstance(drive, Drive) else drive
        self.cbfs.initialize(GUID)
        self.cbfs._testing_mount(in_line)
        self.pid = os.getpid()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        self.cbfs.delete_storage(True)

    def request(self, opcode: int, node: int, data: bytes = b"", pid: Optional[int] = None, uid: int = 0, gid: int = 0) -> bytes:
        answer: bytes = self.cbfs._testing_request(opcode, node, data, 1 << 20, uid, gid, self.pid if pid is None else pid)
        return answer

    def entry(self, path: str | bytes) -> tuple[int, tuple[int, ...]]:
        """The node of a path, and its attributes: ino, size, blocks, atime, mtime, ctime, nanoseconds of these, mode, nlink, uid, gid."""
        node, answer = 1, b""
        for name in (path if isinstance(path, bytes) else os.fsencode(path)).split(b"/"):
            if name:
                answer = self.request(LOOKUP, node, name + b"\0")
                node = struct.unpack_from("Q", answer)[0]
        return node, struct.unpack_from("6Q7I", answer, 40) if answer else ()

    def node(self, path: str | bytes) -> int:
        return self.entry(path)[0]

    def open(self, path: str | int, flags: int = os.O_RDONLY, pid: Optional[int] = None) -> Handle:
        node = path if isinstance(path, int) else self.node(path)
        return Handle(self, node, struct.unpack_from("Q", self.request(OPEN, node, struct.pack("II", flags, 0), pid))[0])

    def opendir(self, path: str) -> Handle:
        node = self.node(path)
        return Handle(self, node, struct.unpack_from("Q", self.request(OPENDIR, node, struct.pack("II", 0, 0)))[0], RELEASEDIR)

    def create(self, path: str) -> Handle:
        folder, _, name = path.rpartition("/")
        answer = self.request(CREATE, self.node(folder), struct.pack("4I", os.O_RDWR | os.O_CREAT, 0o100644, 0, 0) + os.fsencode(name) + b"\0")
        return Handle(self, struct.unpack_from("Q", answer)[0], struct.unpack_from("Q", answer, 128)[0])

    def read(self, path: str, size: int = 4096, pid: Optional[int] = None) -> bytes:
        with self.open(path) as handle:
            return handle.read(size, pid=pid)

    def names(self, path: str) -> list[str]:
        with self.opendir(path) as handle:
            return list(handle.names())

    def forget(self, node: int, count: int = 1) -> None:
        self.request(FORGET, node, struct.pack("Q", count))

    def unlink(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        # Like the kernel, which looks a name up before it changes it.
        self.node(path)
        self.request(UNLINK, self.node(folder), os.fsencode(name) + b"\0")


class Handle:
    def __init__(self, channel: Channel, node: int, number: int, release: int = RELEASE) -> None:
        self.channel, self.node, self.number, self.how = channel, node, number, release

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *unused: object) -> None:
        self.release()

    def read(self, size: int = 4096, position: int = 0, pid: Optional[int] = None) -> bytes:
        return self.channel.request(READ, self.node, struct.pack("QQIIQII", self.number, position, size, 0, 0, 0, 0), pid)

    def write(self, data: bytes, position: int = 0) -> int:
        body = struct.pack("QQIIQII", self.number, position, len(data), 0, 0, os.O_RDWR, 0) + data
        return int(struct.unpack_from("I", self.channel.request(WRITE, self.node, body))[0])

    def flush(self) -> None:
        self.channel.request(FLUSH, self.node, struct.pack("QIIQ", self.number, 0, 0, 0))

    def names(self) -> Iterator[str]:
        offset = 0
        while entries := self.channel.request(READDIR, self.node, struct.pack("QQIIQII", self.number, offset, 4096, 0, 0, 0, 0)):
            at = 0
            while at < len(entries):
                _, offset, length, _ = struct.unpack_from("QQII", entries, at)
                name = os.fsdecode(entries[at + 24:at + 24 + length])
                if name not in (".", ".."):
                    yield name
                at += (24 + length + 7) & ~7

    def release(self) -> None:
        if self.how == RELEASE:
            self.flush()
        self.channel.request(self.how, self.node, struct.pack("QIIQ", self.number, 0, 0, 0))


class Waiting:
    """Something that runs on a thread of its own: result() waits for it and gives what it gave, or raises what it raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work, self._result, self._failure = work, None, None  # type: Any, Any, Optional[BaseException]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as failure:  # Raised again where somebody waits.
            self._failure = failure

    @property
    def is_over(self) -> bool:
        return not self.thread.is_alive()

    def result(self, timeout: float = 60) -> Any:
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "still waiting"
        try:
            if self._failure:
                raise self._failure
            return self._result
        finally:
            # An exception holds what its frames hold.
            self._failure = None
