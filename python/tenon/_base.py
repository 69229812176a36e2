"""What the extension module needs of Python: errors, times, the log, and an event loop for coroutines."""
from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
from collections.abc import Awaitable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tenon import _tenon

logger = logging.getLogger("tenon")
_making_runner = threading.Lock()
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class CBFSError(OSError):
    """A method or property of a volume has failed: errno says how, strerror why, in a sentence."""

    @property
    def code(self) -> int | None:
        """The same as errno."""
        return self.errno

    @property
    def message(self) -> str | None:
        """The same as strerror."""
        return self.strerror


class Token(NamedTuple):
    """For whom something is done: numbers of the drive's own user namespace."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def datetime_of(nanoseconds: int | None) -> datetime:
    """A time in UTC, cut to microseconds; what is not given is the epoch."""
    return EPOCH + timedelta(microseconds=(nanoseconds or 0) // 1000)


def nanoseconds_of(value: datetime | None) -> int | None:
    """Nanoseconds since 1970; a time without a zone is taken as UTC."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise TypeError(f"a datetime or None is wanted, not {value!r}")
    passed = (value if value.tzinfo else value.replace(tzinfo=timezone.utc)) - EPOCH
    return ((passed.days * 86400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1000


def log_exception(event: str, subject: str, exception: BaseException) -> str:
    """Logs what a handler has raised, and gives the sentence that on_error is told."""
    of = f' of "{subject}"' if subject else ""
    kind = type(exception)
    try:
        said = str(exception)
    except BaseException as failure:  # Even one that cannot be shown has to be told.
        said = f"<{type(failure).__qualname__} in its __str__>"
    words = f"on_{event}{of} raised {kind.__qualname__}: {said}"
    logger.error("%s", words, exc_info=(kind, exception, exception.__traceback__))
    return _as_bytes_allow(words)


def _as_bytes_allow(words: str) -> str:
    """A text that the library can take."""
    try:
        os.fsencode(words)
    except UnicodeEncodeError:
        words = words.encode("utf-8", "backslashreplace").decode()
    return words.replace("\0", "\\0")


def log_line(line: str) -> None:
    """Logs what the engine has to say."""
    logger.warning("%s", line)


class Runner:
    """An event loop for the coroutines of one volume: one that runs already, or one on a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or asyncio.new_event_loop()
        self.thread: threading.Thread | None = None
        if not loop:
            # A daemon: the volume is unmounted at the very end, when no other thread is left to do it, and may need the loop.
            self.thread = threading.Thread(target=self.loop.run_forever, name="tenon-asyncio", daemon=True)
            self.thread.start()

    def start(self, params: _tenon.EventParams, coroutine: Awaitable[None]) -> None:
        """Goes on with a handler, from any thread."""
        self.loop.call_soon_threadsafe(self._begin, params, coroutine)

    def _begin(self, params: _tenon.EventParams, coroutine: Awaitable[None]) -> None:
        task = self.loop.create_task(self._run(params, coroutine))
        params.on_cancel = lambda: self.loop.call_soon_threadsafe(task.cancel)

    async def _run(self, params: Any, coroutine: Awaitable[None]) -> None:
        failure: BaseException | None = None
        try:
            result: Any = await coroutine  # type: ignore[func-returns-value]
            if result is not None:
                raise TypeError(f"a handler answers through the members of its parameter object; this one returned {result!r}")
        except asyncio.CancelledError:
            failure = OSError(errno.EINTR, "the caller has given up")
        except BaseException as exception:  # What is raised is the answer, whatever it is: the caller waits.
            failure = exception
        params._answer(failure)

    def stop(self) -> None:
        """Ends a loop of its own."""
        if self.thread and self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join()
            self.loop.close()
            self.thread = None


def start_coroutine(cbfs: Any, params: _tenon.EventParams, coroutine: Awaitable[None]) -> None:
    """Called when a handler has turned out to be async def."""
    # Handlers of several threads may be the first.
    with _making_runner:
        if cbfs._runner is None:
            cbfs._runner = Runner()
    cbfs._runner.start(params, coroutine)
