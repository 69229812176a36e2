"""Handlers that answer later: async def, and defer() with complete() on another thread."""
from __future__ import annotations

import asyncio
import errno
import functools
import gc
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable

import pytest

import tenon

from .drives import TEXT, Channel, Drive, Waiting


def test_a_coroutine() -> None:
    loops = set()

    async def read_file(e: Any) -> None:
        loops.add(asyncio.get_running_loop())
        assert threading.current_thread() is not threading.main_thread()
        await asyncio.sleep(0)
        drive.read_file(e)
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        for _ in range(5):
            assert channel.read("/a") == TEXT
        assert not drive.errors and len(loops) == 1
    assert all(loop.is_closed() for loop in loops)


def test_every_event_may_be_a_coroutine(mount: Callable[..., Any]) -> None:
    drive = Drive()

    def later(handler: Callable[[Any], None]) -> Any:
        async def run(e: Any) -> None:
            await asyncio.sleep(0)
            handler(e)
        return run
    for name in ("get_file_info", "enumerate_directory", "open_file", "create_file", "cleanup_file", "close_file", "read_file", "write_file",
                 "set_file_size", "set_file_attributes", "delete_file", "rename_or_move_file"):
        setattr(drive.cbfs, f"on_{name}", later(getattr(drive, name)))
    with mount(drive) as root:
        (root / "new").write_bytes(b"some")
        assert sorted(os.listdir(root)) == ["a", "b", "new"] and (root / "new").read_bytes() == b"some"
        os.truncate(root / "new", 2)
        os.rename(root / "new", root / "old")
        assert (root / "old").read_bytes() == b"so"
        os.unlink(root / "old")
    assert not drive.errors and drive.trace.count("open_file /a") == 0


def test_slow_ones_delay_nobody(mount: Callable[..., Any]) -> None:
    """Twenty callers wait at once, for each other; a plain handler is served meanwhile."""
    waiting = 0
    all_there = threading.Event()

    async def read_file(e: Any) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 20:
            all_there.set()
        while not go.is_set():
            await asyncio.sleep(0.001)
        drive.read_file(e)
    go = threading.Event()
    drive = Drive(read_file=read_file)
    drive.files.update({f"/{i}": bytearray(b"%d" % i) for i in range(20)})
    with mount(drive, file_cache=tenon.FILE_CACHE_NONE) as root:
        readers = [Waiting((root / str(i)).read_bytes) for i in range(20)]
        assert all_there.wait(60)
        assert os.stat(root / "b").st_size == 1 and not any(reader.is_over for reader in readers)
        drive.cbfs.on_read_file = drive.read_file
        assert (root / "a").read_bytes() == TEXT
        go.set()
        assert [reader.result() for reader in readers] == [b"%d" % i for i in range(20)]


def answer(e: Any) -> None:
    memoryview(e.buffer)[:2] = b"ok"
    e.bytes_read = 2


class Callable_:
    async def __call__(self, e: Any) -> None:
        await asyncio.sleep(0)
        answer(e)

    async def method(self, extra: int, e: Any) -> None:
        await self(e)


class Awaitable_:
    def __await__(self) -> Any:
        return (yield from asyncio.sleep(0).__await__())


def returns_a_future(e: Any) -> Any:
    answer(e)
    return Awaitable_()


@pytest.mark.parametrize("handler", [Callable_(), functools.partial(Callable_().method, 1), Callable_().__call__, lambda e: Callable_()(e),
                                     returns_a_future], ids=["object", "partial", "method", "lambda", "awaitable"])
def test_what_gives_an_awaitable(handler: Any) -> None:
    drive = Drive(read_file=handler)
    with Channel(drive, in_line=False) as channel:
        assert channel.read("/a") == b"ok"
    assert not drive.errors


