"""Reading directories: every name once, whatever happens meanwhile."""
from __future__ import annotations

import os
import stat

from .. import calls
from ..steps import Steps, scenario, write_file
from .opening import make_kinds

KIND_BITS = {stat.S_IFREG: 8, stat.S_IFDIR: 4, stat.S_IFLNK: 10, stat.S_IFIFO: 1, stat.S_IFSOCK: 12, stat.S_IFCHR: 2,
             stat.S_IFBLK: 6}


def fill(directory: str, count: int) -> list[bytes]:
    os.makedirs(directory, exist_ok=True)
    fd = os.open(directory, os.O_RDONLY)
    names = [b"name-%05d" % n for n in range(count)]
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
    os.close(fd)
    return names


def real(entries: list[calls.Entry]) -> list[bytes]:
    return [e.name for e in entries if e.name not in (b".", b"..")]


def all_entries(fd: int, size: int = 32768) -> list[calls.Entry]:
    entries = []
    while batch := calls.getdents(fd, size):
        entries += batch
    return entries


@scenario
def entries_of_every_kind(s: Steps) -> None:
    s.do(make_kinds)
    s.do(os.mknod, "character", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    s.do(os.mknod, "block", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    fd = s.open(".", os.O_RDONLY)
    entries = all_entries(fd)
    s.note("names", sorted(e.name for e in entries))
    for e in sorted(entries, key=lambda e: e.name):
        if e.name == b"..":
            continue
        st = os.lstat(e.name)
        s.note(f"{e.name!r} has its number", e.ino == st.st_ino)
    # DT_UNKNOWN is allowed to all, but neither of the references makes use of that.
    s.note("kinds", sorted((e.name, e.kind == KIND_BITS[stat.S_IFMT(os.lstat(e.name).st_mode)]) for e in entries))


@scenario
def dot_and_dot_dot(s: Steps) -> None:
    s.do(os.makedirs, "a/b")
    s.do(os.mkdir, "c")
    for place, parent in (("a/b", "a"), ("a", ".")):
        found = {e.name: e for e in all_entries(os.open(place, os.O_RDONLY))}
        s.note(f". of {place}", found[b"."].ino == os.stat(place).st_ino)
        s.note(f".. of {place}", found[b".."].ino == os.stat(parent).st_ino)
        s.note("kinds", (found[b"."].kind, found[b".."].kind))
    s.do(os.rename, "a/b", "c/b")
    found = {e.name: e for e in all_entries(os.open("c/b", os.O_RDONLY))}
    s.note(".. after a rename", found[b".."].ino == os.stat("c").st_ino)
    s.note("and by its path", os.stat("c/b/..").st_ino == os.stat("c").st_ino)


@scenario
def many_entries(s: Steps) -> None:
    names = fill("d", 5000)
    for size in (32768, 1024):
        fd = os.open("d", os.O_RDONLY)
        entries = all_entries(fd, size)
        s.note(f"{size}: each name once", sorted(real(entries)) == names)
        s.note("dots", sorted(e.name for e in entries if e.name in (b".", b"..")))
        s.note("offsets differ", len({e.offset for e in entries}) == len(entries))
        s.note("numbers differ", len({e.ino for e in entries if e.name != b".."}))
        s.note("at the end", calls.getdents(fd))
        os.close(fd)
    s.note("scandir", len(list(os.scandir("d"))))
    s.note("they exist", all(os.path.exists(b"d/" + name) for name in names[::50]))


@scenario
def rewind_and_seek(s: Steps) -> None:
    names = fill("d", 300)
    stream = calls.DirectoryStream("d")
    places, order = [], []
    while True:
        position = stream.tell()
        entry = stream.read()
        if entry is None:
            break
        places.append(position)
        order.append(entry.name)
    s.note("all names", sorted(n for n in order if not n.startswith(b".")) == names)
    wrong = 0
    for at in (0, 1, 5, 299, 301, 100, 7, 250):
        stream.seek(places[at])
        wrong += [e.name for e in stream] != order[at:]
    s.note("wrong after seekdir", wrong)
    stream.rewind()
    s.note("all names again", sorted(e.name for e in stream) == sorted(order))
    fd = os.open("d", os.O_RDONLY)
    first = calls.getdents(fd, 1024)
    os.lseek(fd, first[3].offset, os.SEEK_SET)
    s.note("seek to an entry's offset", all_entries(fd)[0].name == (first + [None])[4].name)
    os.lseek(fd, 0, os.SEEK_SET)
    s.note("from the start", len(all_entries(fd)))
    stream.close()


@scenario
def rewind_shows_what_is_new(s: Steps) -> None:
    fill("d", 20)
    stream = calls.DirectoryStream("d")
    list(stream)
    write_file("d/new")
    os.unlink("d/name-00003")
    os.rename("d/name-00004", "d/renamed")
    stream.rewind()
    s.note("after rewinddir", sorted(e.name for e in stream))
    s.note("a second stream", sorted(os.listdir("d")))
    stream.close()


@scenario
def names_made_while_listing(s: Steps) -> None:
    names = fill("d", 500)
    fd = os.open("d", os.O_RDONLY)
    seen, made = [], 0
    while batch := calls.getdents(fd, 1024):
        seen += real(batch)
        for _ in range(5):
            if made < 400:
                write_file(b"d/made-%05d" % made)
                made += 1
    s.note("old names exactly once", sorted(n for n in seen if n.startswith(b"name-")) == names)
    new = [n for n in seen if n.startswith(b"made-")]
    s.note("new names at most once", len(new) == len(set(new)))


@scenario
def names_removed_while_listing(s: Steps) -> None:
    names = fill("d", 600)
    fd = os.open("d", os.O_RDONLY)
    seen: list[bytes] = []
    turn = 0
    while batch := calls.getdents(fd, 1024):
        seen += real(batch)
        # Remove some that were seen and some that were not; only those with an even number go.
        for name in (names[turn * 2 % 600], names[-2 - turn * 2 % 600], names[(300 + turn * 2) % 600]):
            if os.path.exists(b"d/" + name) and int(name[-5:]) % 2 == 0:
                os.unlink(b"d/" + name)
        turn += 1
    stay = [n for n in names if int(n[-5:]) % 2]
    s.note("names that stay, exactly once", sorted(n for n in seen if int(n[-5:]) % 2) == stay)
    s.note("none twice", len(seen) == len(set(seen)))


@scenario
def names_renamed_while_listing(s: Steps) -> None:
    names = fill("d", 400)
    fd = os.open("d", os.O_RDONLY)
    seen: list[bytes] = []
    turn = 0
    while batch := calls.getdents(fd, 1024):
        seen += real(batch)
        old = names[turn * 10 % 400]
        if os.path.exists(b"d/" + old):
            os.rename(b"d/" + old, b"d/moved-" + old)
        turn += 1
    stay = [n for n in names if int(n[-5:]) % 10]
    s.note("names that stay, exactly once", sorted(n for n in seen if n in set(stay)) == stay)


@scenario
def remove_while_listing(s: Steps) -> None:
    """As rm -rf does it: read some, remove them, read on."""
    for size in (1024, 32768):
        fill("d", 1500)
        fd = os.open("d", os.O_RDONLY)
        count = 0
        while batch := calls.getdents(fd, size):
            for name in real(batch):
                os.unlink(name, dir_fd=fd)
                count += 1
        s.note("removed", count)
        s.listing("d")
        s.do(os.rmdir, "d")
        s.step("the open directory is dead now", all_entries, fd)
        os.close(fd)


@scenario
def two_listings_at_once(s: Steps) -> None:
    names = fill("d", 300)
    one, two = os.open("d", os.O_RDONLY), os.open("d", os.O_RDONLY)
    seen: dict[int, list[bytes]] = {one: [], two: []}
    going = True
    while going:
        going = False
        for fd, size in ((one, 512), (two, 2048)):
            batch = calls.getdents(fd, size)
            seen[fd] += real(batch)
            going = going or bool(batch)
    s.note("both complete", [sorted(seen[fd]) == names for fd in (one, two)])


@scenario
def list_errors(s: Steps) -> None:
    s.put("f")
    s.do(os.mkfifo, "p")
    fd = s.open("f", os.O_RDONLY)
    s.do(os.listdir, fd)
    s.step("getdents of a file", calls.getdents, fd)
    for name in ("f", "p", "missing", "f/x"):
        s.do(os.listdir, name)
    s.do(os.mkdir, "d")
    d = s.open("d", os.O_RDONLY)
    s.step("a buffer too small", calls.getdents, d, 8)
    s.step("then a good one", lambda: sorted(e.name for e in calls.getdents(d)))
    s.do(os.rmdir, "d")
    os.lseek(d, 0, os.SEEK_SET)
    s.step("removed", lambda: real(all_entries(d)))


@scenario
def list_empty_and_emptied(s: Steps) -> None:
    s.do(os.mkdir, "d")
    for n in range(10):
        write_file(f"d/{n}")
        s.note("with one", os.listdir("d"))
        os.unlink(f"d/{n}")
        s.note("without", os.listdir("d"))
    s.do(os.mkdir, "d/e")
    s.listing("d")
    s.do(os.rmdir, "d/e")
    s.do(os.rmdir, "d")


@scenario
def entries_are_fresh(s: Steps) -> None:
    """What scandir tells about an entry is so at once after each change."""
    s.do(os.mkdir, "d")
    for make, kind in ((write_file, "file"), (os.mkdir, "directory"), (lambda p: os.symlink("x", p), "link"),
                       (os.mkfifo, "fifo")):
        make("d/x")
        with os.scandir("d") as found:
            entry = next(found)
            s.note(kind, (entry.name, entry.is_file(follow_symlinks=False), entry.is_dir(follow_symlinks=False),
                          entry.is_symlink(), entry.inode() == os.lstat("d/x").st_ino))
        (os.rmdir if kind == "directory" else os.unlink)("d/x")
    write_file("d/grows")
    for size in (1, 10, 5000):
        write_file("d/grows", b"x" * size)
        with os.scandir("d") as found:
            s.note("size", [e.stat().st_size for e in found])
