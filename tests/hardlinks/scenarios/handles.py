"""name_to_handle_at(2) and open_by_handle_at(2): a file by its number, also when the kernel has forgotten all of its names."""
from __future__ import annotations

import os
from typing import Callable

from parity import calls
from parity.scenarios.races import until_done
from parity.steps import Steps, write_file
from parity.test_tenon_only import drop_caches

from . import scenario

LOOK = os.O_RDONLY


def by_handle(top: int, handle: calls.Handle, flags: int = LOOK) -> int:
    return calls.open_by_handle(top, handle, flags)


def describe(top: int, handle: calls.Handle) -> tuple:
    """What the file of a handle is: its mode, links, owner and content, or its names."""
    fd = by_handle(top, handle)
    try:
        st = os.fstat(fd)
        inside = sorted(os.listdir(fd)) if os.path.isdir(f"/proc/self/fd/{fd}") else os.pread(fd, 100, 0)
        return oct(st.st_mode), st.st_nlink, st.st_uid, inside
    finally:
        os.close(fd)


def three_names(s: Steps) -> tuple[int, calls.Handle]:
    s.do(os.makedirs, "d/e")
    s.put("a", b"data")
    s.do(os.link, "a", "d/b")
    s.do(os.link, "a", "d/e/c")
    return s.open(".", os.O_RDONLY), calls.name_to_handle("d/b")


@scenario
def handles_of_all_names_are_one(s: Steps) -> None:
    top, handle = three_names(s)
    s.note("one handle", {calls.name_to_handle(name) for name in ("a", "d/b", "d/e/c")} == {handle})
    s.step("it", describe, top, handle)
    drop_caches()
    s.note("and later", {calls.name_to_handle(name) for name in ("a", "d/b", "d/e/c")} == {handle})
    fd = s.open("a", os.O_RDWR)
    s.note("of the descriptor", calls.name_to_handle("", calls.AT_EMPTY_PATH, int(fd)) == handle)
    s.step("of a symlink", lambda: os.symlink("a", "l"))
    s.note("is another", calls.name_to_handle("l") != handle)
    s.note("followed", calls.name_to_handle("l", calls.AT_SYMLINK_FOLLOW) == handle)


CHANGES: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "a name is renamed": lambda: os.rename("a", "z"),
    "a directory is renamed": lambda: os.rename("d", "x"),
    "its name is removed": lambda: os.unlink("x/b"),
    "its name is another file": lambda: write_file("x/b", b"another"),
    "a name is replaced": lambda: os.rename("x/b", "z"),
    "a name is added": lambda: os.link("x/e/c", "a"),
    "all but the new one go": lambda: os.unlink("x/e/c"),
    "it is written to": lambda: write_file("a", b"written"),
    "it is made longer": lambda: os.truncate("a", 70),
}


@scenario(timeout=60)
def handles_outlive_names(s: Steps) -> None:
    """Whatever becomes of its names, as long as there is one; with all of them known to the kernel and with none."""
    top, handle = three_names(s)
    folder = calls.name_to_handle("d")
    below = calls.name_to_handle("d/e")
    for label, change in CHANGES.items():
        s.step(label, lambda: change() and None)
        for known in ("known", "forgotten"):
            if known == "forgotten":
                drop_caches()
            s.step(f"{label}, {known}: the file", describe, top, handle)
            s.step(f"{label}, {known}: its directory", describe, top, folder)
            s.step(f"{label}, {known}: the one below", describe, top, below)
    drop_caches()
    fd = s.step("for writing", lambda: os.close(written(top, handle)))
    s.content("a")
    s.do(os.unlink, "a")
    s.step("no name is left", describe, top, handle)
    drop_caches()
    s.step("and none comes back", describe, top, handle)
    s.put("a", b"new")
    s.put("x/b", b"new")
    s.step("a new file is not it", describe, top, handle)
    drop_caches()
    s.step("whatever its number", describe, top, handle)
    s.note("closed", fd is None)


