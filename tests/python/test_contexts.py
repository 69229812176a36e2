"""Contexts hold any object, hand on the very object, and let go of it when the context ends: docs/contexts.md has the lifetimes.

Each object is watched by a weak reference, so that one that is let go of late shows, and one that is let go of twice crashes.
"""
from __future__ import annotations

import errno
import gc
import os
import struct
import sys
import weakref
from typing import Any, Callable

import pytest

import tenon

from .drives import LINK, MKDIR, RMDIR, TEXT, Channel, Drive, Waiting


class Thing:
    """Something to hold."""

    alive: weakref.WeakSet[Thing] = weakref.WeakSet()

    def __init__(self, name: str = "") -> None:
        self.name = name
        Thing.alive.add(self)

    def __repr__(self) -> str:
        return f"<{self.name}>"


def alive() -> list[str]:
    return sorted(thing.name for thing in Thing.alive)


@pytest.fixture(autouse=True)
def none_is_left() -> Any:
    Thing.alive.clear()
    yield
    gc.collect()
    assert alive() == []


OBJECTS = [1, -1, 2**200, -2**63, True, False, 0.0, "", "text", b"", [], {}, (), object(), Thing, print, lambda: None, type, Ellipsis, NotImplemented,
           ValueError("x"), float("nan")]


@pytest.mark.parametrize("given", OBJECTS, ids=lambda given: type(given).__name__)
def test_any_object(given: Any) -> None:
    seen: list[Any] = []
    before = sys.getrefcount(given)

    def open_file(e: Any) -> None:
        seen.append(e.file_context)
        e.file_context = e.handle_context = given
        assert e.file_context is given

    def look(e: Any) -> None:
        seen.extend((e.file_context, e.handle_context))
    with Channel(Drive(open_file=open_file, read_file=look, close_file=look)) as channel:
        assert channel.read("/a") == b""
    assert seen[0] == 0 and type(seen[0]) is int and len(seen) == 5
    assert all(each is given for each in seen[1:])
    seen.clear()
    # Others use small numbers and names as well.
    if not isinstance(given, (int, float, str, bytes, tuple)):
        assert sys.getrefcount(given) == before


@pytest.mark.parametrize("nothing", [0, None])
def test_nothing(nothing: Any) -> None:
    seen: list[Any] = []

    def open_file(e: Any) -> None:
        e.file_context = e.handle_context = nothing
        seen.append(e.file_context)

    def read_file(e: Any) -> None:
        seen.extend((e.file_context, e.handle_context))
        e.file_context = Thing("file")
        e.file_context = nothing
        assert alive() == []
        seen.append(e.file_context)
    drive = Drive(open_file=open_file, read_file=read_file, close_file=lambda e: seen.append(e.file_context))
    with Channel(drive) as channel:
        channel.read("/a")
    assert seen == [0] * 5 and {type(each) for each in seen} == {int}


def test_deleting() -> None:
    def read_file(e: Any) -> None:
        e.file_context = 5
        with pytest.raises(AttributeError):
            del e.file_context
        assert e.file_context == 5
    drive = Drive(read_file=read_file)
    with Channel(drive) as channel:
        channel.read("/a")
    assert not drive.errors


def setting(**contexts: str) -> Callable[[Any], None]:
    """A handler that sets contexts to new things of these names."""
    def handler(e: Any) -> None:
        for member, name in contexts.items():
            setattr(e, member, Thing(name))
    return handler


def test_one_open() -> None:
    drive = Drive(open_file=setting(file_context="file", handle_context="handle"))
    with Channel(drive) as channel:
        with channel.open("/a") as handle:
            assert alive() == ["file", "handle"]
            handle.read()
            assert alive() == ["file", "handle"]
        assert alive() == []


def test_two_handles_share_one_open() -> None:
    drive = Drive(open_file=setting(file_context="file", handle_context="handle"))
    with Channel(drive) as channel:
        first, second = channel.open("/a"), channel.open("/a")
        first.release()
        assert alive() == ["file", "handle"]
        second.release()
        assert alive() == []


def test_each_handle_its_own() -> None:
    opens = iter(range(9))

    def open_file(e: Any) -> None:
        if not e.file_context:
            e.file_context = Thing("file")
        assert e.handle_context == 0
        e.handle_context = Thing(f"handle {next(opens)}")
    drive = Drive(open_file=open_file)
    drive.cbfs.fire_all_open_close_events = True
    with Channel(drive) as channel:
        first, second = channel.open("/a"), channel.open("/a")
        assert alive() == ["file", "handle 0", "handle 1"]
        first.release()
        assert alive() == ["file", "handle 1"]
        third = channel.open("/a")
        second.release()
        assert alive() == ["file", "handle 2"]
        third.release()
        assert alive() == []


