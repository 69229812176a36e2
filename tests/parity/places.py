"""Where scenarios run: a tmpfs, an ext4 image, a mounted Tenon drive. And the certainty that nothing stays behind.

Everything lives below one fresh directory, the *base*. A small watcher process sweeps it (mounts, serving processes,
files) when the test run ends, however it ends.
"""
from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

from . import calls

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


class Unavailable(Exception):
    """Something the machine lacks: what (a word for TENON_REQUIRE) and why."""

    def __init__(self, what: str, why: str):
        super().__init__(f"{what}: {why}")
        self.what, self.why = what, why


def tenon_command() -> Path:
    return Path(os.environ.get("TENON") or REPOSITORY / "build" / "tenon").absolute()


def build_folder() -> Path:
    return Path(os.environ.get("BUILD") or REPOSITORY / "build").absolute()


# -------------------------------------------------------------------------------------- the mount table


def _unescape(field_: str) -> str:
    """Mount table fields write some bytes in octal."""
    raw = field_.encode("utf-8", "surrogateescape")
    return os.fsdecode(raw.decode("latin-1").encode("latin-1").decode("unicode_escape").encode("latin-1"))


@dataclass(frozen=True)
class MountEntry:
    device: str
    point: str
    options: str
    kind: str
    source: str


def mounts(below: Path) -> list[MountEntry]:
    """The mounts at or below a directory, the latest first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            left, _, right = line.rstrip("\n").partition(" - ")
            fields, rest = left.split(" "), right.split(" ")
            entry = MountEntry(fields[2], _unescape(fields[4]), fields[5], rest[0], rest[1])
            if entry.point == str(below) or entry.point.startswith(f"{below}/"):
                found.append(entry)
    return found[::-1]


def wait_until(done: Callable[[], bool], complaint: str, end: Optional[int] = None) -> None:
    """Wait for a change of the mount table that makes it so; no longer than until the process of a pidfd has ended."""
    deadline = time.monotonic() + PATIENCE
    with open("/proc/self/mounts", "rb") as table:
        poll = select.poll()
        poll.register(table, select.POLLERR | select.POLLPRI)
        if end is not None:
            poll.register(end, select.POLLIN)
        while not done():
            ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            assert ready, f"{complaint} after {PATIENCE} s"
            if end is not None and (end, select.POLLIN) in ready:
                assert done(), f"{complaint}: the process has ended"


def wait_mounted(point: Path, program: subprocess.Popen[bytes]) -> None:
    end = os.pidfd_open(program.pid)
    try:
        wait_until(lambda: bool(mounts(point)), f"{point} is not mounted", end)
    finally:
        os.close(end)


def processes_naming(text: str) -> list[int]:
    """Processes whose command line contains a text: the servers of our mounts, which name their mounting point."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                if text.encode() in Path("/proc", name, "cmdline").read_bytes():
                    found.append(int(name))
            except OSError:
                pass
    return found


def wait_for_end(pids: list[int], seconds: float) -> list[int]:
    """Wait until processes have ended; those that have not are given back."""
    deadline, alive = time.monotonic() + seconds, []
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                alive.append(pid)
        finally:
            os.close(fd)
    return alive


def abandon(point: Path) -> None:
    """Get rid of a mount that may hang: abort its connection, detach it, end its server."""
    servers = processes_naming(str(point))
    for flags in (calls.MNT_FORCE, calls.MNT_DETACH):
        try:
            calls.umount(str(point), flags)
        except OSError:
            pass
    for pid in wait_for_end(servers, 2.0):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    wait_for_end(servers, 5.0)


def sweep(base: Path) -> list[str]:
    """Remove a base with all that is mounted, running and stored there. Says what should not have been there."""
    left = [f"mount of {entry.kind} at {entry.point}" for entry in mounts(base)]
    for entry in mounts(base):
        abandon(Path(entry.point))
    for pid in processes_naming(f"{base}/"):
        left.append(f"process {pid}: {Path('/proc', str(pid), 'cmdline').read_bytes()!r}")
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(base, ignore_errors=True)
    return left


