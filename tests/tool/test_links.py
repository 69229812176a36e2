"""tenon links on real mounts of both drives: every name of a file, as a path that leads to it, and what is said where there is none."""
from __future__ import annotations

import ctypes
import errno
import os
import pathlib
import re
import stat
import subprocess
from typing import Iterator

import pytest

from .conftest import LIMIT

libc = ctypes.CDLL(None, use_errno=True)
MS_BIND = 4096
THOROUGH = os.environ.get("TENON_THOROUGH") == "1"


@pytest.fixture(params=["memory", "vault"])
def drive(request, real, bench):
    """A mounted drive; its folder is bench.point."""
    bench.ok("mount", "memory:" if request.param == "memory" else bench.vault, bench.point)
    return bench


@pytest.fixture
def bind(bench) -> Iterator:
    """bind(what, where): what is seen at where, too."""
    made = []

    def make(what: pathlib.Path, where: pathlib.Path) -> None:
        assert libc.mount(os.fsencode(what), os.fsencode(where), None, MS_BIND, None) == 0, os.strerror(ctypes.get_errno())
        made.append(where)
    yield make
    for where in reversed(made):
        subprocess.run(["umount", "-l", where], capture_output=True, timeout=LIMIT, check=False)


def same_file(root: object, path: object) -> set[bytes]:
    """What looking everywhere finds."""
    wanted = os.lstat(path)
    found = set()
    for folder, folders, files in os.walk(os.fsencode(root)):
        names = [os.path.join(folder, name) for name in files + folders]
        found |= {name for name in names if os.path.samestat(os.lstat(name), wanted)}
    return found


def raw_links(bench, *files: object, complaints: str = "", **options: object) -> list[bytes]:
    done = bench.tenon("links", "-0", *files, text=False, **options)
    assert (done.returncode, os.fsdecode(done.stderr)) == (0, complaints), done
    assert done.stdout.endswith(b"\0")
    return done.stdout.split(b"\0")[:-1]


def links(bench, path: object) -> set[bytes]:
    """All names of a file, each once, and the same as find(1) finds."""
    found = raw_links(bench, path)
    assert len(found) == len(set(found)) == os.lstat(path).st_nlink
    assert set(found) == same_file(bench.point, path)
    return set(found)


def make_names(point: pathlib.Path) -> pathlib.Path:
    """A file with names of all kinds."""
    (point / "dir" / "inner").mkdir(parents=True)
    first = point / "first"
    first.write_text("text")
    for name in (b"dir/second", b"dir/inner/new\nline", b"dir/inner/back\\slash", b"dir/\xff\xfe", b"tab\tand blank", b"-0", b"\\012", b"x" * 255):
        os.link(first, os.path.join(os.fsencode(point), name))
    return first


def test_every_name_leads_to_the_file(drive):
    first = make_names(drive.point)
    found = subprocess.run(["find", drive.point, "-samefile", first, "-print0"], capture_output=True, timeout=LIMIT, check=True).stdout
    assert len(links(drive, first)) == 9 and links(drive, first) == set(found.split(b"\0")[:-1])
    (drive.point / "dir").rename(drive.point / "other")
    (drive.point / "other" / "inner").rename(drive.point / "moved")
    os.unlink(first)
    assert len(links(drive, drive.point / "moved" / "back\\slash")) == 8


def test_one_name_is_one_line(drive):
    first = make_names(drive.point)
    text = drive.tenon("links", first, text=False).stdout
    lines = text.splitlines()
    assert len(lines) == 9 and text.endswith(b"\n")
    point = os.fsencode(drive.point)
    assert {point + b"/dir/inner/new\\012line", point + b"/dir/inner/back\\134slash", point + b"/\\134012", point + b"/dir/\xff\xfe"} < set(lines)
    back = {re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), line) for line in lines}
    assert back == set(raw_links(drive, first))


