"""link(2) and linkat(2) themselves: what they follow, what is in their way, how many there may be."""
from __future__ import annotations

import os

from parity import calls
from parity.steps import Steps

from . import scenario


@scenario
def names_in_the_way(s: Steps) -> None:
    s.put("f", b"data")
    s.put("taken")
    s.do(os.mkdir, "d")
    s.do(os.symlink, "nowhere", "dangling")
    s.do(os.symlink, "d", "to-d")
    for new in ("taken", "f", "d", "dangling", "to-d", "to-d/in", "x" * 255, "x" * 256, "y" * 4096, "missing/x", "taken/x", "new/",
                "d/", "dangling/x", "", ".", "..", "d/.", b"\xff\xfe", "new\nline"):
        s.do(os.link, "f", new)
        s.stat("f")
    s.do(os.link, "d", "d2")
    s.do(os.link, "missing", "new")
    s.do(os.link, "f/", "new")
    s.do(os.link, "d/../f", "new")
    s.tree()


@scenario
def symlinks_are_followed_when_asked(s: Steps) -> None:
    s.put("f", b"data")
    s.do(os.mkdir, "d")
    for name, target in (("l", "f"), ("ll", "l"), ("to-d", "d"), ("dangling", "nowhere"), ("loop", "loop")):
        s.do(os.symlink, target, name)
    for flags in (0, calls.AT_SYMLINK_FOLLOW):
        for old in ("l", "ll", "to-d", "dangling", "loop", "f", "l/", "to-d/../l"):
            new = f"d/{len(os.listdir('d'))}"
            s.do(calls.linkat, calls.AT_FDCWD, old, new, flags)
            if os.path.lexists(new):
                s.lstat(new)
                s.same_file(old, new)
                s.same_file("f", new)
    s.do(calls.linkat, calls.AT_FDCWD, "f", "bad-flags", 1)
    s.do(calls.linkat, calls.AT_FDCWD, "", "empty", 0)
    s.tree()


@scenario
def links_by_descriptors(s: Steps) -> None:
    """AT_EMPTY_PATH and /proc, for descriptors of each kind."""
    s.put("f", b"data")
    s.do(os.mkdir, "d")
    s.do(os.symlink, "f", "l")
    s.do(os.mkfifo, "p")
    for name, flags in (("f", os.O_RDONLY), ("f", os.O_RDWR), ("f", os.O_PATH), ("d", os.O_RDONLY), ("d", os.O_PATH),
                        ("l", os.O_PATH | os.O_NOFOLLOW), ("p", os.O_RDONLY | os.O_NONBLOCK), ("p", os.O_PATH)):
        fd = s.open(name, flags)
        for label, link in (("empty path", lambda new: calls.linkat(fd, "", new, calls.AT_EMPTY_PATH)),
                            ("proc", lambda new: calls.link_open_file(fd, new)),
                            ("proc itself", lambda new: calls.linkat(calls.AT_FDCWD, f"/proc/self/fd/{int(fd)}", new, 0))):
            s.step(f"{label} of {name}", link, "new")
            if os.path.lexists("new"):
                s.lstat("new")
                s.same_file(name, "new")
                os.unlink("new")
        os.close(fd)
    s.tree()


@scenario
def links_below_each_other(s: Steps) -> None:
    """Names in directories of any depth; each directory can go once it is empty, whatever other names the file has."""
    path = ""
    s.put("f", b"data")
    for level in range(20):
        path += f"{level}/"
        os.mkdir(path)
        os.link("f", path + "f")
    s.stat("f")
    s.note("one file", len({os.stat(os.path.join(top, "f")).st_ino for top, _, _ in os.walk(".")}))
    while path:
        s.step("not empty", os.rmdir, path)
        os.unlink(path + "f")
        s.do(os.rmdir, path)
        path = path[:path.rstrip("/").rfind("/") + 1]
        s.stat("f")
    s.tree()