class Base:
    """A fresh directory that is swept at the end, by close() or by the watcher when the test run dies."""

    def __init__(self, folder: Optional[Path] = None, prefix: str = "tenon-tests-") -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=folder)).resolve()
        self.path.chmod(0o755)
        gone, self._alive = os.pipe()
        self._watcher = os.fork()
        if self._watcher == 0:
            self._watch(gone)
        os.close(gone)
        self._count = 0

    def _watch(self, gone: int) -> None:
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.closerange(3, gone)
            os.closerange(gone + 1, 4096)
            os.read(gone, 1)
            if self.path.exists():
                sweep(self.path)
        finally:
            os._exit(0)

    def fresh(self, name: str) -> Path:
        """A new empty directory in the base."""
        self._count += 1
        path = self.path / f"{self._count:03}-{name}"
        path.mkdir()
        path.chmod(0o755)
        return path

    def close(self) -> list[str]:
        left = sweep(self.path)
        os.close(self._alive)
        os.waitpid(self._watcher, 0)
        return left


# -------------------------------------------------------------------------------------- places


class Place:
    """A file system to run on: its name and its root directory."""

    name: str
    root: Path

    def close(self) -> None:
        """Give it back. Raises AssertionError where something is wrong with it afterwards."""

    def broken(self) -> Optional[str]:
        """Why the place cannot be used any more, or None."""
        try:
            os.statvfs(self.root)
        except OSError as error:
            return f"{self.root}: {error.strerror}"
        return None

    def abandon(self) -> None:
        abandon(self.root)


def run(*words: object, check: bool = True, timeout: float = PATIENCE, **keywords) -> subprocess.CompletedProcess:
    """Run a program, its output kept for the error message."""
    try:
        done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                              **keywords)
    except FileNotFoundError as error:
        raise Unavailable(Path(str(words[0])).name, f"{words[0]} is not installed") from error
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))} ended with {done.returncode}:\n"
                             f"{done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}")
    return done


def _must_be_root() -> None:
    if os.geteuid() != 0:
        raise Unavailable("root", "these tests mount file systems and change users, so they need root")


class Tmpfs(Place):
    name = "tmpfs"

    def __init__(self, base: Base):
        _must_be_root()
        self.root = base.fresh("tmpfs")
        run("mount", "-t", "tmpfs", "-o", "mode=755,nodev,nosuid,noatime,size=1g", "tenon-tests", self.root)

    def close(self) -> None:
        run("umount", self.root)


class Ext4(Place):
    name = "ext4"

    def __init__(self, base: Base):
        _must_be_root()
        self.root = base.fresh("ext4")
        image = base.path / f"{self.root.name}.image"
        with open(image, "wb") as file:
            file.truncate(1 << 30)
        environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        run("mkfs.ext4", "-q", "-F", "-I", "256", image, env=environment)
        done = run("mount", "-t", "ext4", "-o", "loop,nodev,nosuid,noatime", image, self.root, check=False)
        if done.returncode != 0:
            raise Unavailable("loop", f"no loop device: {done.stderr.decode(errors='replace').strip()}")
        # The image's own directory would be in the way of scenarios that look at the whole root.
        os.rmdir(self.root / "lost+found")

    def close(self) -> None:
        run("umount", self.root)


@dataclass
class Tenon(Place):
    """A drive, mounted by the command."""

    base: Base
    drive: str
    options: tuple[str, ...] = ()
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        _must_be_root()
        if not os.path.exists("/dev/fuse"):
            raise Unavailable("mount", "no /dev/fuse")
        if not tenon_command().exists():
            raise Unavailable("mount", f"no command at {tenon_command()}: build it, or set TENON")
        self.name = " ".join([self.drive, *self.options])
        self.root = self.base.fresh(self.drive)
        self.vault = self.base.path / f"{self.root.name}.vault"
        self.log = self.base.path / f"{self.root.name}.log"
        self.mount()

    @property
    def source(self) -> str:
        return "memory:" if self.drive == "memory" else str(self.vault)

    def mount(self) -> None:
        options = ",".join([f"log={self.log}", *self.options])
        run(tenon_command(), "mount", "-o", options, self.source, self.root)
        assert mounts(self.root), f"tenon mount said nothing, but nothing is mounted at {self.root}"

    def broken(self) -> Optional[str]:
        reason = super().broken()
        if reason and self.log.exists():
            reason += "\nits last messages:\n" + self.log.read_text(errors="replace")[-3000:]
        return reason

    def server(self) -> list[int]:
        """The processes that serve this mount."""
        return processes_naming(str(self.root))

    def umount(self) -> None:
        servers = self.server()
        run(tenon_command(), "umount", self.root)
        assert not mounts(self.root), f"still mounted after tenon umount: {mounts(self.root)}"
        alive = wait_for_end(servers, 0)
        assert not alive, f"tenon umount returned while {alive} still served"

    def check(self) -> None:
        """A vault must be sound at any time."""
        if self.drive == "vault":
            run(tenon_command(), "check", self.vault)

    def again(self) -> None:
        """Unmount, check, mount: what a new process finds."""
        self.umount()
        self.check()
        self.mount()

    def close(self) -> None:
        self.umount()
        self.check()


