"""Drives of those who are not root: through fusermount3, inside a user namespace, and where /dev/fuse is missing.

Everything happens in a mount namespace of its own, in which /dev/fuse is open to all as on an ordinary system.
"""
import shlex
import shutil
import signal
import subprocess
from typing import Iterator

import pytest

from .conftest import LIMIT, Bench, guard_of

pytestmark = pytest.mark.usefixtures("real")

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


class Elsewhere:
    """Commands in namespaces that a process holds open."""

    def __init__(self, bench: Bench, enter: list[str], prefix: list[str], holder: subprocess.Popen):
        self.bench = bench
        self.command = bench.public_command()
        # By the command's own copy: other test runs have drives as well.
        self.find_process = f"pgrep -n -f '^{self.command} mount '"
        self.prefix = [*enter, *prefix]
        self.holder = holder

    def run(self, script: str) -> subprocess.CompletedProcess:
        """A shell script in the bench's folder, where $tenon is the command."""
        script = f"cd {shlex.quote(str(self.bench.folder))} && {script}"
        return subprocess.run([*self.prefix, "env", f"tenon={self.command}", "sh", "-c", script], capture_output=True,
                              text=True, timeout=LIMIT)

    def ok(self, script: str) -> str:
        done = self.run(script)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refused(self, script: str) -> str:
        done = self.run(script)
        assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1, done
        return done.stderr

    def mounts(self) -> list[str]:
        table = self.ok("cat /proc/self/mountinfo")
        return [line for line in table.splitlines() if f" {self.bench.point} " in line]

    def process(self) -> int:
        """The one process that serves a drive at the bench's point."""
        return int(self.ok(self.find_process))

    def wait_until_gone(self) -> None:
        # The table of another namespace cannot be polled from here; one inside can.
        self.ok(f"timeout {LIMIT} python3 -c '\n"
                "import select\n"
                "table = open(\"/proc/self/mountinfo\")\n"
                "poll = select.poll()\n"
                "poll.register(table, select.POLLPRI)\n"
                f"while any(\" {self.bench.point} \" in line for line in table):\n"
                "    poll.poll()\n"
                "    table.seek(0)\n'")


