"""The same random calls on a plain directory and on a drive."""
from __future__ import annotations

import itertools
import os
import random

import pytest

from .places import Place, Tenon
from .random_calls import Step, compare, make_steps, shorten
from .runner import Hung, in_child
from .steps import describe_tree, remove_tree
from .test_parity import PLACES

SEED = int(os.environ.get("TENON_SEED") or random.randrange(1 << 32))
_numbers = itertools.count(1)


def differ(steps: list[Step], plain: Place, other: Place, seconds: float = 40.0) -> str:
    """Run the steps on both; where they part, the shortest such steps that were found."""
    def work(progress):
        def attempt(some: list[Step]):
            number = next(_numbers)
            return compare(some, f"{plain.root}/w{os.getpid()}-{number}", f"{other.root}/w{os.getpid()}-{number}", progress)
        os.umask(0o022)
        found = attempt(steps)
        if not found:
            return ""
        short = shorten(steps, attempt, seconds)
        last = attempt(short) or f"(not again)\n{found}"
        return "\n".join(["", *(f"    {step!r}," for step in short), last])
    try:
        return in_child(work, seconds + 30, other.abandon)
    except Hung as hung:
        return f"\nhangs: {hung}"


def report(found: str, seed: int, place: Place) -> None:
    if found:
        pytest.fail(f"{place.name} differs from a plain directory (TENON_SEED={seed}):{found}", pytrace=False)


@pytest.mark.parametrize("turn", range(3))
def test_reference(turn: int, tmpfs: Place, ext4: Place) -> None:
    """The sequences must be such that tmpfs and ext4 agree."""
    report(differ(make_steps(SEED + turn, 3000), tmpfs, ext4), SEED + turn, ext4)


@pytest.mark.parametrize("words", PLACES, ids=[",".join(words) for words in PLACES])
def test_drive(words: tuple[str, ...], tmpfs: Place, tenon_mount) -> None:
    with tenon_mount(*words) as place:
        report(differ(make_steps(SEED, 3000 if len(words) == 1 else 1200), tmpfs, place), SEED, place)


def test_vault_after_mounting_again(tmpfs: Place, tenon_mount) -> None:
    """What random calls left is the same in the next process, and the vault is sound."""
    with tenon_mount("vault") as place:
        first, second = f"{tmpfs.root}/kept", f"{place.root}/kept"
        try:
            report(in_child(lambda progress: compare(make_steps(SEED + 1, 3000), first, second, progress, keep=True) or "",
                            60, place.abandon), SEED + 1, place)
            assert isinstance(place, Tenon)
            place.again()
            assert describe_tree(second) == describe_tree(first)
        finally:
            remove_tree(first)


