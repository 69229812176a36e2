"""events.py: what one event costs inside the interpreter, in nanoseconds: one JSON object.

No kernel, no second process and no second thread take part: requests come over the in-process channel and events fire on the
thread that asks. A request that no handler is asked for is the cost of asking; it is taken off. For comparison, a call of a Python
function. Each number is the least of several runs, as timeit does it, in processor time.
"""
from __future__ import annotations

import json
import struct
import sys
import time
from typing import Callable

import tenon

LOOKUP, GETATTR, OPEN, READ, STATFS = 1, 3, 14, 15, 17
ROOT, RUNS, PIECE = 1, 25, 4096
ANY_ROOM = 8192

Handler = Callable[[object], None]


def exists(e: tenon.CBFSGetFileInfoEventParams) -> None:
    e.file_exists = True


def described(e: tenon.CBFSGetFileInfoEventParams) -> None:
    """As a drive does it that knows everything about its files."""
    e.file_exists = True
    e.file_id = 7
    e.attributes = 0x80
    e.mode, e.uid, e.gid, e.hard_link_count = 0o644, 0, 0, 1
    e.size = PIECE
    e.allocation_size = PIECE
    e.last_access_time_ns = e.last_write_time_ns = e.change_time_ns = 10 ** 18


def end_of_file(e: tenon.CBFSReadFileEventParams) -> None:
    e.bytes_read = 0


def copied(e: tenon.CBFSReadFileEventParams) -> None:
    memoryview(e.buffer)[:PIECE] = DATA
    e.bytes_read = PIECE


DATA = bytes(PIECE)


def nothing(e: object) -> None:
    pass


class Volume:
    """A drive with one file, which is open."""

    def __init__(self, get_file_info: Handler, read_file: Handler):
        self._cbfs = cbfs = tenon.CBFS()
        cbfs.metadata_cache_enabled = False
        cbfs.file_cache = tenon.FILE_CACHE_NONE
        cbfs.implicit_open = False
        cbfs.on_get_file_info, cbfs.on_read_file, cbfs.on_enumerate_directory = get_file_info, read_file, nothing
        cbfs.initialize("{713CC6CE-B3E2-4fd9-838D-E28F558F6866}")
        cbfs._testing_mount(True)
        self._file, = struct.unpack_from("<Q", self.ask(LOOKUP, ROOT, b"file\0"))
        self._handle, = struct.unpack_from("<Q", self.ask(OPEN, self._file, struct.pack("<II", 0, 0)))

    def ask(self, opcode: int, node: int, data: bytes) -> bytes:
        return self._cbfs._testing_request(opcode, node, data, ANY_ROOM, 0, 0, 1)

    def cost(self, count: int, opcode: int, data: bytes) -> float:
        ask, node = self._cbfs._testing_request, self._file

        def run() -> None:
            for _ in range(count):
                ask(opcode, node, data, ANY_ROOM, 0, 0, 1)
        return least(run, count)

    def getattr(self, count: int) -> float:
        return self.cost(count, GETATTR, struct.pack("<IIQ", 0, 0, 0))

    def read(self, count: int) -> float:
        return self.cost(count, READ, struct.pack("<QQIIQII", self._handle, 0, PIECE, 0, 0, 0, 0))

    def unhandled(self, count: int) -> float:
        return self.cost(count, STATFS, b"")

    def close(self) -> None:
        self._cbfs.delete_storage(True)


def least(run: Callable[[], None], count: int) -> float:
    """Nanoseconds for one of `count` times."""
    costs = []
    for _ in range(RUNS):
        start = time.thread_time_ns()
        run()
        costs.append((time.thread_time_ns() - start) / count)
    return min(costs)


def call(count: int) -> float:
    def run() -> None:
        for _ in range(count):
            nothing(None)

    def loop() -> None:
        for _ in range(count):
            pass
    return least(run, count) - least(loop, count)


def main(count: int) -> None:
    small, full = Volume(exists, end_of_file), Volume(described, copied)
    asking = small.unhandled(count)
    found = {"call": call(count), "request": asking,
             "getattr": small.getattr(count) - asking, "getattr-full": full.getattr(count) - asking,
             "read": small.read(count) - asking, "read-4K": full.read(count) - asking}
    small.close()
    full.close()
    print(json.dumps({name: round(nanoseconds, 1) for name, nanoseconds in found.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
