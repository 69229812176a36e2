"""A repository that lives on the drive."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from parity.places import REPOSITORY, Tenon, run
from .inventory import assert_same, inventory

ENVIRONMENT = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_COUNT": "3",
               "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
               "GIT_CONFIG_KEY_1": "user.name", "GIT_CONFIG_VALUE_1": "Anna",
               "GIT_CONFIG_KEY_2": "user.email", "GIT_CONFIG_VALUE_2": "anna@example.org",
               "GIT_AUTHOR_DATE": "2020-02-02T02:02:02Z", "GIT_COMMITTER_DATE": "2020-02-02T02:02:02Z"}
for _name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
    ENVIRONMENT.pop(_name, None)


def git(where: Path, *words: object) -> str:
    return run("git", *words, cwd=where, env=ENVIRONMENT, timeout=120).stdout.decode(errors="replace")


def origin(plain: Path) -> Path:
    """This repository as it is, where it has a history; else one made here."""
    made = plain / "origin"
    if (REPOSITORY / ".git").exists():
        try:
            git(plain, "clone", "-q", "--bare", "--no-local", REPOSITORY, made)
            return made
        except AssertionError:
            shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    git(made, "init", "-q", "-b", "main")
    for number in range(60):
        folder = made / f"folder-{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"file-{number}").write_text(f"{number}\n" * (number + 1))
        git(made, "add", "-A")
        git(made, "commit", "-q", "-m", f"commit {number}")
    return made


def work(clone: Path) -> str:
    """A day's work in a clone; the last commit's name."""
    git(clone, "checkout", "-q", "-b", "topic")
    for number in range(15):
        (clone / f"new-{number}").write_text(f"line {number}\n" * 500)
        git(clone, "add", "-A")
        git(clone, "commit", "-q", "-m", f"new {number}")
    git(clone, "mv", "new-3", "renamed")
    git(clone, "rm", "-q", "new-4")
    git(clone, "commit", "-q", "-a", "-m", "moved")
    git(clone, "checkout", "-q", "-")
    assert not (clone / "renamed").exists()
    git(clone, "merge", "-q", "--no-ff", "-m", "merged", "topic")
    (clone / "renamed").write_text("not committed\n")
    git(clone, "stash", "-q")
    git(clone, "stash", "pop", "-q")
    git(clone, "checkout", "-q", "renamed")
    git(clone, "gc", "-q", "--prune=now")
    git(clone, "fsck", "--full", "--strict")
    assert git(clone, "status", "--porcelain") == ""
    return git(clone, "rev-parse", "HEAD")


def test_clone_and_work(drive: Tenon, plain: Path, need) -> None:
    need("git", shutil.which("git"), "git is not installed")
    source = origin(plain)
    clones = (plain / "clone", drive.root / "clone")
    for clone in clones:
        git(plain, "clone", "-q", "--no-local", source, clone)
        git(clone, "fsck", "--full")
    assert work(clones[0]) == work(clones[1])
    files = [{name: (about["mode"], about.get("content")) for name, about in inventory(clone).items()
              if not name.startswith(b".git") and "content" in about} for clone in clones]
    assert_same(*files, "the working tree")
    git(drive.root, "clone", "-q", drive.root / "clone", drive.root / "linked")
    git(drive.root / "linked", "fsck", "--full")
    assert git(drive.root / "linked", "rev-parse", "HEAD") == git(clones[0], "rev-parse", "HEAD")


@pytest.mark.parametrize("drive", ["vault"], indirect=True)
def test_status_needs_no_refresh(drive: Tenon, plain: Path, need) -> None:
    """What the index remembers of the files (inode, times, size) is still so in the next process."""
    need("git", shutil.which("git"), "git is not installed")
    git(plain, "clone", "-q", "--no-local", origin(plain), drive.root / "clone")
    git(drive.root / "clone", "update-index", "--refresh")
    drive.again()
    done = subprocess.run(["git", "diff-files", "--quiet"], cwd=drive.root / "clone", env=ENVIRONMENT, timeout=60)
    assert done.returncode == 0, "git believes that files have changed"
