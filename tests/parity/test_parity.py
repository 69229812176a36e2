"""Every scenario gives the same trace on tmpfs, on ext4 and on every Tenon mount."""
from __future__ import annotations

import os
from typing import Iterator

import pytest

from . import scenarios  # noqa: F401
from .places import Place
from .runner import Hung, Outcome, differences, run_scenario
from .steps import SCENARIOS

VARIANTS = ("file_cache=none", "metadata_cache_enabled=false", "FileCachePolicyWriteThrough=true",
            "fire_all_open_close_events=true", "serialize_access=true", "implicit_open=true",
            "support_posix_unlink_rename=false", "max_cached_nodes=4")
# The variants concern the engine more than the drive, so the slower drive gets those that change what it is asked.
VAULT_VARIANTS = VARIANTS if os.environ.get("TENON_THOROUGH") else \
    ("file_cache=none", "FileCachePolicyWriteThrough=true", "support_posix_unlink_rename=false")
# Believed to be the least that is served, with nothing that INIT can switch on; and Linux 6.1, which speaks 7.37.
OLD_KERNELS = ("TestMinor=36,TestFlags=0", "TestMinor=37,TestFlags=0x3ffffffff")[:2 if os.environ.get("TENON_THOROUGH") else 1]
PLACES: list[tuple[str, ...]] = [("memory",), ("vault",), ("numbered",), *(("memory", variant) for variant in (*VARIANTS, *OLD_KERNELS)),
                                 *(("vault", variant) for variant in VAULT_VARIANTS),
                                 ("numbered", "support_posix_unlink_rename=false")]
if os.environ.get("TENON_THOROUGH"):
    PLACES += [("python",), ("python", "support_posix_unlink_rename=false"), ("python", "file_cache=none"), ("python", "implicit_open=true")]

_expected: dict[str, Outcome] = {}


def expected(name: str, tmpfs: Place) -> Outcome:
    """The trace on tmpfs, made once per run."""
    if name not in _expected:
        _expected[name] = run_scenario(SCENARIOS[name], tmpfs)
    return _expected[name]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_reference(name: str, tmpfs: Place, ext4: Place) -> None:
    """A scenario on which tmpfs and ext4 disagree says nothing about Tenon."""
    wanted = expected(name, tmpfs)
    found = differences(wanted, run_scenario(SCENARIOS[name], ext4), "tmpfs", "ext4")
    if found:
        pytest.fail(f"tmpfs and ext4 differ in {name}:\n{found}", pytrace=False)


class Mounted:
    """A mount that is made anew after a scenario has broken it."""

    def __init__(self, tenon_mount, words: tuple[str, ...]):
        self._mount, self._words = tenon_mount, words
        self._context = self._place = None

    def place(self) -> Place:
        if self._place is None:
            self._context = self._mount(*self._words)
            self._place = self._context.__enter__()
        return self._place

    def lost(self) -> None:
        """The mount is of no use any more."""
        if self._place is not None:
            self._place.abandon()
            self._context = self._place = None

    def close(self) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)


@pytest.fixture(scope="module")
def mounted(request: pytest.FixtureRequest, tenon_mount) -> Iterator[Mounted]:
    holder = Mounted(tenon_mount, request.param)
    yield holder
    holder.close()


@pytest.mark.parametrize("name", sorted(SCENARIOS))
@pytest.mark.parametrize("mounted", PLACES, indirect=True, ids=[",".join(words) for words in PLACES])
def test_tenon(mounted: Mounted, name: str, tmpfs: Place) -> None:
    wanted = expected(name, tmpfs)
    assert not wanted.crash, wanted.crash
    place = mounted.place()
    try:
        found = differences(wanted, run_scenario(SCENARIOS[name], place), "tmpfs", "tenon")
    except Hung as hung:
        mounted.lost()
        pytest.fail(f"{place.name} hangs in {name}: {hung}", pytrace=False)
    broken = place.broken()
    if broken:
        mounted.lost()
    if found or broken:
        pytest.fail(f"{place.name} differs from tmpfs in {name}:\n{found}\n{broken or ''}", pytrace=False)
