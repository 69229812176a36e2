"""Names that come and go: of open files, of files among many names, of O_TMPFILE's, while directories move."""
from __future__ import annotations

import os
from contextlib import suppress

from parity import calls
from parity.scenarios.races import tally, until_done
from parity.steps import Steps, read_file, write_file

from . import scenario


def many_names(s: Steps, count: int = 6) -> list[str]:
    s.do(os.mkdir, "d")
    s.put("0", b"0123456789")
    names = ["0"]
    for number in range(1, count):
        names.append(f"d/{number}" if number % 2 else f"{number}")
        s.do(os.link, "0", names[-1])
    return names


@scenario
def open_names_are_deleted_one_by_one(s: Steps) -> None:
    """Each opened by its own name; the data goes with the last name and the last descriptor."""
    names = many_names(s)
    fds = [s.open(name, os.O_RDWR) for name in names]
    for number, name in enumerate(names):
        s.do(os.unlink, name)
        s.step("its name is gone", os.stat, name)
        for fd in fds:
            s.stat(fd)
        s.do(os.pwrite, fds[number], b"<%d>" % number, number * 3)
        s.do(os.pread, fds[number - 1], 40, 0)
        for other in names[number + 1:]:
            s.content(other)
        s.do(os.ftruncate, fds[number], 30 - number)
    s.step("no way back", calls.link_open_file, fds[0], "again")
    s.step("nor that one", calls.linkat, fds[0], "", "again", calls.AT_EMPTY_PATH)
    for fd in fds[1:]:
        os.close(fd)
    s.do(os.pread, fds[0], 40, 0)
    s.put("0", b"another")
    s.stat(fds[0])
    os.close(fds[0])
    s.tree()


@scenario
def closed_names_are_deleted_one_by_one(s: Steps) -> None:
    names = many_names(s)
    for name in names[:-1]:
        s.do(os.unlink, name)
        for other in names:
            s.stat(other)
        s.do(write_file, names[-1], name.encode())
        s.content(names[-1])
    s.do(os.unlink, names[-1])
    s.tree()


@scenario
def open_names_are_overwritten(s: Steps) -> None:
    """rename(2) takes one name of many away, open or not, by another file with names of its own."""
    names = many_names(s)
    fds = [s.open(name, os.O_RDWR) for name in names]
    s.put("other", b"the other")
    s.do(os.link, "other", "d/other")
    for number, name in enumerate(names):
        s.do(os.link, "other", "comes")
        theirs = s.open("other", os.O_RDONLY)
        s.touched(f"rename over {name}", lambda: os.rename("comes", name), *fds, "other")
        for fd in (*fds, theirs):
            s.stat(fd)
        s.content(name)
        s.do(os.pwrite, fds[0], b"%d" % number, number)
        s.do(os.pread, fds[-1], 20, 0)
        s.same_file("other", name)
        os.close(theirs)
    s.step("no way back", calls.link_open_file, fds[0], "again")
    for fd in fds:
        os.close(fd)
    s.tree()


@scenario
def closed_names_are_overwritten(s: Steps) -> None:
    names = many_names(s)
    for number, name in enumerate(names):
        s.put("new", b"%d" % number)
        s.do(os.rename, "new", name)
        for other in names:
            s.stat(other)
            s.content(other)
    s.tree()


@scenario
def names_of_one_file_are_renamed_onto_each_other(s: Steps) -> None:
    """Nothing happens, both stay; without replacing it is EEXIST; an exchange changes nothing that can be seen."""
    s.do(os.mkdir, "d")
    s.put("a", b"data")
    s.do(os.link, "a", "b")
    s.do(os.link, "a", "d/c")
    for opened in (False, True):
        fd = s.open("a", os.O_RDWR) if opened else None
        watched = ["a", "b", "d/c", *([fd] if fd is not None else [])]
        for old, new in (("a", "b"), ("b", "a"), ("a", "d/c"), ("d/c", "b"), ("a", "a"), ("d/c", "d/c")):
            s.touched(f"rename {old} {new}", lambda: os.rename(old, new), *watched)
            s.touched(f"exchange {old} {new}", lambda: calls.renameat2(old, new, calls.RENAME_EXCHANGE), *watched)
            s.do(calls.renameat2, old, new, calls.RENAME_NOREPLACE)
            s.tree()
    s.do(os.pwrite, fd, b"DA", 0)
    for name in ("a", "b", "d/c"):
        s.content(name)
    s.do(os.unlink, "b")
    s.do(os.rename, "a", "b")
    s.do(os.rename, "d/c", "b")
    s.tree()


