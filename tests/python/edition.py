"""Where the built edition is, what its description says, and programs that use it."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any, Iterable

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD") or REPOSITORY / "build").resolve()
PACKAGE = BUILD / "python"
API = tomllib.loads((REPOSITORY / "api" / "cbfs.toml").read_text(encoding="utf-8"))
# Seconds after which a program hangs: much more than one needs on a busy machine.
PATIENCE = 60.0


class Program:
    """A Python program of its own, which is killed when it hangs. It begins with the drive of drives.py: Drive, tenon."""

    def __init__(self, folder: Path, source: str, arguments: Iterable[object] = (), interpreter: str = sys.executable,
                 options: Iterable[str] = ("-X", "dev", "-W", "error")):
        path = folder / "program.py"
        path.write_text("from python.drives import *\n" + textwrap.dedent(source), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": f"{PACKAGE}:{REPOSITORY / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen([interpreter, *options, str(path), *map(str, arguments)], env=environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="backslashreplace")

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *unused: Any) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def line(self) -> str:
        """The next line that it writes; empty at its end."""
        return self.process.stdout.readline().rstrip("\n")  # type: ignore[union-attr]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, status: int = 0, quiet: bool = True) -> tuple[str, str]:
        """Waits for its end. What it wrote."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            # With faulthandler (-X dev) it says where it hangs.
            self.send(signal.SIGABRT)
            out, err = self.process.communicate()
            raise AssertionError(f"hangs:\n{out}\n{err}") from None
        assert self.process.returncode == status, f"status {self.process.returncode}\n{out}\n{err}"
        assert not quiet or not err, err
        return out, err
