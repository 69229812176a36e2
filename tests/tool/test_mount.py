"""tenon mount and umount: from nothing to a drive and back."""
import contextlib
import hashlib
import json
import os
import pathlib
import pwd
import re
import select
import signal
import stat
import subprocess

import pytest

from .conftest import COMMAND, kill_with_guard, mounted, mounts, server_of, wait_until_gone

pytestmark = pytest.mark.usefixtures("real")


def test_a_drive_in_memory_comes_and_goes(bench, ended):
    assert bench.ok("mount", "memory:", bench.point) == ""
    point, options, kind, source, _ = mounted(bench.point)
    assert (kind, source) == ("fuse.tenon", "memory:")
    assert {"nodev", "nosuid", "rw"} <= set(options.split(","))
    (bench.point / "hello").write_text("world")
    os.link(bench.point / "hello", bench.point / "again")
    assert (bench.point / "again").stat().st_nlink == 2
    process = ended(server_of(bench.point))
    assert bench.ok("umount", bench.point) == ""
    assert mounted(bench.point) is None
    assert process.wait(0), "umount returned before the process had ended"
    assert list(bench.point.iterdir()) == []


def test_a_vault_keeps_what_it_got(bench, ended):
    data = os.urandom(300000)
    bench.ok("mount", "demo.vault", "mnt")
    assert mounted(bench.point)[3] == str(bench.vault)
    (bench.point / "folder").mkdir()
    (bench.point / "folder" / "data").write_bytes(data)
    process = ended(server_of(bench.point))
    bench.ok("umount", "mnt")
    assert process.wait(0)
    assert sorted(path.name for path in bench.folder.iterdir()) == ["demo.vault", "mnt"]
    whole = hashlib.sha256(bench.vault.read_bytes()).digest()
    assert bench.ok("check", "demo.vault") == "demo.vault: sound\n"
    assert hashlib.sha256(bench.vault.read_bytes()).digest() == whole
    bench.ok("mount", bench.vault, bench.point)
    assert (bench.point / "folder" / "data").read_bytes() == data


def test_umount8_ends_the_process(bench, ended):
    bench.ok("mount", "demo.vault", "mnt")
    (bench.point / "a").write_text("b")
    process = ended(server_of(bench.point))
    subprocess.run(["umount", bench.point], check=True)
    assert process.wait()
    assert bench.ok("check", "demo.vault") == "demo.vault: sound\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(bench, ended, number):
    bench.ok("mount", "demo.vault", "mnt")
    (bench.point / "kept").write_text("data")
    process = ended(server_of(bench.point))
    os.kill(server_of(bench.point), number)
    assert process.wait()
    assert mounted(bench.point) is None
    bench.ok("mount", "demo.vault", "mnt")
    assert (bench.point / "kept").read_text() == "data"


def test_a_signal_ends_a_drive_that_is_in_use(bench, ended):
    log = bench.folder / "log"
    bench.ok("mount", "-o", f"log={log}", "memory:", "mnt")
    process = ended(server_of(bench.point))
    held = os.open(bench.point / "open", os.O_CREAT | os.O_WRONLY)
    try:
        os.kill(server_of(bench.point), signal.SIGTERM)
        assert process.wait()
    finally:
        # Cut off it is, so that close(2) may well complain.
        with contextlib.suppress(OSError):
            os.close(held)
    assert mounted(bench.point) is None
    assert f"{os.getpid()} (" in log.read_text()


