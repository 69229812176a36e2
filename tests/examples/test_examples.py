"""The example programs do what README says, from the build folder and from an installed copy."""
from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from installed import BUILD, REPOSITORY
from parity.places import wait_mounted

PATIENCE = 30.0


@pytest.fixture(params=["from the build folder", "hello", "hello-cc"])
def hello(request, base, need):
    """The mounting point and the process of a running hello: the build folder's, or compiled against what is installed."""
    need("root", os.geteuid() == 0, "mounting needs root")
    need("mount", os.path.exists("/dev/fuse"), "no /dev/fuse")
    point = base.fresh("hello")
    command, environment = [BUILD / "examples" / "hello"], None
    if request.param.startswith("hello"):
        copy = request.getfixturevalue("installed")
        need("c++", (copy.examples / request.param).exists(), "no C++ compiler")
        command, environment = [copy.examples / request.param], {**os.environ, "LD_LIBRARY_PATH": str(copy.library)}
    with subprocess.Popen([*command, point], stdin=subprocess.DEVNULL, env=environment) as program:
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


@pytest.mark.parametrize("page", ["contexts.md"])
def test_pages_show_what_compiles(page) -> None:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    pieces = re.findall(r"^```c\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert pieces
    for piece in pieces:
        # What a reader would have of his own.
        program = ("#include <errno.h>\n#include <limits.h>\n#include <stdlib.h>\n#include <string.h>\n#include <tenon.h>\n"
                   "int add_name(void *storage, const char *file_name, const char *link_name);\n" + piece)
        done = subprocess.run(["cc", "-x", "c", "-std=gnu11", "-Wall", "-Wextra", "-Wno-unused-function", "-Werror", "-fsyntax-only",
                               "-I", REPOSITORY / "include", "-I", BUILD / "include", "-"], input=program, text=True, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_document_shows_late() -> None:
    program = re.search(r"```c\n(.*?)```", (REPOSITORY / "docs" / "late-answers.md").read_text(encoding="utf-8"), re.DOTALL)
    assert program and program[1] == (REPOSITORY / "examples" / "late.c").read_text(encoding="utf-8")


def test_late(base, need) -> None:
    need("root", os.geteuid() == 0, "mounting needs root")
    need("mount", os.path.exists("/dev/fuse"), "no /dev/fuse")
    point = base.fresh("late")
    with subprocess.Popen([BUILD / "examples" / "late", point], stdin=subprocess.DEVNULL) as program:
        try:
            wait_mounted(point, program)
            assert (point / "late.txt").read_bytes() == b"Better late than never.\n"
            subprocess.run(["umount", point], check=True, timeout=PATIENCE)
            assert program.wait(PATIENCE) == 0
        finally:
            if program.poll() is None:
                program.kill()
