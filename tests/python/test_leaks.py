"""Hundreds of thousands of events over all kinds of members: memory stays as it was.

TENON_THOROUGH=1: a million.
"""
from __future__ import annotations

import asyncio
import gc
import logging
import os
from datetime import datetime, timezone
from typing import Any, Callable

import pytest

import tenon

from .drives import Channel, Drive, Waiting

# A sanitizer keeps what was freed.
pytestmark = pytest.mark.usefixtures("plain_build")
EVENTS = 1_000_000 if os.environ.get("TENON_THOROUGH") else 100_000
PAGE = os.sysconf("SC_PAGE_SIZE")
# What may come and go in lists of free blocks: on one thread, and on several, which have lists of their own.
SLACK_BYTES = 256 << 10
SLACK_BYTES_OF_THREADS = 2 << 20
SLACK_OBJECTS = 200


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


def flat(fire: Callable[[], int], events: int, slack: int = SLACK_BYTES) -> None:
    """fire fires events and says how many."""
    def until(count: int) -> None:
        while count > 0:
            count -= fire()
    until(events // 10)
    gc.collect()
    objects, bytes_before = len(gc.get_objects()), resident()
    until(events)
    gc.collect()
    assert len(gc.get_objects()) - objects < SLACK_OBJECTS
    assert resident() - bytes_before < slack, (resident() - bytes_before) / events


class Everything(Drive):
    """Uses all kinds of members in each event, rightly and wrongly."""

    def get_file_info(self, e: Any) -> None:
        super().get_file_info(e)
        self.fired += 1
        e.creation_time = datetime(2020, 1, 1, tzinfo=timezone.utc)
        e.last_write_time_ns = 10**18 + self.fired
        assert e.creation_time and e.last_write_time and e.change_time_ns is None
        e.device = 2**63
        e.real_file_name = e.file_name[1:]
        for name, value in (("mode", -1), ("mode", "text"), ("short_file_name", "x" * 17), ("short_file_name", "\ud800"), ("file_name", "x"),
                            ("no_such", 1), ("last_write_time", 5), ("last_write_time_ns", 10**40), ("file_exists", None)):
            try:
                setattr(e, name, value)
                raise AssertionError(name)
            except (TypeError, ValueError, OverflowError, AttributeError):
                pass

    def open_file(self, e: Any) -> None:
        self.fired += 1
        e.file_context = ["file", e.file_name]
        e.handle_context = {"handle": e.handle_info}
        if self.fired % 7 == 0:
            raise PermissionError(13, "every seventh")

    def read_file(self, e: Any) -> None:
        self.fired += 1
        super().read_file(e)
        e.file_context = [e.file_context[0], e.position]
        assert bytes(e.buffer)[:1] and len(e.buffer) and e.buffer.value and e.buffer._as_parameter_ and repr(e.buffer) and repr(e)
        if self.fired % 11 == 0:
            raise ValueError(f"every eleventh: {self.fired}")
        if self.fired % 13 == 0:
            self.view = memoryview(e.buffer)

    def enumerate_directory(self, e: Any) -> None:
        self.fired += 1
        super().enumerate_directory(e)

    def note(self, name: str, e: Any) -> None:
        self.fired += 1

    def error(self, e: Any) -> None:
        assert e.description and e.error_code

    fired = 0
    view: Any = None


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest keeps what is logged.
    monkeypatch.setattr(logging.getLogger("tenon"), "disabled", True)


def round_of(drive: Everything, channel: Channel) -> int:
    before = drive.fired
    for name in ("/a", "/b"):
        try:
            with channel.open(name) as handle:
                for _ in range(3):
                    try:
                        handle.read()
                    except OSError:
                        pass
        except PermissionError:
            pass
    try:
        channel.names("/")
        channel.node("/missing")
    except (PermissionError, FileNotFoundError):
        pass
    return drive.fired - before


def test_plain() -> None:
    drive = Everything()
    with Channel(drive) as channel:
        flat(lambda: round_of(drive, channel), EVENTS)


def test_on_worker_threads() -> None:
    drive = Everything()
    drive.cbfs.serialize_access = False
    with Channel(drive, in_line=False) as channel:
        def fire() -> int:
            return sum(each.result() for each in [Waiting(lambda: round_of(drive, channel)) for _ in range(2)])
        flat(fire, EVENTS // 5, SLACK_BYTES_OF_THREADS)


def test_coroutines() -> None:
    async def read_file(e: Any) -> None:
        await asyncio.sleep(0)
        Drive.read_file(drive, e)
        drive.fired += 1
        if drive.fired % 11 == 0:
            raise ValueError("every eleventh")
    drive = Everything()
    drive.cbfs.on_read_file = read_file
    with Channel(drive, in_line=False) as channel:
        flat(lambda: round_of(drive, channel), EVENTS // 10, SLACK_BYTES_OF_THREADS)


def test_deferred() -> None:
    def read_file(e: Any) -> None:
        drive.fired += 1
        e.defer()
        e.file_context = [drive.fired]
        e.on_cancel = lambda: None
        # Every fifth is dropped.
        if drive.fired % 5:
            e.complete()
    drive = Everything()
    drive.cbfs.on_read_file = read_file
    with Channel(drive, in_line=False) as channel:
        flat(lambda: round_of(drive, channel), EVENTS // 10, SLACK_BYTES_OF_THREADS)


def test_volumes() -> None:
    def one() -> None:
        drive = Drive()
        with Channel(drive) as channel:
            channel.read("/a")
        for name in ("NoSuchSetting", "Umask=9"):
            try:
                drive.cbfs.config(name)
            except tenon.CBFSError:
                pass

    def fire() -> int:
        for _ in range(20):
            one()
        # A drive and its volume refer to each other.
        gc.collect()
        return 200
    flat(fire, EVENTS // 10)
