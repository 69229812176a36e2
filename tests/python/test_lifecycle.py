"""The life of a volume in a Python program: blocks, threads, handlers that call methods, garbage, and waiting."""
from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any, Callable

import pytest

import tenon
from parity.places import mounts

from .drives import GUID, TEXT, Channel, Drive, Waiting


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_mounted(place: Path) -> None:
    before = descriptors()
    drive = Drive()
    for _ in range(2):
        with drive.cbfs.mounted(place) as cbfs:
            assert cbfs is drive.cbfs and cbfs.active and (place / "a").read_bytes() == TEXT
            assert [entry.point for entry in mounts(place)] == [str(place)]
        assert not cbfs.active and not mounts(place)
    assert descriptors() == before


def test_mounted_twice_at_once(place: Path) -> None:
    (place / "one").mkdir()
    (place / "two").mkdir()
    drive = Drive()
    with drive.cbfs.mounted(place / "one"):
        drive.cbfs.add_mounting_point(place / "two")
        assert (place / "one/a").read_bytes() == (place / "two/a").read_bytes() == TEXT
    assert not mounts(place)


def test_an_exception_in_the_block_unmounts(place: Path) -> None:
    drive = Drive()
    with pytest.raises(ZeroDivisionError):
        with drive.cbfs.mounted(place):
            with open(place / "a", "rb"):
                1 // 0
    assert not drive.cbfs.active and not mounts(place)


def test_a_block_that_cannot_begin(place: Path) -> None:
    drive = Drive()
    with pytest.raises(tenon.CBFSError) as caught:
        with drive.cbfs.mounted(place / "missing"):
            raise AssertionError
    assert caught.value.errno == errno.ENOENT
    drive.cbfs.on_mount = lambda e: setattr(e, "result_code", errno.ENOMEDIUM)
    with pytest.raises(tenon.CBFSError) as caught:
        with drive.cbfs.mounted(place):
            raise AssertionError
    assert caught.value.errno == errno.ENOMEDIUM
    drive.cbfs.on_mount = drive.cbfs.on_read_file = None
    with pytest.raises(tenon.CBFSError, match="read_file") as caught:
        with drive.cbfs:
            raise AssertionError
    assert caught.value.errno == errno.EINVAL
    assert not mounts(place)
    drive.cbfs.on_read_file = drive.read_file
    with drive.cbfs.mounted(place):
        assert (place / "a").read_bytes() == TEXT


def test_with(fuse: None, place: Path) -> None:
    """The steps that have been done are left out; the end undoes all."""
    drive = Drive()
    for steps in ([], ["initialize"], ["initialize", "create_storage"], ["initialize", "create_storage", "mount_media"]):
        for step in steps:
            getattr(drive.cbfs, step)(*([GUID] if step == "initialize" else []))
        with drive.cbfs as cbfs:
            assert cbfs is drive.cbfs and cbfs.active
            cbfs.add_mounting_point(place)
            assert (place / "a").read_bytes() == TEXT
        assert not drive.cbfs.active and not mounts(place)


def test_with_may_unmount_itself(place: Path) -> None:
    drive = Drive()
    with drive.cbfs.mounted(place) as cbfs:
        cbfs.unmount_media()
    with drive.cbfs.mounted(place) as cbfs:
        cbfs.delete_storage(True)
    with drive.cbfs.mounted(place) as cbfs:
        subprocess.run(["umount", place], check=True)
        assert cbfs.wait_unmounted(60)


def test_waiting(place: Path) -> None:
    drive = Drive()
    assert drive.cbfs.wait_unmounted(0) is True
    with drive.cbfs.mounted(place):
        before = threading.active_count()
        for _ in range(5):
            assert drive.cbfs.wait_unmounted(0.01) is False
            assert drive.cbfs.wait_unmounted(0) is False
            assert drive.cbfs.wait_unmounted(-1) is False
        assert threading.active_count() <= before + 1
        elsewhere = [Waiting(lambda: drive.cbfs.wait_unmounted(1e12)), Waiting(drive.cbfs.wait_unmounted),
                     Waiting(lambda: drive.cbfs.wait_unmounted(0.01))]
        assert elsewhere[2].result() is False
        assert not elsewhere[0].is_over and not elsewhere[1].is_over
    assert elsewhere[0].result() is elsewhere[1].result() is True
    assert drive.cbfs.wait_unmounted() is True


