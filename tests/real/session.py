"""A session at a shell, as another user where wanted: what was said, and what each command ended with."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent"}


def session(where: Path, script: str, *ids: int) -> list[tuple[str, int, str]]:
    """Run each line of a script in a shell of its own in this directory: (line, exit code, what it printed).

    With ids, a user, its group and other groups, as those."""
    said = []
    user = {"user": ids[0], "group": ids[1], "extra_groups": ids[2:]} if ids else {}
    for line in script.strip().splitlines():
        done = subprocess.run(["bash", "-c", line.strip()], cwd=where, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, umask=0o022, **user)
        said.append((line.strip(), done.returncode, done.stdout.decode(errors="backslashreplace").replace(str(where), "HERE")))
    return said


def same_session(wanted: list[tuple[str, int, str]], found: list[tuple[str, int, str]]) -> None:
    """The first command that went otherwise, in words."""
    for (line, code, text), (_, other_code, other_text) in zip(wanted, found, strict=True):
        assert (other_code, other_text) == (code, text), f"otherwise than on tmpfs: {line}"


def directory(top: Path, name: str, mode: int, uid: int, gid: int) -> Path:
    """A directory that belongs to someone."""
    path = top / name
    path.mkdir()
    os.chown(path, uid, gid)
    path.chmod(mode)
    return path
