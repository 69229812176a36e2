"""Programs whose business is hard links: they find on a drive what they find on tmpfs.

Each does its work on both, and what is there afterwards must be equal: which names are one file, link counts, contents.
"""
from __future__ import annotations

import os
import random
import re
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from parity.places import Place, Tenon, run, tenon_command
from parity.steps import describe_tree
from .conftest import DRIVES, THOROUGH
from .inventory import assert_same, inventory
from .test_archive import make_tree
from .test_git import git, origin

MANY = 100_000 if THOROUGH else 5_000
IN_A_FOLDER = 500
PATIENCE = 600


@pytest.fixture
def reference(tmpfs: Place) -> Iterator[Path]:
    """A directory on tmpfs, to do the same in."""
    root = tmpfs.root / "reference"
    root.mkdir()
    yield root
    shutil.rmtree(root)


def blocks(*tops: Path) -> list[int]:
    """What du counts for each directory, in bytes; what it has counted for an earlier one it does not count again."""
    os.sync()
    lines = run("du", "--block-size=1", "-s", *tops, timeout=PATIENCE).stdout.splitlines()
    return [int(line.split()[0]) for line in lines]


def directory_blocks(top: Path) -> int:
    return sum(os.lstat(directory).st_blocks * 512 for directory, _, _ in os.walk(top))


def files_below(top: Path) -> dict[str, os.stat_result]:
    return {os.path.relpath(os.path.join(directory, file), top): os.lstat(os.path.join(directory, file))
            for directory, _, files in os.walk(top) for file in files}


# ----------------------------------------------------------------------------------------------- cp -al


def make_many(top: Path) -> None:
    """Files in folders; one in ten has some content."""
    for number in range(MANY):
        folder = top / f"{number // IN_A_FOLDER}"
        if number % IN_A_FOLDER == 0:
            folder.mkdir(parents=True)
        fd = os.open(folder / f"{number} of many", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        if number % 10 == 0:
            os.write(fd, b"%d" % number * 100)
        os.close(fd)


def copy_by_links(top: Path) -> None:
    make_many(top / "first")
    alone, = blocks(top / "first")
    run("cp", "-al", top / "first", top / "second", timeout=PATIENCE)
    first, second = files_below(top / "first"), files_below(top / "second")
    assert len({st.st_ino for st in first.values()}) == len(first) == MANY
    assert {name: (st.st_ino, st.st_nlink) for name, st in second.items()} == {name: (st.st_ino, 2) for name, st in first.items()}
    assert blocks(top / "first", top / "second") == [alone, directory_blocks(top / "second")]
    assert len(run("find", top, "-type", "f", "-links", "2", "-printf", "x", timeout=PATIENCE).stdout) == 2 * MANY


def test_copy_by_links(drive: Tenon, reference: Path) -> None:
    for top in (reference, drive.root):
        copy_by_links(top)
        with open(top / "second" / "0" / "7 of many", "ab") as file:
            file.write(b"more")
        assert (top / "first" / "0" / "7 of many").read_bytes() == b"more"
        os.chmod(top / "first" / "0" / "8 of many", 0o600)
        run("rm", "-rf", top / "first", timeout=PATIENCE)
    wanted, found = (describe_tree(top, content=False) for top in (reference, drive.root))
    assert {about["nlink"] for about in found.values() if "size" in about} == {1}
    assert_same(wanted, found, "the second tree, after the first is gone")
    assert_same(*(describe_tree(top / "second" / "0") for top in (reference, drive.root)), "the contents of a folder of it")


# -------------------------------------------------------------------------------------- rsync --link-dest


def make_source(top: Path) -> None:
    chance = random.Random(11)
    for number in range(240):
        folder = top / f"folder-{number % 8}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file-{number}").write_bytes(chance.randbytes(chance.randrange(5000)))
    for number in range(0, 40, 2):
        os.link(top / f"folder-{number % 8}" / f"file-{number}", top / f"folder-{(number + 1) % 8}" / f"twin-{number}")


