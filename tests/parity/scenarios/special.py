"""Fifos, sockets and devices: the names live on the drive, the rest is the kernel's."""
from __future__ import annotations

import fcntl
import os
import select
import socket
import stat

from ..steps import Steps, opens, scenario


@scenario
def fifo_flow(s: Steps) -> None:
    s.do(os.mkfifo, "p", 0o644)
    s.step("nobody reads", opens, "p", os.O_WRONLY | os.O_NONBLOCK)
    writer = s.peer()
    writer.start(send, "p", b"through the pipe")
    reader = s.open("p", os.O_RDONLY)
    s.do(os.read, reader, 100)
    writer.finish("has sent")
    s.step("then the end", os.read, reader, 100)
    s.stat(reader)
    s.stat("p")
    s.do(os.lseek, reader, 0, os.SEEK_SET)
    s.do(os.rename, "p", "q")
    again = s.open("q", os.O_WRONLY)
    s.do(os.write, again, b"renamed")
    s.do(os.read, reader, 100)
    s.do(os.truncate, "q", 0)
    s.listing()


def send(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, data)
    os.close(fd)


@scenario
def fifos_by_two_names_are_one(s: Steps) -> None:
    s.do(os.mkfifo, "p")
    s.do(os.link, "p", "q")
    reader = s.open("p", os.O_RDONLY | os.O_NONBLOCK)
    writer = s.open("q", os.O_WRONLY | os.O_NONBLOCK)
    s.do(os.write, writer, b"x")
    s.do(os.read, reader, 5)


@scenario
def sockets(s: Steps) -> None:
    server = socket.socket(socket.AF_UNIX)
    s.step("bind", server.bind, "socket")
    s.lstat("socket")
    s.step("bind again", socket.socket(socket.AF_UNIX).bind, "socket")
    s.step("open", opens, "socket", os.O_RDWR)
    client = socket.socket(socket.AF_UNIX)
    s.step("before it listens", client.connect, "socket")
    server.listen()
    s.step("connect", client.connect, "socket")
    connection, _ = server.accept()
    client.send(b"hello")
    s.step("received", connection.recv, 10)
    s.do(os.rename, "socket", "moved")
    another = socket.socket(socket.AF_UNIX)
    s.step("connect by the new name", another.connect, "moved")
    s.step("connect by the old name", socket.socket(socket.AF_UNIX).connect, "socket")
    s.do(os.link, "moved", "second")
    s.step("connect by a link", socket.socket(socket.AF_UNIX).connect, "second")
    s.do(os.unlink, "moved")
    s.do(os.unlink, "second")
    s.step("gone", socket.socket(socket.AF_UNIX).connect, "moved")
    s.do(os.mknod, "made", 0o644 | stat.S_IFSOCK)
    s.step("a socket without a server", socket.socket(socket.AF_UNIX).connect, "made")
    s.tree()


@scenario
def datagram_sockets(s: Steps) -> None:
    one, two = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.step("bind", one.bind, "one")
    s.step("bind", two.bind, "two")
    s.step("send", two.sendto, b"letter", "one")
    s.step("received", one.recvfrom, 100)


@scenario
def devices(s: Steps) -> None:
    s.do(os.mknod, "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    s.do(os.mknod, "loop", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    for name in ("null", "loop"):
        s.stat(name)
        for access in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT, os.O_PATH):
            s.step(f"open {name}", opens, name, access)
        s.do(os.chmod, name, 0o640)
        s.do(os.chown, name, 5, 6)
        s.do(os.utime, name, ns=(7, 8))
        s.stat(name)
        s.note("mtime", os.stat(name).st_mtime_ns)
        s.do(os.truncate, name, 0)
        s.do(os.link, name, f"{name}2")
        s.do(os.rename, name, f"{name}3")
    s.tree()


@scenario
def poll_files(s: Steps) -> None:
    s.put("f", b"data")
    fd = s.open("f", os.O_RDWR)
    poll = select.poll()
    poll.register(int(fd), select.POLLIN | select.POLLOUT)
    s.step("a file is always ready", lambda: [event for _, event in poll.poll(0)])
    s.either("epoll", lambda: select.epoll().register(int(fd)), legal=["EPERM", "ok"],
             why="only file systems that cannot poll refuse")
    s.step("not a terminal", lambda: os.isatty(fd))
    s.step("unknown ioctl", fcntl.ioctl, fd, 0x12345678)
