"""Fixtures of the tests with real programs."""
from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable, Iterator

import pytest

from parity.places import Base, Place, Tenon
from .inventory import assert_same, inventory

THOROUGH = bool(os.environ.get("TENON_THOROUGH"))
GROUNDS = ("tmpfs", "ext4", "memory", "vault")
DRIVES = ("memory", "vault")
# For what takes long: the drives alone in the fast tests.
slow_on_all_grounds = pytest.mark.parametrize("ground", GROUNDS if THOROUGH else DRIVES, indirect=True)


class Ground:
    """A directory of its own on some file system, and what that file system is."""

    def __init__(self, place: Place, root: Path):
        self.place, self.root = place, root
        self.kind = place.drive if isinstance(place, Tenon) else place.name

    def again(self) -> None:
        """A vault is unmounted, checked and mounted; elsewhere the data stay where they are."""
        if self.kind == "vault":
            self.place.again()


@pytest.fixture(params=DRIVES)
def drive(request: pytest.FixtureRequest, tenon_mount) -> Iterator[Tenon]:
    """A mounted drive. What a test leaves on a vault must be there in the next process too."""
    with tenon_mount(request.param) as place:
        yield place
        if place.drive == "vault":
            before = inventory(place.root)
            place.again()
            assert_same(before, inventory(place.root), "after mounting again")


@pytest.fixture(params=GROUNDS)
def ground(request: pytest.FixtureRequest, tenon_mount) -> Iterator[Ground]:
    """Two ordinary file systems, which show that the test is right, and each drive.

    A test's mark `mount_options` gives options to the drives."""
    if request.param in DRIVES:
        mark = request.node.get_closest_marker("mount_options")
        with tenon_mount(request.param, *(mark.args if mark else ())) as place:
            yield Ground(place, place.root)
        return
    place = request.getfixturevalue(request.param)
    root = place.root / "ground"
    root.mkdir()
    try:
        yield Ground(place, root)
    finally:
        shutil.rmtree(root)


@pytest.fixture
def plain(base: Base, need) -> Path:
    """A plain directory on the machine's own file system."""
    need("root", os.geteuid() == 0, "these tests make files of other users, so they need root")
    return base.fresh("plain")


@pytest.fixture
def program(need) -> Callable[..., None]:
    """program("fio"): this test runs it, and is skipped where it is not installed."""
    def check(*names: str) -> None:
        for name in names:
            found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
            need("programs", found, f"{name} is not installed; scripts/setup.sh deep brings it")
    return check
