"""Eight threads against a model, on real mounts: what they see must be explained, and what is left must be in the vault's tables.

tmpfs and ext4 show that the model is right, broken calls that it is not blind.
"""
from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from parity.places import REPOSITORY, Place, tenon_command

THOROUGH = bool(os.environ.get("TENON_THOROUGH"))
SEED = int(os.environ.get("TENON_SEED") or random.randrange(1 << 32))
PROGRAM = Path(os.environ.get("BUILD") or REPOSITORY / "build").absolute() / "tests" / "checker" / "checker"
STEPS = 2 * int(os.environ.get("TENON_ROUNDS") or 20000) if THOROUGH else 5000
PATIENCE = 900 if THOROUGH else 120

FAULTS = {
    "rename-in-two": "no order of these calls",
    "exchange-in-three": "no order of these calls",
    "noreplace": "no order of these calls",
    "link-count": "",
    "link-copies": "other bytes|not as through another name|no order",
    "unlink-lost": "no order of these calls",
    "stale-read": "cell [0-9]+ of file",
    "append": "order of writes of file|the size of file|cell [0-9]+ of file",
    "truncate": "cell [0-9]+ of file|the size of file",
    "map-lost": "cell [0-9]+ of file",
}

QUICK = [("memory",), ("memory", "metadata_cache_enabled=false"), ("vault",)]
VARIANTS = QUICK + [("memory", "FileCachePolicyWriteThrough=true"), ("memory", "support_posix_unlink_rename=false"),
                    ("memory", "serialize_access=true"), ("memory", "file_cache=none"),
                    ("vault", "FileCachePolicyWriteThrough=true"), ("vault", "support_posix_unlink_rename=false")]


def check(root: Path, *words: object, seed: int = SEED, steps: int = STEPS) -> subprocess.CompletedProcess:
    return subprocess.run([str(PROGRAM), "--seed", str(seed), "--steps", str(steps), *map(str, words), str(root)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE)


def must_be_explained(done: subprocess.CompletedProcess) -> None:
    if done.returncode:
        pytest.fail(f"{done.stdout}{done.stderr[-20000:]}", pytrace=False)


@dataclass(frozen=True)
class Name:
    """What the program found at one path when all was done; the tag is the file's group."""

    path: str
    tag: int
    ino: int
    links: int
    kind: str
    size: int


def report_of(path: Path) -> list[Name]:
    names = []
    for line in path.read_text().splitlines():
        path_, tag, ino, links, kind, size = line.split()
        names.append(Name(path_, int(tag), int(ino), int(links), kind, int(size)))
    return names


@pytest.fixture
def work():
    """Makes an empty directory on a place, and removes it."""
    made: list[Path] = []

    def make(place: Place) -> Path:
        made.append(Path(place.root) / f"checker{len(made)}")
        made[-1].mkdir()
        return made[-1]
    yield make
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_local_file_systems_are_explained(kind: str, work, request: pytest.FixtureRequest) -> None:
    must_be_explained(check(work(request.getfixturevalue(kind)), steps=4 * STEPS))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_file_system_is_noticed(fault: str, tmpfs: Place, work) -> None:
    # Where the machine gives the threads one processor in turn they may not meet: more calls then.
    for more in range(5):
        done = check(work(tmpfs), "--fault", fault, seed=SEED + more, steps=200_000)
        if done.returncode:
            break
    assert done.returncode == 1, f"{done.stdout}{done.stderr}"
    assert re.search(FAULTS[fault], done.stderr), done.stderr[:2000]


def test_the_calls_are_those_of_the_seed(tmpfs: Place, work, tmp_path: Path) -> None:
    """With one thread the results are the same as well."""
    reports = []
    for number in range(3):
        report = tmp_path / str(number)
        must_be_explained(check(work(tmpfs), "--threads", 1, "--report", report, seed=SEED + number // 2, steps=1000))
        reports.append([(name.path, name.tag, name.links, name.size) for name in report_of(report)])
    assert reports[0] == reports[1] != reports[2]


def links_agree(root: Path, names: list[Name]) -> None:
    """So does the drive's own list of each file's names, read by us and by the command."""
    expected: dict[int, list[str]] = {}
    for name in names:
        expected.setdefault(name.tag, []).append(f"/{root.name}/{name.path}")
    for name in names:
        value = os.getxattr(root / name.path, "tenon.links", follow_symlinks=False)
        assert sorted(value.decode().splitlines()) == sorted(expected[name.tag]), name
    for paths in expected.values():
        told = subprocess.run([tenon_command(), "links", "-0", f"{root.parent}{paths[-1]}"], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=PATIENCE, check=True)
        assert sorted(told.stdout.split(b"\0")[:-1]) == sorted(os.fsencode(f"{root.parent}{path}") for path in paths)


def tables_agree(vault: Path, folder: str, names: list[Name]) -> None:
    """The vault's own tables say what the model says."""
    database = sqlite3.connect(f"file:{vault}?mode=ro", uri=True)
    nodes = {row[0]: row[1:] for row in database.execute("select id, mode, gid, size, links from node")}
    children: dict[int, list[tuple[str, int]]] = {}
    for parent, name, node in database.execute("select parent, name, node from name"):
        children.setdefault(parent, []).append((os.fsdecode(name), node))
    database.close()
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
    found = []

    def walk(parent: int, path: str) -> None:
        for name, node in children.get(parent, []):
            mode, gid, size, links = nodes[node]
            kind = kinds[stat.S_IFMT(mode)]
            found.append((path + name, gid, node, links, kind, size if kind == "file" else 0))
            walk(node, f"{path}{name}/")
    root = next(iter({parent for parent in children} - {node for row in children.values() for _, node in row}))
    start = next(node for name, node in children[root] if name == folder)
    for base in ("a", "b"):
        walk(next(node for name, node in children[start] if name == base), f"{base}/")
    assert sorted(found) == sorted((n.path, n.tag, n.ino, n.links, n.kind, n.size) for n in names)
    # Nothing is left of what has no name any more.
    assert {node for row in children.values() for _, node in row} | {root} == set(nodes)


@pytest.mark.parametrize("words", VARIANTS if THOROUGH else QUICK, ids=lambda words: ",".join(words))
def test_drive(words: tuple[str, ...], tenon_mount, work, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    # Without the page cache a mapping and a read need not agree.
    options = ["--no-map"] if "file_cache=none" in words else []
    # Where nothing is cached, each look is a request.
    steps = STEPS // 4 if "metadata_cache_enabled=false" in words else STEPS
    with tenon_mount(*words) as place:
        root = work(place)
        must_be_explained(check(root, *options, "--report", before, steps=steps))
        links_agree(root, report_of(before))
        if words[0] != "vault":
            return
        place.umount()
        place.check()
        tables_agree(place.vault, root.name, report_of(before))
        place.mount()
        must_be_explained(check(root, "--verify", "--report", after))
        assert report_of(after) == report_of(before)
