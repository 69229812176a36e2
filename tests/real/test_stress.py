"""stress-ng's stressors of file systems, which check what they get back (--verify).

Not run here, and why:
bind-mount, fanotify, io: they act on every mount of the machine, not on the drive alone.
binderfs, dup, eventfd, ioprio, procfs: not about the file system that they run on.
fiemap, verity, xattr: the kernel or the drive does not offer these calls, and stress-ng skips them.
io-uring: version 0.15 fails on tmpfs and ext4, too: it looks for a file that it has not made.
loop: it takes the machine's devices; test_image.py has one.
"""
from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from parity.places import run
from .conftest import THOROUGH, Ground, slow_on_all_grounds

GROUPS = {
    "names": "chdir dentry dir dirdeep dirmany filename getdent handle link mknod open rename symlink touch",
    "attributes": "access chattr chmod chown dnotify file-ioctl fstat inode-flags inotify utime",
    "content": "aio aiol copy-file fallocate fpunch fsize hdd iomix readahead revio seek sync-file",
    "maps and pipes": "mincore msync sendfile splice",
    "locks": "fcntl flock lease locka lockf lockofd",
}
ALL = " ".join(GROUPS.values()).split()


def stress(where: Path, report: Path, stressors: list[str], seconds: int, instances: int = 1) -> dict[str, int]:
    """Let stressors run side by side; how often each got round."""
    words = [word for stressor in stressors for word in (f"--{stressor}", str(instances))]
    done = run("stress-ng", "--verify", "--temp-path", where, "--timeout", seconds, "--metrics-brief", "--yaml", report, *words,
               timeout=170)
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    assert not re.search(r"stress-ng: (fail|error)", said), said
    assert not re.search(r"skip", said), said
    return {name: int(rounds) for name, rounds in
            re.findall(r"stressor: (\S+)\n\s+bogo-ops: (\d+)", report.read_text())}


def check(ground: Ground, plain: Path, stressors: list[str], seconds: int, instances: int = 1) -> None:
    rounds = stress(ground.root, plain / "report", stressors, seconds, instances)
    assert set(rounds) == set(stressors), rounds
    # Among so many, some do not finish their first round.
    assert list(rounds.values()).count(0) <= len(stressors) // 2, rounds
    assert os.listdir(ground.root) == []
    ground.again()
    assert os.listdir(ground.root) == []


@slow_on_all_grounds
@pytest.mark.parametrize("stressors", [[one] for one in ALL] if THOROUGH else [ALL],
                         ids=ALL if THOROUGH else ["side by side"])
def test_stressors(ground: Ground, plain: Path, program, stressors: list[str]) -> None:
    program("stress-ng")
    check(ground, plain, stressors, 4 if THOROUGH else 3, instances=3 if THOROUGH else 1)
