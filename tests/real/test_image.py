"""A disk image that lies on the drive, with a file system of its own in it."""
from __future__ import annotations

import contextlib
import glob
import os
from pathlib import Path
from typing import Iterator

import pytest

from parity.places import run
from .conftest import THOROUGH, Ground
from .inventory import assert_same, inventory
from .test_archive import make_tree
from .test_suspended import until

ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


@contextlib.contextmanager
def loop_mount(image: Path, point: Path, *options: str) -> Iterator[Path]:
    run("mount", "-t", "ext4", "-o", ",".join(["loop", *options]), image, point, env=ENVIRONMENT)
    try:
        yield point
    finally:
        run("umount", point)
        # The device lets go of its file when the last has closed it, and others look at all devices now and then.
        until("the loop device is free", lambda: not is_used(image))


def is_used(image: Path) -> bool:
    for file in glob.glob("/sys/block/loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # gone by now
            if str(image) in Path(file).read_text():
                return True
    return False


@pytest.mark.parametrize("ground", ["tmpfs", "ext4", "memory", "vault"] if THOROUGH else ["memory", "vault"], indirect=True)
def test_file_system_on_the_drive(ground: Ground, plain: Path, ext4) -> None:
    """Asks for `ext4`, which skips this test where no loop devices are."""
    image = ground.root / "disk.image"
    point = plain / "disk"
    point.mkdir()
    make_tree(plain / "tree", 1 << 16)
    wanted = inventory(plain / "tree")
    with open(image, "wb") as file:
        file.truncate(48 << 20)
    run("mkfs.ext4", "-q", "-F", "-b", "4096", "-I", "256", image, env=ENVIRONMENT)
    with loop_mount(image, point):
        run("cp", "-a", plain / "tree", point / "tree", timeout=120)
        assert_same(wanted, inventory(point / "tree"), "the copy in the image")
    assert_sound(image)
    ground.again()
    assert_sound(image)
    with loop_mount(image, point, "ro"):
        assert_same(wanted, inventory(point / "tree"), "the copy in the image, read again")
    assert image.stat().st_blocks * 512 < 48 << 20, "the image is sparse"


def assert_sound(image: Path) -> None:
    run("e2fsck", "-f", "-n", image, env=ENVIRONMENT)
