"""What the tests of the measuring programs share."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Callable

import pytest

BUILD = Path(os.environ.get("BUILD") or Path(__file__).resolve().parents[2] / "build").absolute()


@pytest.fixture(scope="session")
def programs(need: Callable[..., None]) -> Path:
    """The programs are not part of the normal build."""
    need("root", os.geteuid() == 0, "mounting and emptying the kernel's caches need root")
    need("mount", os.access("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse cannot be used")
    subprocess.run(["ninja", "-C", BUILD, "bench-programs"], check=True, capture_output=True, timeout=150)
    return BUILD / "bench"


@pytest.fixture(scope="session")
def peer(programs: Path, need: Callable[..., None]) -> Path:
    """The file system on libfuse that the drives are measured against."""
    need("libfuse", (programs / "peer-libfuse").exists(), "peer-libfuse was not built: scripts/setup.sh bench brings libfuse3-dev")
    return programs / "peer-libfuse"
