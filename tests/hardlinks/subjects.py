"""Who must agree with tmpfs about hard links. One more subject is one more entry in SUBJECTS."""
from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Callable, ContextManager, Iterator

from conftest import open_place
from parity.places import Base, Ext4, Place, Tenon

# All caches on, for as long as they last; it is the default.
CACHED = ("metadata_cache_enabled=true", "non_existent_files_cache_enabled=true", "file_cache=system")
# The engine gives an open file that loses its last name a hidden one.
HIDING = "support_posix_unlink_rename=false"


@dataclass(frozen=True)
class Subject:
    """How to get a place, and which scenarios it cannot take part in (name: why)."""
    make: Callable[[Base], Place]
    lacks: tuple[str, ...] = ()

    def open(self, base: Base) -> ContextManager[Place]:
        return open_place(lambda: self.make(base))


def drive(name: str, *options: str) -> Subject:
    return Subject(lambda base: Tenon(base, name, (*CACHED, *options)))


SUBJECTS: dict[str, Subject] = {
    # A scenario on which tmpfs and ext4 disagree says nothing about anybody else.
    "ext4": Subject(Ext4),
    "memory": drive("memory"),
    "memory, hiding": drive("memory", HIDING),
    "vault": drive("vault"),
    "vault, hiding": drive("vault", HIDING),
}
