"""The class CBFS: what Python adds to the volume of the extension module."""
from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import json
import os
import signal
import threading
import time
import types
import weakref
from collections.abc import Iterator
from typing import Any

from tenon import _tenon
from tenon._base import CBFSError, Runner, logger

# For programs that do not care which product they are.
GUID = "{7E4A1C52-93D0-4D0B-A8F1-5C60B2D9E317}"
# The longest wait with an end, 24 days.
MAX_MILLISECONDS = 2**31 - 1
# Every volume that there is: what is still mounted when the interpreter ends is unmounted.
_volumes: weakref.WeakSet[CBFS] = weakref.WeakSet()


class CBFS(_tenon._CBFS):
    """A volume: set handlers and properties, mount it, and programs see a drive.

    The steps of the product: initialize, create_storage, add_mounting_point, mount_media, ... unmount_media,
    delete_storage. The short ways: serve, mounted, and with.

    A handler is a callable that takes one parameter object and answers by setting its members. What it raises is the answer
    too: an OSError gives its errno to the caller; anything else gives EIO, goes to the log "tenon" with its traceback, and
    is told to on_error. An async def handler goes on in an event loop, and the caller waits for its end.

    Handlers run on threads of the volume's, one at a time because of the interpreter's lock, which is given up while nothing
    is to be done and while methods wait.
    """

    __slots__ = ("__weakref__", "tag")

    #: Yours: tells instances apart.
    tag: Any

    def __new__(cls, *args: Any, **keywords: Any) -> CBFS:
        self = super().__new__(cls)
        self.tag = None
        _volumes.add(self)
        return self

    def get_facts(self) -> dict[str, Any]:
        """What this kernel offers, what was agreed on with it, and how busy the volume is (docs/control-socket.md)."""
        facts: dict[str, Any] = json.loads(self._get_facts())
        return facts

    def wait_unmounted(self, timeout: float | None = None) -> bool:
        """Waits until the media is no longer mounted; timeout in seconds, None: for ever. False: it still is.

        Ctrl-C interrupts it.
        """
        milliseconds = -1 if timeout is None else int(min(max(0.0, timeout * 1000), MAX_MILLISECONDS))
        if milliseconds == 0 or threading.current_thread() is not threading.main_thread():
            return self._wait(milliseconds)
        # Only a lock of Python's is left for a signal.
        done = threading.Event()
        outcome: list[bool | CBFSError] = []

        def wait() -> None:
            try:
                outcome.append(self._wait(milliseconds))
            except CBFSError as error:
                outcome.append(error)
            done.set()

        threading.Thread(target=wait, name="tenon-wait", daemon=True).start()
        done.wait()
        if isinstance(outcome[0], CBFSError):
            raise outcome[0]
        return outcome[0]

    def mounted(self, mounting_point: str | bytes | os.PathLike[str], flags: int = 0) -> Mounted:
        """Mounts at an existing directory, for with and async with: what has been done of the steps already is left out.

        The end of the block unmounts by force, as delete_storage(True) does, and so does an exception.
        With async with, async def handlers run in the running event loop; otherwise in one on a thread of its own.
        """
        return Mounted(self, mounting_point, flags)

    def serve(self, mounting_point: str | bytes | os.PathLike[str], flags: int = 0) -> None:
        """The whole life, in the foreground: returns when somebody has unmounted, or after Ctrl-C or SIGTERM, unmounted."""
        with _terminable(), contextlib.suppress(KeyboardInterrupt), self.mounted(mounting_point, flags):
            self.wait_unmounted()

    def __enter__(self) -> CBFS:
        """Brings the volume to active; the end of the block ends it by force."""
        self._create()
        if not self.active:
            self.mount_media()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: types.TracebackType | None) -> None:
        self._end()

    def delete_storage(self, force_unmount: bool = False) -> None:
        super().delete_storage(force_unmount)
        runner, self._runner = self._runner, None
        if runner:
            runner.stop()

    delete_storage.__doc__ = _tenon._CBFS.delete_storage.__doc__

    def _create(self) -> None:
        """What comes before mounting, as far as it has not been done."""
        for step in (self.create_storage, lambda: self.initialize(GUID), self.create_storage):
            try:
                step()
            except CBFSError as error:
                # EINVAL: not initialized. EBUSY: the storage is there.
                if error.errno == errno.EINVAL and step == self.create_storage:
                    continue
                if error.errno != errno.EBUSY:
                    raise
                return
            if step == self.create_storage:
                return

    def _end(self) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                self.delete_storage(True)
            except CBFSError as error:
                # There is none: all has been done.
                if error.errno == errno.EINVAL:
                    return
                # Another thread is at it, as with unmount_media, and is done soon.
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.001)
            else:
                return


class Mounted:
    """What CBFS.mounted gives: mounts at the beginning of a block, unmounts at its end."""

    def __init__(self, cbfs: CBFS, mounting_point: str | bytes | os.PathLike[str], flags: int) -> None:
        self._cbfs = cbfs
        self._mounting_point = mounting_point
        self._flags = flags

    def __enter__(self) -> CBFS:
        try:
            self._cbfs._create()
            self._cbfs.add_mounting_point(self._mounting_point, self._flags)
            if not self._cbfs.active:
                self._cbfs.mount_media()
        except BaseException:
            self._cbfs._end()
            raise
        return self._cbfs

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: types.TracebackType | None) -> None:
        self._cbfs._end()

    async def __aenter__(self) -> CBFS:
        self._cbfs._runner = Runner(asyncio.get_running_loop())
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None,
                        traceback: types.TracebackType | None) -> None:
        await asyncio.to_thread(self._cbfs._end)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM is as good as Ctrl-C, where nobody else minds it."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@atexit.register
def _unmount_all() -> None:
    for volume in list(_volumes):
        try:
            volume._end()
        except CBFSError as error:
            logger.error("a volume could not be unmounted at the end of the program: %s", error)
