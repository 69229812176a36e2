"""Test your handlers without a mount and without root.

    import tenon.testing

    def test_link():
        drive = MyDrive()
        with tenon.testing.mounted(drive.cbfs) as fs:
            fs.write_bytes("/a", b"hello")
            fs.link("/a", "/b")
            assert fs.stat("/b").st_nlink == 2

The volume runs as in a real mount, with all its events, on worker threads. This module plays the kernel's part: it looks
paths up one name at a time, follows symlinks, keeps count of what it has been told, and sends the requests that Linux would
send. The functions are named as in os and raise what os would: FileNotFoundError, PermissionError and so on.

Not as in a real mount:

* Permissions are not checked, as the kernel does it there (property default_permissions). Whoever calls may do anything
  that the handlers let him.
* There are no caches: each call asks the volume, and data is written when it is written.
* Paths begin at the volume's root, with or without a slash, and so do symlinks to absolute paths.
* There is no umask.

What a handler does wrong is EIO here as there, with the reason in on_error and in logging.getLogger("tenon"); pytest shows
that log with a test that fails. Calls are made from any number of threads, but not from handlers, and not from the thread of
an asyncio loop that runs handlers: await asyncio.to_thread(fs.stat, "/a").
"""
from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
from typing import TYPE_CHECKING, AnyStr, Callable, Iterator, NamedTuple, ParamSpec, TypeVar

from . import _wire as wire
from ._files import Data, DirEntry, File
from ._kernel import Caller, Kernel, Node, Path, Place, encode, failure, like, refuse_taken, with_paths

if TYPE_CHECKING:
    from . import CBFS

__all__ = ["Balance", "DirEntry", "File", "FileSystem", "mounted"]

# For help(): they are this module's.
File.__module__ = DirEntry.__module__ = __name__

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Any will do: nothing is installed under it.
_PRODUCT_GUID = "{7E4E4F4E-5445-5354-494E-470000000000}"
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2


class Balance(NamedTuple):
    """What the engine holds: all 0 when everything is closed and forgotten.

    nodes: files besides the root; names: theirs; handles: open files and directories; uses: requests that run or wait, and
    names in the root.
    """

    nodes: int
    names: int
    handles: int
    uses: int


@contextlib.contextmanager
def mounted(cbfs: CBFS, threads: bool = True) -> Iterator[FileSystem]:
    """Run the volume for the time of a with block, which gets a FileSystem.

    cbfs has its handlers and properties, and no storage. threads=False: events fire on the thread that makes the call, one
    call at a time, which suits debuggers. Afterwards, also when the block has failed, files that are still open are closed,
    everything is forgotten, and the storage is deleted: the same object may be mounted again. Calls that still wait for
    their answer on other threads then get ENODEV.
    """
    cbfs.initialize(_PRODUCT_GUID)
    cbfs._testing_mount(not threads)
    kernel = Kernel(cbfs)
    try:
        yield FileSystem(kernel, Caller(os.getuid(), os.getgid(), None))
    finally:
        # To close a file would wait for those who use it.
        if kernel.is_busy:
            _delete_storage(cbfs)
        kernel.end()
        _delete_storage(cbfs)


def _delete_storage(cbfs: CBFS) -> None:
    try:
        cbfs.delete_storage(True)
    except OSError as error:
        # It has been done.
        if error.errno != errno.EINVAL:
            raise


