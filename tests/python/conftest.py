"""The Python edition as it was built: BUILD/python. Where it was not, each file of tests here is skipped with the reason."""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Iterable

import pytest

from conftest import missing

BUILD = Path(os.environ.get("BUILD") or Path(__file__).parents[2] / "build").absolute()
sys.path.insert(0, str(BUILD / "python"))


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
