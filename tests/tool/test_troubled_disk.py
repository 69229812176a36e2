"""A vault whose disk is full, whose file is taken away, whose process may not have more: programs hear of it, and nothing else is lost."""
import errno
import os
import pathlib
import resource
import subprocess
import time
from typing import Callable

import pytest

from .conftest import LIMIT, mounted

pytestmark = pytest.mark.usefixtures("real")

KEPT = b"kept" * 100000


@pytest.fixture
def disk(bench):
    """A small disk of its own, with a mounted vault and a flushed file in it."""
    disk = bench.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tenon-tests", disk], check=True)
    bench.ok("mount", "-o", f"log={bench.folder}/log", disk / "demo.vault", "mnt")
    write_and_flush(bench.point / "kept", KEPT)
    yield disk
    if mounted(bench.point):
        bench.tenon("umount", "mnt")
    subprocess.run(["umount", disk], check=True)


def write_and_flush(path: pathlib.Path, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        assert file.write(data) == len(data)
        os.fsync(file.fileno())


def fill(path: pathlib.Path) -> None:
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError as error:
            assert error.errno == errno.ENOSPC


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_somebody_else_fills_the_disk(bench, disk):
    fill(disk / "filler")
    with pytest.raises(OSError) as told:
        write_and_flush(bench.point / "new", b"x" * 2000000)
    assert told.value.errno in (errno.ENOSPC, errno.EIO)
    assert (bench.point / "kept").read_bytes() == KEPT
    (disk / "filler").unlink()
    write_and_flush(bench.point / "new", b"new")
    assert bench.tenon("umount", "mnt").returncode == 0
    assert bench.ok("check", disk / "demo.vault").endswith(": sound\n")
    bench.ok("mount", disk / "demo.vault", "mnt")
    assert (bench.point / "kept").read_bytes() == KEPT
    assert (bench.point / "new").read_text() == "new"


def test_a_vault_on_a_full_disk_is_mounted_and_emptied(bench, disk):
    assert bench.tenon("umount", "mnt").returncode == 0
    fill(disk / "filler")
    done = bench.tenon("mount", disk / "demo.vault", "mnt")
    if done.returncode == 0:
        assert (bench.point / "kept").read_bytes() == KEPT
    else:
        assert done.stderr.count("\n") == 1 and "No space left" in done.stderr
    (disk / "filler").unlink()


def test_a_limit_on_the_size_of_files(bench):
    """The limit is the process's, and what it does by default is to kill it."""
    bench.ok("mount", "demo.vault", "mnt", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20)))
    write_and_flush(bench.point / "kept", KEPT)
    with pytest.raises(OSError):
        write_and_flush(bench.point / "new", os.urandom(8 << 20))
    assert (bench.point / "kept").read_bytes() == KEPT
    bench.tenon("umount", "mnt")
    assert bench.ok("check", "demo.vault").endswith(": sound\n")
    bench.ok("mount", "demo.vault", "mnt")
    assert (bench.point / "kept").read_bytes() == KEPT


def test_a_vault_that_is_deleted_while_it_is_mounted(bench, disk):
    (disk / "demo.vault").unlink()
    (bench.point / "new").mkdir()
    wait_until(lambda: "moved, replaced or deleted" in (bench.folder / "log").read_text())
    assert (bench.folder / "log").read_text().count("moved, replaced or deleted") == 1
    with pytest.raises(OSError) as told:
        (bench.point / "more").mkdir()
    assert told.value.errno == errno.EROFS
    assert (bench.point / "kept").read_bytes() == KEPT
    done = bench.tenon("umount", "mnt")
    assert done.returncode == 1
    assert "moved, replaced or deleted" in done.stderr
