"""What a tree of files is, in full, for comparing two of them."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from parity.steps import describe_tree


def inventory(top: Path) -> dict[bytes, Any]:
    """Every name with its kind, mode, owners, links, content and its time of last change to the nanosecond."""
    found = describe_tree(str(top))
    for name, about in found.items():
        about["mtime"] = os.lstat(os.path.join(os.fsencode(top), name)).st_mtime_ns
    return found


def assert_same(wanted: dict[bytes, Any], found: dict[bytes, Any], what: str) -> None:
    """The first differences in words, rather than two trees."""
    wrong = [f"{name!r}: wanted {wanted.get(name, 'nothing')}, found {found.get(name, 'nothing')}"
             for name in sorted({**wanted, **found}) if wanted.get(name) != found.get(name)]
    assert not wrong, f"{what}: {len(wrong)} of {len(wanted)} names differ:\n" + "\n".join(wrong[:10])


def allocation(top: Path) -> int:
    """Blocks that all files below take, after the data have been written out."""
    os.sync()
    seen = {}
    for directory, _, files in os.walk(os.fsencode(top)):
        for file in files:
            st = os.lstat(os.path.join(directory, file))
            seen[st.st_ino] = st.st_blocks
    return sum(seen.values())
