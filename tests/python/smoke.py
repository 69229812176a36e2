"""The essential parts without pytest, for every Python that is there: smoke.py [DIRECTORY], which is mounted at where it may be.

Run by test_versions.py and under sanitizers.
"""
import asyncio
import errno
import gc
import logging
import os
import sys
import threading
import weakref

import tenon
from python.drives import TEXT, Channel, Drive, Waiting


def expect(code, call):
    try:
        call()
    except OSError as error:
        assert error.errno == code, error
    else:
        raise AssertionError(f"no {errno.errorcode[code]}")


def surface():
    cbfs = tenon.CBFS()
    for name in [name for name in dir(cbfs) if name.startswith("on_")]:
        setattr(cbfs, name, print)
        assert getattr(cbfs, name) is print
        setattr(cbfs, name, None)
    cbfs.use_hard_links = True
    for wrong in (lambda: setattr(cbfs, "no_such", 1), lambda: cbfs.no_such):
        try:
            wrong()
        except AttributeError:
            continue
        raise AssertionError
    expect(errno.EINVAL, lambda: cbfs.initialize("no guid"))


def members():
    kept = []

    def get_file_info(e):
        Drive.get_file_info(drive, e)
        e.last_write_time_ns, e.short_file_name = 10**18 + 7, "\udcff"
        assert e.last_write_time.year == 2001 and e.short_file_name == "\udcff" and e.creation_time_ns is None
        kept.append(e)
    drive = Drive(get_file_info=get_file_info)
    with Channel(drive) as channel:
        assert channel.read("/a") == TEXT and channel.names("/") == ["a", "b"]
        handle = channel.create("/new")
        assert handle.write(b"some") == 4 and handle.read() == b"some"
        handle.release()
        channel.unlink("/new")
    for e in kept:
        try:
            e.size = 0
        except ValueError:
            continue
        raise AssertionError
    assert not drive.errors, drive.errors


def failures():
    def read_file(e):
        raise kinds[0]
    drive = Drive(read_file=read_file)
    with Channel(drive) as channel:
        for kind in (ValueError("\ud800"), SystemExit(1), KeyboardInterrupt(), OSError()):
            kinds = [kind]
            expect(errno.EIO, lambda: channel.read("/a"))
        kinds = [PermissionError(errno.EACCES, "")]
        expect(errno.EACCES, lambda: channel.read("/a"))
        views = []
        drive.cbfs.on_read_file = lambda e: views.append(memoryview(e.buffer))
        expect(errno.EIO, lambda: channel.read("/a"))
    assert len(drive.errors) == 5, drive.errors
    views[0][:4] = b"kept"
    del drive, channel
    gc.collect()
    assert bytes(views[0][:4]) == b"kept"


class Thing:
    pass


def contexts():
    alive = weakref.WeakSet()

    def open_file(e):
        e.file_context, e.handle_context = Thing(), Thing()
        alive.update((e.file_context, e.handle_context))

    def read_file(e):
        e.file_context = Thing()
        alive.add(e.file_context)
    drive = Drive(open_file=open_file, read_file=read_file)
    channel = Channel(drive)
    with channel.open("/a") as handle:
        handle.read()
        assert len(alive) == 2
    assert not alive
    channel.open("/a")
    drive.cbfs.delete_storage(True)
    assert not alive and not drive.errors


def late():
    async def read_file(e):
        await asyncio.sleep(0.001)
        drive.read_file(e)
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        for each in [Waiting(lambda: channel.read("/a")) for _ in range(4)]:
            assert each.result() == TEXT

        def put_off(e):
            e.defer()
            threading.Thread(target=lambda: (drive.read_file(e), e.complete())).start()
        drive.cbfs.on_read_file = put_off
        assert channel.read("/a") == TEXT
        drive.cbfs.on_read_file = lambda e: e.defer()
        expect(errno.EIO, lambda: channel.read("/a"))
    assert len(drive.errors) == 1, drive.errors


def mounted(place):
    drive = Drive()
    with drive.cbfs.mounted(place):
        def work(number):
            for _ in range(20):
                path = os.path.join(place, str(number))
                with open(path, "wb") as file:
                    file.write(b"x" * 10000)
                with open(path, "rb") as file:
                    assert file.read() == b"x" * 10000
                os.listdir(place)
                os.unlink(path)
        for each in [Waiting(lambda number=number: work(number)) for number in range(4)]:
            each.result()
    assert not drive.errors, drive.errors
    # And once more, for the end of the interpreter to unmount.
    drive.cbfs._create()
    drive.cbfs.add_mounting_point(place)
    drive.cbfs.mount_media()
    assert os.stat(os.path.join(place, "a")).st_size == len(TEXT)


logging.getLogger("tenon").disabled = True
for part in (surface, members, failures, contexts, late):
    part()
    gc.collect()
if len(sys.argv) > 1:
    mounted(sys.argv[1])
print("passed")
