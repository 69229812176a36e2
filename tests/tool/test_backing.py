"""A vault on a real disk that gets full, turns read-only or dies; a vault that may not be written; one that is mounted twice."""
import fcntl
import os
import pathlib
import struct
import subprocess
import threading
from typing import Iterator

import pytest

from .conftest import LIMIT, mounted
from .test_troubled_disk import KEPT, fill, write_and_flush

pytestmark = pytest.mark.usefixtures("real")

ENVIRONMENT = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
# _IOR('X', 125, __u32): EXT4_IOC_SHUTDOWN, and its "write nothing any more, not even the journal".
SHUTDOWN, NO_JOURNAL = 0x8004587D, 2


class Disk:
    """A small ext4 of its own, with a mounted vault and a flushed file in it."""

    def __init__(self, bench, need):
        self.bench = bench
        self.image = bench.folder / "image"
        self.folder = bench.folder / "disk"
        self.folder.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(24 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", self.image], check=True, env=ENVIRONMENT)
        done = self.attach()
        need("loop", done.returncode == 0, f"no loop device: {done.stderr}")
        self.vault = self.folder / "demo.vault"

    def attach(self) -> subprocess.CompletedProcess:
        return subprocess.run(["mount", "-t", "ext4", "-o", "loop,errors=remount-ro", self.image, self.folder],
                              capture_output=True, text=True, check=False)

    def device(self) -> pathlib.Path:
        """Its folder in sysfs."""
        name = pathlib.Path(mounted(self.folder)[3]).name
        return pathlib.Path("/sys/fs/ext4") / name

    def repair(self) -> None:
        """As after a new start of the machine."""
        subprocess.run(["umount", self.folder], check=True)
        assert subprocess.run(["e2fsck", "-f", "-y", self.image], capture_output=True, env=ENVIRONMENT, check=False).returncode in (0, 1)
        assert self.attach().returncode == 0

    def expect_kept(self) -> None:
        assert self.bench.ok("check", self.vault).endswith(": sound\n")
        self.bench.ok("mount", self.vault, "mnt")
        assert (self.bench.point / "kept").read_bytes() == KEPT


@pytest.fixture
def disk(bench, need) -> Iterator[Disk]:
    made = Disk(bench, need)
    bench.ok("mount", "-o", f"log={bench.folder}/log", made.vault, "mnt")
    write_and_flush(bench.point / "kept", KEPT)
    try:
        yield made
    finally:
        bench.sweep()


def fill_to_the_brim(disk: Disk) -> pathlib.Path:
    filler = disk.folder / "filler"
    fill(filler)
    with open(filler, "ab", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 512)
        except OSError:
            pass
    return filler


def test_a_full_disk(bench, disk):
    filler = fill_to_the_brim(disk)
    with pytest.raises(OSError, match="No space left"):
        write_and_flush(bench.point / "new", os.urandom(2 << 20))
    assert (bench.point / "kept").read_bytes() == KEPT
    filler.unlink()
    write_and_flush(bench.point / "new", b"new")
    assert bench.tenon("umount", "mnt").returncode == 0
    disk.expect_kept()
    assert (bench.point / "new").read_bytes() == b"new"


def test_a_disk_that_is_full_when_the_vault_is_unmounted(bench, disk):
    data = os.urandom(3 << 20)
    write_and_flush(bench.point / "new", data)
    filler = fill_to_the_brim(disk)
    done = bench.tenon("umount", "mnt")
    assert mounted(bench.point) is None
    if done.returncode:
        assert done.stderr.count("\n") == 1 and "No space left" in done.stderr and "demo.vault-wal" in done.stderr, done
    filler.unlink()
    disk.expect_kept()
    assert (bench.point / "new").read_bytes() == data


def test_the_kernel_keeps_the_disk_writable_under_a_mounted_vault(bench, disk):
    done = subprocess.run(["mount", "-o", "remount,ro", disk.folder], capture_output=True, text=True, check=False)
    assert done.returncode and "busy" in done.stderr
    write_and_flush(bench.point / "new", b"new")
    bench.ok("umount", "mnt")


def turn_read_only(disk: Disk) -> None:
    """As ext4 does after an error that it finds on the disk."""
    (disk.device() / "trigger_fs_error").write_text("test of a vault on it")


def die(disk: Disk) -> None:
    fd = os.open(disk.folder, os.O_RDONLY)
    fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_JOURNAL))
    os.close(fd)


def expect_refusal(disk: Disk, certain: bool = True) -> None:
    done = disk.bench.tenon("umount", "mnt")
    if certain or done.returncode:
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and "demo.vault" in done.stderr, done
    assert mounted(disk.bench.point) is None
    disk.repair()
    disk.expect_kept()
    write_and_flush(disk.bench.point / "new", b"new")
    disk.bench.ok("umount", "mnt")


