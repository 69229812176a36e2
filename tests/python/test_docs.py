"""README.md, docs/python.md and docs/porting.md: every block of code runs, and what they tell of names is so."""
from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import tomllib
from pathlib import Path
from typing import Any, Iterator

import pytest

from installed import BUILD, REPOSITORY
from parity.places import PATIENCE, abandon, mounts, wait_mounted

PACKAGE = BUILD / "python"
API = tomllib.loads((REPOSITORY / "api" / "cbfs.toml").read_text(encoding="utf-8"))
WELCOME = "Hello from Python.\n"


def page(name: str) -> str:
    return (REPOSITORY / "docs" / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page(name), re.DOTALL | re.MULTILINE)


def table(name: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    rows = re.findall(r"^\|(.*)\|$", page(name).partition(f"\n{heading}\n")[2].partition("\n## ")[0], re.M)
    return [[cell.strip() for cell in row.split("|")] for row in rows[2:]]


@pytest.fixture(scope="module")
def tenon(plain_build, need) -> Any:
    need("python", list(PACKAGE.glob("tenon/_tenon*.so")), "built without the Python edition: the headers of Python are missing (python3-dev)")
    if str(PACKAGE) not in sys.path:
        sys.path.insert(0, str(PACKAGE))
    return importlib.import_module("tenon")


@pytest.fixture(scope="module")
def names(tenon) -> dict[str, Any]:
    """What a reader has who has typed in all of python.md; he needs tenon.testing for the block that imports it alone."""
    made: dict[str, Any] = {"__name__": "page"}
    for block in blocks("python.md"):
        if "tenon.testing" in block and not (PACKAGE / "tenon" / "testing.py").exists():
            continue
        exec(compile(block, "docs/python.md", "exec"), made)
    return made


@pytest.fixture
def point(need, base) -> Iterator[Path]:
    need("root", os.geteuid() == 0, "mounting needs root")
    need("mount", os.path.exists("/dev/fuse"), "no /dev/fuse")
    place = base.fresh("docs")
    yield place
    left = mounts(place)
    for entry in left:
        abandon(Path(entry.point))
    assert not left


@contextlib.contextmanager
def shown(drive: Any, point: Path) -> Iterator[Path]:
    with drive.cbfs.mounted(point):
        yield point


def write_durably(path: Path, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())


@pytest.mark.parametrize("end", ["umount", "SIGINT", "SIGTERM"])
def test_notes_is_a_program(tenon, point, tmp_path, end) -> None:
    program = tmp_path / "notes.py"
    program.write_text(blocks("python.md")[0], encoding="utf-8")
    assert len([line for line in program.read_text().splitlines() if line]) <= 42
    command = [sys.executable, "-X", "dev", "-W", "error", program, point]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(PACKAGE)}, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_mounted(point, process)
            with open(point / "welcome.txt", "a", encoding="utf-8") as file:
                file.write("more\n")
            assert (point / "welcome.txt").read_text() == WELCOME + "more\n"
            write_durably(point / "new", b"12345")
            os.truncate(point / "new", 2)
            assert (point / "new").read_bytes() == b"12" and os.listdir(point) == ["new", "welcome.txt"]
            (point / "new").unlink()
            with pytest.raises(PermissionError):
                (point / "folder").mkdir()
            if end == "umount":
                subprocess.run(["umount", point], check=True, timeout=PATIENCE)
            else:
                process.send_signal(getattr(signal, end))
            assert (process.wait(PATIENCE), process.stderr.read()) == (0, "")
        finally:
            process.kill()


def test_readme(tenon, point, tmp_path) -> None:
    program = tmp_path / "hello.py"
    [block] = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    program.write_text(block, encoding="utf-8")
    with subprocess.Popen([sys.executable, "-W", "error", program, point], env={**os.environ, "PYTHONPATH": str(PACKAGE)}) as process:
        try:
            wait_mounted(point, process)
            assert os.listdir(point) == ["hello.txt"] and (point / "hello.txt").read_bytes() == b"Hello from Tenon.\n"
            subprocess.run(["umount", point], check=True, timeout=PATIENCE)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_private(names, point) -> None:
    drive = names["Private"]()
    with shown(drive, point):
        assert stat.S_IMODE((point / "welcome.txt").stat().st_mode) & 0o077 == 0
        assert mounts(point)[0].kind == "fuse.notes"
        with pytest.raises(OSError) as caught:
            (point / ("a" * 101)).touch()
        assert caught.value.errno == errno.ENAMETOOLONG


def test_careful(names, point) -> None:
    with shown(names["Careful"](), point):
        with pytest.raises(PermissionError) as caught:
            (point / ".hidden").touch()
        assert caught.value.errno == errno.EACCES
        (point / "2").touch()
        (point / "3").touch()
        with pytest.raises(OSError) as full:
            (point / "4").touch()
        assert full.value.errno == errno.ENOSPC


def test_buggy(names, point, capfd, caplog) -> None:
    with shown(names["Buggy"](), point):
        with pytest.raises(OSError) as caught:
            os.truncate(point / "welcome.txt", 1)
        assert caught.value.errno == errno.EIO
        assert (point / "welcome.txt").read_text() == WELCOME
    said = capfd.readouterr().out
    assert said.startswith(f"{errno.EIO} ") and "no_such_method" in said and "/welcome.txt" in said
    assert any("no_such_method" in (record.exc_text or record.getMessage()) for record in caplog.records if record.name == "tenon")


