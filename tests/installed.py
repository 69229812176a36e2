"""What make install installs, in a folder of its own."""
from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

REPOSITORY = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("BUILD") or REPOSITORY / "build").resolve()
LOG = BUILD / "meson-logs" / "install-log.txt"


def option(name: str) -> str:
    """An option of the build folder."""
    options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))
    return next(entry["value"] for entry in options if entry["name"] == name)


@contextlib.contextmanager
def keep_log(spare: Path) -> Iterator[None]:
    """Meson writes down what it installs, for uninstalling; what a test installs is not to take the place of what a user has."""
    there = LOG.exists()
    if there:
        shutil.copy(LOG, spare)
    try:
        yield
    finally:
        if there:
            shutil.copy(spare, LOG)
        else:
            LOG.unlink(missing_ok=True)


def install(folder: Path, *options: str) -> None:
    subprocess.run(["meson", "install", "--no-rebuild", "--quiet", "-C", BUILD, "--destdir", folder, *options], check=True, timeout=120,
                   stdout=subprocess.DEVNULL)
