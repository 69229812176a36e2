"""An installed copy of the library, and the examples that came with it, built there with nothing but make and pkg-config."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from installed import install, keep_log, option


class Installed:
    def __init__(self, root: Path):
        self.root = root
        prefix = root / option("prefix").lstrip("/")
        self.library = prefix / option("libdir")
        self.headers = prefix / option("includedir")
        self.manuals = prefix / option("mandir")
        self.examples = root / "my examples"
        self.environment = {**os.environ, "PKG_CONFIG_PATH": str(self.library / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(root)}
        with keep_log(root / "install-log"):
            install(root)
        shutil.copytree(prefix / option("datadir") / "doc" / "tenon" / "examples", self.examples)


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Iterator[Installed]:
    if option("b_sanitize") != "none":
        pytest.skip("a library with sanitizers cannot be linked into a program without")
    copy = Installed(tmp_path_factory.mktemp("installed"))
    programs = ["hello", "late", "numbered", *(["hello-cc"] if shutil.which("c++") else [])]
    subprocess.run(["make", "-C", copy.examples, *programs, "CFLAGS=-Wall -Wextra -Wno-unused-parameter -Werror", "CXXFLAGS=-Wall -Wextra -Werror"],
                   check=True, env=copy.environment, stdout=subprocess.DEVNULL, timeout=120)
    yield copy
