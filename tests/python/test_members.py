"""Members of parameter objects: who may set them, what they take, and what comes out at the other end."""
from __future__ import annotations

import ctypes
import os
import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable

import pytest

import tenon

from .drives import SETATTR, STATFS, Channel, Drive
from .edition import API

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROOM = {member["name"]: member.get("room") for event in API["event"] for member in event["members"]}


def inside(look: Callable[[Any, Drive], None], event: str = "get_file_info", act: Callable[[Channel], object] = lambda channel: channel.node("/a")) -> Any:
    """Runs look in a handler, and raises here what it has raised there. What the kernel was answered, or the OSError."""
    seen: list[Any] = []

    def handler(e: Any) -> None:
        if event != "get_file_info" or e.file_name == "/a":
            getattr(drive, event, lambda e: None)(e)
            try:
                look(e, drive)
                seen.append(None)
            except BaseException as failure:
                seen.append(failure)
                raise
        else:
            drive.get_file_info(e)
    drive = Drive(**{event: handler})
    with Channel(drive) as channel:
        try:
            answer: Any = act(channel)
        except OSError as error:
            answer = error
    assert seen, f"{event} did not fire"
    if seen[0]:
        raise seen[0]
    return answer


def request(opcode: int) -> Callable[[Channel], bytes]:
    return lambda channel: channel.request(opcode, 1)


ACTS: dict[str, Callable[[Channel], object]] = {
    "get_file_info": lambda channel: channel.node("/a"),
    "enumerate_directory": lambda channel: channel.names("/"),
    "close_directory_enumeration": lambda channel: channel.names("/"),
    "open_file": lambda channel: channel.read("/a"),
    "read_file": lambda channel: channel.read("/a"),
    "cleanup_file": lambda channel: channel.read("/a"),
    "close_file": lambda channel: channel.read("/a"),
    "create_file": lambda channel: channel.create("/new").release(),
    "write_file": lambda channel: channel.create("/new").write(b"text"),
    "delete_file": lambda channel: channel.unlink("/a"),
    "can_file_be_deleted": lambda channel: channel.unlink("/a"),
    "get_volume_size": request(STATFS),
    "mount": lambda channel: None,
    "unmount": lambda channel: channel.cbfs.unmount_media(True),
    "get_volume_id": lambda channel: None,
}
# Another value of each kind than what is there, and what it is read as.
OTHER = {"bool": True, "int32": 5, "uint32": 6, "int64": 7, "uint64": 8, "context": "context", "text": "name",
         "time": datetime(2020, 2, 2, tzinfo=UTC)}


@pytest.mark.parametrize("event", ACTS)
def test_who_may_be_set(event: str) -> None:
    members = next(each for each in API["event"] if each["name"] == event)["members"]

    def look(e: Any, drive: Drive) -> None:
        for member in members:
            name, kind = member["name"], member["type"]
            before = getattr(e, name)
            if member.get("dir", "in") == "in":
                for value in (before, 0, None):
                    with pytest.raises(AttributeError):
                        setattr(e, name, value)
            else:
                setattr(e, name, OTHER[kind])
                assert getattr(e, name) == OTHER[kind]
                setattr(e, name, before)
            if kind == "context":
                continue
            with pytest.raises(AttributeError):
                delattr(e, name)
        for typo in ("resultcode", "fileName", "no_such_member"):
            with pytest.raises(AttributeError):
                setattr(e, typo, 0)
        assert not hasattr(e, "__dict__")
    seen = []

    def once(e: Any, drive: Drive) -> None:
        if not seen:
            seen.append(1)
            look(e, drive)
    if event in ("mount", "get_volume_id"):
        drive = Drive(**{event: lambda e: look(e, drive)})
        with Channel(drive):
            assert not drive.errors
    else:
        inside(once, event, ACTS[event])


@pytest.mark.parametrize(("name", "low", "high"), [("size", -2**63, 2**63 - 1), ("mode", 0, 2**32 - 1), ("device", 0, 2**64 - 1),
                                                   ("result_code", -2**31, 2**31 - 1)])
