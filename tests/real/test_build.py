"""This project is built on a drive, and its fast unit tests are run there."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from parity.places import REPOSITORY, Unavailable, run
from .conftest import THOROUGH, Ground

# Tests of parts that need no mount. All is built and more is run in the thorough tests.
TESTS = ["test_wire", "test_tree", "memory-cursor", "memory-pages", "memory-table", "memory-tree"]
MORE = ["test_events", "test_surface", "vault-names", "vault-blocks", "vault-random"]
LEFT_OUT = ("build", ".git", "__pycache__")


def tracked() -> list[str]:
    """The project's files: as git knows them, else all that are not made by a build."""
    done = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, timeout=60)
    if done.returncode == 0 and done.stdout:
        return [name for name in os.fsdecode(done.stdout).split("\0") if name and (REPOSITORY / name).is_file()]
    return [str((Path(folder) / name).relative_to(REPOSITORY)) for folder, _, names in os.walk(REPOSITORY) for name in names
            if not any(part.startswith(LEFT_OUT) for part in (Path(folder) / name).relative_to(REPOSITORY).parts)]


def copy_project(target: Path) -> None:
    for name in tracked():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, target / name)


def targets(build: Path) -> list[str]:
    """What ninja must make for the tests."""
    return [line.split(":")[0] for line in run("ninja", "-C", build, "-t", "targets", "all").stdout.decode().splitlines()
            if line.startswith("tests/") and Path(line.split(":")[0]).name in
            ("test_wire", "test_tree", *(f"test_memory_{name}" for name in ("cursor", "pages", "table", "tree")))]


def nothing_to_do(build: Path, what: list[str]) -> bool:
    return b"ninja: no work to do." in run("ninja", "-C", build, *what, timeout=170).stdout


@pytest.mark.parametrize("ground", ["ext4", "memory", "vault"] if THOROUGH else ["memory"], indirect=True)
def test_build_and_test(ground: Ground, need) -> None:
    for name in ("meson", "ninja", "cc"):
        need("programs", shutil.which(name), f"{name} is not installed")
    try:
        run("pkg-config", "--exists", "cmocka")
    except (AssertionError, Unavailable):
        need("programs", False, "no cmocka: the unit tests cannot be built")
    source = ground.root / "source"
    copy_project(source)
    build = source / "build"
    run("meson", "setup", build, source, timeout=170)
    what = [] if THOROUGH else targets(build)
    run("ninja", "-C", build, *what, timeout=170)
    tests = TESTS + (MORE if THOROUGH else [])
    done = run("meson", "test", "-C", build, "--no-rebuild", *tests, timeout=170)
    assert f"Ok:                 {len(tests)}" in done.stdout.decode(), done.stdout.decode()
    # Times and sizes are what they were, also for another process.
    assert nothing_to_do(build, what)
    ground.again()
    assert nothing_to_do(build, what)
    os.utime(source / "src" / "wire" / "decode.c")
    assert not nothing_to_do(build, what)
    assert nothing_to_do(build, what)
