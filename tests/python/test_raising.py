"""Handlers that raise, return something, or keep what is over: the caller is answered, on_error is told once, the log has it once.

After everything that a handler does wrong the drive goes on serving.
"""
from __future__ import annotations

import errno
import gc
import logging
import sys
import threading
import weakref
from typing import Any, Callable, Optional

import pytest

import tenon

from .drives import TEXT, Channel, Drive, Waiting


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Base(BaseException):
    pass


class Strange(OSError):
    @property
    def errno(self) -> int:  # type: ignore[override]
        raise ValueError("which?")


def raising(failure: Any) -> Callable[[Any], None]:
    def handler(e: Any) -> None:
        raise failure
    return handler


def serve_once(read_file: Any, caplog: pytest.LogCaptureFixture, **handlers: Any) -> tuple[Optional[int], Drive, list[logging.LogRecord]]:
    """One read, answered by read_file. The caller's errno or None; the drive; the log of tenon. A later read is served by the drive."""
    drive = Drive(read_file=read_file, **handlers)
    caplog.clear()
    code = None
    with Channel(drive) as channel:
        with channel.open("/a") as handle:
            try:
                handle.read()
            except OSError as error:
                code = error.errno
            told = len(drive.errors)
            records = [record for record in caplog.records if record.name == "tenon"]
            drive.cbfs.on_read_file = drive.read_file
            assert handle.read() == TEXT
        assert len(drive.errors) == told
    return code, drive, records


@pytest.mark.parametrize(("failure", "code"), [
    (FileNotFoundError(errno.ENOENT, "none"), errno.ENOENT),
    (PermissionError(errno.EACCES, "no", "file"), errno.EACCES),
    (OSError(1, ""), 1), (OSError(133, ""), 133),
    (OSError(errno.ENOSYS, "not built"), errno.EOPNOTSUPP),
    (BlockingIOError(errno.EAGAIN, "later"), errno.EAGAIN),
    (InterruptedError(errno.EINTR, ""), errno.EINTR),
], ids=repr)
def test_an_answer(failure: OSError, code: int, caplog: pytest.LogCaptureFixture) -> None:
    """An errno value is the answer, and nothing is wrong."""
    got, drive, records = serve_once(raising(failure), caplog)
    assert (got, drive.errors, records) == (code, [], [])