def test_foreground_stays_until_a_signal(bench):
    process = bench.start("mount", "-f", "memory:", "mnt", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # The mount is live when its state file is there; the mount table tells when to look.
    with open("/proc/self/mountinfo") as table:
        poll = select.poll()
        poll.register(table, select.POLLPRI)
        while server_of(bench.point) is None:
            assert process.poll() is None
            poll.poll(100)
    assert server_of(bench.point) == process.pid
    (bench.point / "a").mkdir()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert process.stdout.read() == ""
    assert mounted(bench.point) is None


def test_the_daemon_lets_go_of_everything(bench):
    with subprocess.Popen([COMMAND, "mount", "memory:", str(bench.point)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, cwd=bench.folder) as process:
        # The pipe ends although the drive's process lives on.
        assert process.stdout.read() == b""
        assert process.wait() == 0
    pid = server_of(bench.point)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    assert os.getsid(pid) == pid


def test_busy_says_who(bench, ended):
    bench.ok("mount", "memory:", "mnt")
    holder = subprocess.Popen(["sleep", "1000"], cwd=bench.point)
    try:
        sentence = bench.refused("umount", bench.point)
        assert f"{bench.point} is in use by {holder.pid} (sleep)" in sentence
        assert "tenon umount -l" in sentence
        assert mounted(bench.point)
        bench.ok("umount", "-l", bench.point)
        assert mounted(bench.point) is None
    finally:
        holder.kill()
        holder.wait()


def test_busy_with_an_open_file(bench):
    bench.ok("mount", "memory:", "mnt")
    with open(bench.point / "held", "w"):
        assert f"{os.getpid()} (" in bench.refused("umount", bench.point)
    bench.ok("umount", bench.point)


def test_busy_with_a_mount_inside(bench):
    bench.ok("mount", "memory:", "mnt")
    inner = bench.point / "inner"
    inner.mkdir()
    bench.ok("mount", "memory:", inner)
    assert f"{inner} is mounted inside it" in bench.refused("umount", bench.point)
    bench.ok("umount", inner)
    bench.ok("umount", bench.point)


def test_umount_through_a_symlink_and_a_relative_name(bench):
    link = bench.folder / "link"
    link.symlink_to("mnt")
    bench.ok("mount", "memory:", "link")
    assert mounted(bench.point)
    bench.ok("umount", "link")
    bench.ok("mount", "memory:", "mnt/")
    bench.ok("umount", "./mnt/")


def test_names_with_blanks_and_newlines(bench):
    point = bench.folder / "a b\nc\\d"
    point.mkdir()
    bench.ok("mount", "odd name\n.vault", point)
    (point / "x").write_text("y")
    entry = next(one for one in json.loads(bench.ok("list", "--json")) if one["mountpoint"] == str(point))
    assert entry["source"] == str(bench.folder / "odd name\n.vault")
    bench.ok("umount", point)
    assert (bench.folder / "odd name\n.vault").exists()


def test_a_killed_drive_is_cleared_by_the_next_mount(bench, ended):
    bench.ok("mount", "demo.vault", "mnt")
    pid = server_of(bench.point)
    process = ended(pid)
    os.kill(pid, signal.SIGKILL)
    assert process.wait()
    bench.ok("mount", "demo.vault", "mnt")
    (bench.point / "a").write_text("b")
    bench.ok("umount", "mnt")


def test_a_killed_drive_leaves_no_mount(bench, ended):
    bench.ok("mount", "memory:", "mnt")
    os.kill(server_of(bench.point), signal.SIGKILL)
    wait_until_gone(bench.point)
    assert list(bench.point.iterdir()) == []
    bench.ok("mount", "memory:", "mnt")


def test_a_killed_drive_leaves_a_vault_that_can_be_mounted(bench, ended):
    bench.ok("mount", "demo.vault", "mnt")
    (bench.point / "f").write_text("hello")
    with open(bench.point / "f") as file:
        os.fsync(file.fileno())
        os.kill(server_of(bench.point), signal.SIGKILL)
        wait_until_gone(bench.point)
        with pytest.raises(OSError):
            os.fsync(file.fileno())
    bench.ok("check", "demo.vault")
    bench.ok("mount", "demo.vault", "mnt")
    assert (bench.point / "f").read_text() == "hello"


def test_what_a_killed_drive_leaves_is_swept(bench, ended):
    other = bench.folder / "other"
    other.mkdir()
    bench.ok("mount", "memory:", "mnt")
    state = pathlib.Path("/run/tenon") / mounted(bench.point)[4]
    process = kill_with_guard(server_of(bench.point), ended)
    assert mounted(bench.point)
    assert bench.ok("umount", "mnt") == ""
    assert not state.exists() or f"pid {process.pid}\n" not in state.read_text()
    bench.ok("mount", "memory:", "mnt")
    state = pathlib.Path("/run/tenon") / mounted(bench.point)[4]
    process = kill_with_guard(server_of(bench.point), ended)
    bench.ok("mount", "memory:", "other")
    assert not state.exists() or f"pid {process.pid}\n" not in state.read_text()
    bench.ok("mount", "memory:", "mnt")
    assert [mount for mount in mounts() if mount[0] == str(bench.point)] == [mounted(bench.point)]


def test_a_drive_that_is_covered_ends_all_the_same(bench, ended):
    bench.ok("mount", "demo.vault", "mnt")
    pid = server_of(bench.point)
    process = ended(pid)
    subprocess.run(["mount", "-t", "tmpfs", "cover", bench.point], check=True)
    try:
        os.kill(pid, signal.SIGTERM)
        assert process.wait()
    finally:
        subprocess.run(["umount", bench.point], check=True)
    wait_until_gone(bench.point)
    bench.ok("check", "demo.vault")


def test_a_mounting_point_that_vanishes_ends_the_drive(bench, ended):
    bench.ok("mount", "demo.vault", "mnt")
    (bench.point / "f").write_text("hello")
    process = ended(server_of(bench.point))
    # In another mount namespace nothing is mounted there, so that the directory can be removed.
    subprocess.run(["unshare", "-m", "sh", "-c", f"umount {bench.point} && rmdir {bench.point}"], check=True)
    assert process.wait()
    bench.ok("check", "demo.vault")
    bench.point.mkdir()
    bench.ok("mount", "demo.vault", "mnt")
    assert (bench.point / "f").read_text() == "hello"


def test_list(bench):
    bench.ok("mount", "demo.vault", "mnt")
    pid = server_of(bench.point)
    head, *lines = bench.ok("list").splitlines()
    assert head.split() == ["SOURCE", "MOUNTPOINT", "SIZE", "USED", "OPTIONS", "ID", "PID"]
    line = next(line.split() for line in lines if str(bench.point) in line)
    assert line[0] == str(bench.vault) and line[-1] == str(pid)
    entry = next(one for one in json.loads(bench.ok("list", "--json")) if one["mountpoint"] == str(bench.point))
    assert entry["pid"] == pid and entry["size"] > 0 and entry["used"] >= 0


def test_list_of_nothing_is_no_failure(bench):
    json.loads(bench.ok("list", "--json"))


def test_a_limited_drive_gets_full(bench):
    bench.ok("mount", "-o", "file_cache=none", "memory:1M", "mnt")
    status = os.statvfs(bench.point)
    assert status.f_blocks * status.f_frsize == 1 << 20
    with pytest.raises(OSError) as caught:
        (bench.point / "big").write_bytes(bytes(2 << 20))
    assert caught.value.errno == 28
    (bench.point / "big").unlink()
    status = os.statvfs(bench.point)
    assert status.f_bfree * status.f_frsize == 1 << 20


# ------------------------------------------------------------------------------------------------- options

def test_read_only(bench):
    bench.ok("mount", "demo.vault", "mnt")
    (bench.point / "a").write_text("b")
    bench.ok("umount", "mnt")
    before = bench.vault.read_bytes()
    bench.ok("mount", "-o", "ro", "demo.vault", "mnt")
    assert (bench.point / "a").read_text() == "b"
    with pytest.raises(OSError) as caught:
        (bench.point / "c").write_text("d")
    assert caught.value.errno == 30
    bench.ok("umount", "mnt")
    assert bench.vault.read_bytes() == before


@pytest.mark.parametrize("given,there,gone", [
    ("noexec", "noexec", None), ("noexec,exec", None, "noexec"), ("noatime", "noatime", None),
    ("dev,suid", None, "nodev"), ("dev,suid", None, "nosuid"), ("dev,nodev", "nodev", None), ("ro,rw", "rw", "ro"),
    ("defaults,nofail,x-systemd.automount,relatime", "rw", None),
])
def test_mount_options(bench, given, there, gone):
    bench.ok("mount", "memory:", "mnt", "-o", given)
    options = mounted(bench.point)[1].split(",")
    assert there is None or there in options
    assert gone is None or gone not in options


def test_noexec_is_obeyed(bench):
    bench.ok("mount", "-o", "noexec", "memory:", "mnt")
    script = bench.point / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    with pytest.raises(PermissionError):
        subprocess.run([script])


def test_owner_and_umask(bench):
    bench.ok("mount", "-o", "uid=1234,gid=5678,umask=027", "memory:", "mnt")
    (bench.point / "a").write_text("")
    (bench.point / "a").chmod(0o777)
    status = (bench.point / "a").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 5678, 0o750)


def test_fsname_and_properties(bench):
    bench.ok("mount", "-o", "fsname=mine,metadata_cache_enabled=false", "-o", "file_cache=none", "memory:", "mnt")
    assert mounted(bench.point)[3] == "mine"


def as_nobody(*command: object) -> int:
    user = pwd.getpwnam("nobody")
    return subprocess.run(list(map(str, command)), user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/",
                          capture_output=True).returncode


def test_other_users(bench):
    bench.folder.chmod(0o755)
    bench.ok("mount", "memory:", "mnt")
    (bench.point / "open").write_text("")
    (bench.point / "closed").write_text("")
    (bench.point / "closed").chmod(0o600)
    assert as_nobody("cat", bench.point / "open") == 0
    assert as_nobody("cat", bench.point / "closed") != 0
    bench.ok("umount", "mnt")
    bench.ok("mount", "-o", "noallow_other", "memory:", "mnt")
    (bench.point / "open").write_text("")
    assert as_nobody("cat", bench.point / "open") != 0


def test_size_in_sectors_of_another_size(bench):
    bench.ok("mount", "-o", "SectorSize=4096", "memory:1M", "mnt")
    status = os.statvfs(bench.point)
    assert status.f_blocks * status.f_frsize == 1 << 20


def test_log_file(bench):
    bench.ok("mount", "-o", "log=messages", "memory:", "mnt")
    log = bench.folder / "messages"
    assert log.exists()
    assert os.readlink(f"/proc/{server_of(bench.point)}/fd/2") == str(log)


# --------------------------------------------------------------------------------------------- what is wrong

def nothing_happened(bench):
    assert mounted(bench.point) is None
    assert not bench.vault.exists()


def test_mounting_point_missing(bench):
    missing = bench.folder / "none"
    assert bench.refused("mount", "demo.vault", missing) == f"{missing} does not exist: make it with mkdir {missing}"
    nothing_happened(bench)


def test_mounting_point_is_a_file(bench):
    file = bench.folder / "file"
    file.write_text("kept")
    assert f"{file} is not a directory" in bench.refused("mount", "demo.vault", file)
    assert "file/sub" in bench.refused("mount", "demo.vault", "file/sub")
    assert file.read_text() == "kept"
    nothing_happened(bench)


def test_mounted_already(bench):
    bench.ok("mount", "memory:", "mnt")
    (bench.point / "a").write_text("b")
    sentence = bench.refused("mount", "demo.vault", "mnt")
    assert sentence == f"memory: is already mounted at {bench.point}: end that with tenon umount {bench.point}"
    assert (bench.point / "a").read_text() == "b"
    assert not bench.vault.exists()


@pytest.mark.parametrize("option,meant", [
    ("file_cach=none", "file_cache"), ("noexc", "noexec"), ("usehardlinks", "use_hard_links"),
    ("maxworkerthreadcont=4", "MaxWorkerThreadCount"),
])
def test_unknown_option(bench, option, meant):
    sentence = bench.refused("mount", "-o", option, "demo.vault", "mnt", status=2)
    assert sentence == f"there is no option '{option.split('=')[0]}': did you mean '{meant}'?"
    nothing_happened(bench)


def test_unknown_option_like_no_other(bench):
    assert "tenon mount --help" in bench.refused("mount", "-o", "xyzzyplugh", "demo.vault", "mnt", status=2)
    assert len(bench.refused("mount", "-o", "x" * 4000, "demo.vault", "mnt", status=2)) < 300
    nothing_happened(bench)


@pytest.mark.parametrize("option", [
    "file_cache=purple", "use_hard_links=maybe", "umask=9", "umask", "uid=", "uid=-5", "MaxWorkerThreadCount=many",
    "max_file_name_length=256", "noallow_other=1", "log", "use_case_sensitive_file_names=false",
])
def test_value_that_an_option_does_not_take(bench, option):
    assert option.split("=")[0] in bench.refused("mount", "-o", option, "demo.vault", "mnt", status=2)
    nothing_happened(bench)


@pytest.mark.parametrize("size", ["x", "12X", "-5M", "1K", "99999999999999T"])
def test_memory_of_a_size_that_cannot_be(bench, size):
    assert f"memory:{size}" in bench.refused("mount", f"memory:{size}", "mnt")
    assert mounted(bench.point) is None


def test_names_too_long(bench):
    long_name, long_path = "n" * 300, "p/" * 3000
    for argument in (long_name, long_path):
        assert "too long" in bench.refused("mount", "memory:", argument)
        assert "too long" in bench.refused("mount", f"{argument}.vault", "mnt")
        assert "too long" in bench.refused("check", f"{argument}.vault", status=2)
        bench.refused("umount", argument)
    nothing_happened(bench)


def test_folder_of_the_vault_is_missing(bench):
    assert "none/demo.vault" in bench.refused("mount", "none/demo.vault", "mnt")
    assert mounted(bench.point) is None


def test_log_file_that_cannot_be(bench):
    assert "none/log" in bench.refused("mount", "-o", "log=none/log", "demo.vault", "mnt")
    nothing_happened(bench)


def in_its_own_dev(bench, script: str) -> subprocess.CompletedProcess:
    """Runs a script where /dev is an empty folder that nobody else sees."""
    return subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-ec", f"mount -t tmpfs none /dev\n{script}"],
                          capture_output=True, text=True, cwd=bench.folder)


