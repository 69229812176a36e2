"""Who must agree with tmpfs about hard links. One more subject is one more entry in SUBJECTS."""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, ContextManager

from conftest import open_place
from parity.places import Base, Ext4, Numbered, Place, PythonProgram, Tenon

# All caches on, for as long as they last; it is the default.
CACHED = ("metadata_cache_enabled=true", "non_existent_files_cache_enabled=true", "file_cache=system")
# The engine gives an open file that loses its last name a hidden one.
HIDING = "support_posix_unlink_rename=false"


@dataclass(frozen=True)
class Subject:
    """How to get a place."""
    make: Callable[..., Place]

    def open(self, base: Base, *options: str) -> ContextManager[Place]:
        return open_place(lambda: self.make(base, *options))


def drive(name: str, *options: str) -> Subject:
    return Subject(lambda base, *more: Tenon(base, name, (*CACHED, *options, *more)))


def python(*options: str) -> Subject:
    return Subject(lambda base, *more: PythonProgram(base, (*CACHED, *options, *more)))


SUBJECTS: dict[str, Subject] = {
    # A scenario on which tmpfs and ext4 disagree says nothing about anybody else.
    "ext4": Subject(Ext4),
    "memory": drive("memory"),
    "memory, hiding": drive("memory", HIDING),
    "vault": drive("vault"),
    "vault, hiding": drive("vault", HIDING),
    "numbered": Subject(lambda base, *more: Numbered(base, CACHED, more)),
    "numbered, hiding": Subject(lambda base, *more: Numbered(base, (*CACHED, HIDING), more)),
    "python": python(),
    "python, hiding": python(HIDING),
}

if os.environ.get("TENON_THOROUGH"):
    # What is not cached, or asked for in other ways.
    SUBJECTS |= {f"memory, {option}": drive("memory", option)
                 for option in ("file_cache=none", "metadata_cache_enabled=false", "FileCachePolicyWriteThrough=true", "max_cached_nodes=4",
                                "fire_all_open_close_events=true", "serialize_access=true", "serialize_events=true", "implicit_open=true")}
    SUBJECTS |= {f"python, {option}": python(option)
                 for option in ("file_cache=none", "metadata_cache_enabled=false", "FileCachePolicyWriteThrough=true", "max_cached_nodes=4",
                                "fire_all_open_close_events=true", "implicit_open=true")}