def written(top: int, handle: calls.Handle) -> int:
    fd = by_handle(top, handle, os.O_RDWR)
    os.pwrite(fd, b"WRITTEN!", 0)
    os.fsync(fd)
    return fd


@scenario
def handles_are_the_same_node(s: Steps) -> None:
    """What is opened by number is the file that the names mean: its data, its counts, its locks, its new names."""
    top, handle = three_names(s)
    drop_caches()
    fd = by_handle(top, handle, os.O_RDWR)
    s.do(os.pwrite, fd, b"DA", 0)
    for name in ("a", "d/b", "d/e/c"):
        s.content(name)
        s.same_file(fd, name)
    s.do(os.unlink, "a")
    s.note("links", os.fstat(fd).st_nlink)
    s.step("a link of it", calls.linkat, fd, "", "new", calls.AT_EMPTY_PATH)
    s.do(os.rename, "new", "d/b")
    s.do(os.unlink, "d/e/c")
    s.note("links", os.fstat(fd).st_nlink)
    s.tree()
    for name in ("d/b", "new"):
        if os.path.exists(name):
            s.do(os.unlink, name)
    s.note("links", os.fstat(fd).st_nlink)
    s.step("data", os.pread, fd, 10, 0)
    os.close(fd)
    s.step("gone", describe, top, handle)


@scenario
def handles_of_directories(s: Steps) -> None:
    top = s.open(".", os.O_RDONLY)
    s.do(os.makedirs, "1/2/3")
    s.put("1/2/3/f")
    handles = [calls.name_to_handle(name) for name in (".", "1", "1/2", "1/2/3")]
    for change in (lambda: None, lambda: os.rename("1/2", "2"), lambda: os.rename("2/3", "1/3"), lambda: os.rename("1", "one")):
        s.step("change", change)
        drop_caches()
        for handle in handles:
            s.step("directory", describe, top, handle)
        fd = by_handle(top, handles[3])
        s.step("its file", lambda: os.stat("f", dir_fd=fd).st_size)
        s.step("its parent", lambda: sorted(os.listdir(f"/proc/self/fd/{fd}/..")))
        s.note("its path", os.readlink(f"/proc/self/fd/{fd}").split("handles_of_directories")[1].split("/", 1)[1])
        os.close(fd)
    s.do(os.unlink, "one/3/f")
    s.do(os.rmdir, "one/3")
    s.step("removed", describe, top, handles[3])
    drop_caches()
    s.step("and forgotten", describe, top, handles[3])


@scenario
def handles_of_nothing(s: Steps) -> None:
    """Numbers that no file has, and never had."""
    top, handle = three_names(s)
    for label, data in (("zeros", bytes(len(handle.data))), ("ones", b"\xff" * len(handle.data)), ("short", handle.data[:4]),
                        ("flipped", bytes(byte ^ 0x55 for byte in handle.data))):
        s.either(label, describe, top, calls.Handle(handle.kind, data), legal=["ESTALE", "EINVAL"],
                 why="what is in a handle is each file system's own")
    s.step("still good", describe, top, handle)


def rename_about(count: int) -> None:
    for _ in range(count):
        for old, new in (("d", "x"), ("x/b", "b"), ("b", "x/e/b"), ("x/e/b", "x/b"), ("x/e", "e"), ("e", "x/e"), ("x", "d")):
            os.rename(old, new)


@scenario(timeout=60)
def handles_while_names_move(s: Steps) -> None:
    """Another process renames the file's names and the directories above them: it can always be opened."""
    top, handle = three_names(s)
    s.do(os.unlink, "a")
    s.do(os.unlink, "d/e/c")
    seen = set()

    def look() -> None:
        drop_caches()
        try:
            seen.add(describe(top, handle))
        except OSError as error:
            seen.add(calls.error_name(error))
    mover = s.peer()
    mover.start(rename_about, 60)
    until_done([mover], look)
    mover.finish("renamed about")
    s.note("seen", sorted(map(str, seen)))
