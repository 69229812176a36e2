"""stat, chmod, chown, access, statvfs, extended attributes."""
from __future__ import annotations

import os
import stat
import time

from .. import calls
from ..steps import ANNA, BERT, STAFF, Steps, opens, scenario, write_file
from .opening import KINDS, make_kinds


@scenario
def stat_every_kind(s: Steps) -> None:
    s.do(make_kinds)
    for name in (*KINDS, "", ".", "..", "./file", "directory//", "dangling/", "loop/x"):
        s.do(os.stat, name)
        s.do(os.lstat, name)
        s.do(os.access, name, os.F_OK)
        s.do(os.readlink, name)


@scenario
def statx_and_birth(s: Steps) -> None:
    before = time.time() - 5
    s.put("f", b"12345")
    s.do(os.mkdir, "d")
    s.do(os.symlink, "f", "l")
    for name in ("f", "d", "l"):
        x, st = calls.statx(name, calls.AT_SYMLINK_NOFOLLOW), os.lstat(name)
        s.note(f"{name} has the basics", x.mask & calls.STATX_BASIC == calls.STATX_BASIC)
        s.note(f"{name} as stat says", (x.ino, x.mode, x.uid, x.gid, x.nlink, x.size) ==
               (st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_nlink, st.st_size))
        s.note(f"{name} has a birth", bool(x.mask & calls.STATX_BTIME))
        s.note(f"{name} born now", before <= x.btime[0] <= time.time() + 5)
    born = calls.statx("f").btime
    os.utime("f", (0, 0))
    write_file("f", b"new")
    s.do(os.rename, "f", "g")
    s.note("birth stays", calls.statx("g").btime == born)
    fd = os.open("g", os.O_RDONLY)
    s.note("by descriptor", calls.statx("", calls.AT_EMPTY_PATH, dir_fd=fd).btime == born)
    s.step("missing", calls.statx, "missing")


@scenario
def stat_agrees_everywhere(s: Steps) -> None:
    """stat by name, by descriptor and by every link are one truth, whatever changes it."""
    s.put("a", b"data")
    s.do(os.mkdir, "d")
    s.do(os.link, "a", "d/b")
    fd = s.open("a", os.O_RDWR)
    acts = (("write", lambda: os.pwrite(fd, b"longer data", 0)), ("truncate", lambda: os.truncate("d/b", 3)),
            ("chmod", lambda: os.chmod("a", 0o600)), ("chown", lambda: os.chown("d/b", ANNA, STAFF)),
            ("utime", lambda: os.utime("a", ns=(1, 2))), ("link", lambda: os.link("d/b", "c")),
            ("rename", lambda: os.rename("c", "d/c")), ("unlink", lambda: os.unlink("d/c")),
            ("append", lambda: write_more("d/b")))
    for name, act in acts:
        act()
        seen = [tuple(getattr(st, f) for f in ("st_ino", "st_mode", "st_nlink", "st_size", "st_uid", "st_gid",
                                               "st_mtime_ns", "st_ctime_ns", "st_blocks"))
                for st in (os.stat("a"), os.stat("d/b"), os.fstat(fd))]
        s.note(f"after {name} all agree", len(set(seen)) == 1)
        s.stat("d/b")


