"""What the machine and the build are, as far as it matters for speed, and what makes figures doubtful."""
from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

BUSY = 0.5  # the load from which on a machine counts as busy


def _said(*words: str | Path) -> str:
    """What a program prints, or that it could not be asked."""
    try:
        return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return "unknown"


def _processor() -> str:
    lines = [line for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    return lines[0].partition(":")[2].strip() if lines else platform.machine()


def _memory() -> str:
    kib = next((int(line.split()[1]) for line in _read("/proc/meminfo").splitlines() if line.startswith("MemTotal")), 0)
    return f"{kib / (1 << 20):.1f} GiB"


def _build_options(build: Path) -> dict[str, str]:
    options = json.loads((build / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))
    return {option["name"]: str(option["value"]) for option in options if option["name"] in ("buildtype", "b_sanitize")}


def _commit(repository: Path) -> str:
    commit = _said("git", "-C", repository, "rev-parse", "HEAD")
    changed = _said("git", "-C", repository, "status", "--porcelain", "--untracked-files=no")
    return commit if changed in ("", "unknown") else f"{commit} with changes"


def facts(repository: Path, build: Path, work: Path) -> dict[str, Any]:
    options = _build_options(build)
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": _commit(repository),
        "kernel": platform.release(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "memory": _memory(),
        "disk": _said("findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", work),
        "load": list(os.getloadavg()),
        "tenon": _said(build / "tenon", "--version"),
        "sqlite": _said(build / "bench" / "stream-sqlite", "--version"),
        "compiler": _said("cc", "-dumpfullversion"),
        "python": platform.python_version(),
        "buildtype": options.get("buildtype", "unknown"),
        "sanitizers": options.get("b_sanitize", "unknown"),
    }


def warnings(machine: dict[str, Any]) -> list[str]:
    found = []
    if machine["load"][0] > BUSY:
        found.append(f"the machine was busy at the start (load {machine['load'][0]:.2f}): figures are preliminary")
    if machine["buildtype"] not in ("release", "debugoptimized") or machine["sanitizers"] not in ("none", "unknown"):
        found.append("the build is not optimized or has sanitizers: figures say nothing about speed")
    if " tmpfs " in f" {machine['disk']} ":
        found.append("the work folder is in memory: nothing reaches a disk; choose another one with WORK=")
    return found
