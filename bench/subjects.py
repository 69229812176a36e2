"""What is measured: file systems that can be entered, left, come back to and thrown away.

Each round gets a new one. A subject for a further file system is a class here and its name in SUBJECTS.
"""
from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))
from parity.places import Base, Unavailable, abandon, mounts, processes_naming, run, tenon_command, wait_for_end, wait_mounted  # noqa: E402

__all__ = ["Base", "SUBJECTS", "Subject", "Unavailable", "empty_caches", "python_environment", "python_words"]
PATIENCE = 300.0
# A peer is built, and a drive is served, by programs that may lie in sbin.
ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
# The packages of Debian are for Debian's own Python, whatever else comes first in PATH.
PYTHON = Path("/usr/bin/python3")
PYTHON_DRIVES = Path(__file__).with_name("python")


def empty_caches() -> None:
    """What was written is on the disk, and what was read or looked up is forgotten by the kernel."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def python_environment() -> dict[str, str]:
    """For programs that are in Python: they find this build's edition of Tenon, and write nothing into the repository."""
    return {**os.environ, "PYTHONPATH": str(tenon_command().parent / "python"), "PYTHONDONTWRITEBYTECODE": "1"}


@functools.cache
def python_words(script: str) -> tuple[str, ...]:
    """The command for a program of bench/python, or why it cannot run here."""
    path = PYTHON_DRIVES / script
    done = subprocess.run([PYTHON, "-c", f"import {path.stem}"], cwd=path.parent, env=python_environment(), capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["it ended"])[-1]
        raise Unavailable(script, f"{why}: scripts/setup.sh bench brings the packages, make builds the rest")
    return str(PYTHON), str(path)


def processor_time_of(pid: int) -> float:
    """Seconds that all threads of a process have had, also those that have ended. 0 where it has ended."""
    clock = ctypes.c_int()
    error = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    try:
        return 0.0 if error else time.clock_gettime(clock.value)
    except OSError:
        return 0.0


class Subject:
    """A fresh, empty file system: its root directory, and the file that it is stored in, where it needs one."""

    suffix = ".image"

    def __init__(self, base: Base, name: str):
        self.root = base.fresh(name)
        self.store = self.root.with_suffix(self.suffix)
        self.enter()

    def enter(self) -> None:
        """Make it, or come back to it."""

    def leave(self) -> None:
        """Close it. What it holds stays where that is possible; then `enter` brings it back."""

    def cold(self) -> None:
        """As if the machine had just started."""
        self.leave()
        empty_caches()
        self.enter()

    def close(self) -> None:
        """Close it for good. Returns when all processes of it have ended."""
        self.leave()

    def discard(self) -> None:
        """Give its space back, once it is closed."""
        self.store.unlink(missing_ok=True)
        shutil.rmtree(self.root)

    def abandon(self) -> None:
        """Get rid of it although it may hang."""
        if mounts(self.root):
            abandon(self.root)

    def processor_time(self) -> float:
        """Seconds of processor time that the processes serving it have had so far."""
        raise NotImplementedError(f"{type(self).__name__} is served by no process")

    def mount(self, *words: object) -> None:
        run("mount", *words, self.root, timeout=PATIENCE, env=ENVIRONMENT)

    def umount(self) -> None:
        run("umount", self.root, timeout=PATIENCE)


class Folder(Subject):
    """A plain directory, for programs that need no file system of their own."""


class Tmpfs(Subject):
    def enter(self) -> None:
        if not mounts(self.root):
            self.mount("-t", "tmpfs", "-o", "noatime,size=75%", "tenon-bench")

    def close(self) -> None:
        self.umount()


class Ext4(Subject):
    """In an image beside the vaults: the same disk, one layer more."""

    def enter(self) -> None:
        if not self.store.exists():
            with open(self.store, "wb") as image:
                image.truncate(8 << 30)
            run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.store, timeout=PATIENCE,
                env=ENVIRONMENT)
        try:
            self.mount("-t", "ext4", "-o", "loop,noatime", self.store)
        except AssertionError as error:
            raise Unavailable("loop", str(error)) from error

    def leave(self) -> None:
        self.umount()


