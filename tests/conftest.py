"""Fixtures for tests that mount drives.

    base         a fresh directory, swept at the end of the run whatever happens
    need         need("loop", condition, "why not"): skip, or fail where TENON_REQUIRE names it
    tmpfs, ext4  mounted reference file systems (one for the whole run)
    tenon_mount  tenon_mount("vault", "file_cache=none", ...): a context manager that mounts a drive

Environment: TENON is the command (build/tenon in the repository otherwise); TENON_REQUIRE lists, separated by commas,
what must not be missing (root, mount, loop, git, ...); TENON_SEED repeats a random test; TENON_THOROUGH=1 runs all
variants on all drives.
"""
from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Callable, Iterator

import pytest

from parity.places import Base, Ext4, Numbered, Place, PythonProgram, Tenon, Tmpfs, Unavailable, abandon, mounts

# Seconds that one test may take.
LIMIT = 1200.0 if os.environ.get("TENON_THOROUGH") else 180.0


def missing(what: str, why: str) -> None:
    """End the test because the machine lacks something: a failure where TENON_REQUIRE asks for it."""
    if what in os.environ.get("TENON_REQUIRE", "").replace(" ", "").split(","):
        pytest.fail(f"TENON_REQUIRE asks for {what}, but: {why}", pytrace=False)
    pytest.skip(why)


_ended_by: list[int] = []


def pytest_configure(config: pytest.Config) -> None:
    """Being told to end is a reason to clean up, not to vanish."""
    def end(number: int, frame: object) -> None:
        _ended_by.append(number)
        pytest.exit(f"ended by signal {number}", 128 + number)
    signal.signal(signal.SIGTERM, end)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The signal may have come where exceptions are swallowed."""
    if _ended_by:
        pytest.exit(f"ended by signal {_ended_by[0]}", 128 + _ended_by[0])


@pytest.fixture(scope="session")
def need() -> Callable[[str, object, str], None]:
    def check(what: str, condition: object, why: str) -> None:
        if not condition:
            missing(what, why)
    return check


@pytest.fixture(scope="session")
def own_root(need) -> None:
    """Not in a chroot: a process that enters a namespace would leave it. There no user namespace can be made, which tells."""
    made = subprocess.run(["unshare", "--user", "true"], capture_output=True)
    need("namespaces", made.returncode == 0, "user namespaces cannot be made here, or this is a chroot")


@pytest.fixture(scope="session")
def plain_build(need) -> None:
    """Built without sanitizers, which need memory of their own."""
    options = Path(os.environ.get("BUILD") or "build") / "meson-info" / "intro-buildoptions.json"
    sanitizers = [option["value"] for option in json.loads(options.read_text()) if option["name"] == "b_sanitize"]
    need("plain", sanitizers == ["none"], f"built with sanitizers ({sanitizers})")


@pytest.fixture(autouse=True)
def watchdog(request: pytest.FixtureRequest) -> Iterator[None]:
    """A call that hangs in a drive cannot be interrupted; it ends when the drive's connection is cut."""
    if "base" not in request.fixturenames:
        yield
        return
    base: Base = request.getfixturevalue("base")
    struck = []

    def strike() -> None:
        for entry in mounts(base.path):
            if entry.kind.startswith("fuse"):
                struck.append(entry.point)
                abandon(Path(entry.point))
    timer = threading.Timer(LIMIT, strike)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()
    timer.join()
    if struck:
        pytest.fail(f"cut off after {LIMIT} seconds: {struck}", pytrace=False)


@pytest.fixture(scope="session")
def base() -> Iterator[Base]:
    made = Base()
    yield made
    left = made.close()
    assert not left, f"left behind: {left}"


@contextlib.contextmanager
def open_place(make: Callable[[], Place]) -> Iterator[Place]:
    """Make a place, use it, give it back: by force where it cannot be done in order."""
    try:
        place = make()
    except Unavailable as error:
        missing(error.what, error.why)
    try:
        yield place
    except BaseException:
        with contextlib.suppress(Exception):
            place.close()
        place.abandon()
        raise
    try:
        place.close()
    except BaseException:
        place.abandon()
        raise


@pytest.fixture(scope="session")
def tmpfs(base: Base) -> Iterator[Place]:
    with open_place(lambda: Tmpfs(base)) as place:
        yield place


@pytest.fixture(scope="session")
def ext4(base: Base) -> Iterator[Place]:
    with open_place(lambda: Ext4(base)) as place:
        yield place


@pytest.fixture(scope="session")
def tenon_mount(base: Base) -> Callable[..., contextlib.AbstractContextManager[Tenon]]:
    programs = {"numbered": Numbered, "python": PythonProgram}

    def mount(drive: str, *options: str) -> contextlib.AbstractContextManager[Tenon]:
        make = (lambda: programs[drive](base, options)) if drive in programs else (lambda: Tenon(base, drive, options))
        return open_place(make)  # type: ignore[return-value]
    return mount