def change_source(top: Path, day: int) -> dict[str, set[str]]:
    """Of everything some: the names of what was changed, is new and is gone."""
    def name(number: int) -> str:
        return f"folder-{number % 8}/file-{number}"
    numbers = range(50 + day * 60, 50 + day * 60 + 60)
    done: dict[str, set[str]] = {"changed": set(), "new": set(), "gone": set()}
    for number in numbers[:10]:
        with open(top / name(number), "ab") as file:
            file.write(b"changed on day %d" % day)
        os.chmod(top / name(number + 10), 0o640)
        os.unlink(top / name(number + 20))
        (top / f"new-{number}").write_bytes(b"new on day %d" % day)
        os.rename(top / name(number + 30), top / f"moved-{number}")
        done["changed"] |= {name(number), name(number + 10)}
        done["gone"] |= {name(number + 20), name(number + 30)}
        done["new"] |= {f"new-{number}", f"moved-{number}"}
    # A file with two names gets a third; another loses one.
    os.link(top / "folder-0" / "file-0", top / f"third-{day}")
    os.unlink(top / f"folder-{(day * 2 + 3) % 8}" / f"twin-{day * 2 + 2}")
    done["new"].add(f"third-{day}")
    done["gone"].add(f"folder-{(day * 2 + 3) % 8}/twin-{day * 2 + 2}")
    return done


def back_up(source: Path, top: Path, day: int) -> None:
    previous = [f"--link-dest={top / f'day-{day - 1}'}"] if day else []
    run("rsync", "-aH", "--numeric-ids", "--delete", "--modify-window=-1", *previous, f"{source}/", top / f"day-{day}", timeout=120)


def check_generations(before: Path, after: Path, done: dict[str, set[str]]) -> None:
    """What did not change is one file in both; the rest is not."""
    old, new = files_below(before), files_below(after)
    assert set(old) - set(new) == done["gone"] and set(new) - set(old) == done["new"]
    shared = {name for name in old if name in new and old[name].st_ino == new[name].st_ino}
    assert shared == set(old) - done["gone"] - done["changed"]
    assert len(shared) > 150


def test_three_generations_of_a_backup(drive: Tenon, reference: Path, plain: Path, program) -> None:
    program("rsync")
    make_source(plain / "source")
    for day in range(3):
        done = change_source(plain / "source", day - 1) if day else {}
        for top in (reference, drive.root):
            back_up(plain / "source", top, day)
            if day:
                check_generations(top / f"day-{day - 1}", top / f"day-{day}", done)
        if drive.drive == "vault":
            drive.again()
    assert_same(inventory(reference), inventory(drive.root), "three generations")
    for top in (reference, drive.root):
        run("rm", "-rf", top / "day-0")
    assert_same(inventory(reference), inventory(drive.root), "two, after the first is gone")
    run("diff", "-r", plain / "source", drive.root / "day-2")
    again = run("rsync", "-aH", "--delete", "--modify-window=-1", "--itemize-changes", f"{plain}/source/", drive.root / "day-2")
    assert again.stdout == b""


# ------------------------------------------------------------------------------------------- git clone --local


def objects(clone: Path) -> dict[str, os.stat_result]:
    return {name: st for name, st in files_below(clone / ".git" / "objects").items()
            if name.endswith(".pack") or len(name) == 41}


def test_clone_with_linked_objects(drive: Tenon, plain: Path, program) -> None:
    program("git")
    first, second = drive.root / "first", drive.root / "second"
    git(plain, "clone", "-q", "--no-local", origin(plain), first)
    for number in range(8):
        (first / f"new-{number}").write_text(f"line {number}\n" * 300)
        git(first, "add", "-A")
        git(first, "commit", "-q", "-m", f"new {number}")
    git(drive.root, "clone", "-q", "--local", first, second)
    one, two = objects(first), objects(second)
    assert len(one) > 16 and any(name.endswith(".pack") for name in one)
    assert {name: (st.st_ino, st.st_nlink) for name, st in two.items()} == {name: (st.st_ino, 2) for name, st in one.items()}
    head = git(first, "rev-parse", "HEAD")
    for clone in (first, second):
        git(clone, "gc", "-q", "--prune=now")
        for each in (first, second):
            git(each, "fsck", "--full", "--strict")
            assert git(each, "rev-parse", "HEAD") == head
            assert git(each, "status", "--porcelain") == ""
    assert {st.st_nlink for st in (*objects(first).values(), *objects(second).values())} == {1}


