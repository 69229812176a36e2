"""python3 -m bench.requests [--json] [SUBJECT...]: how many requests the kernel makes of a file system for what programs do.

Counted by the kernel's own tracepoint (Linux 6.12 and later), for one mount at a time. What else runs does not count, but where it
makes the kernel forget something, there are more.
"""
from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Callable, Iterator, Mapping

from .subjects import REPOSITORY, SUBJECTS, Base, Subject, Unavailable, empty_caches

TRACING = Path("/sys/kernel/tracing")
EVENT = "events/fuse/fuse_request_send"
TIMES = 50
ON = ("libfuse", "memory", "memory-write-through")


def sweep() -> None:
    """Take away what a process that was killed has left: its number is in the name."""
    for folder in (TRACING / "instances").glob("tenon-bench-*"):
        if not Path("/proc", folder.name.rpartition("-")[2]).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


class Counting:
    """The requests of one connection, from a tracing instance of its own."""

    def __init__(self, root: Path):
        self._folder = TRACING / "instances" / f"tenon-bench-{os.getpid()}"
        # A connection is known by the device number of its mount.
        self._device = os.stat(root).st_dev

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="ascii")

    def __enter__(self) -> "Counting":
        sweep()
        self._folder.mkdir()
        try:
            self._write("buffer_size_kb", "8192")
            minor = os.minor(self._device)
            self._write(f"{EVENT}/filter", f"connection == {os.major(self._device) << 20 | minor}")
            self._write(f"{EVENT}/enable", "1")
        except OSError:
            self._folder.rmdir()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._write(f"{EVENT}/enable", "0")
        self._folder.rmdir()

    def of(self, work: Callable[[], object]) -> Counter[str]:
        self._write("trace", "")
        work()
        return Counter(re.findall(r"\(FUSE_(\w+)\)", (self._folder / "trace").read_text(encoding="ascii")))


def available() -> str:
    """Why requests cannot be counted here; empty where they can."""
    if os.geteuid() != 0:
        return "only root may trace"
    if not (TRACING / EVENT).is_dir():
        return f"{TRACING / EVENT} is not there: it came with Linux 6.12, and tracefs must be mounted"
    if not os.access(TRACING / "instances", os.W_OK):
        return f"{TRACING} cannot be written"
    return ""


# ------------------------------------------------------------------- what is done TIMES times, after its preparation


def _tools(*words: str) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _each(work: Callable[[int], object]) -> None:
    for number in range(TIMES):
        work(number)


def _pair(_: int) -> None:
    os.link("one", "other")
    os.unlink("other")


def _link_and_look(number: int) -> None:
    os.link("one", f"new-{number}")
    assert os.stat("one").st_nlink == number + 2


def _unlink_and_look(number: int) -> None:
    os.unlink(f"name-{number}")
    assert os.stat("one").st_nlink == TIMES - number


def _chmod_and_look(number: int) -> None:
    os.chmod("one", 0o600 + number)
    assert os.stat(f"name-{number}").st_mode & 0o777 == 0o600 + number


def _read(number: int) -> None:
    assert Path(f"name-{number}").read_bytes() == b"some data"


def _append(number: int) -> None:
    with open(f"name-{number}", "ab") as file:
        file.write(b"more")


def _make_names() -> None:
    for number in range(TIMES):
        os.link("one", f"name-{number}")


def _make_tree() -> None:
    os.mkdir("tree")
    for number in range(TIMES):
        os.close(os.open(f"tree/{number}", os.O_CREAT | os.O_WRONLY))


def _make_two_trees() -> None:
    _make_tree()
    _tools("cp", "-al", "tree", "copy")


def _nothing() -> None:
    pass


