"""Large in one way or another: long files, full directories, deep ones, big copies."""
from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from parity.places import run
from .conftest import THOROUGH, Ground, slow_on_all_grounds

GIB = 1 << 30
ENTRIES = 100_000 if THOROUGH else 5_000
COPIED = (120 if THOROUGH else 8) << 20


@slow_on_all_grounds
def test_offsets_beyond_four_gibibytes(ground: Ground) -> None:
    """A file of 5 GiB that is nearly all hole: nothing of an offset is cut off anywhere."""
    path = ground.root / "long"
    places = [0, GIB, 2 * GIB - 3, 2 * GIB + 9000, 4 * GIB - 5, 4 * GIB + 9000, 4 * GIB + GIB // 2, 5 * GIB - 100]
    islands = {at: b"island at %d" % at for at in places}
    with open(path, "wb") as file:
        for at, text in islands.items():
            os.pwrite(file.fileno(), text, at)
        file.truncate(5 * GIB)
    for _ in range(2):
        with open(path, "rb") as file:
            for at, text in islands.items():
                assert os.pread(file.fileno(), len(text) + 4, at) == text + bytes(4)
                assert os.pread(file.fileno(), 10, max(0, at - 1000)) == (bytes(10) if at else text[:10])
            assert os.pread(file.fileno(), 10, 5 * GIB) == b""
        st = os.stat(path)
        assert st.st_size == 5 * GIB
        ground.again()
    os.sync()
    with open(path, "r+b") as file:
        os.fsync(file.fileno())
    assert os.stat(path).st_blocks * 512 <= 16 << 20
    assert run("tail", "-c", "100", path).stdout.startswith(b"island at %d" % (5 * GIB - 100))
    with open(path, "r+b") as file:
        file.truncate(4 * GIB + 3)
        file.truncate(5 * GIB)
        assert os.pread(file.fileno(), 20, 4 * GIB - 5) == b"island a" + bytes(12)
    run("truncate", "-s", 8 * GIB, path)
    assert os.stat(path).st_size == 8 * GIB


@slow_on_all_grounds
def test_many_files_in_a_directory(ground: Ground) -> None:
    top = ground.root / "many"
    top.mkdir()
    count = min(ENTRIES, os.statvfs(top).f_ffree)  # the small ext4 to compare with has room for 65,000
    names = [f"{number:06} some name of a usual length" for number in range(count)]
    for number, name in enumerate(names):
        fd = os.open(top / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        if number % 100 == 0:
            os.write(fd, name.encode())
        os.close(fd)
    for _ in range(2):
        assert sorted(os.listdir(top)) == names
        assert sum(entry.is_file() for entry in os.scandir(top)) == count
        ground.again()
    # Half of them go while the directory is read, which shows each of the others.
    with os.scandir(top) as entries:
        seen = set()
        for entry in entries:
            seen.add(entry.name)
            if int(entry.name.split()[0]) % 2:
                os.unlink(entry.path)
    assert seen == set(names)
    assert sorted(os.listdir(top)) == names[::2]
    assert (top / names[200]).read_text() == names[200]
    run("find", top, "-newer", top, "-name", "*9", timeout=120)
    run("rm", "-rf", top, timeout=120)
    assert os.listdir(ground.root) == []


@slow_on_all_grounds
def test_deeper_than_a_path(ground: Ground) -> None:
    """Directories below each other, far beyond what one path can name; programs go step by step."""
    part, levels = "d" * 250, 60
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(ground.root)
        for level in range(levels):
            os.mkdir(part)
            os.chdir(part)
            if level % 10 == 9:
                Path(f"file {level}").write_text(str(level))
    finally:
        os.fchdir(before)
        os.close(before)
    found = run("find", ground.root, "-type", "f", "-printf", "%d %f %s\\n").stdout.decode().splitlines()
    assert sorted(found) == sorted(f"{level + 2} file {level} {len(str(level))}" for level in range(9, levels, 10))
    assert int(run("du", "--inodes", "-s", ground.root).stdout.split()[0]) == levels + levels // 10 + 1
    ground.again()
    os.rename(ground.root / part, ground.root / "renamed")
    assert len(run("find", ground.root / "renamed", "-type", "d", "-printf", "x").stdout) == levels
    run("rm", "-rf", ground.root / "renamed")
    assert os.listdir(ground.root) == []


def copy_by(call, source: int, target: int, size: int) -> None:
    done = 0
    while done < size:
        count = call(target, source, done, size - done)
        assert count > 0
        done += count


@slow_on_all_grounds
@pytest.mark.parametrize("way", ["cp", "copy_file_range", "sendfile", "splice"])
def test_big_copies(ground: Ground, plain: Path, way: str) -> None:
    """Within the drive, and from and to another file system."""
    data = random.Random(COPIED).randbytes(1 << 20)
    source = ground.root / "source"
    with open(source, "wb") as file:
        for number in range(COPIED >> 20):
            file.write(number.to_bytes(8, "little") + data[8:])
    for target in (ground.root / "within", plain / "out", ground.root / "in"):
        take = plain / "out" if target.name == "in" else source
        copy(way, take, target)
        run("cmp", source, target, timeout=120)
    ground.again()
    run("cmp", plain / "out", ground.root / "within", timeout=120)
    run("cmp", plain / "out", ground.root / "in", timeout=120)


def copy(way: str, source: Path, target: Path) -> None:
    if way == "cp":
        run("cp", "--reflink=auto", "--sparse=never", source, target, timeout=120)
        return
    with open(source, "rb") as reader, open(target, "wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        if way == "splice":
            splice_all(reader.fileno(), writer.fileno())
        elif way == "sendfile":
            copy_by(os.sendfile, reader.fileno(), writer.fileno(), size)
        else:
            copy_by(range_or_pieces, reader.fileno(), writer.fileno(), size)


def range_or_pieces(target: int, source: int, done: int, count: int) -> int:
    """As cp does: where the file systems cannot do it together, by hand."""
    try:
        return os.copy_file_range(source, target, count, done, done)
    except OSError:
        return os.pwrite(target, os.pread(source, 1 << 20, done), done)


def splice_all(source: int, target: int) -> None:
    """Through a pipe, as some servers do."""
    out, into = os.pipe()
    try:
        while count := os.splice(source, into, 1 << 16):
            while count:
                count -= os.splice(out, target, count)
    finally:
        os.close(out)
        os.close(into)