@scenario
def names_of_two_files_are_exchanged(s: Steps) -> None:
    s.do(os.mkdir, "d")
    s.put("a", b"the one")
    s.do(os.link, "a", "d/a")
    s.put("b", b"the other one")
    s.do(os.link, "b", "d/b")
    fds = [s.open(name, os.O_RDWR) for name in ("a", "b", "d/a", "d/b")]
    for one, two in (("a", "b"), ("a", "d/a"), ("d/a", "d/b"), ("b", "d/b"), ("a", "d/b")):
        s.touched(f"exchange {one} {two}", lambda: calls.renameat2(one, two, calls.RENAME_EXCHANGE), *fds)
        s.tree()
        for name in ("a", "b", "d/a", "d/b"):
            s.note(name, [os.stat(name).st_ino == os.fstat(fd).st_ino for fd in fds])
    for fd in fds:
        s.stat(fd)
        s.do(os.pread, fd, 20, 0)
    s.do(os.unlink, "a")
    s.do(os.unlink, "d/a")
    s.tree()


@scenario
def a_name_is_another_file_after_a_while(s: Steps) -> None:
    """The same name, taken by a link, freed, made anew: never the bytes or numbers of the one before."""
    s.put("a", b"first")
    for number in range(10):
        s.do(os.link, "a", "n")
        s.content("n")
        fd = s.open("n", os.O_RDWR)
        s.do(os.unlink, "n")
        s.step("gone", os.stat, "n")
        s.put("n", b"%d" % number)
        s.note("another", os.fstat(fd).st_ino != os.stat("n").st_ino)
        s.content("n")
        s.do(os.rename, "n", "a" if number % 3 == 2 else "m")
        s.stat(fd)
        s.content("a")
        s.do(os.pread, fd, 10, 0)
        os.close(fd)
    s.tree()


@scenario
def a_file_that_lost_its_last_name_stays_without(s: Steps) -> None:
    for label, gone in (("unlinked", lambda: os.unlink("f")), ("replaced", lambda: os.rename("new", "f"))):
        s.put("f", b"data")
        s.put("new", b"new")
        fd = s.open("f", os.O_RDWR)
        path = s.open("f", os.O_PATH)
        s.step(label, gone)
        for flags in (os.O_RDWR, os.O_RDONLY):
            s.step("opened again", lambda: read_file(f"/proc/self/fd/{int(fd)}"))
        s.step("link", calls.link_open_file, fd, "again")
        s.step("link of the descriptor", calls.linkat, fd, "", "again", calls.AT_EMPTY_PATH)
        s.step("link of its path", calls.link_open_file, path, "again")
        s.stat(fd)
        s.do(os.pwrite, fd, b"DATA", 0)
        s.do(os.pread, fd, 10, 0)
        s.listing()
        os.close(path)
        os.close(fd)


@scenario
def temporary_files_get_names(s: Steps) -> None:
    """O_TMPFILE, then linkat(2), by both ways; the second name is a link as any other."""
    s.do(os.mkdir, "d")
    s.put("taken")
    for number, link in enumerate((calls.link_open_file, lambda fd, new: calls.linkat(fd, "", new, calls.AT_EMPTY_PATH))):
        fd = s.open("d", os.O_TMPFILE | os.O_RDWR, 0o640)
        s.do(os.write, fd, b"temporary")
        s.stat(fd)
        s.step("onto a taken name", link, fd, "taken")
        s.step("into nowhere", link, fd, "missing/x")
        s.step("too long", link, fd, "x" * 256)
        s.stat(fd)
        s.later(fd)
        s.touched("named", lambda: link(fd, f"one-{number}"), fd)
        s.stat(fd)
        s.step("named again", link, fd, f"d/two-{number}")
        s.same_file(f"one-{number}", f"d/two-{number}")
        s.same_file(fd, f"d/two-{number}")
        s.do(os.pwrite, fd, b"T", 0)
        s.content(f"one-{number}")
        s.do(os.unlink, f"one-{number}")
        s.stat(fd)
        s.do(os.unlink, f"d/two-{number}")
        s.stat(fd)
        s.step("gone for ever", link, fd, "again")
        s.do(os.pread, fd, 20, 0)
        os.close(fd)
        s.tree()


