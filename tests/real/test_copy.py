"""A large tree, copied with everything that belongs to its files."""
from __future__ import annotations

import os
import shutil
from pathlib import Path

from parity.places import Tenon, run
from .inventory import assert_same, inventory

SOURCES = ("/usr/include", "/usr/share/doc", "/usr/lib/python3.11", "/etc")


def source() -> Path:
    """The first of some trees that has at least a few hundred files."""
    for name in SOURCES:
        if sum(len(files) for _, _, files in os.walk(name)) > 300:
            return Path(name)
    return Path(SOURCES[-1])


def test_copy_a_tree(drive: Tenon, plain: Path) -> None:
    tree = source()
    for target in (plain, drive.root):
        run("cp", "-a", tree, target / "copy", timeout=120)
    run("diff", "-r", "--no-dereference", tree, drive.root / "copy", timeout=120)
    wanted = inventory(plain / "copy")
    assert_same(wanted, inventory(drive.root / "copy"), "the copy on the drive")
    run("cp", "-al", drive.root / "copy", drive.root / "links", timeout=120)
    run("cp", "-a", drive.root / "copy", drive.root / "again", timeout=120)
    assert_same(without_links(wanted), without_links(inventory(drive.root / "again")), "the copy of the copy")
    run("mv", drive.root / "copy", drive.root / "moved")
    run("rm", "-rf", drive.root / "moved", drive.root / "again", timeout=120)
    assert os.listdir(drive.root) == ["links"]
    assert_same(wanted, inventory(drive.root / "links"), "the linked copy, after the first is gone")


def without_links(found: dict) -> dict:
    """Without the counts of links, which differ while other trees hold links to the same files."""
    return {name: {key: value for key, value in about.items() if key not in ("nlink", "same as")}
            for name, about in found.items()}


def test_delete_a_tree(drive: Tenon) -> None:
    """All room comes back."""
    before = os.statvfs(drive.root)
    run("cp", "-a", source(), drive.root / "copy", timeout=120)
    during = os.statvfs(drive.root)
    # A vault has the room of the disk it lies on, where others come and go.
    assert during.f_bfree < before.f_bfree or drive.drive != "memory"
    shutil.rmtree(drive.root / "copy")
    os.sync()
    assert os.listdir(drive.root) == []
    assert os.stat(drive.root).st_nlink == 2
