"""What a scenario does, written down step by step so that two file systems can be compared.

A scenario runs in a process of its own whose working directory is an empty directory on the file system under
test. It does everything through a Steps object, which notes each call with its result or the name of its error.
Whatever differs legally from run to run (descriptor numbers, inode numbers, the present time) is never noted
as such: descriptors are noted as "ok", inode numbers and times only in comparisons.
"""
from __future__ import annotations

import hashlib
import mmap
import os
import pickle
import stat
import struct
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Optional, Union

from . import calls

Path = Union[str, bytes]
Note = tuple[str, Any]

OPEN_FLAGS = [(getattr(os, name), name[2:]) for name in
              ("O_CREAT", "O_EXCL", "O_TRUNC", "O_APPEND", "O_NOFOLLOW", "O_PATH", "O_NONBLOCK", "O_DIRECT",
               "O_SYNC", "O_CLOEXEC") if hasattr(os, name)]

CLOCK_REALTIME_COARSE = 5

# Users and groups that need no account.
ANNA, BERT, CARL = 61001, 61002, 61003
STAFF = 62001


class Fd(int):
    """A descriptor: an int for the system, the file's label for the trace."""

    def __new__(cls, number: int, label: str = "fd"):
        self = super().__new__(cls, number)
        self.label = label
        return self

    def __getnewargs__(self):
        return int(self), self.label

    def __repr__(self) -> str:
        return f"<{self.label}>"


def flag_names(flags: int) -> str:
    """Open flags as a person would write them."""
    names = [("RDONLY", "WRONLY", "RDWR", "3")[flags & 3]]
    rest = flags & ~3
    if rest & os.O_TMPFILE == os.O_TMPFILE:
        names.append("TMPFILE")
        rest &= ~os.O_TMPFILE
    elif rest & os.O_DIRECTORY:
        names.append("DIRECTORY")
        rest &= ~os.O_DIRECTORY
    for bit, name in OPEN_FLAGS:
        if rest & bit == bit:
            names.append(name)
            rest &= ~bit
    return "|".join(names + ([hex(rest)] if rest else []))


def show(value: Any) -> str:
    """A value as it appears in a step's label."""
    if isinstance(value, (bytes, str)) and len(value) > 60:
        return f"{value[:20]!r}...({len(value)})"
    if isinstance(value, (bytearray, memoryview, mmap.mmap)):
        return f"buffer({len(value)})"
    return repr(value)


def digest(data: bytes) -> str:
    return f"{len(data)} bytes {hashlib.sha256(data).hexdigest()[:16]}"


def view(st: os.stat_result) -> dict[str, Any]:
    """What two file systems must agree on in a stat result."""
    seen: dict[str, Any] = {"mode": stat.filemode(st.st_mode), "uid": st.st_uid, "gid": st.st_gid, "nlink": st.st_nlink}
    if stat.S_ISREG(st.st_mode) or stat.S_ISLNK(st.st_mode):
        seen["size"] = st.st_size
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        seen["rdev"] = (os.major(st.st_rdev), os.minor(st.st_rdev))
    return seen


def plain(value: Any) -> Any:
    """A result in the form that is kept and compared."""
    if value is None or isinstance(value, Fd):
        return "ok"
    if isinstance(value, os.stat_result):
        return view(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value)
        return value if len(value) <= 64 else digest(value)
    return value


def coarse_clock() -> int:
    """The clock that the kernel stamps files with."""
    return time.clock_gettime_ns(CLOCK_REALTIME_COARSE)


class Actor:
    """Does calls and notes them. The common part of the scenario's own process and of other users' processes."""

    def __init__(self, notes: list[Note], prefix: str, progress: Callable[[str], None]):
        self.notes, self.prefix, self.progress = notes, prefix, progress

    def perform(self, call: Callable, args: tuple, keywords: dict) -> Any:
        raise NotImplementedError

    def note(self, label: str, value: Any) -> None:
        """Keep something that all file systems must agree on."""
        self.notes.append((self.prefix + label, plain(value)))

    def step(self, label: str, call: Callable, *args: Any, **keywords: Any) -> Any:
        """Do a call under a label; its result (None after an error) for the scenario's further use."""
        self.progress(self.prefix + label)
        try:
            result = self.perform(call, args, keywords)
        except OSError as error:
            self.note(label, calls.error_name(error))
            return None
        self.note(label, result)
        return result

    def do(self, call: Callable, *args: Any, **keywords: Any) -> Any:
        """Do a call, labelled with its own name and arguments."""
        shown = [show(a) for a in args] + [f"{k}={show(v)}" for k, v in keywords.items()]
        return self.step(f"{call.__name__}({', '.join(shown)})", call, *args, **keywords)

    def open(self, path: Path, flags: int, mode: int = 0o644, **keywords: Any) -> Optional[Fd]:
        """open(2); the descriptor, or None after an error."""
        shown = f", {mode:#o}" if flags & (os.O_CREAT | (os.O_TMPFILE & ~os.O_DIRECTORY)) else ""
        return self.step(f"open({show(path)}, {flag_names(flags)}{shown})", open_file, path, flags, mode, **keywords)

    def stat(self, target: Union[Path, int]) -> Optional[os.stat_result]:
        return self.do(os.stat, target)

    def lstat(self, target: Path) -> Optional[os.stat_result]:
        return self.do(os.lstat, target)