def test_a_disk_that_turns_read_only(bench, disk):
    turn_read_only(disk)
    with pytest.raises(OSError, match="Read-only"):
        write_and_flush(bench.point / "new", b"new")
    with pytest.raises(OSError, match="Read-only"):
        (bench.point / "more").mkdir()
    assert "has become read-only; it can be read" in (bench.folder / "log").read_text()
    assert (bench.point / "kept").read_bytes() == KEPT
    expect_refusal(disk)


def test_a_disk_that_dies(bench, disk):
    die(disk)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            write_and_flush(bench.point / "new", b"new")
    # All that is lost was told; the commit of every second may have left nothing to tell of at the end.
    expect_refusal(disk, certain=False)


@pytest.fixture
def vault(bench) -> pathlib.Path:
    bench.ok("mount", "demo.vault", "mnt")
    write_and_flush(bench.point / "kept", KEPT)
    bench.ok("umount", "mnt")
    return bench.vault


@pytest.mark.parametrize("flag, what", [("i", "file"), ("a", "file"), ("i", "folder"), ("a", "folder")])
def test_a_file_or_folder_that_may_not_be_changed(bench, need, vault, flag, what):
    """Immutable, or only to be appended to: this is what stops root, too."""
    folder = bench.folder / "folder"
    folder.mkdir()
    vault = vault.rename(folder / "demo.vault")
    before = vault.read_bytes()
    path = vault if what == "file" else folder
    done = subprocess.run(["chattr", f"+{flag}", path], capture_output=True, text=True, check=False)
    need("chattr", done.returncode == 0, f"no such flags here: {done.stderr}")
    try:
        done = bench.tenon("mount", vault, "mnt")
        if what == "folder" and flag == "a":
            # A log can be made there, and not be deleted.
            assert mounted(bench.point) is None or (bench.point / "kept").read_bytes() == KEPT
            bench.tenon("umount", "mnt")
        else:
            assert done.returncode == 1 and done.stderr.count("\n") == 1, done
            assert "-o ro" in done.stderr and "demo.vault" in done.stderr
            bench.ok("mount", "-o", "ro", vault, "mnt")
            assert (bench.point / "kept").read_bytes() == KEPT
            bench.ok("umount", "mnt")
            assert vault.read_bytes() == before and os.listdir(folder) == ["demo.vault"]
    finally:
        subprocess.run(["chattr", f"-{flag}", path], check=True)
    assert bench.ok("check", vault).endswith(": sound\n")
    bench.ok("mount", vault, "mnt")
    assert (bench.point / "kept").read_bytes() == KEPT
    bench.ok("umount", "mnt")
    assert os.listdir(folder) == ["demo.vault"]


def test_a_folder_that_is_mounted_read_only(bench, vault):
    folder = bench.folder / "folder"
    folder.mkdir()
    vault = vault.rename(folder / "demo.vault")
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    try:
        assert "-o ro" in bench.refused("mount", vault, "mnt")
        bench.ok("mount", "-o", "ro", vault, "mnt")
        assert (bench.point / "kept").read_bytes() == KEPT
        bench.ok("umount", "mnt")
    finally:
        subprocess.run(["umount", folder], check=True)


def refuse(bench, name: str, *before: str) -> str:
    """What is said when it is mounted in some other way, while it is mounted."""
    point = bench.folder / f"other-{name}"
    point.mkdir()
    command = bench.public_command()
    done = subprocess.run([*before, command, "mount", name, point], cwd=bench.folder, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done
    assert mounted(point) is None
    return done.stderr


def test_mounted_a_second_time(bench, vault):
    """All at once: each waits for ten seconds, since a vault that is just being closed is worth waiting for."""
    bench.ok("mount", "demo.vault", "mnt")
    (bench.folder / "symlink.vault").symlink_to("demo.vault")
    (bench.folder / "hardlink.vault").hardlink_to(bench.vault)
    assert "is in use: it is mounted at" in refuse(bench, "symlink.vault")
    said: dict[str, str] = {}
    elsewhere = ["unshare", "--mount", "--propagation", "private"]
    ways = {"hardlink.vault": [], "demo.vault": [*elsewhere, "sh", "-c", f'umount {bench.point} && exec "$@"', "sh"]}
    if os.environ.get("TENON_THOROUGH"):
        (bench.folder / "second.vault").symlink_to("demo.vault")
        ways["second.vault"] = [*elsewhere, "--pid", "--fork", "--mount-proc", "sh", "-c", f'umount {bench.point} && "$@"', "sh"]
    threads = [threading.Thread(target=lambda name=name, before=before: said.update({name: refuse(bench, name, *before)}))
               for name, before in ways.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(said) == set(ways), said
    assert all(f"{name} is in use by another process" in said[name] for name in said), said
    write_and_flush(bench.point / "new", b"new")
    bench.ok("umount", "mnt")
    assert bench.ok("check", "hardlink.vault").endswith(": sound\n")