# ---------------------------------------------------------------------------------------------- tar and cpio


def make_linked(top: Path) -> int:
    """Files with one to five names in folders next to and below each other: how many names there are besides the first ones."""
    chance = random.Random(12)
    folders = [top / "a", top / "b", top / "b" / "c", top / "d" / "e" / "f"]
    extra = 0
    for folder in folders:
        folder.mkdir(parents=True)
    for number in range(60):
        first = chance.choice(folders) / f"{number}-0"
        first.write_bytes(chance.randbytes(chance.choice((0, 1, 5000, 70_000))))
        for more in range(number % 5):
            os.link(first, chance.choice(folders) / f"{number}-{more + 1}")
            extra += 1
    os.symlink("a/0-0", top / "symlink")
    os.link(top / "symlink", top / "b" / "symlink", follow_symlinks=False)
    return extra + 1


def tar(source: Path, target: Path, archive: Path) -> None:
    target.mkdir()
    run("tar", "-C", source, "-cf", archive, ".")
    run("tar", "-C", target, "-xpf", archive)


def cpio(source: Path, target: Path, archive: Path) -> None:
    target.mkdir()
    run("bash", "-c", 'cd "$1" && find . -depth -print0 | cpio -0 --quiet -o -H newc >"$2"', "-", source, archive)
    run("bash", "-c", 'cd "$1" && cpio --quiet -i -d -m <"$2"', "-", target, archive)


def cpio_pass(source: Path, target: Path, _: Path) -> None:
    target.mkdir()
    run("bash", "-c", 'cd "$1" && find . -depth -print0 | cpio -0 --quiet -p -d -m "$2"', "-", source, target)


WAYS = {"tar": tar, "cpio": cpio, "cpio pass": cpio_pass}


def make_linked_for(way: str, top: Path) -> int:
    """cpio makes two symlinks of one with two names: it gets one name."""
    extra = make_linked(top)
    if way != "tar":
        (top / "symlink").unlink()
    return extra


@pytest.mark.parametrize("way", WAYS)
def test_archives_keep_links(drive: Tenon, reference: Path, program, way: str) -> None:
    """Onto the drive, on the drive, and off it; the archive lies on the drive."""
    program(way.split()[0])
    extra = make_linked_for(way, reference / "tree")
    wanted = describe_tree(reference / "tree")
    archive = drive.root / "archive"
    for source, target in ((reference / "tree", drive.root / "in"), (drive.root / "in", drive.root / "on"),
                           (drive.root / "on", reference / "off")):
        WAYS[way](source, target, archive)
        assert_same(wanted, describe_tree(target), f"{target}")
    if way == "tar":
        listing = run("tar", "-tvf", archive).stdout.decode()
        assert sum(line.startswith("h") for line in listing.splitlines()) == extra


@pytest.mark.parametrize("way", WAYS)
def test_links_from_drive_to_drive(tenon_mount, plain: Path, program, way: str) -> None:
    program(way.split()[0])
    with tenon_mount("memory") as memory, tenon_mount("vault") as vault:
        make_linked_for(way, memory.root / "tree")
        wanted = describe_tree(memory.root / "tree")
        WAYS[way](memory.root / "tree", vault.root / "tree", plain / "archive")
        vault.again()
        WAYS[way](vault.root / "tree", memory.root / "back", vault.root / "archive")
        for found in (vault.root / "tree", memory.root / "back"):
            assert_same(wanted, describe_tree(found), f"{found}")


def test_link_instead_of_copy(drive: Tenon, reference: Path, program) -> None:
    """cpio -l and rsync --link-dest of everything: linked trees of trees that have links."""
    program("cpio", "rsync")
    for top in (reference, drive.root):
        make_tree(top / "tree", 1 << 14)
        (top / "linked").mkdir()
        run("bash", "-c", 'cd "$1" && find . -depth -print0 | cpio -0 --quiet -p -d -l -m "$2"', "-", top / "tree", top / "linked")
        run("rsync", "-aHS", f"--link-dest={top}/tree", f"{top}/tree/", top / "synced")
    assert_same(describe_tree(reference), describe_tree(drive.root), "linked trees")


# ------------------------------------------------------------------------------------------------ hardlink