def test_other_files_than_plain_ones(drive):
    point = drive.point
    (point / "dir").mkdir()
    (point / "symlink").symlink_to("dir")
    os.mkfifo(point / "fifo")
    os.mknod(point / "socket", stat.S_IFSOCK | 0o600)
    os.mknod(point / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    for name in ("symlink", "fifo", "socket", "device"):
        os.link(point / name, point / "dir" / name, follow_symlinks=False)
        assert links(drive, point / name) == {os.fsencode(point / name), os.fsencode(point / "dir" / name)}
    assert raw_links(drive, point / "dir") == [os.fsencode(point / "dir")]
    assert raw_links(drive, point) == [os.fsencode(point)]
    (point / "to the file").symlink_to("fifo")
    assert raw_links(drive, point / "to the file") == [os.fsencode(point / "to the file")]


def test_how_a_file_is_given(drive):
    first = make_names(drive.point)
    expected = set(raw_links(drive, first))
    assert set(raw_links(drive, "mnt/first")) == expected
    assert set(raw_links(drive, "./mnt/dir/../dir/second")) == expected
    assert set(raw_links(drive, "first", cwd=drive.point)) == expected
    done = drive.tenon("links", "--", "-0", cwd=drive.point, text=False)
    assert len(done.stdout.splitlines()) == 9
    # Several files in the order in which they were given.
    (drive.point / "alone").touch()
    assert raw_links(drive, drive.point / "alone", first)[0] == os.fsencode(drive.point / "alone")


def test_names_come_and_go(drive):
    point = drive.point
    first = point / "first"
    first.touch()
    for step in range(4):
        os.link(first, point / f"name{step}")
        assert len(links(drive, first)) == step + 2
    with open(first, encoding="utf-8") as opened:
        os.unlink(first)
        assert len(links(drive, point / "name0")) == 4
        os.rename(point / "name0", point / "name9")
        os.replace(point / "name1", point / "name2")
        for step in (2, 3, 9):
            name = point / f"name{step}"
            if name.exists():
                os.unlink(name)
        os.unlink(point / "name1")
        # The open file has lost its last name, which is not one that is told of.
        assert os.fstat(opened.fileno()).st_nlink == 0
        with pytest.raises(OSError) as refusal:
            os.getxattr(opened.fileno(), "user.none")
        assert refusal.value.errno == errno.EOPNOTSUPP
        assert os.getxattr(opened.fileno(), "tenon.links") == b""


def test_the_attribute(drive):
    first = make_names(drive.point)
    os.unlink(drive.point / ("x" * 255))
    whole = os.getxattr(first, "tenon.links")
    assert whole.endswith(b"\n") and len(whole.splitlines()) == 8 and b"/dir/inner/new\\012line\n" in whole
    # In the volume, not below the mounting point.
    assert b"/first\n" in whole and os.fsencode(drive.point) not in whole
    assert b"".join(os.getxattr(first, f"tenon.links.{number}").splitlines(True)[0] for number in range(8)) == whole
    assert os.getxattr(first, "tenon.links.8") == b""
    for name in ("tenon.links.x", "tenon.other", "user.tenon.links"):
        with pytest.raises(OSError) as refusal:
            os.getxattr(first, name)
        assert refusal.value.errno == errno.EOPNOTSUPP
    # It is read and not listed.
    with pytest.raises(OSError) as refusal:
        os.listxattr(first)
    assert refusal.value.errno == errno.EOPNOTSUPP


def test_more_than_a_page(drive):
    first = drive.point / "first"
    first.touch()
    for number in range(700):
        os.link(first, drive.point / f"{'n' * 240}{number}")
    with pytest.raises(OSError) as refusal:
        os.getxattr(first, "tenon.links")
    assert refusal.value.errno == errno.E2BIG
    page = os.getxattr(first, "tenon.links.1")
    assert 65536 - 256 < len(page) <= 65536
    assert len(links(drive, first)) == 701


def test_very_many_names(drive):
    """The numbers are in tests/engine; here it is that the kernel comes along."""
    count = 100000 if THOROUGH else 3000
    first = drive.point / "first"
    first.touch()
    for number in range(10):
        (drive.point / f"dir{number}").mkdir()
    names = [drive.point / f"dir{number % 10}" / f"{number}" for number in range(count)]
    for name in names:
        os.link(first, name)
    assert len(links(drive, first)) == count + 1
    for name in names[:count // 2] + names[:count // 2 - 1:-1]:
        os.unlink(name)
    assert links(drive, first) == {os.fsencode(first)}


def test_through_a_part_of_the_drive(drive, bind):
    first = make_names(drive.point)
    part = drive.folder / "part"
    part.mkdir()
    bind(drive.point / "dir", part)
    complaint = f"tenon: {part}/second: 5 more names cannot be seen through {part}\n"
    found = raw_links(drive, part / "second", complaints=complaint)
    assert set(found) == same_file(part, part / "second") and len(found) == 4
    # A single file, and its directory renamed.
    single = drive.folder / "single"
    single.touch()
    bind(first, single)
    assert raw_links(drive, single, complaints=f"tenon: {single}: 8 more names cannot be seen through {single}\n") == [os.fsencode(single)]
    (drive.point / "dir").rename(drive.point / "renamed")
    assert set(raw_links(drive, part / "second", complaints=complaint)) == set(found)
    assert len(raw_links(drive, first)) == 9


def test_names_that_something_is_mounted_over(drive, bind):
    first = make_names(drive.point)
    other = drive.folder / "other"
    other.mkdir()
    bind(other, drive.point / "dir")
    complaint = f"tenon: {first}: 4 more names cannot be seen through {drive.point}\n"
    assert set(raw_links(drive, first, complaints=complaint)) == same_file(drive.point, first)


def test_who_may_read_the_file_may_know_its_names(drive):
    first = make_names(drive.point)
    drive.folder.chmod(0o755)
    (drive.point / "dir").chmod(0o700)
    assert len(drive.tenon("links", first, user=65534, group=65534, extra_groups=[], text=False).stdout.splitlines()) == 9
    first.chmod(0o600)
    assert "Permission denied" in drive.refused("links", first, user=65534, group=65534, extra_groups=[])


def test_what_is_refused(bench, real):
    bench.ok("mount", "memory:", bench.point)
    outside = bench.folder / "outside"
    outside.touch()
    assert "is not on a Tenon drive" in bench.refused("links", outside)
    assert "No such file" in bench.refused("links", bench.point / "none")
    assert "Not a directory" in bench.refused("links", outside / "none")
    assert "too few arguments: tenon links [-0] FILE..." in bench.refused("links", status=2)
    assert "no option -x" in bench.refused("links", "-x", status=2)
    assert "Usage: tenon links" in bench.ok("links", "--help")
    # What can be shown is shown.
    inside = bench.point / "inside"
    inside.touch()
    done = bench.tenon("links", outside, inside, bench.point / "none")
    assert done.returncode == 1 and done.stdout == f"{inside}\n" and len(done.stderr.splitlines()) == 2


def test_without_hard_links(bench, real):
    bench.ok("mount", "-o", "use_hard_links=false", "memory:", bench.point)
    (bench.point / "file").touch()
    assert "mount it with -o use_hard_links" in bench.refused("links", bench.point / "file")


def test_a_drive_that_is_gone(bench, real):
    """Its mount is there for as long as somebody is in it; there is an answer all the same."""
    bench.ok("mount", "memory:", bench.point)
    (bench.point / "file").touch()
    inside = os.open(bench.point, os.O_RDONLY)
    try:
        bench.ok("umount", "-l", bench.point)
        done = bench.tenon("links", f"/proc/self/fd/{inside}/file", pass_fds=[inside])
        assert done.returncode == 1 and done.stderr.startswith("tenon: ") and len(done.stderr.splitlines()) == 1
    finally:
        os.close(inside)
