"""mkdir, mknod, and what a new file is born with."""
from __future__ import annotations

import os
import stat

from ..steps import ANNA, STAFF, Steps, give, scenario, write_file
from .opening import KINDS, make_kinds

NODES = (("regular", stat.S_IFREG), ("fifo", stat.S_IFIFO), ("socket", stat.S_IFSOCK), ("character", stat.S_IFCHR),
         ("block", stat.S_IFBLK))


@scenario
def mkdir_on_every_kind(s: Steps) -> None:
    s.do(make_kinds)
    for name in (*KINDS, "", ".", "..", "new", "new2/", "new3//", "directory/new", "to-directory/new", "dangling/"):
        s.do(os.mkdir, name)
    s.tree()


@scenario
def mknod_on_every_kind(s: Steps) -> None:
    s.do(make_kinds)
    for word, kind in NODES:
        for name in (*KINDS, "", ".", word, f"{word}-2/", f"directory/{word}"):
            s.do(os.mknod, name, 0o640 | kind, os.makedev(1, 3))
    s.tree()


@scenario
def mknod_numbers(s: Steps) -> None:
    for major, minor in ((0, 0), (1, 3), (1, 255), (8, 256), (255, 65535), (4095, 1048575), (300, 3), (259, 70000)):
        for kind in (stat.S_IFCHR, stat.S_IFBLK):
            name = f"{major}-{minor}-{kind:o}"
            s.do(os.mknod, name, 0o600 | kind, os.makedev(major, minor))
            s.stat(name)
    s.step("a directory by mknod", os.mknod, "d", 0o755 | stat.S_IFDIR)
    s.step("a symlink by mknod", os.mknod, "l", 0o755 | stat.S_IFLNK)
    s.step("no type means regular", os.mknod, "n", 0o640)
    s.stat("n")


@scenario
def new_files_of_other_users(s: Steps) -> None:
    s.do(os.chmod, ".", 0o777)
    anna = s.peer(ANNA, STAFF)
    anna.step("umask", set_umask, 0o027)
    anna.open("file", os.O_CREAT | os.O_RDWR, 0o666)
    anna.do(os.mkdir, "directory", 0o777)
    anna.do(os.symlink, "target", "link")
    anna.do(os.mkfifo, "fifo", 0o666)
    anna.do(os.mknod, "socket", 0o666 | stat.S_IFSOCK)
    anna.do(os.mknod, "character", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    anna.do(os.mknod, "block", 0o666 | stat.S_IFBLK, os.makedev(1, 3))
    anna.do(os.mknod, "null", 0o666 | stat.S_IFCHR, os.makedev(0, 0))
    s.tree()


def set_umask(mask: int) -> None:
    os.umask(mask)


@scenario
def set_group_id_directories(s: Steps) -> None:
    s.do(os.mkdir, "shared")
    s.owned("shared", 0o2777, 0, STAFF)
    anna = s.peer(ANNA)
    member = s.peer(ANNA, groups=[STAFF])
    for who, actor in (("root", s), ("anna", anna), ("member", member)):
        actor.step(f"file by {who}", write_file, f"shared/{who}-file", b"", 0o644)
        for mode in (0o2755, 0o2745, 0o6777, 0o2644):
            actor.step(f"file {mode:o} by {who}", write_file, f"shared/{who}-{mode:o}", b"", mode)
        actor.do(os.mkdir, f"shared/{who}-directory", 0o755)
        actor.do(os.mkdir, f"shared/{who}-directory/below", 0o700)
        actor.do(os.symlink, "x", f"shared/{who}-link")
        actor.do(os.mkfifo, f"shared/{who}-fifo")
        actor.do(os.mknod, f"shared/{who}-2755-socket", 0o2755 | stat.S_IFSOCK)
    s.tree()
    s.do(os.rename, "shared/root-file", "out")
    s.do(os.link, "shared/anna-file", "out2")
    s.do(os.rename, "shared/root-directory", "out3")
    s.stat("out")
    s.stat("out2")
    s.stat("out3")


@scenario
def new_names_in_deep_trees(s: Steps) -> None:
    deep = "/".join(f"level-{n}" for n in range(60))
    s.do(os.makedirs, deep)
    s.put(f"{deep}/f", b"deep down")
    s.content(f"{deep}/f")
    s.tree(content=False)
    s.do(os.rename, "level-0", "renamed")
    s.content(f"{deep}/f")
    s.content(f"renamed/{deep.split('/', 1)[1]}/f")


@scenario
def link_counts_of_directories(s: Steps) -> None:
    s.do(os.mkdir, "d")
    for n in range(5):
        s.do(os.mkdir, f"d/{n}")
        s.stat("d")
    s.put("d/file")
    s.do(os.symlink, "x", "d/link")
    s.stat("d")
    s.do(os.rmdir, "d/0")
    s.stat("d")
    s.do(os.mkdir, "e")
    s.do(os.rename, "d/1", "e/1")
    s.stat("d")
    s.stat("e")
    s.step("over an empty directory", os.rename, "d/2", "e/1")
    s.stat("d")
    s.stat("e")
    s.do(os.rename, "d/3", "d/33")
    s.stat("d")
    fd = s.open("d/4", os.O_RDONLY)
    s.do(os.rmdir, "d/4")
    s.stat(fd)
    s.stat("d")


@scenario
def inode_numbers(s: Steps) -> None:
    """Numbers tell files apart and stay with them."""
    for n in range(50):
        write_file(f"f{n}")
    numbers = [os.stat(f"f{n}").st_ino for n in range(50)]
    s.note("all different", len(set(numbers)))
    s.note("none is zero", 0 in numbers)
    s.do(os.rename, "f0", "g0")
    s.note("a renamed file keeps its number", os.stat("g0").st_ino == numbers[0])
    s.do(os.chmod, "g0", 0o600)
    s.note("and when it changes", os.stat("g0").st_ino == numbers[0])
    s.note("fstat too", os.fstat(os.open("g0", os.O_RDONLY)).st_ino == numbers[0])
    s.note("directory entries say the same", {e.name: e.inode() == e.stat(follow_symlinks=False).st_ino
                                              for e in os.scandir(".")})
    s.note("one device", len({os.stat(n).st_dev for n in os.listdir(".")} | {os.stat(".").st_dev}))


@scenario
def give_away(s: Steps) -> None:
    s.put("f")
    s.do(give, "f", 0o600, ANNA, STAFF)
    s.stat("f")
