"""Programs that lie on the drive: run, refused, replaced, with set-id bits, as libraries, as a Python environment."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from parity.calls import error_name
from parity.places import PATIENCE, run
from parity.steps import ANNA
from .conftest import DRIVES, Ground

PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


def install(program: str, target: Path, mode: int = 0o755) -> Path:
    found = shutil.which(program)
    assert found
    shutil.copyfile(found, target)
    target.chmod(mode)
    return target


def outcome(*words: object, **keywords) -> tuple[object, str]:
    """How a program ended, or why it could not be started."""
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, timeout=PATIENCE, **keywords)
    except OSError as error:
        return error_name(error), ""
    return done.returncode, done.stdout.decode(errors="replace").strip()


def test_run_and_replace(ground: Ground) -> None:
    """A running program cannot be written, but its name can be given to another; it runs on from what it was."""
    cat = install("cat", ground.root / "cat")
    assert outcome(cat, "/proc/self/comm") == (0, "cat")
    running = subprocess.Popen([cat], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        running.stdin.write(b"first\n")
        running.stdin.flush()
        assert running.stdout.readline() == b"first\n"
        with pytest.raises(OSError) as refused:
            os.open(cat, os.O_WRONLY)
        assert error_name(refused.value) == "ETXTBSY"
        os.rename(install("false", ground.root / "new"), cat)
        assert outcome(cat)[0] == 1
        assert os.readlink(f"/proc/{running.pid}/exe").endswith(" (deleted)")
        assert running.communicate(b"second\n", timeout=PATIENCE)[0] == b"second\n"
    finally:
        running.kill()
        running.wait()
    ground.again()
    assert outcome(cat)[0] == 1


def test_program_does_not_start_while_it_is_written(ground: Ground) -> None:
    true = install("true", ground.root / "true")
    fd = os.open(true, os.O_RDWR)
    assert outcome(true)[0] == "ETXTBSY"
    os.close(fd)
    assert outcome(true)[0] == 0
    true.chmod(0o644)
    assert outcome(true)[0] == "EACCES"


@pytest.mark.parametrize("drive", DRIVES)
def test_no_programs(tenon_mount, drive: str) -> None:
    with tenon_mount(drive, "noexec") as place:
        assert outcome(install("true", place.root / "true"))[0] == "EACCES"
        assert load(install_library(place.root))[0] == 1


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize("option", ["suid", "nosuid"])
def test_set_id_bits(tenon_mount, drive: str, option: str) -> None:
    """They count where the mount says so, and only there."""
    with tenon_mount(drive, option) as place:
        program = install("id", place.root / "id")
        os.chown(program, 61009, 62009)
        program.chmod(0o6755)
        user, group = (61009, 62009) if option == "suid" else (ANNA, ANNA)
        for words, number in ((("-u",), user), (("-g",), group), (("-ru",), ANNA)):
            assert outcome(program, *words, user=ANNA, group=ANNA, extra_groups=[]) == (0, str(number))


def install_library(where: Path) -> Path:
    """A copy of the mathematical library, which every C library brings."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        folder = Path(re.search(r"(/\S+)/libc\.so\.6", maps.read())[1])
    return Path(shutil.copy(folder / "libm.so.6", where / "libm.so.6"))


def load(library: Path) -> tuple[object, str]:
    """Load a library in another process and say where its code lies."""
    script = f"import ctypes; ctypes.CDLL({str(library)!r}).cos;" \
             f"print(*[line.split()[1] for line in open('/proc/self/maps') if {str(library)!r} in line])"
    return outcome(PYTHON, "-c", script)


def test_library(ground: Ground) -> None:
    code, permissions = load(install_library(ground.root))
    assert code == 0 and "r-xp" in permissions.split()


def test_python_environment(ground: Ground) -> None:
    """An environment is made, a package put into it, compiled, and used by another process later."""
    environment = ground.root / "environment"
    run(PYTHON, "-m", "venv", "--without-pip", environment, timeout=120)
    python = environment / "bin" / "python"
    packages = Path(outcome(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")[1])
    (packages / "parcel").mkdir()
    (packages / "parcel" / "__init__.py").write_text("from .inside import answer\n")
    (packages / "parcel" / "inside.py").write_text("answer = 42\n")
    run(python, "-m", "compileall", "-q", packages)
    ground.again()
    # The compiled file fits the source's time and size, so Python takes it.
    code, text = outcome("sh", "-c", 'exec "$0" -v -c "import parcel; print(parcel.answer, parcel.__file__)" 2>&1', python)
    assert code == 0
    assert re.search(r"matches .*parcel/inside\.py", text) and f"42 {packages}/parcel/__init__.py" in text, text
