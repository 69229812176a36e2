"""A machine of its own for tests of what is installed: private mounts, processes, /run, /sbin, /usr/local and /etc/fstab.

Nothing outside sees what is mounted or run in it, and everything in it ends with it.
"""
from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
from typing import Iterator, Optional

import pytest

from installed import install, keep_log, option

from .conftest import LIMIT, unescape

SETUP = """
mount -t tmpfs -o mode=755 none /run
mkdir /run/mount
mount --bind {installed}/sbin {sbin}
mount --bind {installed}/usr/local /usr/local
mount --bind {fstab} /etc/fstab
echo ready
exec cat
"""


class Machine:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.fstab_file = folder / "fstab"
        self.fstab_file.touch()
        installed = folder / "installed"
        with keep_log(folder / "install-log"):
            install(installed, "--tags", "runtime")
        script = SETUP.format(installed=shlex.quote(str(installed)), sbin=os.path.realpath("/sbin"),
                              fstab=shlex.quote(str(self.fstab_file)))
        self.keeper = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--mount-proc",
                                        "sh", "-euc", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.keeper.stdout.readline() == "ready\n"
        children = pathlib.Path(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children").read_text(encoding="ascii")
        self.enter = ["nsenter", f"--target={children.split()[0]}", "--mount", "--pid", "--"]
        self.places = 0

    def run(self, *command: object, **options: object) -> subprocess.CompletedProcess:
        settings = {"capture_output": True, "text": True, "timeout": LIMIT, **options}
        return subprocess.run([*self.enter, *map(str, command)], **settings)  # type: ignore[call-overload]

    def sh(self, script: str, **options: object) -> subprocess.CompletedProcess:
        return self.run("sh", "-c", script, **options)

    def ok(self, *command: object, **options: object) -> str:
        """The command succeeds and says nothing on stderr; what it printed."""
        done = self.run(*command, **options)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refused(self, status: int, *command: object, **options: object) -> str:
        """The command fails with the helper's one sentence."""
        done = self.run(*command, **options)
        assert (done.returncode, done.stdout) == (status, ""), done
        assert re.fullmatch(r"mount\.fuse\.tenon: [^\n]+\n", done.stderr), done
        return done.stderr.removeprefix("mount.fuse.tenon: ").rstrip("\n")

    def place(self, name: str = "mnt") -> pathlib.Path:
        """A new directory to mount at; beside it there is room for vaults."""
        self.places += 1
        point = self.folder / f"place{self.places}" / name
        point.mkdir(parents=True)
        return point

    def fstab(self, *lines: str) -> None:
        """Writes the file in place: it is what is bound to /etc/fstab."""
        self.fstab_file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def mounted(self, point: object) -> Optional[dict]:
        """Type, source, options and the file system's own options of what is mounted there."""
        found = None
        for line in self.ok("cat", "/proc/1/mountinfo").splitlines():
            before, after = line.split(" - ", 1)
            fields = [unescape(field) for field in before.split(" ")]
            kind, source, inner = [unescape(field) for field in after.split(" ")[:3]]
            if fields[4] == str(point):
                found = {"type": kind, "source": source, "options": set(fields[5].split(",")), "inner": set(inner.split(","))}
        return found

    def drives(self) -> list[dict]:
        return json.loads(self.ok("tenon", "list", "--json"))

    def close(self) -> list[str]:
        """Ends all drives in order; the mounting points where that did not work."""
        left = [drive["mountpoint"] for drive in reversed(self.drives()) if self.run("tenon", "umount", drive["mountpoint"]).returncode]
        self.keeper.stdin.close()
        if left:
            self.keeper.kill()
        self.keeper.wait(LIMIT)
        return left


@pytest.fixture(scope="module")
def machine(need, own_root) -> Iterator[Machine]:
    need("root", os.geteuid() == 0, "not root")
    need("mount", os.access("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse cannot be used")
    if option("prefix") != "/usr/local":
        pytest.skip("the build is for another prefix than /usr/local, and what is installed there cannot be hidden")
    with tempfile.TemporaryDirectory(prefix="tenon-machine-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)
        made = Machine(pathlib.Path(name).resolve())
        try:
            yield made
        finally:
            left = made.close()
        assert not left, f"could not be unmounted: {left}"
