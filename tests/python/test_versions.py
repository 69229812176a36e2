"""The same extension module serves every CPython from 3.11 on that is here: in PATH, and those of pyenv."""
from __future__ import annotations

import glob
import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from parity.places import mounts

from .edition import PACKAGE, REPOSITORY

VERSION = "import sys; print(sys.implementation.name, '%d.%d.%d' % sys.version_info[:3], bool(getattr(sys, 'abiflags', '')))"


def interpreters() -> dict[str, str]:
    """One for each version, by version."""
    named = [shutil.which(f"python3.{minor}") for minor in range(11, 20)]
    candidates = ["/usr/bin/python3", *glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3")), *[name for name in named if name]]
    found: dict[str, str] = {}
    for candidate in candidates:
        try:
            asked = subprocess.run([candidate, "-c", VERSION], capture_output=True, text=True, timeout=60)
        except OSError:
            continue
        kind, version, flags = (asked.stdout.split() + ["", "", ""])[:3]
        # Builds with flags of their own, as without a global lock, have another ABI.
        if asked.returncode == 0 and kind == "cpython" and flags == "False" and tuple(map(int, version.split("."))) >= (3, 11):
            found.setdefault(version, candidate)
    return found


INTERPRETERS = interpreters()


@pytest.mark.parametrize("version", INTERPRETERS)
def test_smoke(version: str, place: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{PACKAGE}:{REPOSITORY / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run([INTERPRETERS[version], "-X", "dev", "-W", "error", str(Path(__file__).with_name("smoke.py")), str(place)],
                         env=environment, capture_output=True, text=True, timeout=300)
    assert (run.returncode, run.stdout, run.stderr) == (0, "passed\n", ""), f"{run.stdout}\n{run.stderr}"
    assert not mounts(place)


def test_the_whole_suite_where_pytest_is(need: Callable[[str, object, str], None]) -> None:
    """Thoroughly: all of tests/python, with each other Python that has pytest."""
    if not os.environ.get("TENON_THOROUGH"):
        pytest.skip("only with TENON_THOROUGH=1")
    ours = os.path.realpath("/proc/self/exe")
    others = [each for each in INTERPRETERS.values() if os.path.realpath(each) != ours
              and subprocess.run([each, "-c", "import pytest"], capture_output=True).returncode == 0]
    need("pythons", others, "no other Python has pytest")
    for other in others:
        environment = {key: value for key, value in os.environ.items() if key != "TENON_THOROUGH"}
        run = subprocess.run([other, "-X", "dev", "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(Path(__file__).parent)],
                             env=environment, capture_output=True, text=True, timeout=1000)
        assert run.returncode == 0, run.stdout[-5000:]
