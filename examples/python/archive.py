#!/usr/bin/python3
"""Shows a zip archive as a drive that can be read: archive.py ARCHIVE DIRECTORY, as root. umount(8) or Ctrl-C ends it.

Nothing is unpacked before somebody reads it. What needs a password cannot be opened (EACCES), nor what is packed in a way that
Python does not know (EOPNOTSUPP); what is damaged gives EIO.
"""
from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import sys
import tempfile
import time
import zipfile
from typing import Iterator

import tenon

CHUNK = 1 << 20
# Numbers of the file format.
MADE_ON_UNIX = 3
ENCRYPTED = 0x1
EXTENDED_TIMESTAMP = 0x5455


def modification_time(info: zipfile.ZipInfo) -> int:
    """In nanoseconds. Every member has a local time, without its zone and in even seconds; most programs add a better one."""
    extra = info.extra
    while len(extra) >= 9:
        kind, length, flags, seconds = struct.unpack_from("<HHBi", extra)
        if kind == EXTENDED_TIMESTAMP and length >= 5 and flags & 1:
            return int(seconds) * 10**9
        extra = extra[4 + length:]
    return int(time.mktime((*info.date_time, 0, 0, -1))) * 10**9


@contextlib.contextmanager
def unpacking(info: zipfile.ZipInfo) -> Iterator[None]:
    """What zipfile and the decompressors raise, as errors that programs know."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        print(f"archive.py: {info.filename}: {error}", file=sys.stderr)
        raise OSError(errno.EOPNOTSUPP if isinstance(error, NotImplementedError) else errno.EIO, str(error)) from error


class Unpacked:
    """The contents of a member, unpacked as far as they were asked for: each byte once, wherever readers jump."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo):
        if info.flag_bits & ENCRYPTED:
            raise PermissionError(errno.EACCES, "it needs a password", info.filename)
        self.info = info
        with unpacking(info):
            self.stream = archive.open(info)
        self.done = tempfile.SpooledTemporaryFile(CHUNK)

    def read(self, position: int, size: int) -> bytes:
        while self.done.seek(0, os.SEEK_END) < min(position + size, self.info.file_size):
            with unpacking(self.info):
                data = self.stream.read(CHUNK)
                if not data:
                    raise EOFError("it ends too early")
            self.done.write(data)
        self.done.seek(position)
        return self.done.read(size)

    def close(self) -> None:
        self.stream.close()
        self.done.close()


class Entry:
    """A file, symlink or directory. A directory need not be a member: the paths of others imply it."""

    def __init__(self, is_directory: bool, info: zipfile.ZipInfo | None = None):
        self.is_directory = is_directory
        self.info = info
        self.entries: dict[str, Entry] = {}
        self.time = modification_time(info) if info else 0
        mode = info.external_attr >> 16 if info and info.create_system == MADE_ON_UNIX else 0
        self.is_symlink = stat.S_ISLNK(mode) and not is_directory
        self.mode = stat.S_IMODE(mode) or (0o755 if is_directory else 0o644)

    def describe(self, e: tenon.CBFSGetFileInfoEventParams | tenon.CBFSEnumerateDirectoryEventParams) -> None:
        """Both events that describe a file have these members."""
        e.attributes = tenon.FILE_ATTRIBUTE_DIRECTORY if self.is_directory else tenon.FILE_ATTRIBUTE_NORMAL
        if self.is_symlink:
            e.attributes = tenon.FILE_ATTRIBUTE_REPARSE_POINT
            e.reparse_tag = tenon.IO_REPARSE_TAG_SYMLINK
        e.mode = self.mode
        e.hard_link_count = 1
        e.last_write_time_ns = e.change_time_ns = e.last_access_time_ns = self.time
        if self.info:
            e.size, e.allocation_size = self.info.file_size, self.info.compress_size