def write_more(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


@scenario
def chmod_all_bits(s: Steps) -> None:
    s.put("f")
    s.do(os.mkdir, "d")
    for mode in (0, 0o777, 0o644, 0o4755, 0o2755, 0o1755, 0o7777, 0o6000, 0o100):
        for name in ("f", "d"):
            s.do(os.chmod, name, mode)
            s.stat(name)
    fd = s.open("d", os.O_RDONLY)
    s.do(os.fchmod, fd, 0o750)
    s.stat("d")
    s.do(os.chmod, ".", 0o711)
    s.stat(".")
    for bit in (0o10000, 0o100000):
        s.do(os.chmod, "f", 0o640 | bit)
        s.stat("f")


@scenario
def chmod_every_kind(s: Steps) -> None:
    s.do(make_kinds)
    for name in (*KINDS, ""):
        s.do(os.chmod, name, 0o750)
    s.tree()


@scenario
def chown_every_kind(s: Steps) -> None:
    s.do(make_kinds)
    for number, name in enumerate((*KINDS, "")):
        s.do(os.chown, name, ANNA + number, STAFF + number)
        s.do(os.lchown, name, ANNA, -1)
    s.tree()


@scenario
def chown_parts(s: Steps) -> None:
    s.put("f")
    for uid, gid in ((1, 2), (-1, 3), (4, -1), (-1, -1), (2**32 - 2, 2**32 - 2), (0, 0)):
        s.do(os.chown, "f", uid, gid)
        s.stat("f")
    fd = s.open("f", os.O_RDONLY)
    s.do(os.fchown, fd, 7, 8)
    s.stat("f")
    s.do(os.mkdir, "d")
    s.do(os.chown, "d", ANNA, STAFF)
    s.stat("d")


@scenario
def chown_clears_set_id_bits(s: Steps) -> None:
    for mode in (0o4755, 0o2755, 0o6755, 0o2745, 0o6644, 0o7777):
        for uid, gid in ((ANNA, STAFF), (-1, STAFF), (ANNA, -1), (-1, -1), (0, 0)):
            s.put("f")
            os.chmod("f", mode)
            s.do(os.chown, "f", uid, gid)
            s.stat("f")
            s.do(os.unlink, "f")
    s.do(os.mkdir, "d")
    os.chmod("d", 0o7777)
    s.do(os.chown, "d", ANNA, STAFF)
    s.stat("d")


@scenario
def writes_and_set_id_bits(s: Steps) -> None:
    """Root's writes keep the bits, others' clear them."""
    s.do(os.chmod, ".", 0o777)
    anna = s.peer(ANNA)
    for actor in (s, anna):
        for mode in (0o4777, 0o2777, 0o6777, 0o2767, 0o6666, 0o7777):
            for word, act in (("write", write_one), ("truncate", truncate_one), ("O_TRUNC", open_truncating),
                              ("write nothing", write_nothing), ("same size", truncate_same), ("direct", write_mapped)):
                s.put("f", b"data")
                os.chown("f", ANNA, ANNA)
                os.chmod("f", mode)
                actor.step(f"{word} {mode:o}", act, "f")
                s.stat("f")
                os.unlink("f")


def write_one(path: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"x")
    os.close(fd)


def write_nothing(path: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"")
    os.close(fd)


def truncate_one(path: str) -> None:
    os.truncate(path, 1)


def truncate_same(path: str) -> None:
    os.truncate(path, 4)


def open_truncating(path: str) -> None:
    opens(path, os.O_WRONLY | os.O_TRUNC)


def write_mapped(path: str) -> None:
    fd = os.open(path, os.O_RDWR)
    os.pwritev(fd, [b"a", b"b"], 2)
    os.fsync(fd)
    os.close(fd)


@scenario
def access_checks(s: Steps) -> None:
    s.do(os.chmod, ".", 0o755)
    anna = s.peer(ANNA)
    member = s.peer(BERT, groups=[STAFF])
    for mode in (0, 0o700, 0o070, 0o007, 0o644, 0o100):
        s.put("f")
        s.owned("f", mode, ANNA, STAFF)
        for actor in (s, anna, member):
            for want in (os.F_OK, os.R_OK, os.W_OK, os.X_OK, os.R_OK | os.W_OK):
                actor.do(os.access, "f", want)
                actor.do(calls.faccessat, "f", want, calls.AT_EACCESS)
        os.unlink("f")
    s.do(os.symlink, "nowhere", "l")
    s.do(calls.faccessat, "l", os.F_OK, calls.AT_SYMLINK_NOFOLLOW)
    s.do(calls.faccessat, "l", os.F_OK)


@scenario
def volume_numbers(s: Steps) -> None:
    v = os.statvfs(".")
    s.note("block size", v.f_bsize >= 512 and v.f_frsize >= 512)
    s.note("free is at most all", v.f_bavail <= v.f_bfree <= v.f_blocks)
    s.note("there is room", v.f_bavail > 0)
    s.note("files", v.f_ffree <= v.f_files)
    s.note("longest name", v.f_namemax)
    s.note("flags", v.f_flag & (os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV))
    fd = s.open("f", os.O_RDWR | os.O_CREAT)
    s.note("by descriptor", os.fstatvfs(fd).f_bsize == v.f_bsize)
    s.step("missing", os.statvfs, "missing")
    s.note("path limits", (os.pathconf(".", "PC_NAME_MAX"), os.pathconf(".", "PC_PATH_MAX")))


@scenario
def unknown_extended_attributes(s: Steps) -> None:
    s.put("f")
    for name in ("user.missing", "trusted.missing", "security.missing", "tenon.missing", "system.posix_acl_access"):
        s.either(f"getxattr {name}", os.getxattr, "f", name, legal=["ENODATA", "EOPNOTSUPP"],
                 why="a file system need not have extended attributes")
    s.either("listxattr", os.listxattr, "f", legal=[[], "EOPNOTSUPP"], why="a file system need not have any")
    s.step("of nothing", os.getxattr, "missing", "user.x")


@scenario
def modes_of_symlinks(s: Steps) -> None:
    s.do(os.symlink, "target", "l")
    s.lstat("l")
    s.do(os.lchown, "l", ANNA, STAFF)
    s.lstat("l")
    s.do(os.chmod, "l", 0o600)
    s.do(os.chown, "l", 0, 0)
    s.put("target")
    s.do(os.chmod, "l", 0o600)
    s.stat("target")
    s.note("rwx for all", stat.S_IMODE(os.lstat("l").st_mode) == 0o777)
