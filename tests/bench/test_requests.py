"""What programs do with hard links costs a drive no more requests than the peer on libfuse, but for those that have a reason."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Callable

REPOSITORY = Path(__file__).resolve().parents[2]
TRACEPOINT = Path("/sys/kernel/tracing/events/fuse/fuse_request_send")
# The drive is told of opening and closing, and it has an attribute, so the kernel asks for those that programs look for.
HAS_A_REASON = {"OPEN", "RELEASE", "GETXATTR"}
TIMES = 50

Counts = dict[str, dict[str, Counter[str]]]


def count(programs: Path, *subjects: str) -> Counts:
    done = subprocess.run([sys.executable, "-m", "bench.requests", "--json", *subjects], cwd=REPOSITORY, text=True, check=True,
                          stdout=subprocess.PIPE, env={**os.environ, "BUILD": str(programs.parent)}, timeout=120)
    return {subject: {name: Counter(of) for name, of in by.items()} for subject, by in json.loads(done.stdout).items()}


def excess(counts: Counts) -> list[str]:
    """Where the drive is asked more than the peer, in words. A request or two for all times together are nothing.

    The answer to a link may be kept by the peer's kernel, though an unlink of another thread may have overtaken it; a drive's may
    not, so that the next one who wants to know asks."""
    found = []
    for name, mine in counts["memory"].items():
        more = mine - counts["libfuse"][name] - Counter(GETATTR=mine["LINK"])
        found += [f"{name}: {times / TIMES} {opcode} more than the peer" for opcode, times in more.items()
                  if opcode not in HAS_A_REASON and times > TIMES / 10]
    warm = counts["memory"]["stat of a name, warm"]
    # One for the directory and one for the file, which the making of the names has changed.
    return found + ([f"warm names are asked for: {warm}"] if warm.total() > 2 else [])


def test_no_more_requests_than_the_peer(programs: Path, peer: Path, need: Callable[..., None]) -> None:
    """Counted again where it does not hold: somebody else may make the kernel forget meanwhile."""
    need("tracing", TRACEPOINT.is_dir() and os.access("/sys/kernel/tracing/instances", os.W_OK),
         f"{TRACEPOINT} is not there or cannot be used")
    for _ in range(4):
        found = excess(count(programs, "libfuse", "memory"))
        if not found:
            break
    assert not found, "\n".join(found)