def hold(enter: list[str], setup: str) -> subprocess.Popen:
    """A process in new namespaces that lives until its standard input is closed."""
    # The copies of other drives' mounts that a new namespace gets would keep those drives alive.
    leave_others = "findmnt -rno TARGET -t fuse.tenon | while read -r place; do umount -l \"$place\"; done"
    holder = subprocess.Popen([*enter, "sh", "-c", f"{leave_others}; {setup} && echo ready && exec cat"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "ready\n"
    return holder


@pytest.fixture
def open_bench(bench, own_root) -> Bench:
    bench.folder.chmod(0o755)
    shutil.chown(bench.point, 65534, 65534)
    home = bench.folder / "home"
    home.mkdir()
    shutil.chown(home, 65534, 65534)
    return bench


def device_for_all(bench: Bench) -> str:
    folder = shlex.quote(str(bench.folder / "dev"))
    return (f"mkdir -p {folder} && mount -t tmpfs -o mode=755 dev {folder} && mknod -m 666 {folder}/fuse c 10 229 && "
            f"mount --bind {folder}/fuse /dev/fuse")


@pytest.fixture
def outer(open_bench) -> Iterator[subprocess.Popen]:
    holder = hold(["unshare", "-m", "--propagation", "private"], device_for_all(open_bench))
    yield holder
    holder.stdin.close()
    holder.wait(LIMIT)


@pytest.fixture
def user(open_bench, outer, need) -> Elsewhere:
    """An ordinary user."""
    need("fusermount3", shutil.which("fusermount3"), "fusermount3 (package fuse3) is not installed")
    return Elsewhere(open_bench, ["nsenter", "-m", "-t", str(outer.pid)], NOBODY, outer)


@pytest.fixture
def userns(open_bench, outer, need) -> Iterator[Elsewhere]:
    """An ordinary user who is root in a user namespace."""
    enter = ["nsenter", "-m", "-t", str(outer.pid), *NOBODY, "unshare", "-Urm"]
    need("userns", subprocess.run([*enter, "true"], capture_output=True).returncode == 0,
         "user namespaces are not allowed here")
    holder = hold(enter, "true")
    yield Elsewhere(open_bench, [*NOBODY, "nsenter", "-U", "-m", "--preserve-credentials", "-t", str(holder.pid)], [],
                    holder)
    holder.stdin.close()
    holder.wait(LIMIT)


@pytest.fixture(params=["user", "userns"])
def someone(request) -> Elsewhere:
    return request.getfixturevalue(request.param)


def test_a_drive_comes_and_goes(someone):
    assert someone.ok("$tenon mount home/demo.vault mnt") == ""
    [mount] = someone.mounts()
    assert f" - fuse.tenon {someone.bench.folder}/home/demo.vault " in mount
    assert {"nodev", "nosuid", "rw"} <= set(mount.split(" ")[5].split(","))
    someone.ok("echo hello >mnt/f && ln mnt/f mnt/g && mv mnt/g mnt/h && test $(stat -c %h mnt/f) = 2")
    assert str(someone.bench.point) in someone.ok("$tenon list")
    assert someone.ok("$tenon umount mnt") == ""
    assert someone.mounts() == []
    # From outside, too.
    assert someone.ok("$tenon mount home/demo.vault mnt && cat mnt/h && (umount mnt 2>/dev/null || fusermount3 -u mnt)"
                      ) == "hello\n"
    someone.wait_until_gone()
    assert someone.ok("$tenon mount home/demo.vault mnt && cat mnt/f && $tenon umount mnt") == "hello\n"


def test_an_open_file_holds_it(someone):
    someone.ok("$tenon mount memory: mnt && echo data >mnt/f")
    done = someone.run("exec 3<mnt/f; $tenon umount mnt")
    assert done.returncode == 1 and "is in use by" in done.stderr, done
    someone.ok("$tenon umount mnt")


def test_a_signal_ends_it(someone):
    someone.ok("$tenon mount home/demo.vault mnt && echo hello >mnt/f")
    someone.ok(f"kill -TERM {someone.process()}")
    someone.wait_until_gone()
    assert someone.ok("$tenon mount -o ro home/demo.vault mnt && cat mnt/f && $tenon umount mnt") == "hello\n"


def test_a_signal_ends_it_although_it_is_used(someone):
    """After the time that programs have to stop, it is detached and their files are cut off."""
    done = someone.run(f"$tenon mount home/demo.vault mnt && exec 3>mnt/f && echo hello >&3 && kill -TERM {{}} && "
                       "python3 -c 'import os, sys\n"
                       "while True:\n"
                       "    try: os.fstat(3), os.stat(\"mnt/f\")\n"
                       "    except OSError as error: sys.exit(str(error))\n'".replace(
                           "{}", f"$({someone.find_process})"))
    assert done.returncode == 1, done
    someone.wait_until_gone()
    assert someone.ok("$tenon mount -o ro home/demo.vault mnt && cat mnt/f && $tenon umount mnt") == "hello\n"


def test_a_killed_drive_leaves_no_mount(someone):
    someone.ok("$tenon mount memory: mnt")
    someone.ok(f"kill -{signal.SIGKILL} {someone.process()}")
    someone.wait_until_gone()
    someone.ok("$tenon mount memory: mnt && $tenon umount mnt")


def test_a_killed_drive_is_cleared_by_the_next_mount(someone, ended):
    """Where its guard was killed as well."""
    someone.ok("$tenon mount memory: mnt")
    pid = someone.process()
    processes = [ended(guard_of(pid)), ended(pid)]
    for process in processes:
        someone.ok(f"kill -{signal.SIGKILL} {process.pid}")
        assert process.wait()
    assert len(someone.mounts()) == 1
    someone.ok("$tenon mount memory: mnt && echo hello >mnt/f")
    assert len(someone.mounts()) == 1
    someone.ok("$tenon umount mnt")


def test_options_reach_the_mount(someone):
    someone.ok("$tenon mount -o 'ro,noexec,fsname=a b\\,c' memory: mnt")
    [mount] = someone.mounts()
    assert {"ro", "noexec"} <= set(mount.split(" ")[5].split(","))
    assert " - fuse.tenon a\\040b,c " in mount
    someone.ok("$tenon umount mnt")


def test_what_a_user_may_not_do(user):
    assert "user_allow_other" in user.refused("$tenon mount -o allow_other memory: mnt")
    user.bench.point.chmod(0o755)
    shutil.chown(user.bench.point, 0, 0)
    assert "user has no write access to mountpoint" in user.refused("$tenon mount memory: mnt")


def test_without_fusermount3(user):
    sentence = user.refused("PATH=/nowhere $tenon mount memory: mnt")
    assert sentence.endswith("this user may not mount, and fusermount3 is not there: install the package fuse3, or mount as root\n")


def instead_of_fusermount3(user: Elsewhere, script: str) -> str:
    """A setting of PATH with which this script is fusermount3; $real is the real one."""
    program = user.bench.folder / "instead" / "fusermount3"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nreal={shlex.quote(shutil.which('fusermount3'))}\n{script}\n")
    program.chmod(0o755)
    return f"PATH={program.parent}:$PATH"


def test_the_words_of_fusermount3_are_told(user):
    path = instead_of_fusermount3(user, "echo \"fusermount3: entry for $3 not found in /etc/mtab\" >&2; exit 1")
    user.ok("$tenon mount -o control_socket=false memory: mnt")
    assert user.refused(f"{path} $tenon umount mnt") == \
        f"tenon: cannot umount {user.bench.point}: fusermount3: entry for {user.bench.point} not found in /etc/mtab\n"
    user.ok("$tenon umount mnt")


def test_it_is_told_when_fusermount3_cannot_be_had(user):
    user.ok("$tenon mount -o control_socket=false memory: mnt")
    assert "fusermount3 cannot be started" in user.refused("PATH=/nowhere $tenon umount mnt")
    user.ok("$tenon umount mnt")


def test_busy_without_its_process(user):
    user.ok("$tenon mount -o control_socket=false memory: mnt && touch mnt/f")
    done = user.run("exec 3<mnt/f; $tenon umount mnt")
    assert (done.returncode, done.stdout) == (1, "") and f"{user.bench.point} is in use by " in done.stderr and "(sh)" in done.stderr
    user.ok("$tenon umount mnt")


def test_a_warning_of_fusermount3_is_no_failure(user):
    path = instead_of_fusermount3(user, "echo 'fusermount3: warning: this is fine' >&2; exec $real \"$@\"")
    for options in ("-o control_socket=false", ""):
        user.ok(f"export {path}; $tenon mount {options} memory: mnt && $tenon umount mnt")
        assert user.mounts() == []


def test_without_the_device(open_bench):
    open_bench.public_command()
    holder = hold(["unshare", "-m", "--propagation", "private"], "mount -t tmpfs nothing /dev")
    try:
        elsewhere = Elsewhere(open_bench, ["nsenter", "-m", "-t", str(holder.pid)], [], holder)
        sentence = elsewhere.refused("$tenon mount memory: mnt")
        assert sentence == "tenon: /dev/fuse is not there: load it with modprobe fuse, or give it to this container\n"
    finally:
        holder.stdin.close()
        holder.wait(LIMIT)


def test_with_a_device_for_root_only(open_bench):
    holder = hold(["unshare", "-m", "--propagation", "private"],
                  device_for_all(open_bench) + " && chmod 600 /dev/fuse")
    try:
        elsewhere = Elsewhere(open_bench, ["nsenter", "-m", "-t", str(holder.pid)], NOBODY, holder)
        assert "run this as root, or have root run chmod 666 /dev/fuse" in elsewhere.refused("$tenon mount memory: mnt")
    finally:
        holder.stdin.close()
        holder.wait(LIMIT)