def test_no_dev_fuse(bench):
    done = in_its_own_dev(bench, f"exec {COMMAND} mount demo.vault mnt")
    assert done.returncode == 1
    assert "/dev/fuse is not there" in done.stderr and "modprobe fuse" in done.stderr
    nothing_happened(bench)


def test_no_permission_for_dev_fuse(bench):
    bench.folder.chmod(0o777)
    done = in_its_own_dev(bench, "mknod -m 600 /dev/fuse c 10 229\n"
                          f"exec setpriv --reuid=65534 --regid=65534 --clear-groups {bench.public_command()} mount demo.vault mnt")
    assert done.returncode == 1
    assert done.stderr.startswith("tenon: you may not use /dev/fuse: ") and done.stderr.count("\n") == 1
    nothing_happened(bench)


def test_umount_of_what_is_not_there(bench):
    assert "is not a mounting point" in bench.refused("umount", "mnt")
    assert "is not a mounting point" in bench.refused("umount", "none")
    assert "is no Tenon drive (type proc)" in bench.refused("umount", "/proc")
    assert pathlib.Path("/proc/self").exists()


def test_umount_by_another_user(bench):
    bench.folder.chmod(0o755)
    bench.ok("mount", "memory:", "mnt")
    done = bench.tenon("umount", bench.point, user=65534, group=65534, extra_groups=[], cwd="/")
    assert done.returncode == 1
    assert re.fullmatch(f"tenon: you may not umount {bench.point}: .*\n", done.stderr)
    assert mounted(bench.point)
