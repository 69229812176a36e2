"""fio writes blocks that say where they belong, and looks whether they came back."""
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from parity.places import run
from .conftest import GROUNDS, THOROUGH, Ground, slow_on_all_grounds

SIZE = 64 if THOROUGH else 4  # MiB of each job
VERIFY = ("--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--verify_backlog=0", "--randrepeat=1",
          "--fallocate=none", f"--size={SIZE}M", "--output-format=json")
JOBS = {
    "in sequence": ("--ioengine=psync", "--rw=write", "--bs=4k"),
    "odd sizes": ("--ioengine=psync", "--rw=randwrite", "--bsrange=512-40k", "--bs_unaligned=1"),
    "over each other": ("--ioengine=psync", "--rw=randwrite", "--bsrange=512-64k", "--blockalign=512", "--norandommap"),
    "reads between": ("--ioengine=psync", "--rw=randrw", "--bs=8k", "--fsync=64"),
    "vectors": ("--ioengine=pvsync2", "--rw=randwrite", "--bs=16k", "--fdatasync=32"),
    "asynchronous, direct": ("--ioengine=libaio", "--direct=1", "--iodepth=8", "--rw=randwrite", "--bsrange=4k-32k"),
    "asynchronous, cached": ("--ioengine=libaio", "--iodepth=8", "--rw=randwrite", "--bs=4k", "--end_fsync=1"),
    "ring, direct": ("--ioengine=io_uring", "--direct=1", "--iodepth=8", "--rw=randwrite", "--bs=4k"),
    "ring, cached": ("--ioengine=io_uring", "--iodepth=8", "--rw=randwrite", "--bsrange=4k-128k", "--fsync=100"),
    "mapped": ("--ioengine=mmap", "--rw=randwrite", "--bs=4k", "--fsync=128"),
    "mapped, in sequence": ("--ioengine=mmap", "--rw=write", "--bs=64k"),
    "one file, several jobs": ("--ioengine=psync", "--rw=randwrite", "--bs=4k", "--numjobs=4", f"--offset_increment={SIZE}M",
                               "--filename=common"),
    "several files": ("--ioengine=psync", "--rw=randwrite", "--bs=4k", "--nrfiles=20", "--openfiles=5", "--fsync_on_close=1"),
    "synchronous": ("--ioengine=psync", "--sync=1", "--rw=randwrite", "--bs=64k"),
    "spliced": ("--ioengine=splice", "--rw=write", "--bs=64k"),
}
# What these write depends on more than the seed, so that fio cannot look for it in a second run.
ONCE = ("odd sizes", "over each other", "several files")
FAST = {"tmpfs": (), "ext4": (), "vault": JOBS,
        "memory": ("odd sizes", "over each other", "ring, direct", "ring, cached", "mapped", "one file, several jobs")}


def fio(where: Path, *options: str, check: bool = True):
    return run("fio", "--name=job", f"--directory={where}", *VERIFY, *options, check=check, timeout=170)


def totals(done) -> tuple[int, int, int]:
    """Bytes written, bytes read and errors of all jobs."""
    text = done.stdout.decode()
    jobs = json.loads(text[text.index("{"):])["jobs"]
    return tuple(sum(values) for values in zip(*((job["write"]["io_bytes"], job["read"]["io_bytes"], job["error"]) for job in jobs)))


@pytest.mark.parametrize("ground, job", [(ground, job) for ground in GROUNDS for job in JOBS if THOROUGH or job in FAST[ground]],
                         indirect=["ground"])
def test_verify(ground: Ground, program, job: str) -> None:
    program("fio")
    options = JOBS[job]
    if ground.kind == "tmpfs" and "--direct=1" in options:
        pytest.skip("older kernels refuse O_DIRECT on tmpfs")
    written, read, errors = totals(fio(ground.root, *options))
    assert written >= (SIZE << 20) * 0.4 and read >= written * 0.3 and errors == 0
    ground.again()
    if job in ONCE:
        return
    written, read, errors = totals(fio(ground.root, *options, "--verify_only=1"))
    assert read >= (SIZE << 20) * 0.4 and errors == 0


@slow_on_all_grounds
def test_verify_sees_one_wrong_byte(ground: Ground, program) -> None:
    program("fio")
    options = JOBS["in sequence"]
    fio(ground.root, *options)
    file, = ground.root.iterdir()
    fd = os.open(file, os.O_RDWR)
    byte, = os.pread(fd, 1, 1_000_000)
    os.pwrite(fd, bytes([byte ^ 1]), 1_000_000)
    os.close(fd)
    ground.again()
    assert fio(ground.root, *options, "--verify_only=1", check=False).returncode != 0