def open_file(path: Path, flags: int, mode: int = 0o644, **keywords: Any) -> Fd:
    label = path.decode("utf-8", "backslashreplace") if isinstance(path, bytes) else path
    return Fd(os.open(path, flags, mode, **keywords), label[:40])


class Steps(Actor):
    """A scenario's own process."""

    def __init__(self, directory: Path, progress: Callable[[str], None] = lambda label: None):
        super().__init__([], "", progress)
        self.directory = directory
        self.peers: list[Peer] = []

    def perform(self, call: Callable, args: tuple, keywords: dict) -> Any:
        return call(*args, **keywords)

    # ------------------------------------------------------------------------------ comparisons

    def either(self, label: str, call: Callable, *args: Any, legal: Iterable[Any], why: str) -> Any:
        """Do a call whose result may be any of `legal`; `why` says in one line why file systems may differ."""
        assert why
        self.progress(label)
        try:
            result = call(*args)
            value = plain(result)
        except OSError as error:
            result, value = None, calls.error_name(error)
        legal = list(legal)
        self.notes.append((label, f"one of {legal}" if value in legal else value))
        return result

    def same_file(self, one: Union[Path, int], two: Union[Path, int]) -> None:
        """Note whether two names (or descriptors) are one inode."""
        def ids(target):
            st = os.stat(target, follow_symlinks=False) if not isinstance(target, int) else os.fstat(target)
            return st.st_dev, st.st_ino
        self.step(f"{show(one)} is {show(two)}", lambda: ids(one) == ids(two))

    def listing(self, path: Path = ".") -> None:
        """Note a directory's names."""
        self.step(f"names in {show(path)}", lambda: sorted(os.listdir(os.fsencode(path))))

    def tree(self, path: Path = ".", content: bool = True) -> None:
        """Note everything below a directory."""
        self.step(f"tree {show(path)}", describe_tree, path, content)

    def content(self, path: Path) -> None:
        """Note a whole file."""
        self.step(f"content of {show(path)}", read_file, path)

    # ------------------------------------------------------------------------------ making things

    def put(self, path: Path, data: bytes = b"", mode: int = 0o644) -> None:
        """Make a file with this content; noted, so that a failure shows where it happened."""
        self.step(f"make {show(path)} of {len(data)} bytes", write_file, path, data, mode)

    def owned(self, path: Path, mode: int, uid: int, gid: int) -> None:
        """Give a name an owner and a mode."""
        self.step(f"{show(path)} belongs to {uid}:{gid} {mode:#o}", give, path, mode, uid, gid)

    # ------------------------------------------------------------------------------ time

    def past(self, *paths: Path) -> None:
        """Set times far in the past, so that any later change shows."""
        for path in paths:
            os.utime(path, ns=(10**18 + 1, 10**18 + 2), follow_symlinks=False)

    def later(self, *targets: Union[Path, int]) -> None:
        """Return when the kernel's clock has passed all times of these files."""
        latest = 0
        for target in targets:
            st = os.fstat(target) if isinstance(target, int) else os.lstat(target)
            latest = max(latest, st.st_mtime_ns, st.st_ctime_ns)
        while coarse_clock() <= latest:
            pass

    def touched(self, label: str, act: Callable[[], Any], *watched: Union[Path, int]) -> None:
        """Do something and note which times of the watched files it moved forward.

        A file that is gone afterwards is noted as such."""
        def stamps(target):
            return os.fstat(target) if isinstance(target, int) else os.lstat(target)
        before = {target: stamps(target) for target in watched}
        self.later(*watched)
        self.step(label, lambda: (act(), None)[1])
        for target, old in before.items():
            try:
                new = stamps(target)
            except FileNotFoundError:
                self.note(f"{label}: {show(target)}", "gone")
                continue
            moved = [name for name, a, b in (("mtime", old.st_mtime_ns, new.st_mtime_ns),
                                             ("ctime", old.st_ctime_ns, new.st_ctime_ns)) if b > a]
            back = [name for name, a, b in (("mtime", old.st_mtime_ns, new.st_mtime_ns),
                                            ("ctime", old.st_ctime_ns, new.st_ctime_ns)) if b < a]
            self.note(f"{label}: times of {show(target)}", {"later": moved, "earlier": back})

    # ------------------------------------------------------------------------------ other processes

    def peer(self, uid: Optional[int] = None, gid: Optional[int] = None, groups: Iterable[int] = ()) -> Peer:
        """Another process, with other ids where given, which does what it is told."""
        other = Peer(self, uid, gid if gid is not None else uid, list(groups), len(self.peers))
        self.peers.append(other)
        return other

    def close(self) -> None:
        for other in self.peers:
            other.end()


