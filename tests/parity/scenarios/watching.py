"""inotify, as file managers and editors use it: what happens on the drive is told."""
from __future__ import annotations

import ctypes
import os
import struct

from ..calls import libc
from ..steps import Steps, read_file, scenario, write_file

NAMES = {1: "access", 2: "modify", 4: "attributes", 8: "close after writing", 16: "close", 32: "open", 64: "moved from",
         128: "moved to", 256: "create", 512: "delete", 1024: "self deleted", 2048: "self moved", 0x8000: "ignored"}
ALL = 0xFFF
IS_DIRECTORY = 0x40000000


class Watch:
    """An inotify descriptor, and what it has told."""

    def __init__(self, *paths: str):
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.paths = {libc.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(ALL)): path for path in paths}
        assert -1 not in self.paths

    def events(self) -> list[tuple[str, ...]]:
        """All events since the last call: (watched path, what, name), moves with whether the two halves belong together."""
        found, cookies = [], {}
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return []
        while data:
            watch, mask, cookie, length = struct.unpack_from("=iIII", data)
            name = data[16:16 + length].rstrip(b"\0").decode()
            what = [text for bit, text in NAMES.items() if mask & bit] + (["directory"] if mask & IS_DIRECTORY else [])
            move = [f"move {cookies.setdefault(cookie, len(cookies))}"] if cookie else []
            found.append((self.paths[watch], *what, name, *move))
            data = data[16 + length:]
        return found


def names_in(path: str) -> list[str]:
    return sorted(os.listdir(path))


def append(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, data)
    os.close(fd)


def save_as_editors_do(path: str) -> None:
    """The old file becomes the backup, the new one is written beside it and takes its name."""
    os.link(path, f"{path}~")
    write_file(f".{path}.swp", b"new content")
    os.chmod(f".{path}.swp", 0o640)
    os.rename(f".{path}.swp", path)
    os.unlink(f"{path}~")


@scenario
def watched_directories(s: Steps) -> None:
    for name in ("d", "e", "d/sub"):
        s.do(os.mkdir, name)
    s.put("d/there", b"there")
    other = s.peer()
    watch = Watch("d", "e", "d/there", "d/sub")
    acts = (("create", write_file, "d/f", b"data"), ("read", read_file, "d/f"), ("append", append, "d/f", b"more"),
            ("truncate", os.truncate, "d/f", 3), ("change the mode", os.chmod, "d/f", 0o600), ("owner", os.chown, "d/f", 1, 1),
            ("times", os.utime, "d/f"), ("link", os.link, "d/f", "e/g"), ("rename", os.rename, "d/f", "d/h"),
            ("move", os.rename, "d/h", "e/h"), ("replace", os.rename, "e/h", "d/there"), ("make a directory", os.mkdir, "d/new"),
            ("move a directory", os.rename, "d/sub", "e/sub"), ("symlink", os.symlink, "x", "d/link"), ("fifo", os.mkfifo, "d/p"),
            ("list", names_in, "d"), ("remove a directory", os.rmdir, "d/new"), ("remove", os.unlink, "e/g"),
            ("remove the moved one", os.rmdir, "e/sub"), ("remove it, replaced", os.unlink, "d/there"))
    for actor in (s, other):
        for label, call, *args in acts:
            actor.step(label, call, *args)
            s.note(f"events of {label}", watch.events())
        # Once more, by another process; some of what is watched is gone by then.
        for name in ("d/link", "d/p"):
            os.unlink(name)
        watch.events()
        os.mkdir("d/sub")
        write_file("d/there", b"again")
        watch.events()
    os.close(watch.fd)


@scenario
def watched_file_is_saved_by_an_editor(s: Steps) -> None:
    s.put("text", b"old content")
    watch = Watch(".", "text")
    for _ in range(2):
        s.step("save", save_as_editors_do, "text")
        s.note("events", watch.events())
    fd = s.open("text", os.O_RDONLY)
    s.do(os.unlink, "text")
    s.note("after the last name", watch.events())
    os.close(fd)
    s.note("after the last close", watch.events())
    s.tree()
    os.close(watch.fd)