class Served(Subject):
    """A file system that a process serves, in a session of its own."""

    def processor_time(self) -> float:
        return sum(map(processor_time_of, processes_naming(str(self.root))))

    def check_session(self) -> None:
        for server in processes_naming(str(self.root)):
            if os.getsid(server) == os.getsid(0):
                raise AssertionError(f"{server}, which serves {self.root}, is in the session of those who use it")

    def umount_by(self, *words: object) -> None:
        servers = processes_naming(str(self.root))
        run(*words, self.root, timeout=PATIENCE)
        alive = wait_for_end(servers, PATIENCE)
        if alive:
            raise AssertionError(f"{alive} did not end after unmounting {self.root}")


class Drive(Served):
    """A drive of the tenon command."""

    source = ""
    options: tuple[str, ...] = ()

    def enter(self) -> None:
        if mounts(self.root):
            return
        if not os.path.exists("/dev/fuse") or not tenon_command().exists():
            raise Unavailable("mount", f"no /dev/fuse, or no command at {tenon_command()}")
        log = self.root.with_suffix(".log")
        options = ",".join(["noatime", f"log={log}", *self.options])
        run(tenon_command(), "mount", "-o", options, self.source or self.store, self.root, timeout=PATIENCE)
        self.check_session()

    def umount(self) -> None:
        self.umount_by(tenon_command(), "umount")


class Vault(Drive):
    suffix = ".vault"

    def leave(self) -> None:
        self.umount()


class Memory(Drive):
    source = "memory:"

    def close(self) -> None:
        self.umount()


class MemoryWriteThrough(Memory):
    options = ("FileCachePolicyWriteThrough=true",)


class VaultWriteThrough(Vault):
    options = ("FileCachePolicyWriteThrough=true",)


class Libfuse(Served):
    """The peer in bench/peers: in memory as well, on libfuse."""

    def enter(self) -> None:
        if mounts(self.root):
            return
        program = tenon_command().parent / "bench" / "peer-libfuse"
        if not os.path.exists("/dev/fuse") or not program.exists():
            raise Unavailable("libfuse", f"no /dev/fuse, or {program} was not built: scripts/setup.sh bench brings what it needs")
        run(program, "-o", "noatime", self.root, timeout=PATIENCE)
        self.check_session()

    def umount(self) -> None:
        self.umount_by("umount")

    def close(self) -> None:
        self.umount()


class Python(Served):
    """A drive of bench/python: the same store through one package or the other."""

    script = ""

    def enter(self) -> None:
        if mounts(self.root):
            return
        words = python_words(self.script)
        if not os.path.exists("/dev/fuse"):
            raise Unavailable("mount", "no /dev/fuse")
        log = self.root.with_suffix(".log")
        with open(log, "wb") as output:
            self.process = subprocess.Popen([*words, self.root], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            start_new_session=True, env=python_environment())
        try:
            wait_mounted(self.root, self.process)
        except AssertionError as error:
            self.abandon()
            raise AssertionError(f"{error}: {log.read_text(errors='replace').strip()[-500:]}") from error
        self.check_session()

    def close(self) -> None:
        self.umount_by("umount")
        self.process.wait()

    def abandon(self) -> None:
        super().abandon()
        self.process.kill()
        self.process.wait()


class PythonTenon(Python):
    script = "tenon_memory.py"


class PythonFusepy(Python):
    script = "fusepy_memory.py"


class PythonPyfuse3(Python):
    script = "pyfuse3_memory.py"


SUBJECTS = {"sqlite": Folder, "tmpfs": Tmpfs, "ext4": Ext4, "memory": Memory, "vault": Vault, "libfuse": Libfuse,
            "memory-write-through": MemoryWriteThrough, "vault-write-through": VaultWriteThrough, "tenon-python": PythonTenon,
            "fusepy": PythonFusepy, "pyfuse3": PythonPyfuse3}