def make_duplicates(top: Path) -> None:
    """Thirty contents in one to six files each, all of them with the same length."""
    for number in range(30):
        for copy in range(1 + number % 6):
            folder = top / f"folder-{copy}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"file-{number}").write_bytes(b"%06d" % number * 2000)
    os.link(top / "folder-0" / "file-5", top / "folder-3" / "another name")


def test_duplicates_are_merged(drive: Tenon, reference: Path, program) -> None:
    program("hardlink")
    for top in (reference, drive.root):
        make_duplicates(top)
        run("hardlink", "--ignore-time", top)
        files = files_below(top)
        assert len(files) == 106 and len({st.st_ino for st in files.values()}) == 30
        run("hardlink", "--ignore-time", top)
        assert {name: st.st_ino for name, st in files_below(top).items()} == {name: st.st_ino for name, st in files.items()}
    assert_same(describe_tree(reference), describe_tree(drive.root), "merged")


# --------------------------------------------------------------------------------------------- du and find


def names_by_find(top: Path, file: Path) -> set[str]:
    found = run("find", top, "-samefile", file, "-print0").stdout.split(b"\0")[:-1]
    return {os.path.relpath(os.fsdecode(name), top) for name in found}


def test_du_counts_once(drive: Tenon, reference: Path) -> None:
    for top in (reference, drive.root):
        (top / "names").mkdir()
        (top / "names" / "0").write_bytes(b"x" * (1 << 20))
        for number in range(1, 40):
            os.link(top / "names" / "0", top / "names" / f"{number}")
        own = directory_blocks(top / "names")
        assert blocks(top / "names") == [own + (1 << 20)]
        each = run("du", "--block-size=1", "--count-links", "-s", top / "names").stdout
        assert int(each.split()[0]) == own + 40 * (1 << 20)
        assert run("du", "--inodes", "-s", top / "names").stdout.split()[0] == b"2"
        assert names_by_find(top, top / "names" / "17") == {f"names/{number}" for number in range(40)}


def names_by_command(top: Path, file: Path) -> set[str]:
    found = run(tenon_command(), "links", "-0", file).stdout.split(b"\0")[:-1]
    assert len(found) == len(set(found))
    return {os.path.relpath(os.fsdecode(name), top) for name in found}


def names_by_attribute(file: Path) -> set[str]:
    """Absolute paths in the volume, a line for each; newlines and backslashes are written as octal numbers."""
    lines = os.fsdecode(os.getxattr(file, "tenon.links", follow_symlinks=False)).split("\n")[:-1]
    return {re.sub(r"\\(012|134)", lambda match: chr(int(match[1], 8)), line).removeprefix("/") for line in lines}


def check_names(top: Path) -> None:
    """find(1), which looks everywhere, and the drive, which looks nowhere, know the same names of each file."""
    looked_at = set()
    for name, st in files_below(top).items():
        if st.st_ino in looked_at:
            continue
        looked_at.add(st.st_ino)
        wanted = names_by_find(top, top / name)
        assert len(wanted) == st.st_nlink
        assert names_by_command(top, top / name) == wanted
        assert names_by_attribute(top / name) == wanted


def test_find_agrees_with_the_drive(drive: Tenon, program) -> None:
    program("hardlink")
    top = drive.root
    for folder in ("a", "a/b", "c"):
        (top / folder).mkdir()
    for name in ("plain", "new\nline", "back\\slash\\012", "-dash", "\udcff"):
        (top / name).write_text(f"the file {name!r}")
        for number, folder in enumerate(("a", "a/b", "c", "a")):
            os.link(top / name, top / folder / f"{number}{name}")
    os.symlink("plain", top / "symlink")
    os.link(top / "symlink", top / "c" / "symlink", follow_symlinks=False)
    check_names(top)
    os.unlink(top / "plain")
    os.rename(top / "c" / "2new\nline", top / "moved")
    os.rename(top / "a" / "b", top / "c" / "b")
    os.rename(top / "c", top / "d")
    check_names(top)
    for name in ("copy", "d/b/copy"):
        (top / name).write_text("the file 'plain'")
    run("hardlink", "--ignore-time", top)
    assert "copy" in names_by_attribute(top / "a" / "0plain")
    check_names(top)
    if drive.drive == "vault":
        drive.again()
        check_names(top)
