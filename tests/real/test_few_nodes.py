"""What the engine keeps for each file that the kernel knows, and a day's work where that is kept small."""
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from parity.places import REPOSITORY, run
from .inventory import assert_same, inventory
from .test_copy import source
from .test_git import git, origin, work

BENCH = Path(os.environ.get("BUILD") or REPOSITORY / "build").absolute() / "bench" / "nodes"
MANY = 100_000
THOROUGH = bool(os.environ.get("TENON_THOROUGH"))


@pytest.fixture
def measure(need):
    """measure("--cap", 5000): what bench/nodes found at MANY lookups."""
    need("root", os.geteuid() == 0, "mounting needs root")
    need("mount", os.path.exists("/dev/fuse"), "no /dev/fuse")

    def call(*words: object) -> dict:
        return json.loads(run(BENCH, "--files", MANY, *words, timeout=120).stdout)
    return call


def test_a_known_file_takes_128_bytes(measure, plain_build) -> None:
    for _ in range(5):
        found = measure()
        # Somebody else may have made the kernel forget meanwhile (drop_caches, too little memory).
        if found["known"] > MANY * 0.99:
            break
    assert found["known"] > MANY * 0.99, found
    assert found["bytes_per_file"] <= 128, found
    assert found["rss_forgotten"] - found["rss_before"] < (found["rss_after"] - found["rss_before"]) / 5, found


def test_a_cap_keeps_memory_flat(measure, plain_build) -> None:
    cap = 5000
    found = measure("--cap", cap)
    # Twice the cap, for a machine on which the kernel does not get to forgetting at once, and the buffers of some workers.
    assert found["rss_peak"] - found["rss_before"] < 2 * cap * 128 + (2 << 20), found


@pytest.mark.parametrize("name", ["memory", "vault"] if THOROUGH else ["memory"])
def test_work_with_few_nodes(tenon_mount, plain: Path, name: str) -> None:
    """Far more files than the engine wants to know."""
    upstream = origin(plain)
    with tenon_mount(name, "max_cached_nodes=50") as place:
        commits = []
        for target in (plain / "clone", place.root / "clone"):
            git(plain, "clone", "-q", upstream, target)
            commits.append(work(target))
            git(target, "fsck", "--full")
        assert commits[0] == commits[1]
        if not THOROUGH:
            return
        tree = source()
        run("cp", "-a", tree, place.root / "copy", timeout=120)
        run("diff", "-r", "--no-dereference", tree, place.root / "copy", timeout=120)
        run("cp", "-al", place.root / "copy", place.root / "links", timeout=120)
        assert_same(inventory(place.root / "copy"), inventory(place.root / "links"), "the linked copy")
        if shutil.which("rsync"):
            run("rsync", "-aH", "--delete", f"{place.root}/copy/", f"{plain}/synced/", timeout=120)
            run("rsync", "-aH", "--checksum", "--delete", f"{plain}/synced/", f"{place.root}/links/", timeout=120)
            run("diff", "-r", "--no-dereference", plain / "synced", place.root / "links", timeout=120)