@pytest.mark.parametrize("failure", [
    OSError(), OSError("words alone"), OSError(0, ""), OSError(134, ""), OSError(-2, ""), OSError(2**70, ""), OSError("2", ""),
    Strange(2, ""), tenon.CBFSError(errno.ENOENT, "a method's"), ValueError("wrong"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(),
    Base("base"), StopIteration(), MemoryError(), RecursionError(), AssertionError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ValueError, ValueError("x" * 1_000_000), ValueError("\ud800 \udcff \0 é"), Unspeakable(), ExceptionGroup("many", [ValueError(1), OSError(2, "")]),
], ids=lambda failure: getattr(failure, "__name__", type(failure).__name__))
def test_no_answer(failure: Any, caplog: pytest.LogCaptureFixture) -> None:
    """All else is EIO, told once, logged once with its traceback."""
    got, drive, records = serve_once(raising(failure), caplog)
    name = (failure if isinstance(failure, type) else type(failure)).__name__
    assert got == errno.EIO
    assert [code for code, _ in drive.errors] == [errno.EIO], drive.errors
    assert "read_file" in drive.errors[0][1] and "/a" in drive.errors[0][1] and name in drive.errors[0][1]
    assert len(records) == 1 and records[0].levelno == logging.ERROR and records[0].exc_info
    assert records[0].exc_info[2] is not None and records[0].exc_info[2].tb_frame.f_code.co_name == "handler"
    records[0].getMessage()


def test_an_exception_in_another_event_than_a_callers(caplog: pytest.LogCaptureFixture) -> None:
    """Where there is no result code to put it in, or nobody who would read it, on_error and the log have it all the same."""
    drive = Drive(close_file=raising(ValueError("close")), unmount=raising(ValueError("unmount")))
    with Channel(drive) as channel:
        assert channel.read("/a") == TEXT
    assert [code for code, _ in drive.errors] == [errno.EIO, errno.EIO]
    assert "close_file" in drive.errors[0][1] and "unmount" in drive.errors[1][1]
    assert len([record for record in caplog.records if record.name == "tenon"]) == 2


def test_a_mount_that_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    for failure, code in ((OSError(errno.ENOMEDIUM, "none"), errno.ENOMEDIUM), (ValueError(), errno.EIO)):
        drive = Drive(mount=raising(failure))
        drive.cbfs.initialize("{0F6E4F5C-7C0E-4B3B-8F5C-2D1E6A7B8C9D}")
        with pytest.raises(tenon.CBFSError) as caught:
            drive.cbfs._testing_mount(True)
        assert caught.value.errno == code and not drive.cbfs.active


def test_on_error_raises_itself(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def error(e: Any) -> None:
        calls.append(e.description)
        raise LookupError("in on_error")
    got, _, records = serve_once(raising(ValueError("first")), caplog, error=error)
    assert got == errno.EIO and len(calls) == 1
    assert [record.exc_info and record.exc_info[0] for record in records] in ([ValueError, LookupError], [LookupError, ValueError])


def test_without_on_error(caplog: pytest.LogCaptureFixture) -> None:
    got, _, records = serve_once(raising(ValueError("alone")), caplog, error=None)
    assert got == errno.EIO and len(records) == 1


def test_a_log_that_fails(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit("the log is full")
    handler = Broken()
    logging.getLogger("tenon").addHandler(handler)
    before, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        got, _, _ = serve_once(raising(ValueError("lost")), caplog)
        assert got == errno.EIO
    finally:
        logging.getLogger("tenon").removeHandler(handler)
        sys.unraisablehook = before


@pytest.mark.parametrize("result", [0, False, "text", [], tenon.ERROR_FILE_NOT_FOUND, NotImplemented, object()], ids=repr)
def test_returning_something(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    got, drive, records = serve_once(lambda e: result, caplog)
    assert got == errno.EIO and len(drive.errors) == 1 and "TypeError" in drive.errors[0][1] and len(records) == 1


def test_a_result_that_cannot_be_shown(caplog: pytest.LogCaptureFixture) -> None:
    got, drive, records = serve_once(lambda e: Unspeakable(), caplog)
    assert got == errno.EIO and len(drive.errors) == 1 and len(records) == 1


def test_a_generator_is_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    def handler(e: Any) -> Any:
        yield
    got, drive, _ = serve_once(handler, caplog)
    assert got == errno.EIO and "generator" in drive.errors[0][1]


@pytest.mark.parametrize("handler", [lambda: None, lambda a, b: None, lambda *, e: None, int, len, type("C", (), {"__call__": None})],
                         ids=["none", "two", "keyword", "int", "len", "class"])
def test_wrong_arguments(handler: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Called as it is, with one parameter object: what it says of that is told."""
    got, drive, records = serve_once(handler, caplog)
    assert got == errno.EIO and len(drive.errors) == 1 and len(records) == 1


@pytest.mark.parametrize("code", [-1, 134, 2**31 - 1, -2**31])
def test_result_codes_out_of_range(code: int, caplog: pytest.LogCaptureFixture) -> None:
    got, drive, records = serve_once(lambda e: setattr(e, "result_code", code), caplog)
    assert got == errno.EIO and len(drive.errors) == 1 and len(records) == 1


def test_more_bytes_than_there_is_room_for(caplog: pytest.LogCaptureFixture) -> None:
    got, drive, _ = serve_once(lambda e: setattr(e, "bytes_read", e.bytes_to_read + 1), caplog)
    assert got == errno.EIO and len(drive.errors) == 1


def test_raising_wins_over_the_result_code(caplog: pytest.LogCaptureFixture) -> None:
    def handler(e: Any) -> None:
        e.result_code = errno.ENOSPC
        raise PermissionError(errno.EPERM, "")
    assert serve_once(handler, caplog)[0] == errno.EPERM


def test_an_exception_leaves_nothing_behind(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception, its frames and what they hold go with the event."""
    # pytest keeps what is logged.
    monkeypatch.setattr(logging.getLogger("tenon"), "disabled", True)

    class Held:
        pass
    held: list[Any] = []

    def handler(e: Any) -> None:
        mine = Held()
        held.append(weakref.ref(mine))
        raise ValueError("short-lived")
    serve_once(handler, caplog)
    assert held and held[0]() is None


# ------------------------------------------------------------------------------------- things that are kept

def is_over(e: Any) -> None:
    kind = type(e)
    for name, attribute in vars(kind).items():
        if name.startswith("_") or name == "on_cancel":
            continue
        with pytest.raises(ValueError):
            getattr(e, name)
        for value in (0, None, "x"):
            with pytest.raises((ValueError, AttributeError)) as caught:
                setattr(e, name, value)
            assert caught.type is ValueError or "not writable" in str(caught.value) or "setter" in str(caught.value)
    for call in (e.defer, e.complete):
        with pytest.raises((ValueError, RuntimeError)):
            call()
    with pytest.raises((ValueError, RuntimeError)):
        e.on_cancel = print
    assert "over" in repr(e)


@pytest.mark.parametrize("event", ["get_file_info", "open_file", "read_file", "write_file", "close_file", "enumerate_directory", "error"])
def test_a_parameter_object_that_is_kept(event: str) -> None:
    kept: list[Any] = []

    def handler(e: Any) -> None:
        kept.append(e)
        getattr(drive, event)(e)
    drive = Drive(**{event: handler})
    with Channel(drive) as channel:
        handle = channel.create("/new")
        assert handle.write(b"some") == 4
        handle.release()
        assert channel.read("/a") == TEXT
        channel.names("/")
        if event == "error":
            drive.cbfs.on_read_file = raising(ValueError())
            with pytest.raises(OSError):
                channel.read("/a")
        assert kept
        for e in kept:
            is_over(e)
    for e in kept:
        is_over(e)


def test_touched_by_another_thread_while_and_after(caplog: pytest.LogCaptureFixture) -> None:
    """While the handler runs another thread may help; afterwards it gets ValueError, always."""
    done, go, outcomes = threading.Event(), threading.Event(), []

    def handler(e: Any) -> None:
        buffer = e.buffer

        def work() -> None:
            e.bytes_read = 5
            ctypes_copy(buffer)
            done.set()
            go.wait(60)
            for touch in (lambda: e.bytes_read, lambda: setattr(e, "bytes_read", 1), lambda: e.buffer, lambda: bytes(buffer), lambda: len(buffer),
                          lambda: memoryview(buffer), lambda: buffer.value, lambda: buffer._as_parameter_, lambda: e.file_context):
                try:
                    outcomes.append(touch())
                except Exception as failure:
                    outcomes.append(type(failure))
        threads.append(threading.Thread(target=work))
        threads[0].start()
        done.wait(60)

    def ctypes_copy(buffer: Any) -> None:
        memoryview(buffer)[:5] = b"thread"[:5]
    threads: list[threading.Thread] = []
    drive = Drive(read_file=handler)
    with Channel(drive) as channel:
        assert channel.read("/a") == b"threa"
        go.set()
        threads[0].join()
    assert outcomes == [ValueError] * 9


def test_a_race_for_the_end_of_an_event() -> None:
    """Threads that read members while events end: a value or ValueError, nothing else."""
    current: list[Any] = [None]
    stop = threading.Event()

    def look() -> int:
        count = 0
        while not stop.is_set():
            e = current[0]
            try:
                if e is not None:
                    assert e.file_name == "/a" and e.bytes_to_read == 4096 and len(e.buffer) == 4096
                    e.file_context = count
                    count += 1
                    with memoryview(e.buffer) as view:
                        view[:1] = b"x"
            except ValueError:
                pass
        return count

    def read_file(e: Any) -> None:
        current[0] = e
        drive.read_file(e)
    drive = Drive(read_file=read_file)
    lookers = [Waiting(look) for _ in range(3)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with Channel(drive) as channel, channel.open("/a") as handle:
            for _ in range(300):
                try:
                    handle.read()
                except OSError as error:
                    # A view was there when the event ended.
                    assert error.errno == errno.EIO
    finally:
        stop.set()
        sys.setswitchinterval(before)
    for looker in lookers:
        looker.result()


def test_a_view_that_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets EIO, the handler's mistake is told, and the view shows old bytes and never another event's."""
    views: list[memoryview] = []

    def handler(e: Any) -> None:
        view = memoryview(e.buffer)
        view[:4] = b"mine"
        e.bytes_read = 4
        views.append(view)
    drive = Drive(read_file=handler)
    with Channel(drive) as channel:
        with pytest.raises(OSError) as caught:
            channel.read("/a")
        assert caught.value.errno == errno.EIO
        assert len(drive.errors) == 1 and "BufferError" in drive.errors[0][1] and "memoryview" in drive.errors[0][1]
        drive.cbfs.on_read_file = drive.read_file
        for _ in range(20):
            assert channel.read("/a") == TEXT
        assert bytes(views[0][:4]) == b"mine"
        views[0][:4] = b"more"
        assert channel.read("/a") == TEXT
    gc.collect()
    assert bytes(views[0][:4]) == b"more"
    views[0].release()


def test_views_of_written_data_that_are_kept() -> None:
    views: list[memoryview] = []

    def handler(e: Any) -> None:
        views.append(memoryview(e.buffer))
        e.bytes_written = e.bytes_to_write
    drive = Drive(write_file=handler)
    with Channel(drive) as channel, channel.create("/new") as handle:
        for i in range(10):
            with pytest.raises(OSError):
                handle.write(bytes([i]) * 5000)
    assert [bytes(view) for view in views] == [bytes([i]) * 5000 for i in range(10)]
    assert len(drive.errors) == 10


def test_a_view_that_outlives_the_drive() -> None:
    def handler(e: Any) -> None:
        views.append(memoryview(e.buffer))
        views[0][:4] = b"last"
    views: list[memoryview] = []
    drive: Optional[Drive] = Drive(read_file=handler)
    with Channel(drive) as channel:
        with pytest.raises(OSError):
            channel.read("/a")
    del drive, channel
    gc.collect()
    assert bytes(views[0][:4]) == b"last" and len(views[0]) == 4096


def test_a_buffer_that_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Any] = []
    got, drive, _ = serve_once(lambda e: kept.append(e.buffer), caplog)
    assert got is None and not drive.errors
    for touch in (bytes, len, memoryview, lambda buffer: buffer.value, lambda buffer: buffer._as_parameter_):
        with pytest.raises(ValueError):
            touch(kept[0])
    assert "over" in repr(kept[0])


def test_a_drive_without_a_caller_that_waits(mount: Callable[..., Any]) -> None:
    """The same on a real mount: all workers have survived what their handlers did."""
    failures = [ValueError("x"), SystemExit(1), KeyboardInterrupt(), Base()]

    def handler(e: Any) -> None:
        if failures:
            raise failures.pop()
        drive.read_file(e)
    drive = Drive(read_file=handler)
    with mount(drive, file_cache=tenon.FILE_CACHE_NONE) as root:
        for _ in range(4):
            with pytest.raises(OSError) as caught:
                (root / "a").read_bytes()
            assert caught.value.errno == errno.EIO
        assert (root / "a").read_bytes() == TEXT
    assert len(drive.errors) == 4
