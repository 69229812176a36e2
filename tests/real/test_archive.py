"""An archive of everything that tar can hold, unpacked and packed again."""
from __future__ import annotations

import os
import random
import stat
from pathlib import Path

from parity.places import Tenon, run
from .inventory import allocation, assert_same, inventory

ODD = [b"n" * 255, b"\xff\xfe\x80not utf-8", b"a:b", b"new\nline", b"back\\slash", b" spaces ", b"tab\t", b"-dash", b"...",
       "é".encode(), b"*", b"'", b'"', b"\x01", b"a\rb"]


def make_tree(top: Path, unit: int = 1 << 20) -> None:
    """Names, kinds, links, holes, owners and times of all sorts; the sparse files have up to 100 units of bytes."""
    chance = random.Random(7)
    top.mkdir()
    here = os.fsencode(top)

    def path(name: bytes) -> bytes:
        return os.path.join(here, name)

    def write(name: bytes, data: bytes) -> None:
        with open(path(name), "wb") as file:
            file.write(data)
    os.makedirs(path(b"deep/" + b"/".join(b"%d" % n for n in range(40))))
    for number, name in enumerate(ODD):
        write(name, b"content of " + name)
        os.mkdir(path(b"dir-" + name[:200]))
        write(b"dir-" + name[:200] + b"/" + name, chance.randbytes(number * 1000))
        os.symlink(name, path(b"link-" + name[:200]))
    for number in range(300):
        write(b"file-%d" % number, chance.randbytes(chance.randrange(20_000)))
        os.chmod(path(b"file-%d" % number), chance.choice((0o600, 0o644, 0o755, 0o4755, 0o2711, 0o400, 0)))
    for number in range(50):
        os.link(path(b"file-%d" % number), path(b"deep/hard-%d" % number))
        os.link(path(b"file-%d" % number), path(b"deep/0/1/2/hard-%d" % (number // 2 * 2 + 100 + number % 2)))
    os.symlink(b"x" * 4000, path(b"long-link"))
    os.link(path(b"long-link"), path(b"long-link-2"), follow_symlinks=False)
    os.mkfifo(path(b"fifo"), 0o640)
    os.link(path(b"fifo"), path(b"fifo-2"))
    os.mknod(path(b"character"), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(path(b"block"), 0o660 | stat.S_IFBLK, os.makedev(7, 77))
    make_sparse(here, unit)
    for number, name in enumerate(sorted(os.listdir(here), reverse=True)):
        os.chown(path(name), 61000 + number % 7, 62000 + number % 5, follow_symlinks=False)
        if not os.path.islink(path(name)) and name.startswith(b"file") and number % 5 == 0:
            os.chmod(path(name), 0o6755)
        os.utime(path(name), ns=(number, number * 10**15 + number), follow_symlinks=False)


def make_sparse(here: bytes, unit: int) -> None:
    for number, (size, islands) in enumerate(((50 * unit, (0, 25 * unit)), (100 * unit, ()), (30 * unit, range(0, 30 * unit, 3 * unit)),
                                              (80 * unit + 77, (80 * unit - 10,)))):
        fd = os.open(os.path.join(here, b"sparse-%d" % number), os.O_RDWR | os.O_CREAT)
        os.ftruncate(fd, size)
        for at in islands:
            os.pwrite(fd, b"island" * 100, at)
        os.close(fd)


def test_unpack_and_pack(drive: Tenon, plain: Path) -> None:
    make_tree(plain / "tree")
    run("tar", "--format=pax", "--sparse", "-C", plain / "tree", "-cf", plain / "first.tar", ".", timeout=120)
    for target in (plain / "unpacked", drive.root / "unpacked"):
        target.mkdir()
        run("tar", "--same-owner", "--numeric-owner", "-xpf", plain / "first.tar", "-C", target, timeout=120)
    wanted = inventory(plain / "unpacked")
    assert_same(wanted, inventory(drive.root / "unpacked"), "unpacked on the drive")
    assert allocation(drive.root / "unpacked") <= allocation(plain / "unpacked")
    run("tar", "--format=pax", "--sparse", "-C", drive.root / "unpacked", "-cf", plain / "second.tar", ".", timeout=120)
    (plain / "again").mkdir()
    run("tar", "--same-owner", "--numeric-owner", "-xpf", plain / "second.tar", "-C", plain / "again", timeout=120)
    assert_same(wanted, inventory(plain / "again"), "packed on the drive and unpacked elsewhere")
    run("tar", "--sparse", "-C", plain / "tree", "-df", plain / "second.tar", timeout=120)
    run("cp", "-a", "--sparse=always", drive.root / "unpacked", drive.root / "copied", timeout=120)
    assert_same(wanted, inventory(drive.root / "copied"), "copied on the drive")


def test_archive_on_the_drive(drive: Tenon, plain: Path) -> None:
    """The archive itself lies on the drive, and grows there."""
    make_tree(plain / "tree")
    for name in ("sparse-1", "sparse-3", "fifo-2"):  # tar makes two fifos of one with two names
        os.unlink(plain / "tree" / name)
    archive = drive.root / "archive.tar"
    run("tar", "--sparse", "--sort=name", "-C", plain / "tree", "-cf", archive, ".", timeout=120)
    (plain / "more").write_bytes(b"more")
    run("tar", "-C", plain, "-rf", archive, "more")
    (drive.root / "out").mkdir()
    run("tar", "--same-owner", "--numeric-owner", "-xpf", archive, "-C", drive.root / "out", timeout=120)
    assert (drive.root / "out" / "more").read_bytes() == b"more"
    os.unlink(drive.root / "out" / "more")
    wanted, found = inventory(plain / "tree"), inventory(drive.root / "out")
    for about in (*wanted.values(), *found.values()):
        about["mtime"] //= 10**9  # this format keeps whole seconds
    assert_same(wanted, found, "unpacked")
