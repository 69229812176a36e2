"""A client that writes through shared mappings and the page cache, with every cache of the kernel at work.

Its file consists of pages, and a page of 8-byte slots. Change number n of a page puts n into slot n modulo their number,
so each content a page ever had says after which change it was, and no other content is one it ever had. The kernel writes
pages when it likes: each is found as of a moment of its own, and none earlier than the last sync of it. The file's name
counts, too; names reach the drive when they are changed.
"""
from __future__ import annotations

import mmap
import os
import pathlib
import random
from typing import Optional

PAGE = 4096
SLOTS = PAGE // 8
LARGEST = 12  # pages


def content_after(change: int) -> bytes:
    slots = [0] * SLOTS
    for number in range(max(1, change - SLOTS + 1), change + 1):
        slots[number % SLOTS] = number
    return b"".join(slot.to_bytes(8, "little") for slot in slots)


def change_of(content: bytes) -> int:
    """After which change a page was so; it must have been."""
    change = max(int.from_bytes(content[at:at + 8], "little") for at in range(0, PAGE, 8))
    assert content == content_after(change), f"a page that never was, after change {change}"
    return change


class MappedClient:
    """A sequence of operations that its seed decides, done for real or only on paper."""

    def __init__(self, seed: int, folder: Optional[str]):
        self.random = random.Random(seed)
        self.folder = folder
        self.number = 0
        self.flushed = False
        self.names = 0
        self.pages: list[int] = []  # the last change of each
        self.synced: list[int] = []  # the last change of each that is known to be stored
        self.size_synced = 0
        self.map: Optional[mmap.mmap] = None
        if folder:
            self.file = os.open(self.path(0), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)

    def path(self, name: int) -> str:
        return f"{self.folder}/a{name}"

    def next(self) -> None:
        self.number += 1
        self.flushed = False
        kinds = ["grow"]
        if self.pages:
            kinds = ["store"] * 60 + ["write"] * 20 + ["rename", "replace", "fsync", "fdatasync", "msync", "msync_page", "fsync_folder"]
        if 0 < len(self.pages) < LARGEST:
            kinds += ["grow"] * 2
        getattr(self, self.random.choice(kinds))()

    def change(self) -> tuple[int, bytes]:
        """The next change of some page: where in the file, and what goes there."""
        page = self.random.randrange(len(self.pages))
        self.pages[page] += 1
        return page * PAGE + self.pages[page] % SLOTS * 8, self.pages[page].to_bytes(8, "little")

    def store(self) -> None:
        at, _ = self.change()
        if self.map:
            with memoryview(self.map) as view, view.cast("Q") as slots:
                slots[at // 8] = self.pages[at // PAGE]  # one store instruction: nobody sees half of it

    def write(self) -> None:
        at, data = self.change()
        if self.folder:
            assert os.pwrite(self.file, data, at) == len(data)

    def grow(self) -> None:
        """By writing, so that the new size is the kernel's secret until the page is written back."""
        self.pages.append(0)
        self.synced.append(0)
        if self.folder:
            assert os.pwrite(self.file, bytes(PAGE), (len(self.pages) - 1) * PAGE) == PAGE
            if self.map:
                self.map.close()
            self.map = mmap.mmap(self.file, len(self.pages) * PAGE)

    def rename(self) -> None:
        self.names += 1
        if self.folder:
            os.rename(self.path(self.names - 1), self.path(self.names))

    def replace(self) -> None:
        """As those do it who want a new content or the old one: synced before it takes the other's place."""
        self.fsync()
        self.flushed = False
        self.names += 1
        if self.folder:
            os.close(os.open(self.path(self.names), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            os.rename(self.path(self.names - 1), self.path(self.names))

    def all_synced(self) -> None:
        self.flushed = True
        self.synced = self.pages[:]
        self.size_synced = len(self.pages)

    def fsync(self) -> None:
        if self.folder:
            os.fsync(self.file)
        self.all_synced()

    def fdatasync(self) -> None:
        if self.folder:
            os.fdatasync(self.file)
        self.all_synced()

    def msync(self) -> None:
        if self.map:
            self.map.flush()
        self.all_synced()

    def msync_page(self) -> None:
        page = self.random.randrange(len(self.pages))
        if self.map:
            self.map.flush(page * PAGE, PAGE)
        self.flushed = True
        self.synced[page] = self.pages[page]
        self.size_synced = max(self.size_synced, page + 1)

    def fsync_folder(self) -> None:
        """Says nothing of what is in the kernel's page cache, but all of names."""
        if self.folder:
            fd = os.open(self.folder, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        self.flushed = True


def expect_pages(seed: int, folder: pathlib.Path, begun: int, ended: int) -> None:
    """What is there is no older than what was synced when operation number `ended` had ended, no newer than `begun`."""
    client = MappedClient(seed, None)
    for _ in range(ended):
        client.next()
    oldest, least = client.synced[:], client.size_synced
    for _ in range(begun - ended):
        client.next()
    data = b"".join(path.read_bytes() for path in folder.iterdir())  # of two, one is new and empty
    assert len(data) % PAGE == 0 and least * PAGE <= len(data) <= len(client.pages) * PAGE
    for page, first in enumerate(oldest[:len(data) // PAGE]):
        change = change_of(data[page * PAGE:(page + 1) * PAGE])
        assert first <= change <= client.pages[page], f"page {page}: {first} <= {change} <= {client.pages[page]}"


def names_found(seed: int, folder: pathlib.Path, begun: int) -> list[int]:
    """After how many operations the file has the name that is there."""
    names = sorted(int(name[1:]) for name in os.listdir(folder))
    client = MappedClient(seed, None)
    fits = []
    for number in range(begun + 1):
        before = client.names
        if number:
            client.next()
        if names == [client.names]:
            fits.append(number)
        elif names == [before, client.names]:
            fits.append(number - 1)  # the one it is to replace is there, no more
    return fits
