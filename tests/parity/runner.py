"""Runs a scenario in a process of its own, which may hang, crash or lose its working directory."""
from __future__ import annotations

import itertools
import mmap
import os
import pickle
import select
import signal
import time
import traceback
from dataclasses import dataclass
from typing import Any, Callable, Optional

from . import calls
from .places import Place
from .steps import Note, Scenario, Steps, remove_tree, show

_numbers = itertools.count(1)


class Hung(AssertionError):
    """A call did not come back."""


@dataclass
class Outcome:
    trace: list[Note]
    crash: Optional[str] = None


def in_child(work: Callable[[Callable[[str], None]], Any], timeout: float, unstick: Callable[[], None]) -> Any:
    """Run work(progress) in a child process and give back its result.

    `progress` says what comes next, so that a hang can be told; `unstick` is called when even a kill does not help."""
    board = mmap.mmap(-1, 4096)

    def progress(label: str) -> None:
        data = label.encode("utf-8", "backslashreplace")[:4000]
        board[:len(data) + 1] = data + b"\0"

    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            calls.die_with_parent()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(reader)
            data = pickle.dumps(work(progress))
            while data:
                data = data[os.write(writer, data):]
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writer)
    try:
        data, finished = _read_until(reader, time.monotonic() + timeout)
        if not finished:
            stack = _kernel_stack(pid)
            last = board[:].split(b"\0", 1)[0].decode("utf-8", "replace")
            raise Hung(f"no end after {timeout} seconds; the last step begun: {last}\n{stack}")
    finally:
        os.close(reader)
        _reap(pid, unstick)
    if not data:
        raise AssertionError("the child ended without a result")
    return pickle.loads(data)


def _read_until(fd: int, deadline: float) -> tuple[bytes, bool]:
    parts = []
    while select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(fd, 1 << 20)
        if not part:
            return b"".join(parts), True
        parts.append(part)
    return b"", False


def _kernel_stack(pid: int) -> str:
    """Where the process and its children wait in the kernel."""
    lines = []
    for one in [pid, *_children(pid)]:
        try:
            with open(f"/proc/{one}/stack") as file:
                lines.append(f"process {one}:\n{file.read()}")
        except OSError:
            pass
    return "".join(lines)


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _reap(pid: int, unstick: Callable[[], None]) -> None:
    """See the child end: by itself, else by force."""
    fd = os.pidfd_open(pid)
    try:
        if not select.select([fd], [], [], 1.0)[0]:
            os.kill(pid, signal.SIGKILL)
            if not select.select([fd], [], [], 2.0)[0]:
                unstick()
                select.select([fd], [], [], 5.0)
        os.waitpid(pid, os.WNOHANG)
    finally:
        os.close(fd)


def run_scenario(scenario: Scenario, place: Place) -> Outcome:
    """The scenario's trace on this place, in a fresh directory that is removed again (which is part of the trace)."""
    directory = os.path.join(place.root, f"{scenario.name}-{next(_numbers)}")

    def work(progress: Callable[[str], None]) -> Outcome:
        os.umask(0o022)
        progress("mkdir of the scenario's directory")
        os.mkdir(directory, 0o755)
        os.chdir(directory)
        steps = Steps(directory, progress)
        crash = None
        try:
            scenario.run(steps)
        except Exception:
            crash = traceback.format_exc()
        os.umask(0o022)
        os.chdir("/")
        steps.close()
        progress("removing what the scenario left")
        steps.step("remove everything", remove_tree, directory)
        return Outcome(steps.notes, crash)

    return in_child(work, scenario.timeout, place.abandon)


def differences(expected: Outcome, actual: Outcome, expected_name: str, actual_name: str, most: int = 12) -> str:
    """Where two traces part, in words; empty where they agree."""
    lines = []
    for name, outcome in ((expected_name, expected), (actual_name, actual)):
        if outcome.crash:
            lines.append(f"the scenario failed on {name}:\n{outcome.crash}")
    before = "the start"
    for (label, want), (other, got) in zip(expected.trace, actual.trace):
        if label != other:
            lines.append(f"the steps part: {expected_name} did {label}, {actual_name} did {other}")
            break
        if want != got:
            lines.append(f"{label}    (after {before})\n" + _difference(want, got, expected_name, actual_name))
        before = f"{label} = {show(want)}"
    else:
        if len(expected.trace) != len(actual.trace):
            longer = max(expected.trace, actual.trace, key=len)
            lines.append(f"the traces end apart, the longer goes on with {longer[min(len(expected.trace), len(actual.trace))]}")
    more = f"\n... and {len(lines) - most} more" if len(lines) > most else ""
    return "\n".join(lines[:most]) + more


def _difference(want: Any, got: Any, want_name: str, got_name: str) -> str:
    """Two values; of dictionaries only what differs."""
    if isinstance(want, dict) and isinstance(got, dict):
        parts = []
        for key in {**want, **got}:
            if want.get(key) != got.get(key):
                parts.append(f"    {show(key)}: {want_name} {want.get(key, 'nothing')!r}, {got_name} {got.get(key, 'nothing')!r}")
        return "\n".join(parts[:10] + ([f"    ... and {len(parts) - 10} more"] if len(parts) > 10 else []))
    return f"    {want_name:8} {want!r}\n    {got_name:8} {got!r}"