def test_a_closing_handler_sees_them_last() -> None:
    seen: list[Any] = []

    def close_file(e: Any) -> None:
        seen.append((e.file_context.name, e.handle_context.name, alive()))
        for member in ("file_context", "handle_context"):
            with pytest.raises(AttributeError):
                setattr(e, member, None)
    drive = Drive(open_file=setting(file_context="file", handle_context="handle"), close_file=close_file)
    with Channel(drive) as channel:
        channel.read("/a")
        assert alive() == []
    assert seen == [("file", "handle", ["file", "handle"])] and not drive.errors


def test_a_context_that_the_program_keeps() -> None:
    kept: list[Thing] = []
    drive = Drive(open_file=setting(file_context="file"), close_file=lambda e: kept.append(e.file_context))
    with Channel(drive) as channel:
        channel.read("/a")
        assert alive() == ["file"]
    kept.clear()
    assert alive() == []


def test_replaced() -> None:
    counts = iter(range(9))

    def read_file(e: Any) -> None:
        before = e.file_context
        e.file_context = Thing(f"file {next(counts)}")
        del before
    drive = Drive(open_file=setting(file_context="file", handle_context="handle"), read_file=read_file)
    with Channel(drive) as channel:
        with channel.open("/a") as handle:
            for i in range(3):
                handle.read()
                assert alive() == [f"file {i}", "handle"]
        assert alive() == []


def test_set_for_the_first_time_in_a_read() -> None:
    drive = Drive(read_file=setting(file_context="file", handle_context="handle"))
    with Channel(drive) as channel:
        with channel.open("/a") as handle:
            handle.read()
            assert alive() == ["file", "handle"]
        assert alive() == []


def test_kept_when_an_event_fails() -> None:
    def read_file(e: Any) -> None:
        setting(file_context="read")(e)
        raise OSError(errno.EACCES, "")
    drive = Drive(open_file=setting(file_context="file"), read_file=read_file)
    with Channel(drive) as channel:
        with channel.open("/a") as handle:
            with pytest.raises(PermissionError):
                handle.read()
            assert alive() == ["read"]
        assert alive() == []


@pytest.mark.parametrize("failure", [PermissionError(errno.EACCES, ""), ValueError("x"), KeyboardInterrupt()], ids=repr)
def test_an_open_that_fails(failure: BaseException) -> None:
    def handler(e: Any) -> None:
        setting(file_context="file", handle_context="handle")(e)
        raise failure
    drive = Drive(open_file=handler, create_file=handler)
    with Channel(drive) as channel:
        for act in (lambda: channel.open("/a"), lambda: channel.create("/new")):
            with pytest.raises(OSError):
                act()
            failure.__traceback__ = None
            assert alive() == []


def test_an_open_that_fails_leaves_the_files_own() -> None:
    def open_file(e: Any) -> None:
        if not e.file_context:
            setting(file_context="own", handle_context="first")(e)
            return
        setting(file_context="other", handle_context="second")(e)
        e.result_code = errno.EACCES
    seen: list[str] = []

    def read_file(e: Any) -> None:
        seen.append(e.file_context.name)
    drive = Drive(open_file=open_file, read_file=read_file)
    drive.cbfs.fire_all_open_close_events = True
    with Channel(drive) as channel:
        with channel.open("/a") as handle:
            with pytest.raises(PermissionError):
                channel.open("/a")
            assert alive() == ["first", "own"]
            handle.read()
        assert alive() == [] and seen == ["own"]


def test_listings() -> None:
    def enumerate_directory(e: Any) -> None:
        if e.restart:
            assert e.enumeration_context == 0
            e.enumeration_context = Thing("listing")
            e.file_found, e.file_name = True, "a"
        else:
            assert e.enumeration_context.name == "listing"
    closed: list[str] = []
    for handlers in ({"close_directory_enumeration": lambda e: closed.append(e.enumeration_context.name)}, {}):
        drive = Drive(enumerate_directory=enumerate_directory, open_file=setting(file_context="directory", handle_context="handle"), **handlers)
        with Channel(drive) as channel:
            with channel.opendir("/") as handle:
                assert list(handle.names()) == ["a"]
                assert alive() == ["directory", "handle", "listing"]
                # From the beginning: another enumeration.
                assert list(handle.names()) == ["a"]
                assert alive() == ["directory", "handle", "listing"]
            assert alive() == []
    assert closed == ["listing", "listing"]


