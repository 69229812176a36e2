"""The example drive with hard links: what it shows, what a restart keeps, and what is left of a kill."""
from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from conftest import open_place
from parity import calls
from parity.places import Numbered, run
from parity.steps import read_file, write_file

AWKWARD = [b"with blank", b"new\nline", b"\\134", b"\xff\xfe bytes", b"a" * 255, b"-", b"17", b"="]


@pytest.fixture
def drive(base) -> Iterator[Numbered]:
    with open_place(lambda: Numbered(base)) as place:
        yield place


@pytest.fixture
def compiled(installed, base) -> Iterator[Numbered]:
    """Compiled by its own Makefile against what make install has installed."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(installed.library)}
    with open_place(lambda: Numbered(base, (), (), installed.examples / "numbered", environment)) as place:
        yield place


def records(drive: Numbered) -> list[bytes]:
    return (drive.store / "names").read_bytes().split(b"\0")


def numbers(drive: Numbered) -> set[str]:
    """The numbered files, without the root."""
    return {name for name in os.listdir(drive.store) if name[0].isdigit()} - {"1"}


def sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def kill(drive: Numbered) -> None:
    """The guard takes the mount away."""
    drive.process.kill()
    assert drive.wait() == -signal.SIGKILL


def picture(root: Path) -> dict[bytes, tuple]:
    """All that can be seen of a tree: a file's number is told by its first path."""
    seen: dict[int, bytes] = {}
    found = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in sorted([b".", *folders, *files]):
            path = os.path.join(folder, name)
            info = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(info.st_mode) else read_file(path) if stat.S_ISREG(info.st_mode) else None
            found[path] = (seen.setdefault(info.st_ino, path), info.st_mode, info.st_nlink, info.st_uid, info.st_gid, info.st_size, info.st_rdev,
                           info.st_mtime_ns, info.st_ctime_ns, content)
    return found