@scenario
def temporary_files_that_shall_have_no_name(s: Steps) -> None:
    """O_EXCL says that; the descriptor's file cannot be linked in any way."""
    fd = s.open(".", os.O_TMPFILE | os.O_EXCL | os.O_RDWR, 0o600)
    s.do(os.write, fd, b"secret")
    s.step("by /proc", calls.link_open_file, fd, "x")
    s.step("by an empty path", calls.linkat, fd, "", "x", calls.AT_EMPTY_PATH)
    again = s.step("opened again", lambda: os.open(f"/proc/self/fd/{int(fd)}", os.O_RDWR) and None)
    s.step("by another descriptor", calls.linkat, again if again else fd, "", "x", calls.AT_EMPTY_PATH)
    s.do(os.pread, fd, 10, 0)
    s.listing()


def move_about(count: int) -> None:
    for _ in range(count):
        os.rename("left", "moved")
        os.rename("right", "left")
        os.rename("moved", "right")
        calls.renameat2("left", "right", calls.RENAME_EXCHANGE)


def find_names(ino: int) -> list[str]:
    return sorted(os.path.join(top, name) for top, _, names in os.walk(".") for name in names
                  if os.lstat(os.path.join(top, name)).st_ino == ino)


@scenario(timeout=60)
def links_across_directories_that_move(s: Steps) -> None:
    """Another process renames both directories all the time: each link is made or is not, and what is made is counted."""
    s.do(os.mkdir, "left")
    s.do(os.mkdir, "right")
    s.put("f", b"data")
    fd = s.open("f", os.O_RDWR)
    for side in ("left", "right"):
        s.do(os.link, "f", f"{side}/f")
    mover = s.peer()
    number = 0
    kept: set[str] = set()
    strange: dict[str, int] = {}

    def once() -> None:
        nonlocal number
        number += 1
        name = f"n{number}"
        for old, new in (("left/f", f"right/{name}"), ("right/f", f"left/{name}-2"), ("f", f"left/{name}-3")):
            for error, count in tally(lambda: os.link(old, new), 1).items():
                if error == "ok":
                    kept.add(os.path.basename(new))
                elif error != "ENOENT":
                    strange[error] = strange.get(error, 0) + count
        for side in ("left", "right"):
            with suppress(FileNotFoundError):
                os.unlink(f"{side}/{name}-2")
                kept.discard(f"{name}-2")
    mover.start(move_about, 150)
    until_done([mover], once)
    mover.finish("moved about")
    s.note("errors but ENOENT", strange)
    ino = os.fstat(fd).st_ino
    names = find_names(ino)
    s.note("made are there", sorted(map(os.path.basename, names)) == sorted([*kept, "f", "f", "f"]))
    s.note("and counted", os.fstat(fd).st_nlink == len(names))
    s.note("through each", {os.stat(name).st_nlink for name in names} == {len(names)})
    for name in names:
        os.unlink(name)
    s.stat(fd)


@scenario
def links_into_what_is_gone(s: Steps) -> None:
    """A directory that is open or a process's own and has been removed takes no names, and gives none."""
    s.do(os.makedirs, "d/e")
    s.put("f", b"data")
    top = os.getcwd()
    fd = s.open("d/e", os.O_RDONLY | os.O_DIRECTORY)
    os.chdir("d/e")
    s.step("removed", os.rmdir, top + "/d/e")
    s.step("into the working directory", os.link, top + "/f", "new")
    s.step("into the open one", os.link, top + "/f", "new", dst_dir_fd=int(fd))
    s.step("out of it", os.link, "f", top + "/new")
    os.chdir(top)
    s.stat("f")
    s.do(os.mkdir, "d/e")
    s.do(os.link, "f", "d/e/new")
    s.step("still not into the old one", os.link, "f", "other", dst_dir_fd=int(fd))
    s.step("the old one is empty", os.listdir, int(fd))
    s.tree()
