"""The Python edition as it was built: BUILD/python. Where it was not, each file of tests here is skipped with the reason.

    place    a fresh directory to mount at, unmounted afterwards whatever happens
    mount    mount(drive, **properties): a context manager that mounts a drive of tests/python/drives.py and gives the directory
    program  program(source, *arguments): runs a Python program of its own, with warnings as errors, and gives what came of it
"""
from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

import pytest

from conftest import missing
from parity.places import abandon, mounts

from .edition import BUILD, PACKAGE, Program

# The build folder's, and no installed one.
sys.path.insert(0, str(PACKAGE))


def why_not() -> str:
    """Why the package cannot be used; empty: it can."""
    if not list(BUILD.glob("python/tenon/_tenon*.so")):
        return f"{BUILD} was built without the Python edition (python3-dev is missing)"
    options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    sanitizers = [option["value"] for option in options if option["name"] == "b_sanitize"]
    if sanitizers != ["none"] and "san" not in os.environ.get("LD_PRELOAD", ""):
        return f"{BUILD} was built with sanitizers ({sanitizers[0]}), which have to be loaded before Python"
    return ""


class Unusable(pytest.Module):
    """A file of tests that cannot be imported."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        missing("python", why_not())
        return []


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if module_path.name == "__init__.py" or not why_not():
        return None
    return Unusable.from_parent(parent, path=module_path)


@pytest.fixture(scope="session", autouse=True)
def frozen() -> None:
    """What there is by now stays: collecting after each test is quick then."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def fuse(need: Callable[[str, object, str], None]) -> None:
    """Drives can be mounted here."""
    need("mount", os.geteuid() == 0 and os.access("/dev/fuse", os.R_OK | os.W_OK), "mounting needs root and /dev/fuse")


@contextlib.contextmanager
def gone_afterwards(point: Path) -> Iterator[Path]:
    try:
        yield point
    finally:
        left = mounts(point)
        for entry in left:
            abandon(Path(entry.point))
    assert not left, f"still mounted: {left}"


@pytest.fixture
def place(fuse: None, base: Any) -> Iterator[Path]:
    with gone_afterwards(base.fresh("python")) as point:
        yield point


@pytest.fixture
def mount(place: Path) -> Callable[..., contextlib.AbstractContextManager[Path]]:
    @contextlib.contextmanager
    def mounted(drive: Any, **properties: object) -> Iterator[Path]:
        for name, value in properties.items():
            setattr(drive.cbfs, name, value)
        with drive.cbfs.mounted(place):
            yield place
    return mounted


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Program]:
    def start(source: str, *arguments: object, **keywords: Any) -> Program:
        return Program(tmp_path, source, arguments, **keywords)
    return start


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread of Python's outlives its test: what a drive leaves would disturb the next."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    left = [thread for thread in threading.enumerate() if thread not in before and not isinstance(thread, threading._DummyThread)]
    for thread in left:
        thread.join(10)
    assert not [thread for thread in left if thread.is_alive()]
