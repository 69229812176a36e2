"""Names and paths: any bytes but '/' and NUL, 255 of them, and trees deeper than any path."""
from __future__ import annotations

import os

from .. import calls
from ..steps import Steps, opens, scenario, write_file

ODD = [b"x" * 255, b"\xff\xfe\x80", b"\xc3\xa9", b"\xc3", b"a:b", b"a:b:$DATA", b"new\nline", b"back\\slash", b" ", b"  x ",
       b"tab\t", b"\x01\x02\x7f", b"*?[]", b"-rf", b"...", b".hidden", b"~", b"%41", b"a;b", b"'quoted\"", b"$HOME", b"\r",
       b"CON", b"nul", b"UPPER", b"upper", b"trailing.", b"trailing ", b"\xe2\x80\xae", b".fuse_hidden0001", b"x" * 254 + b"\xff",
       b".tenon-nameless", b".tenon-nameless-", b".tenon-nameless-123", b".tenon-nameless-0123456789abcdeg",
       b"tenon-nameless-0123456789abcdef", b".tenon-nameless-0123456789abcdef0", b".Tenon-nameless-0123456789abcdef"]


@scenario
def odd_names(s: Steps) -> None:
    for name in ODD:
        s.put(name, name)
        s.content(name)
        s.stat(name)
    s.listing()
    for name in ODD:
        s.do(os.rename, name, b"renamed")
        s.do(os.link, b"renamed", name)
        s.do(os.unlink, b"renamed")
    s.listing()
    for name in ODD:
        s.do(os.unlink, name)
    s.listing()


@scenario
def odd_directories_and_links(s: Steps) -> None:
    for name in ODD:
        s.do(os.mkdir, name)
        s.put(name + b"/" + name)
        s.do(os.symlink, name, name + b"/link")
        s.do(os.readlink, name + b"/link")
        s.do(os.mkfifo, name + b"/fifo")
    s.tree()


@scenario
def longest_names(s: Steps) -> None:
    longest, too_long = b"n" * 255, b"n" * 256
    calls_with_name = (("create", lambda n: opens(n, os.O_CREAT | os.O_RDWR)), ("stat", os.stat), ("unlink", os.unlink),
                       ("mkdir", os.mkdir), ("rmdir", os.rmdir), ("symlink", lambda n: os.symlink("x", n)),
                       ("readlink", os.readlink), ("remove", os.unlink), ("mkfifo", os.mkfifo),
                       ("rename", lambda n: os.rename(n, b"short")), ("rename to", lambda n: os.rename(b"short", n)),
                       ("link", lambda n: os.link(n, b"short")), ("remove it", os.unlink),
                       ("link to", lambda n: os.link(b"short", n)), ("open", lambda n: opens(n, os.O_RDONLY | os.O_NONBLOCK)),
                       ("chmod", lambda n: os.chmod(n, 0o600)), ("truncate", lambda n: os.truncate(n, 0)),
                       ("list", os.listdir), ("exchange", lambda n: calls.renameat2(n, b"short", calls.RENAME_EXCHANGE)))
    s.put("keep")
    for name in (longest, too_long, b"m" * 1000, b"m" * 4095, b"m" * 5000, b"d/" + too_long, too_long + b"/x"):
        for label, call in calls_with_name:
            s.step(f"{label} {len(name)}", call, name)
        for left in (b"short", longest):
            if os.path.lexists(left):
                os.unlink(left)
    s.listing()


@scenario
def longest_paths(s: Steps) -> None:
    """Up to 4095 bytes a path works; beyond, relative names still do."""
    part = "p" * 200
    depth = 0
    start = os.getcwd()
    for depth in range(30):
        os.mkdir(part)
        os.chdir(part)
    s.put("bottom", b"deep")
    s.content("bottom")
    s.stat("bottom")
    s.do(os.mkdir, "below")
    s.do(os.rename, "bottom", "below/bottom")
    s.do(os.link, "below/bottom", "bottom")
    s.do(os.symlink, "below/bottom", "link")
    s.content("link")
    s.tree()
    fd = s.open("bottom", os.O_RDWR)
    s.do(os.unlink, "bottom")
    s.do(os.unlink, "below/bottom")
    s.do(os.pread, fd, 10, 0)
    s.do(os.pwrite, fd, b"DEEP", 0)
    s.do(os.pread, fd, 10, 0)
    os.close(fd)
    os.chdir(start)
    full = "/".join([part] * 30)
    s.do(os.stat, full + "/link")
    s.do(os.stat, "/".join([part] * 20))
    for length in (4094, 4095, 4096):
        path = ("./" * 3000)[:length - 1] + "x"
        s.step(f"create by a path of {length}", opens, path, os.O_CREAT | os.O_RDWR)
    s.step("rename the top", os.rename, part, "top")
    os.chdir("top")
    for _ in range(29):
        os.chdir(part)
    s.listing()
    s.put("after", b"after")
    s.content("after")


@scenario
def case_matters(s: Steps) -> None:
    s.put("name", b"lower")
    s.put("NAME", b"upper")
    s.put("Name", b"mixed")
    s.put("\u00e9".encode(), b"composed")
    s.put("e\u0301".encode(), b"decomposed")
    s.tree()
    s.do(os.unlink, "NAME")
    s.stat("NAME")
    s.tree()


@scenario
def missing_names_come_to_life(s: Steps) -> None:
    """A name that was looked for in vain is found as soon as it exists, however it came."""
    s.put("source", b"data")
    s.do(os.mkdir, "d")
    other = s.peer()
    makers = (("create", write_file, ("x", b"new")), ("link", os.link, ("source", "x")), ("rename", os.rename, ("moving", "x")),
              ("symlink", os.symlink, ("source", "x")), ("mkdir", os.mkdir, ("x",)), ("mkfifo", os.mkfifo, ("x",)))
    for label, call, args in makers:
        write_file("moving", b"moved")
        for actor in (s, other):
            actor.step("missing", os.lstat, "x")
            actor.step(label, call, *args)
            s.step("found", os.lstat, "x")
            other.step("found", os.lstat, "x")
            (os.rmdir if os.path.isdir("x") and not os.path.islink("x") else os.unlink)("x")
            other.step("missing again", os.lstat, "x")
            write_file("moving", b"moved")
    s.do(os.stat, "d/inside")
    s.do(os.mkdir, "e")
    s.put("e/inside", b"inside")
    s.step("a directory with it comes", os.rename, "e", "d")
    s.content("d/inside")
