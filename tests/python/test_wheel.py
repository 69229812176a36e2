"""The wheel: pip builds it without a network, one file serves every CPython from 3.11 on, and it needs nothing of Tenon where it is installed."""
from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

from installed import BUILD, REPOSITORY, install, keep_log, option
from parity.places import PATIENCE, mounts, wait_mounted, wait_until

OLDEST = (3, 11)
# The one that the tests run under; pip and mesonpy are its packages.
DEBIANS = "/usr/bin/python3"
VERSION = json.loads((BUILD / "meson-info" / "intro-projectinfo.json").read_text(encoding="utf-8"))["version"]
SOURCES = {path.name for path in (REPOSITORY / "python" / "tenon").iterdir() if path.suffix == ".py" or path.name == "py.typed"}
PACKAGE = {*SOURCES, "_tenon.abi3.so", "_tenon.pyi", "libtenon.so.0", "tenon-guard"}
FACTS = """
import sys, sysconfig
print(*sys.version_info[:2], sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED"))
"""
DRIVE = """
import sys, tenon
def get_file_info(e):
    e.file_exists = e.file_name in ("/", "/hello")
    e.attributes = tenon.FILE_ATTRIBUTE_DIRECTORY if e.file_name == "/" else tenon.FILE_ATTRIBUTE_READONLY
    e.size = 0 if e.file_name == "/" else 5
def read_file(e):
    memoryview(e.buffer)[:5] = b"hello"
    e.bytes_read = 5
cbfs = tenon.CBFS()
cbfs.on_get_file_info, cbfs.on_read_file, cbfs.on_enumerate_directory = get_file_info, read_file, lambda e: None
cbfs.serve(sys.argv[1])
"""


def interpreters() -> dict[str, str]:
    """Debian's Python, and one of each newer version that is in PATH or that pyenv has."""
    found = {"3.11": DEBIANS}
    folders = [*map(Path, os.environ.get("PATH", "").split(":")), *Path("~/.pyenv/versions").expanduser().glob("*/bin")]
    for path in (path for folder in folders for path in sorted(folder.glob("python3.[1-9][0-9]"))):
        # What pyenv puts in PATH may have no version behind it.
        told = subprocess.run([path, "-c", FACTS], capture_output=True, text=True)
        if told.returncode == 0:
            major, minor, usable = told.stdout.split()
            if (int(major), int(minor)) > OLDEST and usable == "True":
                found.setdefault(f"{major}.{minor}", str(path))
    return found


INTERPRETERS = interpreters()


def run(*command: object, **options: object) -> str:
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