def make_tree(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    write_file(root / "a" / "file", b"contents")
    os.chown(root / "a" / "file", 12, 34)
    os.chmod(root / "a" / "file", 0o4751)
    os.link(root / "a" / "file", root / "a" / "b" / "second")
    os.link(root / "a" / "file", root / "third")
    os.symlink("target with blank", root / "symlink")
    os.link(root / "symlink", root / "symlink 2", follow_symlinks=False)
    os.lchown(root / "symlink", 5, 6)
    os.mkfifo(root / "fifo", 0o640)
    os.mknod(root / "a" / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    for name in AWKWARD:
        os.link(root / "third", os.path.join(os.fsencode(root / "a" / "b"), name))
    os.rename(root / "third", root / "3rd")
    write_file(root / "old", b"old")
    os.utime(root / "old", ns=(1_000_000_001, 2_000_000_002))


def test_compiled_from_what_is_installed(compiled) -> None:
    make_tree(compiled.root)
    before = picture(compiled.root)
    compiled.again()
    assert picture(compiled.root) == before


def test_all_names_are_one_file(drive) -> None:
    make_tree(drive.root)
    names = [drive.root / "3rd", drive.root / "a" / "file", drive.root / "a" / "b" / "second"]
    with open(names[0], "r+b") as file:
        file.write(b"C")
        file.flush()
        assert {os.stat(name).st_nlink for name in names} == {3 + len(AWKWARD)} == {os.fstat(file.fileno()).st_nlink}
        assert {read_file(name) for name in names} == {b"Contents"}
        assert len({os.stat(name).st_ino for name in names}) == 1
    assert b"/3rd" in os.getxattr(names[2], "tenon.links").split(b"\n")
    assert len(os.getxattr(names[2], "tenon.links").split()) >= 3 + len(AWKWARD)
    number = str(os.stat(names[0]).st_ino)
    assert number in numbers(drive)
    for name in names:
        os.unlink(name)
    for name in AWKWARD:
        assert number in numbers(drive)
        os.unlink(os.path.join(os.fsencode(drive.root / "a" / "b"), name))
    assert number not in numbers(drive)


def test_open_without_a_name(drive) -> None:
    write_file(drive.root / "f", b"still here")
    number = str(os.stat(drive.root / "f").st_ino)
    with open(drive.root / "f", "rb") as file:
        os.unlink(drive.root / "f")
        assert number in numbers(drive) and os.fstat(file.fileno()).st_nlink == 0
        assert file.read() == b"still here"
    # close_file comes after close(2) has returned, and before the process has ended.
    drive.again()
    assert not numbers(drive)


def test_a_restart_keeps_everything(drive) -> None:
    make_tree(drive.root)
    before = picture(drive.root)
    for _ in range(2):
        drive.again()
        assert picture(drive.root) == before


def test_a_kill_loses_nothing_that_was_synced(drive) -> None:
    make_tree(drive.root)
    sync(drive.root / "3rd")
    sync(drive.root)
    before = {path: told[:8] + told[9:] for path, told in picture(drive.root).items()}
    kill(drive)
    drive.mount()
    # The host's ctime is the time of its own last change.
    assert {path: told[:8] + told[9:] for path, told in picture(drive.root).items()} == before


def operate(root: Path, step: int) -> None:
    """One step of an endless sequence: each file is made, linked, renamed, exchanged with a symlink, and loses a name."""
    number, what = divmod(step, 6)
    file, link, moved, kept = (root / f"{kind}{number}" for kind in ("file", "link", "moved", "kept"))
    if what == 0:
        write_file(file, f"{number}".encode())
        sync(file)
    elif what == 1:
        os.link(file, link)
    elif what == 2:
        os.rename(link, moved)
    elif what == 3:
        os.symlink(f"{number}", kept)
    elif what == 4:
        calls.renameat2(str(kept), str(moved), calls.RENAME_EXCHANGE)
    else:
        os.unlink(file)


def told(root: Path) -> dict[str, tuple]:
    return {name: (os.lstat(root / name).st_nlink, os.readlink(root / name) if os.path.islink(root / name) else (root / name).read_text())
            for name in os.listdir(root)}


def work_until_killed(drive: Numbered, after: int) -> int:
    """How many steps have returned when the drive is killed after so many or a few more."""
    reader, writer = os.pipe()
    worker = os.fork()
    if worker == 0:
        try:
            for step in range(1 << 20):
                operate(drive.root, step)
                os.write(writer, b".")
        finally:
            os._exit(0)
    os.close(writer)
    done = 0
    while done < after:
        done += len(os.read(reader, 1))
    drive.process.kill()
    while more := os.read(reader, 4096):
        done += len(more)
    os.close(reader)
    os.waitpid(worker, 0)
    assert drive.wait() == -signal.SIGKILL
    return done


@pytest.mark.parametrize("after", [1, 100, 501, 602, 703, 804, 905])
def test_a_kill_at_work_loses_no_step(drive, tmpfs, after) -> None:
    """What has returned has happened; the step that was under way has happened or has not, or has made an empty file."""
    done = work_until_killed(drive, after)
    drive.mount()
    found = told(drive.root)
    truth = tmpfs.root / "steps"
    truth.mkdir()
    for step in range(done):
        operate(truth, step)
    begun = f"file{done // 6}"
    if done % 6 == 0 and found.get(begun) == (1, ""):
        del found[begun]
        os.unlink(drive.root / begun)
    elif found != told(truth):
        operate(truth, done)
    expected = told(truth)
    shutil.rmtree(truth)
    assert found == expected
    drive.again()
    assert told(drive.root) == found


def test_a_kill_leaves_no_nameless_file(drive) -> None:
    write_file(drive.root / "f", b"")
    with open(drive.root / "f", "rb"):
        os.unlink(drive.root / "f")
        fd = os.open(drive.root, os.O_TMPFILE | os.O_RDWR)
        assert len(numbers(drive)) == 2
        kill(drive)
        os.close(fd)
    drive.mount()
    assert not numbers(drive) and os.listdir(drive.root) == []


@pytest.mark.parametrize("name", ["torn", "torn and longer than what comes next"])
def test_half_a_record_is_dropped(drive, name) -> None:
    write_file(drive.root / "f", b"data")
    os.link(drive.root / "f", drive.root / "g")
    sync(drive.root / "g")
    kill(drive)
    with open(drive.store / "names", "ab") as log:
        log.write(f"+ 1/{name}/{next(iter(numbers(drive)))}".encode())
    drive.mount()
    assert sorted(os.listdir(drive.root)) == ["f", "g"]
    os.link(drive.root / "f", drive.root / "h")
    drive.again()
    assert sorted(os.listdir(drive.root)) == ["f", "g", "h"] and os.stat(drive.root / "f").st_nlink == 3


def test_what_was_never_finished_is_dropped(drive) -> None:
    """A name whose symlink was not made yet, and a file that has not got its name."""
    write_file(drive.root / "f", b"data")
    kill(drive)
    with open(drive.store / "names", "ab") as log:
        log.write(b"+ 1/symlink/1000\0")
    (drive.store / "1001").write_bytes(b"")
    (drive.store / "1002").mkdir()
    (drive.store / "0").symlink_to("nowhere")
    drive.mount()
    assert os.listdir(drive.root) == ["f"] and len(numbers(drive)) == 1
    os.symlink("target", drive.root / "symlink")
    assert os.readlink(drive.root / "symlink") == "target"


def test_a_number_is_given_once(drive) -> None:
    write_file(drive.root / "f", b"")
    number = os.stat(drive.root / "f").st_ino
    os.unlink(drive.root / "f")
    for stop in (drive.umount, lambda: kill(drive)):
        stop()
        drive.mount()
        write_file(drive.root / "f", b"")
        assert os.stat(drive.root / "f").st_ino > number
        number = os.stat(drive.root / "f").st_ino
        os.unlink(drive.root / "f")


def test_a_log_that_cannot_be_is_refused(drive) -> None:
    write_file(drive.root / "f", b"data")
    drive.umount()
    whole = (drive.store / "names").read_bytes()
    before = sorted(os.listdir(drive.store))
    for bad in (b"+ 1/f/2\0", b"- 1/nothing\0", b"> 1/nothing/1/f\0", b"x 1/f/1/nothing\0", b"? 1/f\0", b"\0", b"+ 1/f\0"):
        (drive.store / "names").write_bytes(whole + bad)
        assert drive.start().wait(30) == 1
        assert sorted(os.listdir(drive.store)) == before and (drive.store / "names").read_bytes() == whole + bad
    assert "record 5 of the log cannot be" in drive.log.read_text()
    (drive.store / "names").unlink()
    assert drive.start().wait(30) == 1
    assert "its log was lost" in drive.log.read_text() and set(before) - set(os.listdir(drive.store)) == {"names"}


def test_a_store_is_open_once(drive) -> None:
    other = subprocess.run([drive.process.args[0], drive.store, drive.root], capture_output=True, timeout=30)
    assert other.returncode == 1 and os.strerror(errno.EWOULDBLOCK) in other.stderr.decode()


def test_max_links(drive) -> None:
    drive.again("--max-links", "3")
    write_file(drive.root / "f", b"")
    for name in ("g", "h"):
        os.link(drive.root / "f", drive.root / name)
    with pytest.raises(OSError) as refused:
        os.link(drive.root / "g", drive.root / "i")
    assert refused.value.errno == errno.EMLINK and not os.path.lexists(drive.root / "i")
    os.unlink(drive.root / "f")
    os.link(drive.root / "g", drive.root / "i")
    assert os.stat(drive.root / "h").st_nlink == 3


def test_signals_end_it(drive) -> None:
    write_file(drive.root / "f", b"data")
    drive.process.send_signal(signal.SIGTERM)
    assert drive.wait() == 0
    assert records(drive)[-2].startswith(b"= ")
    drive.mount()
    assert read_file(drive.root / "f") == b"data"


def test_full_host(drive) -> None:
    """A name that cannot be written down is not there."""
    write_file(drive.root / "f", b"")
    run("mount", "-o", "remount,size=256k", drive.store)
    filler = os.open(drive.store / "filler", os.O_CREAT | os.O_WRONLY)
    with pytest.raises(OSError):
        while True:
            os.write(filler, bytes(4096))
    os.close(filler)
    names = []
    with pytest.raises(OSError) as full:
        for number in range(100000):
            os.link(drive.root / "f", drive.root / f"{number:0200}")
            names.append(f"{number:0200}")
    assert full.value.errno == errno.ENOSPC
    assert sorted(os.listdir(drive.root)) == sorted([*names, "f"])
    (drive.store / "filler").unlink()
    os.link(drive.root / "f", drive.root / "last")
    drive.again()
    assert sorted(os.listdir(drive.root)) == sorted([*names, "f", "last"])
