"""A process that may not have many files or much memory: it says so in one sentence or works, and nothing is lost."""
import concurrent.futures
import os
import resource

import pytest

from .conftest import mounted, server_of
from .test_troubled_disk import KEPT, write_and_flush

# The address sanitizer needs both memory and descriptors itself.
pytestmark = pytest.mark.usefixtures("real", "plain_build")

MIB = 1 << 20
# What poll(2) needs for the few that are open; no new one can be had with it.
NONE_LEFT = 3
THOROUGH = bool(os.environ.get("TENON_THOROUGH"))
DESCRIPTORS = range(3, 40) if THOROUGH else (4, 7, 10, 13, 16, 24)
MEMORY = [mib * MIB for mib in (range(8, 400, 8) if THOROUGH else (16, 32, 64, 128, 256))]
# What the dynamic linker says when there is no room for the libraries: the command has not begun.
NOT_STARTED = 127


@pytest.fixture
def kept(bench) -> None:
    """A vault with a flushed file in it."""
    bench.ok("mount", "demo.vault", "mnt")
    write_and_flush(bench.point / "kept", KEPT)
    bench.ok("umount", "mnt")


def mount_within(bench, limit: int, amount: int) -> bool:
    """Mounts, uses and unmounts it, or not. Was it mounted?"""
    def restrict() -> None:
        resource.setrlimit(limit, (amount, amount))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    done = bench.tenon("mount", "demo.vault", "mnt", preexec_fn=restrict)
    if done.returncode == 0:
        assert (bench.point / "kept").read_bytes() == KEPT
        write_and_flush(bench.point / "new", b"%d" % amount)
        bench.ok("umount", "mnt")
    else:
        assert done.returncode in (1, NOT_STARTED) and done.stderr.count("\n") == 1, (amount, done)
        assert "signal" not in done.stderr, (amount, done)
    assert mounted(bench.point) is None
    return done.returncode == 0


@pytest.mark.parametrize("limit, amounts", [(resource.RLIMIT_NOFILE, DESCRIPTORS), (resource.RLIMIT_AS, MEMORY)],
                         ids=["descriptors", "memory"])
def test_mounting_within_limits(bench, kept, limit, amounts):
    worked = [amount for amount in amounts if mount_within(bench, limit, amount)]
    print(f"works with {worked} of {list(amounts)}")
    assert worked and worked != list(amounts)
    assert bench.ok("check", "demo.vault").endswith(": sound\n")
    bench.ok("mount", "demo.vault", "mnt")
    assert (bench.point / "kept").read_bytes() == KEPT
    assert (bench.point / "new").read_bytes() == b"%d" % worked[-1]


def write_many(bench, first: int) -> list[str]:
    """The names of those that were written and flushed."""
    done = []
    for number in range(first, first + 20):
        try:
            write_and_flush(bench.point / f"many{number}", b"%d" % number)
            done.append(f"many{number}")
        except OSError:
            pass
    return done


def test_descriptors_run_out_while_it_is_mounted(bench, kept):
    bench.ok("mount", "demo.vault", "mnt")
    pid = server_of(bench.point)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (NONE_LEFT, before[1]))
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        done = sum(threads.map(lambda number: write_many(bench, number * 100), range(8)), [])
    assert (bench.point / "kept").read_bytes() == KEPT
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert len(write_many(bench, 1000)) == 20
    bench.ok("umount", "mnt")
    assert bench.ok("check", "demo.vault").endswith(": sound\n")
    bench.ok("mount", "demo.vault", "mnt")
    assert all((bench.point / name).read_text() == name.removeprefix("many") for name in done)


def test_unmounted_while_descriptors_have_run_out(bench, kept):
    bench.ok("mount", "demo.vault", "mnt")
    write_and_flush(bench.point / "new", b"new")
    (bench.point / "unflushed").write_text("text")
    pid = server_of(bench.point)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (NONE_LEFT, NONE_LEFT))
    done = bench.tenon("umount", "mnt")
    assert done.returncode == 0 or done.stderr.count("\n") == 1, done
    assert mounted(bench.point) is None
    assert bench.ok("check", "demo.vault").endswith(": sound\n")
    bench.ok("mount", "demo.vault", "mnt")
    assert (bench.point / "new").read_bytes() == b"new"
    assert (bench.point / "unflushed").read_text() == "text"
