"""What only Tenon has: hard links are a property of the volume."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from parity import calls
from parity.places import Base, Place
from parity.steps import read_file, write_file
from parity.test_tenon_only import error_of

from .subjects import SUBJECTS


@pytest.mark.parametrize("drive", ["memory", "vault", "python"])
def test_without_use_hard_links(tenon_mount, drive: str) -> None:
    """link(2) is EPERM, whatever is linked; a file of O_TMPFILE gets its one name all the same."""
    with tenon_mount(drive, "use_hard_links=false") as place:
        os.symlink("f", place.root / "l")
        os.mkfifo(place.root / "p")
        write_file(place.root / "f", b"data")
        for old in ("f", "l", "p"):
            assert error_of(lambda: os.link(place.root / old, place.root / "new", follow_symlinks=False)) == "EPERM"
            assert error_of(os.lstat, place.root / "new") == "ENOENT"
        with open(place.root / "f", "rb") as file:
            assert error_of(calls.link_open_file, file.fileno(), str(place.root / "new")) == "EPERM"
        fd = os.open(place.root, os.O_TMPFILE | os.O_RDWR)
        os.write(fd, b"temporary")
        assert error_of(calls.link_open_file, fd, str(place.root / "new")) == "ok"
        assert error_of(calls.link_open_file, fd, str(place.root / "newer")) == "EPERM"
        assert read_file(place.root / "new") == b"temporary"
        assert sorted(os.listdir(place.root)) == ["f", "l", "new", "p"]
        os.close(fd)


def test_handles_outlive_the_mount(tenon_mount, handles: None) -> None:
    """A vault's files have their numbers for ever, and what a file handle holds besides: it is good for the next process, too."""
    with tenon_mount("vault") as place:
        os.makedirs(place.root / "d/e")
        write_file(place.root / "d/f", b"data")
        os.link(place.root / "d/f", place.root / "d/e/g")
        write_file(place.root / "gone")
        handles = {name: calls.name_to_handle(str(place.root / name)) for name in ("d", "d/e", "d/f", "gone")}
        os.unlink(place.root / "d/f")
        os.unlink(place.root / "gone")
        place.again()
        write_file(place.root / "new")
        top = os.open(place.root, os.O_RDONLY)
        try:
            for name, found in (("d", ["e"]), ("d/e", ["g"])):
                fd = calls.open_by_handle(top, handles[name], os.O_RDONLY)
                assert os.listdir(fd) == found
                os.close(fd)
            fd = calls.open_by_handle(top, handles["d/f"], os.O_RDWR)
            assert (os.pread(fd, 10, 0), os.fstat(fd).st_nlink) == (b"data", 1)
            assert os.fstat(fd).st_ino == os.stat(place.root / "d/e/g").st_ino
            os.close(fd)
            assert error_of(calls.open_by_handle, top, handles["gone"], os.O_RDONLY) == "ESTALE"
        finally:
            os.close(top)


def at_the_limit(folder: Path, limit: int) -> list:
    """What happens to a file that may have one more name, and then none."""
    notes: list = []

    def note(call, *names: str) -> None:
        error = error_of(call, *(folder / name for name in names))
        notes.append((call.__name__, names, error, os.stat(folder / "f").st_nlink - limit, os.path.lexists(folder / names[-1])))
    write_file(folder / "f", b"data")
    write_file(folder / "other")
    for number in range(limit - 2):
        os.link(folder / "f", folder / f"{number}")
    note(os.link, "f", "last")
    before = os.stat(folder / "f").st_ctime_ns
    note(os.link, "f", "too-many")
    note(os.link, "last", "too-many")
    notes.append(os.stat(folder / "f").st_ctime_ns == before)
    note(os.link, "other", "more")
    note(os.rename, "last", "moved")
    note(os.link, "f", "too-many")
    note(os.unlink, "moved")
    note(os.link, "0", "again")
    note(os.link, "0", "too-many")
    note(os.rename, "other", "again")
    note(os.link, "0", "and-again")
    note(os.link, "0", "too-many")
    fd = os.open(folder / "f", os.O_RDWR)
    notes.append(error_of(calls.link_open_file, fd, str(folder / "too-many")))
    os.close(fd)
    return notes


def test_a_link_limit(base: Base, ext4: Place) -> None:
    """EMLINK is the handler's to answer; otherwise all is as with the limit that ext4 has."""
    folder = ext4.root / "limit"
    folder.mkdir()
    wanted = at_the_limit(folder, 65000)
    with SUBJECTS["numbered"].open(base, "--max-links", "5") as place:
        assert at_the_limit(place.root, 5) == wanted
