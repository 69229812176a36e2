"""Fixtures for tests of the command: it is run as a user would, and what it mounts is swept whatever happens."""
from __future__ import annotations

import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
from typing import Iterator, Optional

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
COMMAND = os.environ.get("TENON", str(REPOSITORY / "build" / "tenon"))
# What hangs is a failure, and no test takes anything like this long.
LIMIT = 60


def unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def mounts() -> list[tuple[str, str, str, str, str]]:
    """(mounting point, options, type, source, device number) of everything that is mounted."""
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        before, after = line.split(" - ", 1)
        fields = [unescape(field) for field in before.split(" ")]
        kind, source = [unescape(field) for field in after.split(" ")[:2]]
        found.append((fields[4], fields[5], kind, source, fields[2]))
    return found


def mounted(point: object) -> Optional[tuple[str, str, str, str, str]]:
    at = [mount for mount in mounts() if mount[0] == str(point)]
    return at[-1] if at else None


def server_of(point: object) -> Optional[int]:
    """The process that serves a mounted drive, as its state file says."""
    mount = mounted(point)
    state = pathlib.Path("/run/tenon") / mount[4] if mount else None
    if state is None or not state.exists():
        return None
    return int(re.search(r"^pid (\d+)$", state.read_text(), re.M)[1])


def guard_of(pid: int) -> int:
    """The process that takes the mounts of pid away when it is killed."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if command == b"tenon-guard\0%d\0" % pid:
            return int(folder.name)
    raise AssertionError(f"process {pid} has no guard")


def wait_until_gone(point: object, seconds: float = LIMIT) -> None:
    """Until nothing is mounted at point."""
    with open("/proc/self/mountinfo") as table:
        poll = select.poll()
        poll.register(table, select.POLLPRI)
        while mounted(point):
            # What is read arms poll for the next change.
            table.seek(0)
            table.read()
            assert not mounted(point) or poll.poll(seconds * 1000), f"{point} is still mounted"


class Ended:
    """Waits for the end of a process that is not our child, without missing it."""

    def __init__(self, pid: int):
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    def wait(self, seconds: float = LIMIT) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        os.close(self.fd)


def kill_with_guard(pid: int, ended: type) -> Ended:
    """Both at once, as when a whole control group is killed: nobody is left to clear up."""
    guard = guard_of(pid)
    processes = [ended(guard), ended(pid)]
    os.kill(guard, signal.SIGKILL)
    assert processes[0].wait()
    os.kill(pid, signal.SIGKILL)
    assert processes[1].wait()
    return processes[1]


class Bench:
    """A folder of its own, the command, and a broom."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.point = folder / "mnt"
        self.point.mkdir()
        self.vault = folder / "demo.vault"
        self.running: list[subprocess.Popen] = []

    def tenon(self, *arguments: object, **options: object) -> subprocess.CompletedProcess:
        settings = {"capture_output": True, "text": True, "timeout": LIMIT, "cwd": self.folder, **options}
        command = self.public_command() if "user" in options else COMMAND
        return subprocess.run([command, *map(str, arguments)], **settings)  # type: ignore[call-overload]

    def public_command(self) -> str:
        """A copy of the command that any user can run: the checkout may lie where only root can go."""
        command = pathlib.Path(COMMAND).resolve()
        copy = self.folder / "public" / "tool" / "tenon"
        if not copy.exists():
            library = copy.parents[1] / "src"
            for folder in (copy.parent, library):
                folder.mkdir(parents=True)
            shutil.copy(command, copy)
            for name in ("libtenon.so.0", "tenon-guard"):
                shutil.copy(command.parents[1] / "src" / name, library / name)
        return str(copy)

    def ok(self, *arguments: object, **options: object) -> str:
        """The command succeeds and says nothing on stderr; what it printed."""
        done = self.tenon(*arguments, **options)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refused(self, *arguments: object, status: int = 1, **options: object) -> str:
        """The command fails with one sentence, which is returned without "tenon: "."""
        done = self.tenon(*arguments, **options)
        assert done.returncode == status, done
        assert done.stdout == "", done
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("tenon: "), done
        assert len(lines[0]) < 1000
        return lines[0].removeprefix("tenon: ")

    def clear(self, point: object) -> None:
        """Unmounts what a killed drive has left, unless its guard was faster."""
        done = self.tenon("umount", point)
        gone = f"tenon: {point} is not a mounting point: tenon list shows those there are\n"
        assert (done.returncode, done.stderr) in [(0, ""), (1, gone)], done

    def start(self, *arguments: object, **options: object) -> subprocess.Popen:
        process = subprocess.Popen([COMMAND, *map(str, arguments)], cwd=self.folder, text=True, **options)
        self.running.append(process)
        return process

    def sweep(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait(LIMIT)
        points = [mount[0] for mount in mounts() if mount[0].startswith(f"{self.folder}/")]
        for point in reversed(points):
            pid = server_of(point)
            subprocess.run(["umount", "-l", point], capture_output=True, timeout=LIMIT)
            if pid is not None:
                end_process(pid)


def end_process(pid: int) -> None:
    try:
        ended = Ended(pid)
    except ProcessLookupError:
        return
    if not ended.wait(5):
        os.kill(pid, signal.SIGKILL)
        ended.wait(5)
    ended.close()


@pytest.fixture
def real(need) -> None:
    """Mounts are possible here."""
    need("root", os.geteuid() == 0, "not root")
    need("mount", os.access("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse cannot be used")


@pytest.fixture
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="tenon-tool-", ignore_cleanup_errors=True) as name:
        made = Bench(pathlib.Path(name).resolve())
        try:
            yield made
        finally:
            made.sweep()


@pytest.fixture
def ended() -> Iterator[type]:
    made: list[Ended] = []

    def watch(pid: int) -> Ended:
        made.append(Ended(pid))
        return made[-1]
    yield watch
    for one in made:
        one.close()
