"""Links to what is no plain file: symlinks, fifos, sockets, devices."""
from __future__ import annotations

import os
import socket
import stat

from parity.scenarios.special import send
from parity.steps import Steps

from . import scenario


@scenario
def links_to_symlinks(s: Steps) -> None:
    s.put("f", b"data")
    s.do(os.symlink, "f", "l")
    s.do(os.mkdir, "d")
    for new in ("m", "d/l"):
        s.do(os.link, "l", new, follow_symlinks=False)
        s.do(os.readlink, new)
        s.same_file("l", new)
    s.step("a relative target means another file elsewhere", os.stat, "d/l")
    s.content("m")
    s.touched("unlink one", lambda: os.unlink("l"), "m", "d/l")
    for name in ("m", "d/l"):
        s.lstat(name)
        s.do(os.readlink, name)
    s.do(os.rename, "d/l", "m")
    s.do(os.chown, "m", 5, 6, follow_symlinks=False)
    s.lstat("d/l")
    s.put("new")
    s.do(os.rename, "new", "m")
    s.lstat("d/l")
    s.do(os.readlink, "d/l")
    s.tree()


@scenario
def links_to_fifos(s: Steps) -> None:
    """One pipe, by whichever name."""
    s.do(os.mkfifo, "p", 0o644)
    s.do(os.mkdir, "d")
    s.do(os.link, "p", "d/q")
    writer = s.peer()
    writer.start(send, "d/q", b"through the other name")
    reader = s.open("p", os.O_RDONLY)
    s.do(os.read, reader, 100)
    writer.finish("has sent")
    s.do(os.unlink, "p")
    s.do(os.link, "d/q", "r")
    again = s.open("r", os.O_WRONLY | os.O_NONBLOCK)
    s.do(os.write, again, b"and a third")
    s.do(os.read, reader, 100)
    s.stat("d/q")
    s.stat(reader)
    s.do(os.rename, "d/q", "r")
    s.do(os.chmod, "r", 0o600)
    s.tree()


@scenario
def links_to_sockets(s: Steps) -> None:
    server = socket.socket(socket.AF_UNIX)
    s.step("bind", server.bind, "socket")
    server.listen()
    s.do(os.link, "socket", "again")
    s.same_file("socket", "again")
    for name in ("socket", "again"):
        client = socket.socket(socket.AF_UNIX)
        s.step(f"connect to {name}", client.connect, name)
        client.close()
    s.do(os.unlink, "socket")
    client = socket.socket(socket.AF_UNIX)
    s.step("the other name goes on", client.connect, "again")
    s.step("the first is free", socket.socket(socket.AF_UNIX).bind, "socket")
    s.tree()


@scenario
def links_to_devices(s: Steps) -> None:
    for name, kind, number in (("c", stat.S_IFCHR, (1, 3)), ("b", stat.S_IFBLK, (250, 70_000))):
        s.do(os.mknod, name, kind | 0o640, os.makedev(*number))
        s.do(os.link, name, name + "2")
        s.same_file(name, name + "2")
        s.do(os.chmod, name + "2", 0o600)
        s.stat(name)
        s.do(os.unlink, name)
        s.stat(name + "2")
        s.do(os.rename, name + "2", name)
        s.stat(name)
        s.do(os.link, name, name + "3")
    s.tree()