def test_unmounting_from_another_thread(mount: Callable[..., Any]) -> None:
    drive = Drive()
    with mount(drive) as root:
        Waiting(drive.cbfs.unmount_media).result()
        assert not mounts(root)


def test_files_in_use(mount: Callable[..., Any]) -> None:
    drive = Drive()
    with mount(drive) as root:
        with open(root / "a", "rb"):
            for call in (drive.cbfs.unmount_media, lambda: drive.cbfs.unmount_media(False), drive.cbfs.delete_storage):
                with pytest.raises(tenon.CBFSError) as caught:
                    call()
                assert caught.value.errno == errno.EBUSY
            assert (root / "a").read_bytes() == TEXT
        drive.cbfs.unmount_media()


def test_methods_inside_handlers(mount: Callable[..., Any]) -> None:
    """Each says at once that it cannot be, and the drive goes on."""
    outcomes: dict[str, Any] = {}

    def read_file(e: Any) -> None:
        calls = {"unmount_media": lambda: drive.cbfs.unmount_media(True), "delete_storage": lambda: drive.cbfs.delete_storage(True),
                 "mount_media": drive.cbfs.mount_media, "config": lambda: drive.cbfs.config("Umask=0"), "get_links": lambda: drive.cbfs.get_links("/a"),
                 "create_storage": drive.cbfs.create_storage, "with": lambda: drive.cbfs.__enter__() and None,
                 "property": lambda: setattr(drive.cbfs, "use_hard_links", True), "wait": lambda: drive.cbfs.wait_unmounted(1),
                 "end": drive.cbfs._end}
        for name, call in calls.items():
            try:
                outcomes[name] = call()
            except tenon.CBFSError as error:
                outcomes[name] = error.errno
                assert error.strerror
        drive.read_file(e)
    drive = Drive(read_file=read_file)
    with mount(drive) as root:
        assert (root / "a").read_bytes() == TEXT
        assert drive.cbfs.active
    assert not drive.errors, drive.errors
    assert outcomes["unmount_media"] == outcomes["delete_storage"] == errno.EDEADLK, outcomes
    assert all(code in (errno.EDEADLK, errno.EBUSY, errno.EINVAL) for name, code in outcomes.items() if name != "with"), outcomes


def test_two_threads_in_methods() -> None:
    """The second one is told so; nothing waits for the other, and handlers of the first may not be taken away."""
    inside, go = threading.Event(), threading.Event()

    def mounting(e: Any) -> None:
        inside.set()
        assert go.wait(60)
    drive = Drive(mount=mounting)
    drive.cbfs.initialize(GUID)
    first = Waiting(lambda: drive.cbfs._testing_mount(False))
    assert inside.wait(60)
    for call in (lambda: drive.cbfs.config("Umask=022"), lambda: drive.cbfs.initialize(GUID), lambda: drive.cbfs.unmount_media(True),
                 lambda: setattr(drive.cbfs, "use_hard_links", True), lambda: setattr(drive.cbfs, "on_read_file", None),
                 lambda: drive.cbfs.set_property("umask", "0")):
        with pytest.raises(tenon.CBFSError) as caught:
            call()
        assert caught.value.errno == errno.EBUSY
    assert drive.cbfs.on_read_file == drive.read_file and drive.cbfs.use_hard_links is False and drive.cbfs.get_last_error() is not None
    go.set()
    first.result()
    drive.cbfs.delete_storage(True)


def test_many_threads_in_methods(mount: Callable[..., Any]) -> None:
    """Whatever comes at once: done, or CBFSError."""
    # Who computes gives the lock of the interpreter up sooner than usual.
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    drive, stop = Drive(), threading.Event()

    def work() -> int:
        done = 0
        while not stop.is_set():
            for call in (lambda: drive.cbfs.active, lambda: drive.cbfs.config("Umask"), lambda: drive.cbfs.volume_id,
                         lambda: drive.cbfs.wait_unmounted(0.001), drive.cbfs.get_facts, lambda: drive.cbfs.get_mounting_point_flags(0),
                         lambda: setattr(drive.cbfs, "on_read_file", drive.read_file)):
                try:
                    call()
                    done += 1
                except tenon.CBFSError as error:
                    assert error.errno in (errno.EBUSY, errno.EINVAL)
        return done
    workers = [Waiting(work) for _ in range(2)]
    try:
        for _ in range(3):
            try:
                with mount(drive) as root:
                    for _ in range(5):
                        assert (root / "a").read_bytes() == TEXT
                        os.stat(root / "b")
            except tenon.CBFSError as error:
                # One of the threads was inside a method.
                assert error.errno == errno.EBUSY
                drive.cbfs._end()
    finally:
        stop.set()
        sys.setswitchinterval(before)
    assert all(worker.result() > 0 for worker in workers)


