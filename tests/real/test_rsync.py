"""rsync keeps two trees equal, and knows when they are."""
from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest

from parity.places import Tenon, run
from .conftest import DRIVES, THOROUGH
from .inventory import assert_same, inventory
from .test_archive import make_tree

WAYS = {"quick check": (), "checksums": ("--checksum",), "in place": ("--inplace", "--no-whole-file")}
FAST = {"memory": ("quick check", "in place"), "vault": ("checksums",)}


def rsync(source: Path, target: Path, *options: str) -> list[str]:
    """Make the target equal to the source; what rsync says it had to do."""
    done = run("rsync", "-aHS", "--numeric-ids", "--delete", "--modify-window=-1", "--itemize-changes", "--out-format=%i %n", *options, f"{source}/",
               target, timeout=120)
    return done.stdout.decode(errors="replace").splitlines()


def make_everything(top: Path) -> None:
    """What tar can hold, a socket, and times from far ends."""
    make_tree(top, 1 << 20 if THOROUGH else 1 << 16)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(top / "socket"))
    for name, when in (("old", 1), ("new", (1 << 32) * 10**9 - 1), ("fine", 1_234_567_890_123_456_789)):
        (top / name).write_text(name)
        os.utime(top / name, ns=(when, when))


def change(top: Path) -> None:
    """Some of everything: content, length, names, links, modes, owners, times."""
    chance = random.Random(8)
    for number in range(100, 140):
        with open(top / f"file-{number}", "r+b") as file:
            file.seek(chance.randrange(1 + os.fstat(file.fileno()).st_size))
            file.write(chance.randbytes(3000))
    for number in range(140, 160):
        os.truncate(top / f"file-{number}", chance.randrange(30_000))
        os.unlink(top / f"file-{number + 20}")
        os.rename(top / f"file-{number + 40}", top / f"renamed-{number}")
        os.chmod(top / f"file-{number + 60}", 0o640)
        os.chown(top / f"file-{number + 80}", 60_000, 60_001)
        os.utime(top / f"file-{number + 100}", ns=(number, number * 10**15 + 1))
    os.unlink(top / "deep" / "hard-7")
    os.link(top / "file-8", top / "deep" / "hard-7")
    with open(top / "sparse-1", "r+b") as file:
        file.seek(5 << 20)
        file.write(b"an island")
    os.unlink(top / "long-link-2")
    os.mkdir(top / "long-link-2")


@pytest.mark.parametrize("drive, way", [(drive, way) for drive in DRIVES for way in WAYS if THOROUGH or way in FAST[drive]],
                         indirect=["drive"])
def test_second_run_does_nothing(drive: Tenon, plain: Path, program, way: str) -> None:
    program("rsync")
    options = WAYS[way]
    make_everything(plain / "tree")
    target, back = drive.root / "copy", plain / "back"
    assert rsync(plain / "tree", target, *options)
    wanted = inventory(plain / "tree")
    assert_same(wanted, inventory(target), "the copy on the drive")
    assert rsync(plain / "tree", target, *options) == []
    change(plain / "tree")
    wanted = inventory(plain / "tree")
    assert rsync(plain / "tree", target, *options)
    assert_same(wanted, inventory(target), "the changed copy on the drive")
    if drive.drive == "vault":
        drive.again()
    assert rsync(plain / "tree", target, *options) == []
    rsync(target, back, *options)
    assert_same(wanted, inventory(back), "the copy of the copy, off the drive")
    assert rsync(target, plain / "tree", *options) == []
