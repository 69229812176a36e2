#!/usr/bin/python3
"""Shows files of web servers as a drive: slow.py DIRECTORY URL..., as root. umount(8) or Ctrl-C ends it.

    python3 -m http.server --directory ~/films & ./slow.py /mnt http://localhost:8000/one.mp4 http://localhost:8000/two.mp4

A handler that is a coroutine keeps no thread waiting: a hundred programs may wait for a hundred answers. When one of them is
interrupted its coroutine is cancelled, and the connection closed.
"""
from __future__ import annotations

import asyncio
import errno
import sys
import urllib.parse

import tenon


class RemoteFile:
    """A file on a web server."""

    def __init__(self, url: str):
        self.url = urllib.parse.urlsplit(url)
        self.name = urllib.parse.unquote(self.url.path.rpartition("/")[2])
        self.size: int | None = None

    async def request(self, method: str, headers: str = "") -> tuple[int, dict[str, str], bytes]:
        """One request by a connection of its own: status, headers with small names, body."""
        secure = self.url.scheme == "https"
        reader, writer = await asyncio.open_connection(self.url.hostname, self.url.port or (443 if secure else 80), ssl=secure or None)
        try:
            path = (self.url.path or "/") + (f"?{self.url.query}" if self.url.query else "")
            writer.write(f"{method} {path} HTTP/1.0\r\nHost: {self.url.netloc}\r\n{headers}\r\n".encode())
            status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            return int(status.split()[1]), fields, b"" if method == "HEAD" else await reader.read()
        finally:
            writer.close()  # also when this was cancelled

    async def get_size(self) -> int:
        if self.size is None:
            status, fields, _ = await self.request("HEAD")
            if status != 200:
                raise OSError(errno.ENOENT if status in (404, 410) else errno.EIO, f"the server answered {status}")
            self.size = int(fields["content-length"])
        return self.size

    async def read(self, position: int, size: int) -> bytes:
        status, _, body = await self.request("GET", f"Range: bytes={position}-{position + size - 1}\r\n")
        if status not in (200, 206):
            raise OSError(errno.EIO, f"the server answered {status}")
        # Not every server knows ranges: 200 is all of the file.
        return body[position:position + size] if status == 200 else body[:size]


class SlowDrive:
    def __init__(self, urls: list[str]):
        self.files = {f"/{file.name}": file for file in map(RemoteFile, urls)}
        self.cbfs = tenon.CBFS()
        # One file may have many readers at the same time.
        self.cbfs.serialize_access = False
        # Each read is its reader's own, and ends with him. With the kernel's cache (the default) reads are made ahead for all.
        self.cbfs.file_cache = tenon.FILE_CACHE_NONE
        self.cbfs.implicit_open = False
        self.cbfs.on_get_file_info = self.get_file_info
        self.cbfs.on_enumerate_directory = self.enumerate_directory
        self.cbfs.on_read_file = self.read_file

    async def get_file_info(self, e: tenon.CBFSGetFileInfoEventParams) -> None:
        e.file_exists = e.file_name == "/" or e.file_name in self.files
        e.attributes = tenon.FILE_ATTRIBUTE_DIRECTORY if e.file_name == "/" else tenon.FILE_ATTRIBUTE_READONLY
        if e.file_name in self.files:
            e.size = await self.files[e.file_name].get_size()

    def enumerate_directory(self, e: tenon.CBFSEnumerateDirectoryEventParams) -> None:
        """Nothing to wait for, so this is an ordinary function."""
        if e.restart:
            e.enumeration_context = iter(self.files)
        e.file_name = next(e.enumeration_context, "/")[1:]
        e.file_found = e.file_name != ""

    async def read_file(self, e: tenon.CBFSReadFileEventParams) -> None:
        data = await self.files[e.file_name].read(e.position, e.bytes_to_read)
        memoryview(e.buffer)[:len(data)] = data
        e.bytes_read = len(data)


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit("usage: slow.py DIRECTORY URL...")
    try:
        SlowDrive(sys.argv[2:]).cbfs.serve(sys.argv[1], tenon.MOUNT_READ_ONLY)
    except tenon.CBFSError as error:
        sys.exit(f"slow.py: {error}")


if __name__ == "__main__":
    main()