def test_the_engines_own_listing() -> None:
    """rmdir(2) looks whether a directory is empty."""
    def enumerate_directory(e: Any) -> None:
        if e.restart:
            e.enumeration_context = Thing("listing")
    drive = Drive(enumerate_directory=enumerate_directory)
    drive.files["/d"] = None
    with Channel(drive) as channel:
        channel.node("/d")
        channel.request(RMDIR, 1, b"d\0")
        assert alive() == []
    assert "/d" not in drive.files


@pytest.mark.parametrize("fire_all", [False, True])
@pytest.mark.parametrize("implicit", [False, True])
def test_brackets(implicit: bool, fire_all: bool) -> None:
    """unlink(2) of a closed file: in a bracket the event has the contexts of the open; without, what is set is dropped."""
    seen: list[Any] = []

    def can_file_be_deleted(e: Any) -> None:
        seen.append(getattr(e.file_context, "name", 0))
        setting(file_context="asked", handle_context="asked handle")(e)
    drive = Drive(open_file=setting(file_context="file", handle_context="handle"), can_file_be_deleted=can_file_be_deleted)
    drive.cbfs.implicit_open = implicit
    drive.cbfs.fire_all_open_close_events = fire_all
    with Channel(drive) as channel:
        channel.unlink("/a")
        assert alive() == []
    assert seen == ["file" if implicit else 0] and "/a" not in drive.files


def test_what_delete_file_sets() -> None:
    def delete_file(e: Any) -> None:
        seen.append(e.file_context.name)
        e.file_context = Thing("deleted")
        drive.delete_file(e)
    seen: list[str] = []
    drive = Drive(open_file=setting(file_context="file"), delete_file=delete_file)
    with Channel(drive) as channel:
        channel.unlink("/a")
        assert alive() == [] and seen == ["file"]


def test_mkdir() -> None:
    drive = Drive(create_file=lambda e: (drive.create_file(e), setting(file_context="file", handle_context="handle")(e), None)[-1])
    with Channel(drive) as channel:
        channel.request(MKDIR, 1, struct.pack("II", 0o755, 0) + b"new\0")
        assert alive() == []
    assert drive.files["/new"] is None


def test_the_names_of_a_file() -> None:
    def enumerate_hard_links(e: Any) -> None:
        if not e.enumeration_context:
            setting(enumeration_context="names")(e)
            e.link_found, e.link_name, e.parent_id = True, "a", tenon.ROOT_ID

    def create_hard_link(e: Any) -> None:
        drive.files[e.link_name] = drive.files[e.file_name]

    def get_file_name_by_file_id(e: Any) -> None:
        e.file_path = "/a"

    def get_file_info(e: Any) -> None:
        drive.get_file_info(e)
        e.file_id = 1 if e.file_name == "/" else 2
    drive = Drive(open_file=setting(file_context="file", handle_context="handle"), create_hard_link=create_hard_link,
                  enumerate_hard_links=enumerate_hard_links, close_hard_links_enumeration=lambda e: None,
                  get_file_name_by_file_id=get_file_name_by_file_id, get_file_info=get_file_info)
    drive.cbfs.use_hard_links = True
    with Channel(drive) as channel:
        channel.node("/a")
        assert drive.cbfs.get_links("/a") == ["/a"]
        assert drive.cbfs.get_links(b"/a") == ["/a"]
        assert alive() == []
        channel.request(LINK, 1, struct.pack("Q", channel.node("/a")) + b"second\0")
        assert alive() == []


@pytest.mark.parametrize("handlers", [{}, {"close_file": None, "cleanup_file": None}], ids=["closing", "not_closing"])
@pytest.mark.parametrize("fire_all", [False, True])
def test_a_forced_end(fire_all: bool, handlers: dict[str, None]) -> None:
    """Files and listings are open when the volume is unmounted by force: the engine closes them."""
    drive = Drive(open_file=setting(file_context="file", handle_context="handle"), read_file=setting(file_context="read"), **handlers)
    drive.cbfs.fire_all_open_close_events = fire_all
    channel = Channel(drive)
    first, _, listing = channel.open("/a"), channel.open("/b"), channel.opendir("/")
    first.read()
    list(listing.names())
    assert len(alive()) == 6
    drive.cbfs.delete_storage(True)
    assert alive() == []


