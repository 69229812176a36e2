"""Fixtures of the tests with real programs."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from parity.places import Base, Tenon
from .inventory import assert_same, inventory


@pytest.fixture(params=["memory", "vault"])
def drive(request: pytest.FixtureRequest, tenon_mount) -> Iterator[Tenon]:
    """A mounted drive. What a test leaves on a vault must be there in the next process too."""
    with tenon_mount(request.param) as place:
        yield place
        if place.drive == "vault":
            before = inventory(place.root)
            place.again()
            assert_same(before, inventory(place.root), "after mounting again")


@pytest.fixture
def plain(base: Base, need) -> Path:
    """A plain directory on the machine's own file system."""
    need("root", os.geteuid() == 0, "these tests make files of other users, so they need root")
    return base.fresh("plain")