class ArchiveDrive:
    def __init__(self, path: str):
        self.archive = zipfile.ZipFile(path)
        self.root = Entry(True)
        for info in self.archive.infolist():
            self.add(info)
        self.cbfs = tenon.CBFS()
        self.cbfs.use_reparse_points = True
        self.cbfs.non_existent_files_cache_enabled = True
        self.cbfs.implicit_open = False
        self.cbfs.on_get_file_info = self.get_file_info
        self.cbfs.on_enumerate_directory = self.enumerate_directory
        self.cbfs.on_open_file = self.open_file
        self.cbfs.on_close_file = self.close_file
        self.cbfs.on_read_file = self.read_file
        self.cbfs.on_get_reparse_point = self.get_reparse_point
        self.cbfs.on_set_reparse_point = self.set_reparse_point

    def add(self, info: zipfile.ZipInfo) -> None:
        """Absolute paths begin at the drive's root. A path that goes up ("..") is left out, as is one that no file can have.

        Of several members with one path the last counts, as if all were unpacked; but what others lie in is a directory."""
        path = [name for name in info.filename.split("/") if name not in ("", ".")]
        if not path or any(name == ".." or "\0" in name or len(os.fsencode(name)) > 255 for name in path):
            print(f"archive.py: {info.filename!r} is left out: no file can have this path", file=sys.stderr)
            return
        folder = self.root
        for name in path[:-1]:
            if name not in folder.entries or not folder.entries[name].is_directory:
                folder.entries[name] = Entry(True)
            folder = folder.entries[name]
        before = folder.entries.get(path[-1], Entry(False))
        if before.is_directory and not info.is_dir():
            return
        folder.entries[path[-1]] = Entry(info.is_dir(), info)
        folder.entries[path[-1]].entries = before.entries

    def find(self, path: str) -> Entry | None:
        entry: Entry | None = self.root
        for name in path.split("/"):
            if entry and name:
                entry = entry.entries.get(name)
        return entry

    def get_file_info(self, e: tenon.CBFSGetFileInfoEventParams) -> None:
        entry = self.find(e.file_name)
        if entry:
            e.file_exists = True
            entry.describe(e)

    def enumerate_directory(self, e: tenon.CBFSEnumerateDirectoryEventParams) -> None:
        if e.restart:
            directory = self.find(e.directory_name)
            e.enumeration_context = iter(directory.entries.items() if directory else ())
        found = next(e.enumeration_context, None)
        if found:
            e.file_found = True
            e.file_name, entry = found
            entry.describe(e)

    def open_file(self, e: tenon.CBFSOpenFileEventParams) -> None:
        entry = self.find(e.file_name)
        if entry and entry.info and not entry.is_directory:
            e.file_context = Unpacked(self.archive, entry.info)

    def close_file(self, e: tenon.CBFSCloseFileEventParams) -> None:
        if e.file_context:
            e.file_context.close()

    def read_file(self, e: tenon.CBFSReadFileEventParams) -> None:
        data = e.file_context.read(e.position, e.bytes_to_read)
        memoryview(e.buffer)[:len(data)] = data
        e.bytes_read = len(data)

    def get_reparse_point(self, e: tenon.CBFSGetReparsePointEventParams) -> None:
        entry = self.find(e.file_name)
        if not entry or not entry.info or not entry.is_symlink:
            raise OSError(errno.EINVAL, "no symlink", e.file_name)
        if entry.info.file_size > e.reparse_buffer_length:
            raise OSError(errno.ENAMETOOLONG, "a target that nobody can follow", e.file_name)
        with contextlib.closing(Unpacked(self.archive, entry.info)) as member:
            target = member.read(0, entry.info.file_size)
        memoryview(e.reparse_buffer)[:len(target)] = target
        e.reparse_buffer_length = len(target)

    def set_reparse_point(self, e: tenon.CBFSSetReparsePointEventParams) -> None:
        """A drive with symlinks must have this handler."""
        e.result_code = errno.EROFS


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: archive.py ARCHIVE DIRECTORY")
    try:
        drive = ArchiveDrive(sys.argv[1])
    except Exception as error:
        sys.exit(f"archive.py: {sys.argv[1]} cannot be read as a zip archive: {error}")
    try:
        drive.cbfs.serve(sys.argv[2], tenon.MOUNT_READ_ONLY)
    except tenon.CBFSError as error:
        sys.exit(f"archive.py: {error}")


if __name__ == "__main__":
    main()