def test_the_end_of_a_deferred_event() -> None:
    later: list[Any] = []

    def read_file(e: Any) -> None:
        e.file_context = Thing("before")
        e.defer()
        e.file_context = Thing("after")
        later.append(e)
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        handle = channel.open("/a")
        waiting = Waiting(handle.read)
        while not later:
            pass
        later.pop().complete()
        assert waiting.result() == b""
        assert alive() == ["after"]
        handle.release()
    assert alive() == []


def test_a_deferred_event_that_is_dropped() -> None:
    def open_file(e: Any) -> None:
        e.defer()
        setting(file_context="file", handle_context="handle")(e)
    drive = Drive(open_file=open_file)
    with Channel(drive, in_line=False) as channel:
        with pytest.raises(OSError) as caught:
            channel.open("/a")
        assert caught.value.errno == errno.EIO
    assert alive() == [] and len(drive.errors) == 1


class Troubled(Thing):
    """Its end does something."""

    def __init__(self, end: Callable[[], object]) -> None:
        super().__init__("troubled")
        self.end = end

    def __del__(self) -> None:
        self.end()


def test_an_end_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: raised.append(unraisable.exc_type))
    drive = Drive(open_file=lambda e: setattr(e, "file_context", Troubled(lambda: 1 // 0)))
    with Channel(drive) as channel:
        for i in range(3):
            assert channel.read("/a") == TEXT
            assert raised == [ZeroDivisionError] * (i + 1)
    assert not drive.errors


def test_an_end_that_calls_the_volume() -> None:
    outcomes: list[Any] = []

    def end() -> None:
        outcomes.append(drive.cbfs.active)
        for call in (lambda: drive.cbfs.unmount_media(True), lambda: drive.cbfs.delete_storage(True), lambda: drive.cbfs.get_links("/a"),
                     drive.cbfs.get_originator_process_id, lambda: drive.cbfs.config("Umask=0")):
            try:
                outcomes.append(call())
            except tenon.CBFSError as error:
                outcomes.append(error.errno)
    drive = Drive(open_file=lambda e: setattr(e, "file_context", Troubled(end)))
    with Channel(drive) as channel:
        assert channel.read("/a") == TEXT
        assert channel.read("/b") == b"b"
    assert outcomes[0] is True and len(outcomes) == 12
    assert all(isinstance(each, int) and each in (errno.EDEADLK, errno.EBUSY, errno.EINVAL) for each in outcomes[1:6]), outcomes


def test_an_object_that_refers_to_its_own_event() -> None:
    """A cycle through a context goes when the context has ended."""
    def open_file(e: Any) -> None:
        thing = Thing("cycle")
        thing.event, thing.self = e, thing  # type: ignore[attr-defined]
        e.file_context = thing
    drive = Drive(open_file=open_file)
    with Channel(drive) as channel:
        channel.read("/a")
    gc.collect()
    assert alive() == []


def test_on_a_real_mount(mount: Callable[..., Any]) -> None:
    """Threads open, read, list and delete at random; afterwards nothing is held."""
    def open_file(e: Any) -> None:
        if not e.file_context:
            e.file_context = Thing("file")
        e.handle_context = Thing("handle")

    def read_file(e: Any) -> None:
        assert e.file_context.name == "file"
        drive.read_file(e)

    def work(number: int, root: Any) -> None:
        for i in range(30):
            name = root / f"{number}-{i % 3}"
            name.write_bytes(b"some")
            with open(name, "rb") as one, open(name, "rb") as two:
                assert one.read() == two.read() == b"some"
            os.listdir(root)
            name.unlink()
    drive = Drive(open_file=open_file, create_file=lambda e: (drive.create_file(e), open_file(e))[1], read_file=read_file)
    with mount(drive, fire_all_open_close_events=True, file_cache=tenon.FILE_CACHE_NONE) as root:
        for each in [Waiting(lambda number=number: work(number, root)) for number in range(4)]:  # type: ignore[misc]
            each.result()
    assert alive() == [] and not drive.errors


def test_a_real_mount_that_is_cut_off(place: Any) -> None:
    drive = Drive(open_file=setting(file_context="file", handle_context="handle"))
    with drive.cbfs.mounted(place):
        descriptors = [os.open(place / name, os.O_RDONLY) for name in ("a", "b")]
        assert len(alive()) == 4
    assert alive() == []
    for descriptor in descriptors:
        with pytest.raises(OSError):
            os.close(descriptor)