def test_numbers(name: str, low: int, high: int) -> None:
    def look(e: Any, drive: Drive) -> None:
        before = getattr(e, name)
        for value in (low, high, 0, True):
            setattr(e, name, value)
            assert getattr(e, name) == value and type(getattr(e, name)) is int
        setattr(e, name, before)
        for value in (low - 1, high + 1, 2**200, -2**200):
            with pytest.raises(OverflowError):
                setattr(e, name, value)
        for value in ("1", 1.0, None, b"1", object()):
            with pytest.raises(TypeError):
                setattr(e, name, value)
        with pytest.raises(ZeroDivisionError):
            setattr(e, name, type("Broken", (), {"__index__": lambda self: 1 // 0})())
        setattr(e, name, type("Index", (), {"__index__": lambda self: 5})())
        assert getattr(e, name) == 5
        setattr(e, name, before)
    inside(look)


def test_truth() -> None:
    def look(e: Any, drive: Drive) -> None:
        for value, read in ((True, True), (False, False), (1, True), (0, False), (5, True)):
            e.file_exists = value
            assert e.file_exists is read
        for wrong in (None, "", "yes", 1.0, []):
            with pytest.raises(TypeError):
                e.file_exists = wrong
        e.file_exists = True
    inside(look)


# ------------------------------------------------------------------------------------------------- texts

def test_odd_names_come_in() -> None:
    name = "/" + os.fsdecode(b"\xff\xfe odd \xc3\xa4 \xe2\x82\xac")
    drive = Drive()
    drive.files[name] = bytearray(b"odd")
    with Channel(drive) as channel:
        assert channel.read(name) == b"odd"
        with pytest.raises(FileNotFoundError):
            channel.node(b"/\xfe")
    assert f"open_file {name}" in drive.trace


@pytest.mark.parametrize("given", ["plain", "ä€😀", os.fsdecode(b"\xff\x80odd"), b"bytes\xff", Path("path"), "x" * 255], ids=repr)
def test_names_go_out(given: Any) -> None:
    def enumerate_directory(e: Any) -> None:
        if not e.enumeration_context:
            e.enumeration_context = True
            e.file_found = True
            e.file_name = given
            seen.append(e.file_name)
    seen: list[str] = []
    with Channel(Drive(enumerate_directory=enumerate_directory)) as channel:
        assert channel.names("/") == [os.fsdecode(given)]
    assert seen == [os.fsdecode(given)]


@pytest.mark.parametrize(("wrong", "error"), [("a\0b", ValueError), (b"a\0b", ValueError), ("\ud800", UnicodeEncodeError), ("\udc7f", UnicodeEncodeError),
                                              ("x" * 256, ValueError), ("ä" * 128, ValueError), (1, TypeError), (None, TypeError),
                                              (["a"], TypeError), (bytearray(b"a"), TypeError)], ids=repr)
def test_names_that_are_none(wrong: Any, error: type[Exception]) -> None:
    def look(e: Any, drive: Drive) -> None:
        before = e.file_name
        with pytest.raises(error):
            e.file_name = wrong
        assert e.file_name == before
    inside(look, "enumerate_directory", lambda channel: channel.names("/"))


@pytest.mark.parametrize(("name", "event"), [("short_file_name", "get_file_info"), ("real_file_name", "get_file_info"),
                                            ("file_name", "enumerate_directory")])
def test_room_of_texts(name: str, event: str) -> None:
    room = {"short_file_name": 16, "real_file_name": 256, "file_name": 256}[name]

    def look(e: Any, drive: Drive) -> None:
        setattr(e, name, "y" * (room - 1))
        assert getattr(e, name) == "y" * (room - 1)
        with pytest.raises(ValueError, match=str(room - 1)):
            setattr(e, name, "y" * room)
        setattr(e, name, "")
        assert getattr(e, name) == ""
        setattr(e, name, "back")
    inside(look, event, ACTS[event])


# ------------------------------------------------------------------------------------------------- times

TIMES = [
    (EPOCH, 0),
    (datetime(2001, 9, 9, 1, 46, 40, 123456, tzinfo=UTC), 10**18 + 123456000),
    (datetime(2001, 9, 9, 1, 46, 40), 10**18),
    (datetime(2001, 9, 9, 3, 46, 40, tzinfo=timezone(timedelta(hours=2))), 10**18),
    (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), -1000),
    (datetime(1901, 1, 1, tzinfo=UTC), -2177452800 * 10**9),
    (datetime(2261, 1, 1, tzinfo=UTC), 9183110400 * 10**9),
]


@pytest.mark.parametrize(("given", "nanoseconds"), TIMES, ids=str)
def test_times(given: datetime, nanoseconds: int) -> None:
    def look(e: Any, drive: Drive) -> None:
        e.last_write_time = given
        assert e.last_write_time_ns == nanoseconds
        assert e.last_write_time == (given if given.tzinfo else given.replace(tzinfo=UTC)) and e.last_write_time.tzinfo == UTC
        e.change_time_ns = nanoseconds + 7
        assert e.change_time_ns == nanoseconds + 7 and e.change_time == e.last_write_time
    _, answer = inside(look, act=lambda channel: channel.entry("/a"))
    mtime, ctime, nanos = answer[4], answer[5], answer[6:9]
    assert (mtime - (1 << 64) if mtime >> 63 else mtime) * 10**9 + nanos[1] == nanoseconds
    assert (ctime - (1 << 64) if ctime >> 63 else ctime) * 10**9 + nanos[2] == nanoseconds + 7


def test_times_not_given() -> None:
    def look(e: Any, drive: Drive) -> None:
        assert e.creation_time_ns is None and e.creation_time == EPOCH
        e.creation_time = EPOCH
        assert e.creation_time_ns == 0
        e.creation_time = None
        assert e.creation_time_ns is None
        e.creation_time_ns = 1
        e.creation_time_ns = None
        assert e.creation_time_ns is None and e.creation_time == EPOCH
    inside(look)


def test_far_times() -> None:
    """Far beyond datetime's years in nanoseconds; what 64 bits of nanoseconds do not hold is refused, and breaks nothing."""
    def look(e: Any, drive: Drive) -> None:
        for far in (2**63 - 1, -2**63):
            e.last_write_time_ns = far
            assert e.last_write_time_ns == far
        for year in (datetime.max, datetime.min):
            try:
                e.last_write_time = year
            except OverflowError:
                continue
            assert e.last_write_time == year.replace(tzinfo=UTC)
        for beyond in (10**30, -10**30):
            with pytest.raises(OverflowError):
                e.last_write_time_ns = beyond
        for wrong in ("2020", 1.5, object()):
            with pytest.raises(TypeError):
                e.last_write_time = wrong
            with pytest.raises(TypeError):
                e.last_write_time_ns = wrong
        for attribute in ("last_write_time", "last_write_time_ns"):
            with pytest.raises(AttributeError):
                delattr(e, attribute)
        e.last_write_time_ns = 0
    inside(look)


def test_times_beyond_datetime_come_in() -> None:
    """utimensat(2) may bring a time after the year 9999: nanoseconds have it, and datetime says what is the matter."""
    seen: list[Any] = []

    def set_file_attributes(e: Any) -> None:
        assert e.valid & tenon.SET_LAST_WRITE_TIME
        seen.append(e.last_write_time_ns)
        try:
            seen.append(e.last_write_time)
        except (OverflowError, ValueError) as error:
            seen.append(error)
    drive = Drive(set_file_attributes=set_file_attributes)
    with Channel(drive) as channel:
        for seconds in (300_000_000_000, 2**62, -2**62, 10**9):
            body = struct.pack("<II6Q8I", 1 << 5, 0, 0, 0, 0, 0, seconds & (2**64 - 1), 0, 0, 5, 0, 0, 0, 0, 0, 0)
            channel.request(SETATTR, channel.node("/a"), body)
    assert seen[0] == 300_000_000_000 * 10**9 + 5 and seen[2] == 2**62 * 10**9 + 5 and seen[4] == -2**62 * 10**9 + 5
    assert all(isinstance(each, Exception) for each in (seen[1], seen[3], seen[5]))
    assert seen[6] == 10**18 + 5 and seen[7] == EPOCH + timedelta(seconds=10**9)
    assert not drive.errors


# ----------------------------------------------------------------------------------------------- buffers

@pytest.mark.parametrize("copy", [
    lambda e, data: memoryview(e.buffer).__setitem__(slice(0, len(data)), data),
    lambda e, data: ctypes.memmove(e.buffer, data, len(data)),
    lambda e, data: ctypes.memmove(e.buffer.value, data, len(data)),
    lambda e, data: (ctypes.c_char * len(e.buffer)).from_buffer(e.buffer).__setitem__(slice(0, len(data)), data),
], ids=["memoryview", "memmove", "value", "from_buffer"])
def test_filling_a_buffer(copy: Callable[[Any, bytes], object]) -> None:
    def look(e: Any, drive: Drive) -> None:
        assert len(e.buffer) == e.bytes_to_read == 100 and e.buffer is e.buffer
        copy(e, b"filled")
        e.bytes_read = 6
        assert bytes(e.buffer)[:6] == b"filled" and ctypes.string_at(e.buffer, 6) == b"filled"
        with pytest.raises((ValueError, IndexError)):
            memoryview(e.buffer)[:200] = bytes(200)

    assert inside(look, "read_file", lambda channel: channel.read("/a", 100)) == b"filled"


def test_data_is_read_only() -> None:
    def look(e: Any, drive: Drive) -> None:
        view = memoryview(e.buffer)
        assert view.readonly and bytes(view) == b"text" and len(view) == e.bytes_to_write
        with pytest.raises(TypeError):
            view[:1] = b"T"
        with pytest.raises((TypeError, BufferError)):
            (ctypes.c_char * 4).from_buffer(e.buffer)
        view.release()
    inside(look, "write_file", ACTS["write_file"])


def test_a_buffer_has_only_its_room() -> None:
    """Setting bytes_read first, or asking late, does not change how large the buffer is."""
    def look(e: Any, drive: Drive) -> None:
        e.bytes_read = 3
        assert len(e.buffer) == 100
        assert memoryview(e.buffer).nbytes == 100
        e.bytes_read = 0
    inside(look, "read_file", lambda channel: channel.read("/a", 100))
