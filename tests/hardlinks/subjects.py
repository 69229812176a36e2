"""Who must agree with tmpfs about hard links. One more subject is one more entry in SUBJECTS."""
from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, ContextManager, Optional

from conftest import open_place
from examples.test_examples import wait_mounted
from parity.places import PATIENCE, REPOSITORY, Base, Ext4, Place, Tenon, Unavailable, run

# All caches on, for as long as they last; it is the default.
CACHED = ("metadata_cache_enabled=true", "non_existent_files_cache_enabled=true", "file_cache=system")
# The engine gives an open file that loses its last name a hidden one.
HIDING = "support_posix_unlink_rename=false"


class Program(Place):
    """An example program that serves a drive: PROGRAM [OPTION...] STORE MOUNTPOINT, until umount(8)."""

    def __init__(self, base: Base, program: str, *options: str):
        if os.geteuid() != 0:
            raise Unavailable("root", "mounting needs root")
        if not os.path.exists("/dev/fuse"):
            raise Unavailable("mount", "no /dev/fuse")
        command = Path(os.environ.get("BUILD") or REPOSITORY / "build") / "examples" / program
        if not command.exists():
            raise Unavailable("mount", f"no program at {command}: build it, or set BUILD")
        self.name = " ".join([program, *options])
        self.root = base.fresh(program)
        self._said = base.path / f"{self.root.name}.said"
        store = base.fresh(f"{program}-store")
        with open(self._said, "wb") as said:
            self._process = subprocess.Popen([command, *options, store, self.root], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        wait_mounted(self.root, self._process)

    def broken(self) -> Optional[str]:
        reason = super().broken()
        return f"{reason}\nwhat it said:\n{self._said.read_text(errors='replace')[-3000:]}" if reason else None

    def close(self) -> None:
        run("umount", self.root)
        code = self._process.wait(PATIENCE)
        assert code == 0, f"{self.name} ended with {code}:\n{self._said.read_text(errors='replace')[-3000:]}"

    def abandon(self) -> None:
        super().abandon()
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Subject:
    """How to get a place, and whether tests/parity runs on it as well."""
    make: Callable[..., Place]
    compared: bool = True

    def open(self, base: Base, *options: str) -> ContextManager[Place]:
        return open_place(lambda: self.make(base, *options))


def drive(name: str, *options: str) -> Subject:
    return Subject(lambda base, *more: Tenon(base, name, (*CACHED, *options, *more)))


SUBJECTS: dict[str, Subject] = {
    # A scenario on which tmpfs and ext4 disagree says nothing about anybody else.
    "ext4": Subject(Ext4),
    "memory": drive("memory"),
    "memory, hiding": drive("memory", HIDING),
    "vault": drive("vault"),
    "vault, hiding": drive("vault", HIDING),
    "numbered": Subject(lambda base, *more: Program(base, "numbered", *more), compared=False),
    "numbered, hiding": Subject(lambda base, *more: Program(base, "numbered", "-o", HIDING, *more), compared=False),
}

if os.environ.get("TENON_THOROUGH"):
    # What is not cached, or asked for in other ways.
    SUBJECTS |= {f"memory, {option}": drive("memory", option)
                 for option in ("file_cache=none", "metadata_cache_enabled=false", "FileCachePolicyWriteThrough=true", "max_cached_nodes=4",
                                "fire_all_open_close_events=true", "serialize_access=true", "serialize_events=true", "implicit_open=true")}