def test_a_program_started_in_a_handler(mount: Callable[..., Any]) -> None:
    """The reader is another process: a child of one's own has the file open too, and its close would wait for the handler."""
    def read_file(e: Any) -> None:
        text = subprocess.run(["echo", e.file_name], stdout=subprocess.PIPE, check=True).stdout
        memoryview(e.buffer)[:len(text)] = text
        e.bytes_read = len(text)
    drive = Drive(read_file=read_file)
    drive.files["/a"] = bytearray(3)
    with mount(drive) as root:
        assert subprocess.run(["cat", root / "a"], stdout=subprocess.PIPE, check=True).stdout == b"/a\n"


# ------------------------------------------------------------------------------------------------ garbage

def test_a_volume_that_nobody_wants() -> None:
    cbfs = tenon.CBFS()
    gone = weakref.ref(cbfs)
    cbfs.initialize(GUID)
    del cbfs
    assert gone() is None


def test_a_volume_and_its_drive_refer_to_each_other(fuse: None) -> None:
    before = descriptors()
    for create in (False, True):
        drive = Drive()
        gone = weakref.ref(drive.cbfs), weakref.ref(drive)
        drive.cbfs.initialize(GUID)
        if create:
            drive.cbfs.create_storage()
        del drive
        gc.collect()
        assert (gone[0](), gone[1]()) == (None, None)
    assert descriptors() == before


def test_a_volume_that_was_used() -> None:
    drive = Drive()
    with Channel(drive) as channel:
        channel.read("/a")
    gone = weakref.ref(drive.cbfs)
    del drive, channel
    gc.collect()
    assert gone() is None


def test_a_mounted_volume_is_no_garbage(place: Path) -> None:
    def begin() -> weakref.ref[Any]:
        drive = Drive()
        drive.cbfs._create()
        drive.cbfs.add_mounting_point(place)
        drive.cbfs.mount_media()
        return weakref.ref(drive.cbfs)
    volume = begin()
    gc.collect()
    assert (place / "a").read_bytes() == TEXT
    cbfs = volume()
    assert cbfs is not None
    cbfs.delete_storage(True)
    del cbfs
    gc.collect()
    assert volume() is None


def test_a_subclass_that_is_its_own_drive() -> None:
    class Own(tenon.CBFS):
        def __init__(self) -> None:
            Drive(self)
            self.me = self
    cbfs = Own()
    with Channel(cbfs) as channel:
        assert channel.read("/a") == TEXT
    gone = weakref.ref(cbfs)
    del cbfs, channel
    gc.collect()
    assert gone() is None


def test_a_handler_that_ends_while_it_is_replaced() -> None:
    """The only reference to a callable is the volume's, and the callable itself takes it away."""
    class Handler:
        def __call__(self, e: Any) -> None:
            drive.cbfs.on_read_file = drive.read_file
            gc.collect()
            self.called = True
            drive.read_file(e)
    drive = Drive(read_file=Handler())
    gone = weakref.ref(drive.cbfs.on_read_file)
    with Channel(drive) as channel:
        assert channel.read("/a") == TEXT
        assert gone() is None and channel.read("/a") == TEXT


def test_a_thousand_volumes() -> None:
    before, threads = descriptors(), len(os.listdir("/proc/self/task"))
    volumes = [tenon.CBFS() for _ in range(1000)]
    for cbfs in volumes:
        cbfs.on_error = lambda e: None
        cbfs.tag = cbfs
    gone = [weakref.ref(cbfs) for cbfs in volumes]
    del volumes, cbfs
    gc.collect()
    assert not any(ref() for ref in gone)
    assert (descriptors(), len(os.listdir("/proc/self/task"))) == (before, threads)


def test_mounted_again_and_again() -> None:
    drive = Drive()
    before, threads, uses = descriptors(), len(os.listdir("/proc/self/task")), sys.getrefcount(drive.cbfs)
    for in_line in (True, False) * 20:
        with Channel(drive, in_line) as channel:
            assert channel.read("/a") == TEXT
    assert descriptors() == before
    deadline = time.monotonic() + 60
    while len(os.listdir("/proc/self/task")) > threads:
        assert time.monotonic() < deadline
    del channel
    uses_now = sys.getrefcount(drive.cbfs)
    assert uses_now == uses
