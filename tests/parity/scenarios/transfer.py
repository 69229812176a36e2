"""Data moved by the kernel: copy_file_range, sendfile, splice."""
from __future__ import annotations

import os
import shutil
import socket

from ..steps import Steps, scenario
from .content import pattern


@scenario
def copy_file_ranges(s: Steps) -> None:
    s.put("a", pattern(300_000))
    a, b = s.open("a", os.O_RDONLY), s.open("b", os.O_RDWR | os.O_CREAT)
    s.step("all", copy_all, a, b, 300_000)
    s.content("b")
    s.do(os.copy_file_range, a, b, 1000, 500, 299_900)
    s.content("b")
    s.do(os.copy_file_range, a, b, 1000, 300_000, 0)
    s.do(os.copy_file_range, a, b, 1000, 299_500, 1_000_000)
    s.stat(b)
    both = s.open("a", os.O_RDWR)
    s.do(os.copy_file_range, both, both, 1000, 0, 5000)
    s.content("a")
    s.step("overlapping", os.copy_file_range, both, both, 1000, 0, 500)
    s.step("to a read-only descriptor", os.copy_file_range, both, a, 10, 0, 0)
    append = s.open("b", os.O_WRONLY | os.O_APPEND)
    s.step("to an appending descriptor", os.copy_file_range, a, append, 10, 0, 0)
    s.do(os.mkdir, "d")
    d = s.open("d", os.O_RDONLY)
    s.step("from a directory", os.copy_file_range, d, b, 10, 0, 0)
    s.do(os.copy_file_range, a, b, 0)


def copy_all(source: int, target: int, length: int) -> int:
    done = 0
    while done < length and (count := os.copy_file_range(source, target, length - done)):
        done += count
    return done


@scenario
def copy_to_an_open_unlinked_file(s: Steps) -> None:
    s.put("a", pattern(100_000))
    a, b = s.open("a", os.O_RDWR), s.open("b", os.O_RDWR | os.O_CREAT)
    s.do(os.unlink, "b")
    s.do(os.unlink, "a")
    s.step("copy", copy_all, a, b, 100_000)
    s.do(os.pread, b, 200_000, 0)


@scenario
def send_files(s: Steps) -> None:
    s.put("a", pattern(200_000))
    a, b = s.open("a", os.O_RDONLY), s.open("b", os.O_WRONLY | os.O_CREAT)
    s.step("file to file", send_all, b, a, 200_000)
    s.content("b")
    one, two = socket.socketpair()
    with one, two:
        s.step("file to socket", os.sendfile, one.fileno(), a, 1000, 5000)
        s.step("received", two.recv, 10_000)
    s.step("at the end", os.sendfile, b, a, 200_000, 100)
    s.step("library copy", lambda: (shutil.copyfile("a", "c"), None)[1])
    s.content("c")


def send_all(target: int, source: int, length: int) -> int:
    done = 0
    while done < length and (count := os.sendfile(target, source, done, length - done)):
        done += count
    return done


@scenario
def splice_both_ways(s: Steps) -> None:
    s.put("a", pattern(150_000))
    a, b = s.open("a", os.O_RDONLY), s.open("b", os.O_WRONLY | os.O_CREAT)
    reader, writer = os.pipe()

    def through_pipe() -> int:
        done = 0
        while count := os.splice(a, writer, 60_000, offset_src=done):
            left = count
            while left:
                left -= os.splice(reader, b, left)
            done += count
        return done
    s.step("splice", through_pipe)
    s.content("b")
    s.step("splice at an offset", lambda: (os.splice(a, writer, 1000, offset_src=77), os.splice(reader, b, 1000, offset_dst=9)))
    s.content("b")
