"""symlink and readlink."""
from __future__ import annotations

import errno
import os

from ..steps import ANNA, Steps, opens, read_file, scenario, write_file
from .opening import KINDS, make_kinds


@scenario
def symlink_on_every_kind(s: Steps) -> None:
    s.do(make_kinds)
    for name in (*KINDS, "", "new", "new/", "directory/new"):
        s.do(os.symlink, "target", name)
    s.tree()


@scenario
def symlink_targets(s: Steps) -> None:
    targets = [b"x", b"/", b"../..", b" ", b"\xff\xfe not utf-8", b"new\nline", b"a:b", b"back\\slash", b"x" * 255,
               b"x/" * 500, b"x" * 4095, b"/" + b"yz/" * 1364, b"x" * 59, b"x" * 60, b"x" * 61]
    for number, target in enumerate(targets):
        s.do(os.symlink, target, b"l%d" % number)
        s.do(os.readlink, b"l%d" % number)
        s.lstat(b"l%d" % number)
    s.step("too long", os.symlink, b"x" * 4096, b"long")
    s.step("empty", os.symlink, b"", b"empty")


@scenario
def symlink_following(s: Steps) -> None:
    s.do(os.makedirs, "d/e")
    s.put("d/f", b"data")
    s.do(os.symlink, "f", "d/l")
    s.do(os.symlink, "d", "ld")
    s.do(os.symlink, "../d/l", "d/ll")
    s.step("an absolute link", os.symlink, os.path.abspath("d/f"), "absolute")
    for name in ("d/l", "ld/f", "ld/l", "ld/ll", "absolute", "ld/e/../f"):
        s.do(read_file, name)
    s.do(write_file, "ld/ll", b"through")
    s.content("d/f")
    s.do(os.unlink, "d/l")
    s.do(read_file, "d/ll")
    s.do(os.mkdir, "ld/new")
    s.do(os.rename, "ld", "ld2")
    s.do(os.stat, "ld2/new")
    s.do(os.rmdir, "ld2")
    s.do(os.rmdir, "ld2/new")
    s.do(os.unlink, "ld2")
    s.do(os.chdir, "d")
    s.step("create through a dangling link", lambda: (os.symlink("made", "dang"), write_file("dang", b"made"))[1])
    s.listing()
    s.step("not exclusively", opens, "dang", os.O_CREAT | os.O_EXCL | os.O_RDWR)


def read_chain(name: str) -> bytes:
    """Linux begins a walk anew when something is mounted anywhere meanwhile, and counts the symlinks that it has followed twice."""
    for _ in range(9):
        try:
            return read_file(name)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
    return read_file(name)


@scenario
def symlink_loops(s: Steps) -> None:
    s.do(os.symlink, "b", "a")
    s.do(os.symlink, "a", "b")
    s.do(os.symlink, "self/x", "self")
    for name in ("a", "a/x", "self"):
        s.do(os.stat, name)
        s.do(read_file, name)
        s.do(os.mkdir, f"{name}/y")
        s.do(os.unlink, f"{name}/y")
        s.do(os.listdir, name)
        s.do(os.chmod, name, 0o600)
        s.do(os.truncate, name, 0)
        s.do(os.lstat, name)
    s.put("end", b"the end")
    os.symlink("end", "c0")
    for n in range(1, 45):
        os.symlink(f"c{n - 1}", f"c{n}")
    for name in ("c38", "c39", "c40", "c41"):
        s.do(read_chain, name)


@scenario
def symlink_owners_and_times(s: Steps) -> None:
    s.do(os.chmod, ".", 0o777)
    anna = s.peer(ANNA)
    anna.do(os.symlink, "target", "hers")
    s.lstat("hers")
    s.do(os.utime, "hers", ns=(10**18 + 3, 10**18 + 4), follow_symlinks=False)
    s.note("mtime", os.lstat("hers").st_mtime_ns)
    s.do(os.readlink, "hers")
    s.note("mtime after readlink", os.lstat("hers").st_mtime_ns)
    s.do(os.rename, "hers", "moved")
    s.do(os.readlink, "moved")
    s.do(os.symlink, "another", "hers")
    s.do(os.readlink, "hers")
    s.do(os.unlink, "hers")
    s.do(os.symlink, "third", "hers")
    s.do(os.readlink, "hers")