# The work, what is made before, and whether the kernel's caches are emptied in between. Python looks at a file that it has opened
# with an ioctl, once.
OPERATIONS: dict[str, tuple[Callable[[], object], Callable[[], object], bool]] = {
    "link and unlink, the same name": (lambda: _each(_pair), _nothing, False),
    "link to a new name, stat of the old one": (lambda: _each(_link_and_look), _nothing, False),
    "unlink of one of the names, stat of another": (lambda: _each(_unlink_and_look), _make_names, False),
    "rename of one of the names": (lambda: _each(lambda n: os.rename(f"name-{n}", f"moved-{n}")), _make_names, False),
    "rename onto another name of the file": (lambda: _each(lambda n: os.rename(f"name-{n}", "one")), _make_names, False),
    "stat of a name, cold": (lambda: _each(lambda n: os.stat(f"name-{n}")), _make_names, True),
    "stat of a name, warm": (lambda: _each(lambda n: os.stat(f"name-{n}")), _make_names, False),
    "chmod, stat of another name": (lambda: _each(_chmod_and_look), _make_names, False),
    "open, read, close by a name, warm": (lambda: _each(_read), _make_names, False),
    "open, append, close by a name": (lambda: _each(_append), _make_names, False),
    "ls -l, for each file, cold": (lambda: _tools("ls", "-l", "tree"), _make_tree, True),
    "cp -a, for each file, warm": (lambda: _tools("cp", "-a", "tree", "copy"), _make_tree, False),
    "cp -al, for each file, cold": (lambda: _tools("cp", "-al", "tree", "copy"), _make_tree, True),
    "rm -r of the copy, for each file, cold": (lambda: _tools("rm", "-r", "copy"), _make_two_trees, True),
}


def count(root: Path) -> dict[str, Counter[str]]:
    """For each operation the requests, all its times together."""
    found = {}
    before = os.getcwd()
    with Counting(root) as counting:
        for number, (name, (work, prepare, cold)) in enumerate(OPERATIONS.items()):
            where = root / str(number)
            where.mkdir()
            (where / "one").write_bytes(b"some data")
            # What a first use asks for once is not what each costs.
            os.chdir(where)
            try:
                os.stat("one")
                prepare()
                os.sync()
                if cold:
                    os.chdir(before)
                    empty_caches()
                    os.chdir(where)
                found[name] = counting.of(work)
            finally:
                os.chdir(before)
    return found


@contextlib.contextmanager
def subject(base: Base, name: str) -> Iterator[Subject]:
    mounted = SUBJECTS[name](base, name)
    try:
        yield mounted
        mounted.close()
        mounted.discard()
    except BaseException:
        mounted.abandon()
        raise


def count_all(base: Base, names: tuple[str, ...]) -> dict[str, dict[str, Counter[str]]]:
    """By subject; one that cannot be had is left out, which is said."""
    found = {}
    for name in names:
        try:
            with subject(base, name) as mounted:
                found[name] = count(mounted.root)
        except Unavailable as error:
            print(f"bench: {name} left out: {error}", file=sys.stderr)
    return found


def in_words(requests: Mapping[str, int], for_times: int = TIMES) -> str:
    """1 LOOKUP + 1 LINK: for one time. What comes once for all times is not shown."""
    shares = {opcode: f"{times / for_times:.1f}".removesuffix(".0") for opcode, times in Counter(requests).most_common()}
    return " + ".join(f"{share} {opcode}" for opcode, share in shares.items() if share != "0") or "none"


def as_markdown(found: dict[str, dict[str, Counter[str]]]) -> str:
    lines = [f"| | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(in_words(by[name]) for by in found.values())} |" for name in OPERATIONS]
    return "\n".join(lines)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.requests", description="Counts the kernel's requests, as root.")
    parser.add_argument("--json", action="store_true", help=f"all of them, for {TIMES} times each")
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"default: {' '.join(ON)}")
    options = parser.parse_args(arguments)
    unknown = set(options.subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    why = available()
    if why:
        print(f"bench: requests cannot be counted: {why}", file=sys.stderr)
        return 2
    os.environ["TENON"] = str(Path(os.environ.get("BUILD", REPOSITORY / "build")).absolute() / "tenon")
    # Being told to end is a reason to clean up.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    base = Base(Path("/var/tmp"), "tenon-requests-")
    try:
        found = count_all(base, tuple(options.subjects) or ON)
    finally:
        base.close()
    print(json.dumps(found) if options.json else as_markdown(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