@pytest.mark.parametrize(("failure", "code", "told"), [
    (PermissionError(errno.EACCES, ""), errno.EACCES, 0), (ValueError("x"), errno.EIO, 1), (SystemExit(1), errno.EIO, 1),
    (KeyboardInterrupt(), errno.EIO, 1), (asyncio.CancelledError(), errno.EINTR, 0), (asyncio.TimeoutError(), errno.EIO, 1),
    (StopAsyncIteration(), errno.EIO, 1)], ids=lambda each: type(each).__name__)
def test_what_a_coroutine_raises(failure: BaseException, code: int, told: int, caplog: pytest.LogCaptureFixture) -> None:
    async def read_file(e: Any) -> None:
        await asyncio.sleep(0)
        raise failure
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        for i in range(2):
            with pytest.raises(OSError) as caught:
                channel.read("/a")
            assert caught.value.errno == code
        drive.cbfs.on_read_file = drive.read_file
        assert channel.read("/a") == TEXT
    assert [error[0] for error in drive.errors] == [errno.EIO] * 2 * told, drive.errors
    assert len([record for record in caplog.records if record.name == "tenon"]) == 2 * told


def test_what_a_coroutine_returns() -> None:
    async def read_file(e: Any) -> Any:
        return 5
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        with pytest.raises(OSError):
            channel.read("/a")
    assert len(drive.errors) == 1 and "TypeError" in drive.errors[0][1]


def test_the_object_of_a_coroutine_is_over_afterwards() -> None:
    kept: list[Any] = []

    async def read_file(e: Any) -> None:
        kept.append(e)
        await asyncio.sleep(0)
        with memoryview(e.buffer) as view:
            view[:2] = b"ok"
        e.bytes_read = 2
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        assert channel.read("/a") == b"ok"
        for touch in (lambda: kept[0].buffer, lambda: kept[0].file_name, lambda: setattr(kept[0], "bytes_read", 1)):
            with pytest.raises(ValueError):
                touch()


def test_a_view_that_a_coroutine_keeps() -> None:
    views: list[memoryview] = []

    async def read_file(e: Any) -> None:
        views.append(memoryview(e.buffer))
        views[-1][:4] = b"mine"
        e.bytes_read = 4
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        with pytest.raises(OSError):
            channel.read("/a")
        drive.cbfs.on_read_file = drive.read_file
        assert channel.read("/a") == TEXT
    gc.collect()
    assert bytes(views[0][:4]) == b"mine" and len(drive.errors) == 1


# ------------------------------------------------------------------------------------------- running loops