class Peer(Actor):
    """Another process that performs calls for a scenario. Calls are sent by name, so they must be module-level."""

    def __init__(self, steps: Steps, uid: Optional[int], gid: Optional[int], groups: list[int], number: int):
        who = f"peer {number}" if uid is None else f"uid {uid}"
        super().__init__(steps.notes, f"{who}: ", steps.progress)
        ask, self._ask = os.pipe()
        self._answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for other in [self, *steps.peers]:
                other._hang_up()
            _serve(ask, answer, uid, gid, groups)
        os.close(ask)
        os.close(answer)

    def start(self, call: Callable, *args: Any, **keywords: Any) -> None:
        """Begin a call that may block; finish() waits for it."""
        _send(self._ask, (call, args, keywords))

    def result(self) -> Any:
        fine, value = _receive(self._answer)
        if not fine:
            raise value
        return value

    def finish(self, label: str) -> Any:
        self.progress(self.prefix + label)
        try:
            value = self.result()
        except OSError as error:
            self.note(label, calls.error_name(error))
            return None
        self.note(label, value)
        return value

    def perform(self, call: Callable, args: tuple, keywords: dict) -> Any:
        self.start(call, *args, **keywords)
        return self.result()

    def _hang_up(self) -> None:
        os.close(self._ask)
        os.close(self._answer)

    def end(self) -> None:
        if self.pid:
            self._hang_up()
            os.waitpid(self.pid, 0)
            self.pid = 0


def _send(fd: int, value: Any) -> None:
    data = pickle.dumps(value)
    data = struct.pack("=I", len(data)) + data
    while data:
        data = data[os.write(fd, data):]


def _receive(fd: int) -> Any:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = os.read(fd, count - len(data))
            if not part:
                raise EOFError
            data += part
        return data
    return pickle.loads(exactly(struct.unpack("=I", exactly(4))[0]))


def _serve(ask: int, answer: int, uid: Optional[int], gid: Optional[int], groups: list[int]) -> None:
    """A peer's life: do what is asked until the asker goes."""
    try:
        if uid is not None:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            calls.stay_dumpable()
        calls.die_with_parent()
        while True:
            call, args, keywords = _receive(ask)
            try:
                outcome = True, call(*args, **keywords)
            except Exception as error:
                outcome = False, error
            _send(answer, outcome)
    except EOFError:
        os._exit(0)
    finally:
        os._exit(1)


# ---------------------------------------------------------------------------------- helpers, also for peers


def write_file(path: Path, data: bytes = b"", mode: int = 0o644) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        view_of = memoryview(data)
        while view_of:
            view_of = view_of[os.write(fd, view_of):]
    finally:
        os.close(fd)


def read_file(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(fd, 1 << 20):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def give(path: Path, mode: int, uid: int, gid: int) -> None:
    os.chown(path, uid, gid, follow_symlinks=False)
    os.chmod(path, mode)


def opens(path: Path, flags: int, mode: int = 0o644) -> None:
    """Open and close again: for asking whether it is allowed."""
    os.close(os.open(path, flags, mode))


def describe_tree(path: Path, content: bool = True) -> dict[bytes, Any]:
    """Everything below a directory: what each name is, and which names are one file."""
    seen: dict[bytes, Any] = {}
    pending = [b""]
    top = os.fsencode(path)
    while pending:
        below = pending.pop()
        for name in sorted(os.listdir(os.path.join(top, below))):
            here = os.path.join(below, name)
            full = os.path.join(top, here)
            st = os.lstat(full)
            about: dict[str, Any] = view(st)
            if stat.S_ISDIR(st.st_mode):
                pending.append(here)
            elif stat.S_ISLNK(st.st_mode):
                about["target"] = os.readlink(full)
            elif stat.S_ISREG(st.st_mode) and content:
                about["content"] = plain(read_file(full))
            seen[here] = (about, st.st_ino)
    # Names of one file are grouped under the alphabetically first of them.
    groups: dict[int, bytes] = {}
    for here in sorted(seen):
        groups.setdefault(seen[here][1], here)
    return {here: about | ({"same as": groups[ino]} if groups[ino] != here else {})
            for here, (about, ino) in sorted(seen.items())}


def remove_tree(path: Path) -> None:
    """rm -rf, also where a plain path would be too long: one level at a time, by descriptors."""
    _empty(path, None)
    os.rmdir(path)


def _empty(name: Path, parent: Optional[int]) -> None:
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        for entry in os.listdir(fd):
            try:
                os.unlink(entry, dir_fd=fd)
            except (IsADirectoryError, PermissionError):
                _empty(entry, fd)
                os.rmdir(entry, dir_fd=fd)
    finally:
        os.close(fd)


# ---------------------------------------------------------------------------------- the list of scenarios


@dataclass(frozen=True)
class Scenario:
    name: str
    run: Callable[[Steps], None]
    timeout: float


SCENARIOS: dict[str, Scenario] = {}


def scenario(run: Optional[Callable[[Steps], None]] = None, *, timeout: float = 20,
             table: dict[str, Scenario] = SCENARIOS) -> Callable:
    """Register a function as a scenario."""
    def register(function: Callable[[Steps], None]) -> Callable[[Steps], None]:
        assert function.__name__ not in table, function.__name__
        table[function.__name__] = Scenario(function.__name__, function, timeout)
        return function
    return register(run) if run else register
