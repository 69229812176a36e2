"""How editors save and archivers pack: with backups, links, renames, and readers that must see the old or the new."""
from __future__ import annotations

import os
import shutil
import threading
import zipfile
from pathlib import Path
from typing import Callable

import pytest

from parity.calls import link_open_file
from parity.places import run
from .conftest import Ground
from .inventory import assert_same, inventory

OLD, NEW = b"old line\n" * 4000, b"a new line\n" * 5000


def put(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def by_renaming_the_old(path: Path) -> None:
    """vim with backupcopy=no: the file becomes the backup, a new one takes its name."""
    backup = path.with_name(f"{path.name}~")
    os.rename(path, backup)
    put(path, NEW)
    os.chmod(path, 0o640)
    os.unlink(backup)


def by_copying_the_old(path: Path) -> None:
    """vim with backupcopy=yes: the backup is a copy, the file stays the same and is written over."""
    backup = path.with_name(f"{path.name}~")
    shutil.copy2(path, backup)
    put(path, NEW)
    os.unlink(backup)


def by_linking_the_old(path: Path) -> None:
    """The backup is a hard link, the new file is renamed over the name."""
    backup, fresh = path.with_name(f"{path.name}~"), path.with_name(f".#{path.name}")
    os.link(path, backup)
    put(fresh, NEW)
    os.chmod(fresh, 0o640)
    os.rename(fresh, path)
    assert backup.read_bytes() == OLD
    os.unlink(backup)


def by_replacing(path: Path) -> None:
    """What careful programs do: a temporary file, synced, renamed, and the directory synced."""
    fresh = path.with_name(f"{path.name}.tmp")
    put(fresh, NEW)
    os.chmod(fresh, 0o640)
    os.replace(fresh, path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)


def by_exchange_without_a_name(path: Path) -> None:
    """A file without a name gets one when it is complete."""
    fd = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, NEW)
    os.fsync(fd)
    fresh = path.with_name("fresh")
    link_open_file(fd, str(fresh))
    os.close(fd)
    os.rename(fresh, path)


ATOMIC = (by_linking_the_old, by_replacing, by_exchange_without_a_name)


@pytest.mark.parametrize("save", [by_renaming_the_old, by_copying_the_old, *ATOMIC], ids=lambda save: save.__name__)
def test_save(ground: Ground, save: Callable[[Path], None]) -> None:
    """Again and again, while another looks at the file: where the way is atomic it is always whole."""
    path = ground.root / "text"
    wrong, stop = [], threading.Event()

    def look() -> None:
        while not stop.is_set():
            content = path.read_bytes()
            if content not in (OLD, NEW):
                wrong.append(len(content))
    put(path, OLD)
    os.chmod(path, 0o640)
    reader = threading.Thread(target=look)
    if save in ATOMIC:
        reader.start()
    try:
        for _ in range(30):
            save(path)
            assert path.read_bytes() == NEW
            assert os.listdir(ground.root) == ["text"]
            put(ground.root / "back", OLD)
            os.chmod(ground.root / "back", 0o640)
            os.rename(ground.root / "back", path)
        save(path)
    finally:
        stop.set()
        if reader.ident:
            reader.join()
    assert wrong == []
    ground.again()
    assert os.listdir(ground.root) == ["text"] and path.read_bytes() == NEW
    assert os.stat(path).st_mode & 0o7777 == 0o640 and os.stat(path).st_nlink == 1


@pytest.mark.parametrize("way", ["no", "yes", "auto"])
def test_vim(ground: Ground, program, way: str) -> None:
    """The editor itself, with its swap file and a backup that stays."""
    vim = shutil.which("vim") or shutil.which("vim.tiny")
    program(*([] if vim else ["vim.tiny"]))
    path = ground.root / "text"
    put(path, OLD)
    os.chmod(path, 0o600)
    os.link(path, ground.root / "link")
    run(vim, "-es", "-u", "NONE", "-N", "-c", f"set backup backupskip= backupdir=. backupcopy={way} directory=. swapfile fsync", "-c",
        "%s/old/new/", "-c", "wq", path.name, cwd=ground.root)
    assert sorted(os.listdir(ground.root)) == ["link", "text", "text~"]
    assert path.read_bytes() == OLD.replace(b"old", b"new")
    assert (ground.root / "text~").read_bytes() == OLD
    # A file with two names is written in place where vim may choose.
    assert os.path.samefile(path, ground.root / "link") == (way != "no")
    assert os.stat(path).st_mode & 0o7777 == 0o600


def test_zip(ground: Ground, plain: Path) -> None:
    """An archive is packed, extended and unpacked on the drive; it lies there, too."""
    tree, archive = ground.root / "tree", ground.root / "archive.zip"
    for number in range(60):
        folder = tree / f"folder {number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file {number}").write_bytes(os.urandom(number * 700))
    for place in (archive, plain / "archive.zip"):
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(tree.rglob("*")):
                packed.write(path, path.relative_to(tree))
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("more", "more")
    ground.again()
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        packed.extractall(ground.root / "out")
    assert (ground.root / "out" / "more").read_text() == "more"
    os.unlink(ground.root / "out" / "more")
    with zipfile.ZipFile(plain / "archive.zip") as packed:
        packed.extractall(plain / "out")
    wanted, found = ({name: {key: value for key, value in about.items() if key != "mtime"} for name, about in inventory(top).items()}
                     for top in (plain / "out", ground.root / "out"))
    assert_same(wanted, found, "what was in the archive")