@dataclass
class Program(Place):
    """An example that serves in the foreground until it is unmounted."""

    base: Base
    options: tuple[str, ...] = ()
    root: Path = field(init=False)

    title = "program"

    def __post_init__(self) -> None:
        _must_be_root()
        if not os.path.exists("/dev/fuse"):
            raise Unavailable("mount", "no /dev/fuse")
        self.name = " ".join([self.title, *self.options])
        self.root = self.base.fresh(self.title)
        self.log = self.base.path / f"{self.root.name}.log"
        self.prepare()
        self.mount()

    def prepare(self) -> None:
        """Before it is mounted for the first time."""

    def command(self, *words: str) -> tuple[list[object], Optional[dict[str, str]]]:
        """What to run, with more words for this time, and in which environment."""
        raise NotImplementedError

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        command, environment = self.command(*words)
        with open(self.log, "ab") as log:
            return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def mount(self, *words: str) -> None:
        self.process = self.start(*words)
        wait_mounted(self.root, self.process)

    def wait(self) -> int:
        """The exit code, when the process has ended and its mount is gone."""
        code = self.process.wait(PATIENCE)
        wait_until(lambda: not mounts(self.root), f"{self.root} is still mounted")
        return code

    def umount(self) -> None:
        deadline = time.monotonic() + PATIENCE
        # Busy for a moment: the program looks at what it has just mounted.
        while run("umount", self.root, check=time.monotonic() > deadline).returncode:
            pass
        assert self.wait() == 0, self.log.read_text(errors="replace")

    def again(self, *words: str) -> None:
        """Unmount and mount: what a new process finds."""
        self.umount()
        self.mount(*words)

    def broken(self) -> Optional[str]:
        reason = super().broken()
        return f"{reason}\nits last messages:\n{self.log.read_text(errors='replace')[-3000:]}" if reason else None

    def abandon(self) -> None:
        super().abandon()
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.umount()


@dataclass
class Numbered(Program):
    """The example drive that keeps its files in a directory, by number: on a tmpfs of its own, because unmounting the drive
    makes the host's whole file system durable."""

    words: tuple[str, ...] = ()
    program: Optional[Path] = None
    environment: Optional[dict[str, str]] = None

    title = "numbered"

    def prepare(self) -> None:
        self.store = self.base.fresh("store")
        run("mount", "-t", "tmpfs", "-o", "size=1g", "tenon-tests", self.store)

    def command(self, *words: str) -> tuple[list[object], Optional[dict[str, str]]]:
        program = self.program or build_folder() / "examples" / "numbered"
        options = [word for option in self.options for word in ("-o", option)]
        return [program, *self.words, *words, *options, self.store, self.root], self.environment

    def abandon(self) -> None:
        super().abandon()
        abandon(self.store)

    def close(self) -> None:
        super().close()
        run("umount", self.store)


@dataclass
class PythonProgram(Program):
    """An example in Python, with what it wants to know before and behind its mounting point."""

    script: str = "memory.py"
    before: tuple[object, ...] = ()
    behind: tuple[object, ...] = ()

    title = "python"

    def prepare(self) -> None:
        found = run(sys.executable, "-c", "import tenon", check=False, env=self.environment)
        if found.returncode != 0:
            raise Unavailable("python", f"the Python edition cannot be used: {found.stderr.decode(errors='replace').strip().splitlines()[-1]}")

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(build_folder() / "python")}

    def command(self, *words: str) -> tuple[list[object], Optional[dict[str, str]]]:
        options = [word for option in self.options for word in ("-o", option)]
        script = REPOSITORY / "examples" / "python" / self.script
        return [sys.executable, script, *options, *words, *self.before, self.root, *self.behind], self.environment