def copy_of_repository(folder: Path) -> Path:
    """Without what was built, and where files may be written."""
    shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns(".git", "build", "build-*", ".mesonpy-*", "__pycache__"), symlinks=True)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, need, plain_build) -> Path:
    """Built as the page says; what it was built in is gone when the wheel is used."""
    folder = tmp_path_factory.mktemp("wheel")
    here = subprocess.run([DEBIANS, "-c", "import mesonpy, pip, venv"], capture_output=True, text=True)
    need("wheel", here.returncode == 0, f"python3-mesonpy, python3-pip and python3-venv build the wheel: {here.stderr}")
    source = copy_of_repository(folder / "source")
    run(DEBIANS, "-m", "venv", "--system-site-packages", "--without-pip", folder / "venv")
    run(folder / "venv/bin/python", "-m", "pip", "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    shutil.rmtree(source)
    [built] = folder.glob("*.whl")
    return built


class Copy(NamedTuple):
    """An interpreter with the wheel installed."""
    python: Path
    package: Path


@pytest.fixture(scope="module", params=INTERPRETERS)
def copy(request, wheel, tmp_path_factory) -> Copy:
    folder = tmp_path_factory.mktemp("venv")
    run(INTERPRETERS[request.param], "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "--no-index", "--no-deps", wheel)
    return Copy(folder / "bin/python", folder / "lib" / f"python{request.param}" / "site-packages" / "tenon")


@contextlib.contextmanager
def served(copy: Copy, point: Path, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A drive, with nothing in its environment."""
    with subprocess.Popen([copy.python, "-X", "dev", "-W", "error", "-c", DRIVE, point], env={}, cwd=cwd) as program:
        try:
            wait_mounted(point, program)
            yield program
        finally:
            program.kill()


def test_name_says_the_stable_abi(wheel) -> None:
    assert wheel.name == f"tenon-{VERSION}-cp311-abi3-linux_{platform.machine()}.whl"


def test_contents(wheel) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"tenon-{VERSION}.dist-info/METADATA").decode()
    information = {f"tenon-{VERSION}.dist-info/{name}" for name in ("METADATA", "WHEEL", "LICENSE", "RECORD")}
    assert names == {f"tenon/{name}" for name in PACKAGE} | information
    assert "\nRequires-Python: >=3.11\n" in metadata and "Requires-Dist" not in metadata


def test_nothing_of_the_build_folder_is_in_it(wheel, tmp_path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    for name in ("_tenon.abi3.so", "libtenon.so.0", "tenon-guard"):
        file = tmp_path / "tenon" / name
        dynamic = run("readelf", "-d", file)
        # The library is looked for beside the extension, and nowhere else.
        assert re.findall(r"R(?:UN)?PATH.*\[(.*)\]", dynamic) == (["$ORIGIN/"] if name == "_tenon.abi3.so" else [])
        needed = set(re.findall(r"NEEDED.*\[(.*)\]", dynamic)) - {"libc.so.6", "ld-linux-x86-64.so.2"}
        assert needed == ({"libtenon.so.0"} if name == "_tenon.abi3.so" else set())
        assert str(wheel.parent).encode() not in file.read_bytes()


def test_imports_anywhere(copy, tmp_path) -> None:
    script = "import tenon, sys; print(tenon.__file__, tenon.version(), tenon.CBFS().active, [n for n in sys.modules if 'test' in n])"
    told = run(copy.python, "-X", "dev", "-W", "error", "-c", script, env={}, cwd=tmp_path)
    assert told.split() == [str(copy.package / "__init__.py"), VERSION, "False", "[]"]


def test_installs_nothing_else(copy) -> None:
    files = run(copy.python, "-m", "pip", "show", "--files", "tenon").partition("Files:\n")[2].split("\n")
    paths = {line.strip() for line in files if line and "__pycache__" not in line and "dist-info" not in line}
    assert paths == {f"tenon/{name}" for name in PACKAGE}


def test_mounts_and_its_own_guard_takes_the_mount_away(copy, need, base, tmp_path) -> None:
    need("root", os.geteuid() == 0, "mounting needs root")
    need("mount", os.path.exists("/dev/fuse"), "no /dev/fuse")
    point = base.fresh("wheel")
    with served(copy, point, tmp_path) as program:
        assert (point / "hello").read_bytes() == b"hello"
        libraries = {line.split()[-1] for line in Path(f"/proc/{program.pid}/maps").read_text(encoding="utf-8").splitlines() if "tenon" in line}
        assert libraries == {str(copy.package / "_tenon.abi3.so"), str(copy.package / "libtenon.so.0")}
        [guard] = [pid for pid in (path.parent for path in Path("/proc").glob("[0-9]*/cmdline")) if command_of(pid) == f"tenon-guard\0{program.pid}\0"]
        assert os.readlink(guard / "exe") == str(copy.package / "tenon-guard")
        program.send_signal(signal.SIGKILL)
        assert program.wait(PATIENCE) == -signal.SIGKILL
        wait_until(lambda: not mounts(point), f"{point} is still mounted")


def test_ends_in_order(copy, need, base, tmp_path) -> None:
    need("root", os.geteuid() == 0, "mounting needs root")
    need("mount", os.path.exists("/dev/fuse"), "no /dev/fuse")
    point = base.fresh("wheel")
    with served(copy, point, tmp_path) as program:
        program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == 0
    assert not mounts(point)


def command_of(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def test_make_install_puts_it_where_python_looks(tmp_path, plain_build, need) -> None:
    """Below the prefix; the library's folder is in it, which --destdir moves away here."""
    with keep_log(tmp_path / "install-log"):
        install(tmp_path)
    prefix = option("prefix")
    need("python", list(tmp_path.rglob("_tenon*.so")), "built without the Python edition")
    [package] = tmp_path.rglob("tenon/__init__.py")
    assert {file.name for file in package.parent.iterdir()} == PACKAGE - {"libtenon.so.0", "tenon-guard"}
    place = "/" + str(package.parent.parent.relative_to(tmp_path))
    assert place.startswith(prefix)
    if prefix == "/usr/local":
        assert place in run(DEBIANS, "-c", "import sys; print(*sys.path, sep='\\n')").splitlines()
    assert re.findall(r"RUNPATH.*\[(.*)\]", run("readelf", "-d", package.parent / "_tenon.abi3.so")) == [f"{prefix}/{option('libdir')}"]
    library = str(tmp_path) + f"{prefix}/{option('libdir')}"
    told = run(DEBIANS, "-c", "import tenon; print(tenon.__file__, tenon.version())", cwd=tmp_path,
               env={"PYTHONPATH": str(package.parent.parent), "LD_LIBRARY_PATH": library, "PYTHONDONTWRITEBYTECODE": "1"})
    assert told.split() == [str(package), VERSION]