def _named(*parameters: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """For methods whose first parameters are paths: errors name them, and what has changed under way is looked for again."""
    def decorate(method: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(method)
        def call(*arguments: _P.args, **named: _P.kwargs) -> _R:
            try:
                try:
                    return method(*arguments, **named)
                except OSError as error:
                    if error.errno != errno.ESTALE:
                        raise
                    # As the kernel does it, once.
                    return method(*arguments, **named)
            except OSError as error:
                given = dict(zip(parameters, arguments[1:])) | named
                # Where a path may be left out it is the root.
                paths = [given.get(name, "/") for name in parameters]
                raise with_paths(error, *paths) from None
        return call
    return decorate


class FileSystem:
    """The volume as one user sees it. Made by mounted(); as_user() gives it to another one."""

    def __init__(self, kernel: Kernel, caller: Caller) -> None:
        self._kernel = kernel
        self._caller = caller

    def __repr__(self) -> str:
        return f"<tenon.testing.FileSystem as user {self._caller.uid}, group {self._caller.gid}>"

    # ------------------------------------------------------------------------------------------------ the test itself

    def as_user(self, uid: int, gid: int, pid: int | None = None) -> FileSystem:
        """The same volume for another caller. pid: a thread, as get_originator_thread_id tells it; None: the one that calls."""
        return FileSystem(self._kernel, Caller(uid, gid, pid))

    def interrupt(self, pid: int) -> None:
        """A signal for the thread of this number, given to as_user(): its calls are cancelled. ProcessLookupError: it makes none."""
        self._kernel.cbfs._testing_interrupt(pid)

    def balance(self) -> Balance:
        """What the engine holds now."""
        return Balance(*self._kernel.cbfs._testing_balance())

    def forget_all(self) -> None:
        """Forget all files but those in use, as the kernel does when it needs memory.

        With nothing in use this waits until balance() is all 0; otherwise the engine may still be at it.
        """
        self._kernel.forget_all()

    # ------------------------------------------------------------------------------------------------ what is there

    @_named("path")
    def stat(self, path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        """As os.stat(); st_dev is 0."""
        with self._walk(path, follow_symlinks) as place:
            return place.attributes.as_stat()

    def lstat(self, path: Path) -> os.stat_result:
        """As os.lstat()."""
        return self.stat(path, follow_symlinks=False)

    def exists(self, path: Path) -> bool:
        """Whether there is such a file, for which symlinks are followed."""
        try:
            self.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    @_named("path")
    def birth_time_ns(self, path: Path) -> int | None:
        """creation_time in nanoseconds, which statx(2) has and os.stat() has not; None: the handler gave none."""
        with self._walk(path, True) as place:
            answer = self._request(wire.STATX, place.file.node.id, wire.STATX_IN.pack(0, wire.STATX_BTIME), wire.STATX_OUT.size)
        mask, seconds, part = wire.STATX_OUT.unpack(answer)
        return seconds * 10**9 + part if mask & wire.STATX_BTIME else None

    @_named("path")
    def lookup(self, path: Path) -> int:
        """The number under which the kernel knows the file (symlinks are not followed): its file_id, if the drive gives one."""
        with self._walk(path, False) as place:
            return place.file.node.id

    @_named("path")
    def links(self, path: Path) -> list[str]:
        """All names of the file: cbfs.get_links(), with or without a slash at the beginning."""
        return self._kernel.cbfs.get_links("/" + os.fsdecode(path).lstrip("/"))

    @_named("path")
    def readlink(self, path: AnyStr | os.PathLike[AnyStr]) -> AnyStr:
        """As os.readlink()."""
        with self._walk(path, False) as place:
            if not place.file.is_symlink:
                raise failure(errno.EINVAL)
            return like(path, self._request(wire.READLINK, place.file.node.id, b"", 4096))  # type: ignore[return-value]

    @_named("path")
    def statvfs(self, path: Path = "/") -> os.statvfs_result:
        """As os.statvfs()."""
        with self._walk(path, True) as place:
            answer = self._request(wire.STATFS, place.file.node.id, b"", wire.STATFS_OUT.size)
        blocks, free, available, files, free_files, bsize, longest, frsize = wire.STATFS_OUT.unpack(answer)
        return os.statvfs_result((bsize, frsize, blocks, free, available, files, free_files, free_files, 0, longest, 0))

    # ------------------------------------------------------------------------------------------------ directories

    @_named("path")
    def listdir(self, path: AnyStr | os.PathLike[AnyStr] = "/") -> list[AnyStr]:  # type: ignore[assignment]
        """As os.listdir(), in the order in which the handler gives the names."""
        return [like(path, entry.name) for entry in self._list(path, False)]  # type: ignore[misc]

    @_named("path")
    def scandir(self, path: AnyStr | os.PathLike[AnyStr] = "/") -> list[DirEntry[AnyStr]]:  # type: ignore[assignment]
        """As os.scandir(), at once. The attributes are those that enumerate_directory gave, where it gave enough to do."""
        return [DirEntry(self, path, entry) for entry in self._list(path, True)]

    def walk(self, top: str = "/") -> Iterator[tuple[str, list[str], list[str]]]:
        """As os.walk(), from the top down: path, names of directories, names of others. Symlinks are not followed."""
        entries = self.scandir(top)
        directories = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        yield top, directories, [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
        for name in directories:
            yield from self.walk(os.path.join(top, name))

    def _list(self, path: Path, plus: bool) -> list[wire.Entry]:
        """All entries, as the kernel reads them. With plus each is counted as looked up, so it must not be lost."""
        entries: list[wire.Entry] = []
        with self.open(path, os.O_RDONLY | os.O_DIRECTORY) as directory:
            while piece := directory._read_listing(entries[-1].offset if entries else 0, plus):
                entries += piece
        return [entry for entry in entries if entry.name not in (b".", b"..")]

    # ------------------------------------------------------------------------------------------------ names

    @_named("path")
    def mkdir(self, path: Path, mode: int = 0o755) -> None:
        """As os.mkdir()."""
        self._make(path, wire.MKDIR, wire.MKDIR_IN.pack(mode))

    @_named("path")
    def mknod(self, path: Path, mode: int = 0o644, device: int = 0) -> None:
        """As os.mknod(): mode has the type as well, a plain file's where there is none."""
        if stat.S_ISDIR(mode):
            raise failure(errno.EPERM)
        self._make(path, wire.MKNOD, wire.MKNOD_IN.pack(mode, wire.kernel_device(device)))

    def mkfifo(self, path: Path, mode: int = 0o644) -> None:
        """As os.mkfifo()."""
        self.mknod(path, stat.S_IFIFO | mode)

    @_named("src", "dst")
    def symlink(self, src: Path, dst: Path) -> None:
        """As os.symlink(): dst is to point to src."""
        target = encode(src)
        if not target:
            raise failure(errno.ENOENT)
        self._make(dst, wire.SYMLINK, b"", target + b"\0")

    @_named("src", "dst")
    def link(self, src: Path, dst: Path, *, follow_symlinks: bool = False) -> None:
        """As link(2): dst is another name of src, which is a symlink itself unless follow_symlinks."""
        with self._walk(src, follow_symlinks) as source, self._walk(dst, None, lock=True) as place:
            refuse_taken(place)
            if source.file.is_directory:
                raise failure(errno.EPERM)
            self._link(source.file.node, place)

    @_named("path")
    def unlink(self, path: Path) -> None:
        """As os.unlink()."""
        with self._walk(path, None, lock=True) as place:
            if place.file.is_directory:
                raise failure(errno.EISDIR)
            self._remove(place, wire.UNLINK)

    @_named("path")
    def rmdir(self, path: Path) -> None:
        """As os.rmdir()."""
        with self._walk(path, None, lock=True) as place:
            if not place.file.is_directory:
                raise failure(errno.ENOTDIR)
            if not place.name:
                raise failure({b".": errno.EINVAL, b"..": errno.ENOTEMPTY}.get(place.dots, errno.EBUSY))
            self._remove(place, wire.RMDIR)

    @_named("src", "dst")
    def rename(self, src: Path, dst: Path, flags: int = 0) -> None:
        """As renameat2(2): flags is 0, 1 (RENAME_NOREPLACE) or 2 (RENAME_EXCHANGE)."""
        if flags not in (0, _RENAME_NOREPLACE, _RENAME_EXCHANGE):
            raise failure(errno.EINVAL)
        with self._walk(src, None, look=False) as source, self._walk(dst, None, look=False) as target:
            source.lock_both(target)
            source.look_up()
            target.look_up()
            if not source.name or not target.name:
                raise failure(errno.EBUSY)
            if not _check_rename(source, target, flags):
                return
            names = source.name + b"\0" + target.name + b"\0"
            source.request(wire.RENAME2, wire.RENAME2_IN.pack(target.parent, flags) + names)
            if target.found and flags != _RENAME_EXCHANGE:
                target.found.node.gone = True

    def _make(self, path: Path, opcode: int, fixed: bytes, behind: bytes = b"") -> None:
        with self._walk(path, None, lock=True) as place:
            refuse_taken(place)
            if place.wants_directory and opcode != wire.MKDIR:
                raise failure(errno.ENOENT)
            place.take(place.request(opcode, fixed + place.name + b"\0" + behind, wire.ENTRY_OUT.size))

    def _link(self, node: Node, place: Place) -> None:
        if place.wants_directory:
            raise failure(errno.ENOENT)
        place.take(place.request(wire.LINK, wire.LINK_IN.pack(node.id) + place.name + b"\0", wire.ENTRY_OUT.size))

    def _remove(self, place: Place, opcode: int) -> None:
        place.request(opcode, place.name + b"\0")
        place.file.node.gone = True

    # ------------------------------------------------------------------------------------------------ attributes

    @_named("path")
    def chmod(self, path: Path, mode: int) -> None:
        """As os.chmod()."""
        self._set(path, True, wire.put_setattr(wire.SET_MODE, mode=mode & 0o7777))

    @_named("path")
    def chown(self, path: Path, uid: int, gid: int, *, follow_symlinks: bool = True) -> None:
        """As os.chown(): -1 leaves one as it is."""
        valid = (wire.SET_UID if uid != -1 else 0) | (wire.SET_GID if gid != -1 else 0)
        self._set(path, follow_symlinks, wire.put_setattr(valid, uid=uid & 0xffffffff, gid=gid & 0xffffffff))

    @_named("path")
    def utime(self, path: Path, times: tuple[float, float] | None = None, *, ns: tuple[int, int] | None = None,
              follow_symlinks: bool = True) -> None:
        """As os.utime(): access and modification time in seconds, or as ns in nanoseconds; without both it is now."""
        valid = wire.SET_ATIME | wire.SET_MTIME
        if times is not None and ns is not None:
            raise ValueError("utime: you may specify either 'times' or 'ns' but not both")
        if times is not None:
            ns = int(times[0] * 10**9), int(times[1] * 10**9)
        if ns is None:
            valid |= wire.SET_ATIME_NOW | wire.SET_MTIME_NOW
            ns = 0, 0
        self._set(path, follow_symlinks, wire.put_setattr(valid, atime_ns=ns[0], mtime_ns=ns[1]))

    @_named("path")
    def truncate(self, path: Path, length: int) -> None:
        """As os.truncate()."""
        self._set(path, True, self._resize(length))

    def _resize(self, length: int, fh: int | None = None) -> bytes:
        if length < 0:
            raise failure(errno.EINVAL)
        valid = wire.SET_SIZE | (0 if fh is None else wire.SET_FH) | (0 if self._caller.is_root else wire.SET_KILL_SUIDGID)
        return wire.put_setattr(valid, size=length, fh=fh or 0)

    def _set(self, path: Path, follow: bool, body: bytes) -> None:
        with self._walk(path, follow) as place:
            self._request(wire.SETATTR, place.file.node.id, body, wire.ATTR_OUT.size)

    # ------------------------------------------------------------------------------------------------ contents

    @_named("path")
    def open(self, path: Path, flags: int = os.O_RDONLY, mode: int = 0o644) -> File:
        """As os.open(), of plain files and directories; O_TMPFILE as well. To be used as a context manager, or closed."""
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            return self._open_temporary(path, flags, mode)
        is_exclusive = flags & os.O_CREAT and flags & os.O_EXCL
        follow = None if is_exclusive else not flags & os.O_NOFOLLOW
        with self._walk(path, follow, lock=bool(flags & os.O_CREAT)) as place:
            if place.found is None and flags & os.O_CREAT:
                return self._create(place, path, flags, mode)
            place.unlock()
            _check_open(place, flags)
            return self._open(place, path, flags)

    def read_bytes(self, path: Path) -> bytes:
        """All that a file holds."""
        with self.open(path) as file:
            return file.read()

    def write_bytes(self, path: Path, data: Data) -> int:
        """Make data all that a file holds, which is created where it is not there. How many bytes that is."""
        done, view = 0, memoryview(data).cast("B")
        with self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            while done < len(view):
                done += file.write(view[done:])
        return done

    @_named("path")
    def fallocate(self, path: Path, offset: int, length: int, mode: int = 0) -> None:
        """As fallocate(2): mode has FALLOC_FL_* bits (1 KEEP_SIZE, 2 PUNCH_HOLE, 0x10 ZERO_RANGE)."""
        with self.open(path, os.O_WRONLY) as file:
            file.fallocate(offset, length, mode)

    def get_label(self) -> str:
        """The volume's label, as FS_IOC_GETFSLABEL tells it."""
        with self.open("/") as root:
            body = wire.IOCTL_IN.pack(root._handle, 0, wire.IOC_GETFSLABEL, 0, 0, wire.FSLABEL_MAX)
            answer = root._request(wire.IOCTL, body, wire.IOCTL_OUT.size + wire.FSLABEL_MAX)
        return os.fsdecode(answer[wire.IOCTL_OUT.size:].partition(b"\0")[0])

    def set_label(self, label: str) -> None:
        """Change it, as FS_IOC_SETFSLABEL does: for root and the volume's owner."""
        text = encode(label)
        if len(text) >= wire.FSLABEL_MAX:
            raise failure(errno.EINVAL)
        with self.open("/") as root:
            body = wire.IOCTL_IN.pack(root._handle, 0, wire.IOC_SETFSLABEL, 0, wire.FSLABEL_MAX, 0)
            root._request(wire.IOCTL, body + text.ljust(wire.FSLABEL_MAX, b"\0"), wire.IOCTL_OUT.size)

    def _create(self, place: Place, path: Path, flags: int, mode: int) -> File:
        if place.wants_directory:
            raise failure(errno.EISDIR)
        body = wire.CREATE_IN.pack(flags, mode & 0o7777) + place.name + b"\0"
        answer = place.request(wire.CREATE, body, wire.ENTRY_OUT.size + wire.OPEN_OUT.size)
        return File(self, place, path, place.take(answer), flags, answer[wire.ENTRY_OUT.size:])

    def _open(self, place: Place, path: Path, flags: int) -> File:
        opcode = wire.OPENDIR if place.file.is_directory else wire.OPEN
        sent = flags & ~(os.O_CREAT | os.O_EXCL | os.O_NOCTTY | os.O_TRUNC)
        answer = self._request(opcode, place.file.node.id, wire.OPEN_IN.pack(sent), wire.OPEN_OUT.size)
        file = File(self, place, path, place.file.node, flags, answer, place.file.is_directory)
        if flags & os.O_TRUNC:
            try:
                self._request(wire.SETATTR, file._node.id, self._resize(0), wire.ATTR_OUT.size)
            except BaseException:
                file.close()
                raise
        return file

    def _open_temporary(self, path: Path, flags: int, mode: int) -> File:
        with self._walk(path, True) as place:
            if not place.file.is_directory:
                raise failure(errno.ENOTDIR)
            if flags & os.O_ACCMODE == os.O_RDONLY:
                raise failure(errno.EINVAL)
            body = wire.CREATE_IN.pack(flags, mode & 0o7777) + b"/\0"
            answer = self._request(wire.TMPFILE, place.file.node.id, body, wire.ENTRY_OUT.size + wire.OPEN_OUT.size)
            return File(self, place, path, place.take(answer), flags, answer[wire.ENTRY_OUT.size:])

    # ------------------------------------------------------------------------------------------------ below

    def _walk(self, path: Path, follow: bool | None, *, lock: bool = False, look: bool = True) -> Place:
        return Place(self._kernel, self._caller, encode(path), follow, lock, look)

    def _request(self, opcode: int, nodeid: int, body: bytes = b"", room: int = 0) -> bytes:
        return self._kernel.request(self._caller, opcode, nodeid, body, room)


def _check_open(place: Place, flags: int) -> None:
    """What open(2) looks at before it asks the file system."""
    file = place.file
    if flags & os.O_CREAT and flags & os.O_EXCL:
        raise failure(errno.EEXIST)
    if file.is_symlink:
        raise failure(errno.ELOOP)
    if file.is_directory and (flags & (os.O_CREAT | os.O_TRUNC) or flags & os.O_ACCMODE != os.O_RDONLY):
        raise failure(errno.EISDIR)
    if flags & os.O_DIRECTORY and not file.is_directory:
        raise failure(errno.ENOTDIR)
    if not file.is_directory and not file.is_regular:
        raise failure(errno.ENXIO)


def _check_rename(source: Place, target: Place, flags: int) -> bool:
    """What rename(2) looks at before it asks the file system. False: there is nothing to do."""
    file = source.file
    is_exchange = flags == _RENAME_EXCHANGE
    if flags == _RENAME_NOREPLACE:
        refuse_taken(target)
    if is_exchange and target.found is None:
        raise failure(errno.ENOENT)
    if file.node in [directory.node for directory in target.directories]:
        raise failure(errno.EINVAL)
    if target.found is None:
        if target.wants_directory and not file.is_directory:
            raise failure(errno.ENOTDIR)
        return True
    if target.found.node in [directory.node for directory in source.directories]:
        raise failure(errno.EINVAL if is_exchange else errno.ENOTEMPTY)
    if target.found.node is file.node:
        return False
    if not is_exchange and file.is_directory != target.found.is_directory:
        raise failure(errno.ENOTDIR if file.is_directory else errno.EISDIR)
    return True
