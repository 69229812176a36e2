"""The example programs do what README says, from the build folder and from an installed copy."""
from __future__ import annotations

import errno
import json
import os
import re
import select
import stat
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD") or REPOSITORY / "build").resolve()
PATIENCE = 30.0


def mounted(point: Path) -> bool:
    return f" {point} " in Path("/proc/self/mounts").read_text(encoding="utf-8")


def wait_mounted(point: Path, program: subprocess.Popen[bytes]) -> None:
    """Wait for changes of the mount table, or the end of the program that should make them."""
    end = os.pidfd_open(program.pid)
    try:
        with open("/proc/self/mounts", encoding="utf-8") as table:
            poll = select.poll()
            poll.register(table, select.POLLERR | select.POLLPRI)
            poll.register(end, select.POLLIN)
            while not mounted(point):
                assert program.poll() is None, f"ended with {program.returncode} instead of mounting"
                assert poll.poll(PATIENCE * 1000), f"{point} is not mounted after {PATIENCE} s"
    finally:
        os.close(end)


@pytest.fixture
def hello(base, need):
    """The mounting point and the process of a running hello."""
    need("root", os.geteuid() == 0, "mounting needs root")
    need("mount", os.path.exists("/dev/fuse"), "no /dev/fuse")
    point = base.fresh("hello")
    with subprocess.Popen([BUILD / "examples" / "hello", point], stdin=subprocess.DEVNULL) as program:
        try:
            wait_mounted(point, program)
            yield point, program
        finally:
            if program.poll() is None:
                program.kill()


def test_readme_shows_hello() -> None:
    program = re.search(r"```c\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert program and program[1] == (REPOSITORY / "examples" / "hello.c").read_text(encoding="utf-8")


def test_hello(hello) -> None:
    point, program = hello
    file = point / "hello.txt"
    assert os.listdir(point) == ["hello.txt"]
    assert file.read_bytes() == b"Hello from Tenon.\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    with pytest.raises(OSError) as refused:
        (point / "other").touch()
    assert refused.value.errno == errno.EROFS
    assert not (point / "other").exists()
    subprocess.run(["umount", point], check=True, timeout=PATIENCE)
    assert program.wait(PATIENCE) == 0


def test_installed_library(tmp_path: Path) -> None:
    """A program is compiled against what make install installs, with nothing but pkg-config."""
    options = {o["name"]: o["value"] for o in json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))}
    if options["b_sanitize"] != "none":
        pytest.skip("a library with sanitizers cannot be linked into a program without")
    subprocess.run(["meson", "install", "--no-rebuild", "--quiet", "-C", BUILD, "--destdir", tmp_path], check=True, timeout=120)
    library = tmp_path / options["prefix"].lstrip("/") / options["libdir"]
    environment = {**os.environ, "PKG_CONFIG_PATH": str(library / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(tmp_path)}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "tenon"], check=True, capture_output=True, text=True, env=environment).stdout
    subprocess.run(["cc", REPOSITORY / "examples" / "hello.c", "-o", tmp_path / "hello", *flags.split()], check=True)
    usage = subprocess.run([tmp_path / "hello"], env={**os.environ, "LD_LIBRARY_PATH": str(library)}, check=False)
    assert usage.returncode == errno.ENOTDIR
    page = tmp_path / options["prefix"].lstrip("/") / options["mandir"] / "man3" / "tenon_read_file_event.3"
    assert page.read_text(encoding="utf-8").startswith(".\\\"")