def test_in_a_running_loop(place: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def read_file(e: Any) -> None:
            assert asyncio.get_running_loop() is loop
            await asyncio.sleep(0.001)
            drive.read_file(e)
        drive = Drive(read_file=read_file)
        async with drive.cbfs.mounted(place) as cbfs:
            assert cbfs is drive.cbfs
            parts = await asyncio.gather(*[asyncio.to_thread((place / name).read_bytes) for name in ("a", "b")])
            assert parts == [TEXT, b"b"]
        assert not drive.cbfs.active and not drive.errors
        with pytest.raises(ZeroDivisionError):
            async with drive.cbfs.mounted(place):
                1 // 0
        assert not drive.cbfs.active
    asyncio.run(main())


def test_a_block_in_a_running_loop_that_is_cut_off(place: Path) -> None:
    """Readers wait for coroutines of the loop that unmounts: they are cancelled, and the loop goes on."""
    async def main() -> None:
        begun = asyncio.Event()

        async def read_file(e: Any) -> None:
            # EINTR makes the caller try again, and what comes now is not cancelled.
            if begun.is_set():
                raise OSError(errno.ENODEV, "being unmounted")
            begun.set()
            await asyncio.sleep(3600)
        drive = Drive(read_file=read_file)
        drive.cbfs.file_cache = tenon.FILE_CACHE_NONE
        async with drive.cbfs.mounted(place):
            reader = Waiting((place / "a").read_bytes)
            await begun.wait()
        with pytest.raises(OSError):
            await asyncio.to_thread(reader.result)
        assert not drive.errors, drive.errors
    asyncio.run(main())


# ----------------------------------------------------------------------------------------- callers who give up

def test_a_killed_caller(mount: Callable[..., Any]) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def read_file(e: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            assert e.cancelled
            cancelled.set()
            raise
    drive = Drive(read_file=read_file)
    with mount(drive, file_cache=tenon.FILE_CACHE_NONE) as root:
        with subprocess.Popen(["cat", root / "a"], stdout=subprocess.DEVNULL) as reader:
            assert begun.wait(60)
            reader.kill()
            assert cancelled.wait(60) and reader.wait() == -signal.SIGKILL
        drive.cbfs.on_read_file = drive.read_file
        assert (root / "a").read_bytes() == TEXT
    assert not drive.errors, drive.errors


@pytest.mark.parametrize("answer", [None, "finish"])
def test_an_interrupted_caller(answer: Any) -> None:
    """CancelledError answers EINTR; who catches it may finish as ever."""
    begun = threading.Event()

    async def read_file(e: Any) -> None:
        assert e.cancelled is False
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if not answer:
                raise
            drive.read_file(e)
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel, channel.open("/a") as handle:
        waiting = Waiting(lambda: handle.read(pid=77))
        assert begun.wait(60)
        drive.cbfs._testing_interrupt(77)
        if answer:
            assert waiting.result() == TEXT
        else:
            with pytest.raises(InterruptedError):
                waiting.result()
    assert not drive.errors


# -------------------------------------------------------------------------------------------- defer, complete

def deferring(drive: Drive) -> tuple[Channel, Waiting, Any, Any]:
    """A read that waits for its answer: channel, caller, handle, parameter object."""
    held: list[Any] = []
    there = threading.Event()

    def read_file(e: Any) -> None:
        e.defer()
        held.append(e)
        there.set()
    drive.cbfs.on_read_file = read_file
    channel = Channel(drive, in_line=False)
    handle = channel.open("/a")
    waiting = Waiting(lambda: handle.read(pid=55))
    assert there.wait(60)
    return channel, waiting, handle, held.pop()


def test_completing_on_another_thread() -> None:
    drive = Drive()
    channel, waiting, handle, e = deferring(drive)
    with channel:
        assert not waiting.is_over and e.cancelled is False and e.file_name == "/a"
        memoryview(e.buffer)[:3] = b"yes"
        e.bytes_read = 3
        Waiting(e.complete).result()
        assert waiting.result() == b"yes"
        for again in (e.complete, e.defer):
            with pytest.raises((RuntimeError, ValueError)):
                again()
        for touch in (lambda: e.file_name, lambda: e.cancelled, lambda: e.buffer):
            with pytest.raises(ValueError):
                touch()
        handle.release()
    assert not drive.errors


def test_two_threads_complete() -> None:
    drive = Drive()
    channel, waiting, _, e = deferring(drive)
    with channel:
        outcomes = []
        for each in [Waiting(e.complete) for _ in range(4)]:
            try:
                outcomes.append(each.result())
            except (RuntimeError, ValueError):
                outcomes.append("refused")
        assert sorted(outcomes, key=str) == [None] + ["refused"] * 3
        assert waiting.result() == b""


def test_completing_inside_the_handler() -> None:
    def read_file(e: Any) -> None:
        e.defer()
        with pytest.raises(RuntimeError):
            e.defer()
        drive.read_file(e)
        e.complete()
        with pytest.raises(ValueError):
            e.bytes_read = 1
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        assert channel.read("/a") == TEXT
    assert not drive.errors


def test_completing_what_was_not_deferred() -> None:
    def read_file(e: Any) -> None:
        with pytest.raises(RuntimeError):
            e.complete()
        with pytest.raises(RuntimeError):
            e.on_cancel = print
        assert e.on_cancel is None and e.cancelled is False
        drive.read_file(e)
    drive = Drive(read_file=read_file)
    with Channel(drive) as channel:
        assert channel.read("/a") == TEXT
    assert not drive.errors


def test_raising_after_defer(caplog: pytest.LogCaptureFixture) -> None:
    def read_file(e: Any) -> None:
        e.defer()
        raise ValueError("after defer")
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        with pytest.raises(OSError) as caught:
            channel.read("/a")
        assert caught.value.errno == errno.EIO and len(drive.errors) == 1
    assert len([record for record in caplog.records if record.name == "tenon"]) == 1


def test_a_view_before_defer() -> None:
    def read_file(e: Any) -> None:
        view = memoryview(e.buffer)
        with pytest.raises(BufferError):
            e.defer()
        view.release()
        e.defer()
        drive.read_file(e)
        e.complete()
    drive = Drive(read_file=read_file)
    with Channel(drive, in_line=False) as channel:
        assert channel.read("/a") == TEXT
    assert not drive.errors


def test_never_completing() -> None:
    """The last reference is dropped: the caller gets EIO, and on_error is told of which file."""
    drive = Drive()
    channel, waiting, handle, e = deferring(drive)
    with channel:
        e.bytes_read = 1
        del e
        with pytest.raises(OSError) as caught:
            waiting.result()
        assert caught.value.errno == errno.EIO
        assert len(drive.errors) == 1 and "/a" in drive.errors[0][1]
        drive.cbfs.on_read_file = drive.read_file
        assert handle.read() == TEXT


def test_on_cancel() -> None:
    drive = Drive()
    channel, waiting, _, e = deferring(drive)
    with channel:
        called: list[int] = []

        def give_up() -> None:
            called.append(1)
            assert e.cancelled is True
            e.result_code = errno.EINTR
            e.complete()
        with pytest.raises(TypeError):
            e.on_cancel = 5
        e.on_cancel = give_up
        assert e.on_cancel is give_up
        with pytest.raises(RuntimeError):
            e.on_cancel = print
        drive.cbfs._testing_interrupt(55)
        with pytest.raises(InterruptedError):
            waiting.result()
        assert called == [1]


def test_on_cancel_that_comes_late_or_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: raised.append(unraisable.exc_type))
    drive = Drive()
    channel, waiting, _, e = deferring(drive)
    with channel:
        drive.cbfs._testing_interrupt(55)
        while not e.cancelled:
            pass
        e.on_cancel = lambda: 1 // 0
        assert raised == [ZeroDivisionError]
        e.complete()
        assert waiting.result() == b""


def test_a_forced_end_of_what_waits() -> None:
    """The answer comes after the volume was cut off: it is of no use, and harms nobody."""
    drive = Drive()
    channel, waiting, _, e = deferring(drive)
    e.on_cancel = e.complete
    drive.cbfs.delete_storage(True)
    try:
        waiting.result()
    except OSError:
        pass
    with pytest.raises((RuntimeError, ValueError)):
        e.complete()


def test_plain_and_async_together(mount: Callable[..., Any]) -> None:
    """Readers of both kinds at once, on a real mount; what is read is right."""
    async def slow(e: Any) -> None:
        await asyncio.sleep(0.0005)
        drive.read_file(e)

    def read_file(e: Any) -> Any:
        return slow(e) if int(e.file_name[1:]) % 2 else drive.read_file(e)
    drive = Drive(read_file=read_file)
    drive.files.update({f"/{i}": bytearray(b"%d" % i * 5000) for i in range(8)})
    with mount(drive, file_cache=tenon.FILE_CACHE_NONE) as root:
        def work(number: int) -> None:
            for i in range(30):
                name = str((number + i) % 8)
                assert (root / name).read_bytes() == name.encode() * 5000
        for each in [Waiting(functools.partial(work, number)) for number in range(6)]:
            each.result()
    assert not drive.errors