def test_counting(names, point, capfd) -> None:
    with shown(names["Counting"](), point):
        with open(point / "welcome.txt", "rb", buffering=0) as first, open(point / "welcome.txt", "rb", buffering=0) as second:
            assert first.read(100) == second.read(100) == WELCOME.encode()
    # The kernel has the second's bytes in its cache.
    assert f"/welcome.txt {len(WELCOME)}\n" in capfd.readouterr().out


def test_one_file(names, point, tmp_path) -> None:
    shown_file = tmp_path / "elsewhere"
    shown_file.write_bytes(b"0123456789")
    drive = names["OneFile"](shown_file)
    with shown(drive, point):
        assert (point / "welcome.txt").read_bytes() == b"0123456789"
        with open(point / "welcome.txt", "r+b", buffering=0) as file:
            file.seek(5)
            file.write(b"abc")
    drive.file.close()
    assert shown_file.read_bytes() == b"01234abc89"


def test_shouting(names, point) -> None:
    with shown(names["Shouting"](), point):
        assert (point / "welcome.txt").read_text() == WELCOME.upper()


def test_dated(names, point) -> None:
    with shown(names["Dated"](), point):
        told = (point / "welcome.txt").stat()
    assert (told.st_ctime_ns, told.st_mtime_ns) == (1_795_339_800_123_456_789, 1_795_339_800_000_000_000)


def test_slow(names, point) -> None:
    with shown(names["Slow"](), point):
        assert (point / "welcome.txt").read_text() == WELCOME


def test_a_slow_reader_gives_up(tenon, names, point) -> None:
    """Its task is cancelled: an hour would not be waited for."""
    drive, began = names["Slow"](), threading.Event()
    drive.cbfs.file_cache, drive.cbfs.serialize_access = tenon.FILE_CACHE_NONE, False
    told: list[str] = []

    async def read_file(e: Any) -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise
    drive.cbfs.on_read_file = read_file
    with shown(drive, point):
        with subprocess.Popen(["cat", point / "welcome.txt"], stdout=subprocess.DEVNULL) as reader:
            try:
                assert began.wait(PATIENCE)
                reader.send_signal(signal.SIGINT)
                assert reader.wait(PATIENCE) == -signal.SIGINT
            finally:
                reader.kill()
    assert told[0] == "cancelled"


def test_main(names, point) -> None:
    assert asyncio.run(names["main"](point)) == WELCOME


def test_queued(names, point) -> None:
    drive = names["Queued"]()
    with shown(drive, point):
        assert (point / "welcome.txt").read_text() == WELCOME
    drive.waiting.put(None)


def test_the_tests_of_the_page(names) -> None:
    if "test_notes" not in names:
        pytest.skip("tenon.testing is not there")
    names["test_notes"]()


def test_by_hand(names, point) -> None:
    names["by_hand"](point)


def test_porting(tenon, point) -> None:
    """The program after porting: it does what the table beside it says."""
    [block] = blocks("porting.md")
    made: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, "docs/porting.md", "exec"), made)
    drive = made["Archive"]({"readme.txt": b"text"})
    with shown(drive, point):
        assert os.listdir(point) == ["readme.txt"]
        assert (point / "readme.txt").read_bytes() == b"text"
        assert (point / "readme.txt").stat().st_mtime == 1_600_000_000
        with pytest.raises(OSError) as caught:
            (point / "readme.txt").write_bytes(b"")
        assert caught.value.errno == errno.EACCES


def test_errors_are_the_descriptions() -> None:
    rows = {tuple(row) for row in table("porting.md", "## Errors")}
    assert rows == {(f"`ERROR_{name}`", "0" if code == 0 else code) for name, code in API["errors"].items()}


def test_errors_have_these_values(tenon) -> None:
    for name, code in table("porting.md", "## Errors"):
        assert getattr(tenon, name.strip("`")) == (0 if code == "0" else getattr(errno, code))


def test_what_is_not_there_is_not_there(tenon) -> None:
    told = re.findall(r"`(\w+)`", "".join(row[0] for row in table("porting.md", "## What is not there")))
    assert len(told) > 60
    assert not [name for name in told if hasattr(tenon.CBFS, name) or hasattr(tenon, name)]


def test_what_is_added_is_there(tenon) -> None:
    told = [re.findall(r"`(\w+)`", row[0]) for row in table("porting.md", "## What is added")]
    members = {member["name"] for event in API["event"] for member in event["members"] if member.get("plus")}
    for name in sum(told, []):
        assert name in members or hasattr(tenon.CBFS, name) or hasattr(tenon, name), name
    assert members <= {*sum(told, [])}


@pytest.mark.parametrize("name", ["python.md", "porting.md"])
def test_links(name) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page(name)):
        file, _, anchor = target.partition("#")
        other = page(file or name)
        headings = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in re.findall(r"^#+ (.*)$", other, re.M)}
        assert not anchor or anchor in headings, target


@pytest.mark.parametrize("name", ["python.md", "porting.md"])
def test_names_of_the_package(tenon, name) -> None:
    for called in re.findall(r"\btenon\.([A-Za-z_]\w*)", textwrap.dedent(page(name))):
        assert hasattr(tenon, called) or called in ("testing", "CBFSXEventParams"), called
