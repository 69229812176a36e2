"""Programs with a mounted drive, from their beginning to their end, however they end: no hang, no crash, no mount left."""
from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from parity.places import mounts, wait_until

MOUNT = """
import multiprocessing, signal, subprocess, sys, threading, time
root = sys.argv[1]
drive = Drive()

def mount():
    drive.cbfs._create()
    drive.cbfs.add_mounting_point(root)
    drive.cbfs.mount_media()

def read(name="a"):
    with open(root + "/" + name, "rb") as file:
        return file.read()

"""
SERVE = """
import signal, sys, threading
drive = Drive(mount=lambda e: None)
root = sys.argv[1]
def say():
    while not os.path.ismount(root):
        pass
    print("there", flush=True)
    drive.tell and drive.tell()
drive.tell = None
threading.Thread(target=say, daemon=True).start()
"""


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "umount", "method"])
def test_serve(how: str, program: Callable[..., Any], place: Path) -> None:
    source = SERVE + ("drive.tell = drive.cbfs.unmount_media\n" if how == "method" else "") + "drive.cbfs.serve(root)\nprint('after', drive.cbfs.active)\n"
    with program(source, place) as run:
        assert run.line() == "there"
        if how == "umount":
            subprocess.run(["umount", place], check=True)
        elif how != "method":
            assert (place / "a").read_bytes() == b"hello, world"
            run.send(getattr(signal, how))
        assert run.end() == ("after False\n", "")
    assert not mounts(place)


def test_serve_while_files_are_in_use(program: Callable[..., Any], place: Path) -> None:
    with program(SERVE + "drive.cbfs.serve(root)\n", place) as run:
        assert run.line() == "there"
        descriptor = os.open(place / "a", os.O_RDONLY)
        run.send(signal.SIGTERM)
        run.end()
        with pytest.raises(OSError, match="not connected"):
            os.close(descriptor)
    assert not mounts(place)


def test_serve_in_a_thread(program: Callable[..., Any], place: Path) -> None:
    with program(SERVE + """
thread = threading.Thread(target=drive.cbfs.serve, args=[root])
thread.start()
thread.join()
""", place) as run:
        assert run.line() == "there"
        subprocess.run(["umount", place], check=True)
        run.end()


def test_a_program_that_minds_sigterm_itself(program: Callable[..., Any], place: Path) -> None:
    with program(SERVE + """
signal.signal(signal.SIGTERM, lambda *_: print("mine", flush=True))
drive.cbfs.serve(root)
print(signal.getsignal(signal.SIGTERM) != signal.SIG_DFL)
""", place) as run:
        assert run.line() == "there"
        run.send(signal.SIGTERM)
        assert run.line() == "mine"
        assert (place / "a").read_bytes() == b"hello, world"
        run.send(signal.SIGINT)
        assert run.end()[0] == "True\n"


def test_interrupted_while_waiting(program: Callable[..., Any], place: Path) -> None:
    """Without serve Ctrl-C is the program's: the block unmounts, the traceback is its own."""
    with program(MOUNT + """
with drive.cbfs.mounted(root):
    print("there", flush=True)
    drive.cbfs.wait_unmounted()
""", place) as run:
        assert run.line() == "there"
        run.send(signal.SIGINT)
        _, err = run.end(-signal.SIGINT, quiet=False)
        assert "KeyboardInterrupt" in err
    assert not mounts(place)


ENDS = {
    "returns": ("", 0, ""),
    "exit": ("sys.exit(3)", 3, ""),
    "uncaught": ("raise ValueError('uncaught')", 1, "ValueError: uncaught"),
    "exit in a function with locals": ("def f():\n    d = drive\n    sys.exit(4)\nf()", 4, ""),
    "open file": ("descriptor = os.open(root + '/a', os.O_RDONLY)", 0, ""),
    "working directory": ("os.chdir(root)", 0, ""),
    "daemon threads": ("""
def loop():
    while True:
        try:
            read()
        except OSError:
            pass
for _ in range(3):
    threading.Thread(target=loop, daemon=True).start()
""", 0, ""),
    "thread": ("threading.Thread(target=lambda: [read() for _ in range(100)]).start()", 0, ""),
    "dropped": ("import gc\ncbfs = drive = None\ngc.collect()\nassert read() == TEXT", 0, ""),
    "no gc": ("import gc\ngc.disable()\ndrive.me = drive", 0, ""),
    "in a block": ("drive.cbfs.unmount_media()\nwith drive.cbfs.mounted(root):\n    read()\n    sys.exit(5)", 5, ""),
    "handler that is a module's function": ("import builtins\nbuiltins.keep = drive\nsys.modules['kept'] = drive", 0, ""),
    "deferred": ("""
held = []
drive.cbfs.unmount_media()
drive.cbfs.file_cache = tenon.FILE_CACHE_NONE
drive.cbfs.on_read_file = lambda e: (e.defer(), held.append(e), None)[-1]
mount()
os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", "exec 2>/dev/null cat $0/a", root)
while not held:
    pass
held[0].on_cancel = held[0].complete
""", 0, ""),
    "async handler": ("""
import asyncio
begun = threading.Event()
async def read_file(e):
    # EINTR makes cat try again, and what comes now is not cancelled.
    if begun.is_set():
        raise OSError(19, "being unmounted")
    begun.set()
    await asyncio.sleep(3600)
drive.cbfs.unmount_media()
drive.cbfs.file_cache = tenon.FILE_CACHE_NONE
drive.cbfs.on_read_file = read_file
mount()
os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", "exec 2>/dev/null cat $0/a", root)
begun.wait()
""", 0, ""),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_end(end: str, program: Callable[..., Any], place: Path) -> None:
    source, status, words = ENDS[end]
    with program(MOUNT + "mount()\nassert read() == TEXT\n" + source, place) as run:
        _, err = run.end(status, quiet=not words)
        assert words in err and err.count("Traceback") == bool(words)
    assert not mounts(place)


@pytest.mark.parametrize(("end", "status"), [("os._exit(6)", 6), ("os.kill(os.getpid(), signal.SIGKILL)", -9), ("os.abort()", -6)])
def test_a_sudden_end(end: str, status: int, program: Callable[..., Any], place: Path) -> None:
    """The guard takes the mount away."""
    with program(MOUNT + "mount()\nassert read() == TEXT\ndescriptor = os.open(root + '/a', os.O_RDONLY)\n" + end, place) as run:
        run.end(status, quiet=False)
    wait_until(lambda: not mounts(place), "still mounted")


def test_mounted_in_a_thread_that_has_ended(program: Callable[..., Any], place: Path) -> None:
    with program(MOUNT + """
thread = threading.Thread(target=mount)
thread.start()
thread.join()
assert read() == TEXT
""", place) as run:
        run.end()


def test_a_thread_that_ends_last(program: Callable[..., Any], place: Path) -> None:
    """The main thread is at its end, another thread unmounts."""
    with program(MOUNT + """
def life():
    with drive.cbfs.mounted(root):
        threading.main_thread().join()
        assert read() == TEXT
    print("unmounted")
threading.Thread(target=life).start()
""", place) as run:
        assert run.end()[0] == "unmounted\n"


FORKS = {
    "exit": "sys.exit(0)",
    "hard exit": "os._exit(0)",
    "drops it": "import gc\ndrive = None\ngc.collect()\nsys.exit(0)",
    "calls methods": """
for call in (drive.cbfs.unmount_media, drive.cbfs.delete_storage, drive.cbfs._end, lambda: drive.cbfs.unmount_media(True), drive.cbfs.mount_media):
    try:
        call()
    except tenon.CBFSError as error:
        print(error.errno)
sys.exit(0)
""",
    "reads": "assert read() == TEXT\nsys.exit(0)",
    "a volume of its own": """
other = Drive()
os.makedirs(root + "-other")
with other.cbfs.mounted(root + "-other"):
    assert open(root + "-other/b", "rb", 0).read() == b"b"
sys.exit(0)
""",
}


@pytest.mark.parametrize("child", FORKS)
def test_fork(child: str, program: Callable[..., Any], place: Path) -> None:
    """What a child does is none of its parent's drive's business."""
    lines = "\n    ".join(FORKS[child].strip().splitlines())
    source = MOUNT + f"""
mount()
assert read() == TEXT
if os.fork() == 0:
    import faulthandler
    {lines}
assert os.wait()[1] == 0
assert drive.cbfs.active and os.path.ismount(root) and read() == TEXT and read("b") == b"b"
"""
    with program(source, place, options=("-X", "dev")) as run:
        out, err = run.end(quiet=False)
        assert "Traceback" not in err, err
        assert child != "calls methods" or set(out.split()) <= {"22"}
    assert not mounts(place.parent)


def test_multiprocessing(program: Callable[..., Any], place: Path) -> None:
    source = MOUNT + """
if __name__ == "__main__":
    mount()
    for how in ("fork", "spawn"):
        context = multiprocessing.get_context(how)
        with context.Pool(2) as pool:
            assert pool.map(len, [TEXT] * 4) == [len(TEXT)] * 4
        process = context.Process(target=os.stat, args=[root + "/a"])
        process.start()
        process.join()
        assert process.exitcode == 0 and read() == TEXT and read("b") == b"b"
"""
    with program(source, place, options=("-X", "dev")) as run:
        _, err = run.end(quiet=False)
        assert "Traceback" not in err, err
    assert not mounts(place)


def test_a_fork_in_a_handler(program: Callable[..., Any], place: Path) -> None:
    source = MOUNT + """
def read_file(e):
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    drive.read_file(e)
drive.cbfs.on_read_file = read_file
mount()
assert subprocess.run(["cat", root + "/a"], stdout=subprocess.PIPE, check=True).stdout == TEXT
"""
    with program(source, place, options=("-X", "dev")) as run:
        run.end(quiet=False)


def test_two_interpreters_words(program: Callable[..., Any]) -> None:
    """Importing twice, reloading, and dropping the module do no harm."""
    with program("""
import gc, importlib, sys
drive = Drive()
with Channel(drive) as channel:
    importlib.reload(tenon)
    assert channel.read("/a") == TEXT
for name in [name for name in sys.modules if name.startswith("tenon")]:
    del sys.modules[name]
import tenon as again
assert again.CBFS is not drive.cbfs.__class__
del drive, channel
gc.collect()
other = again.CBFS()
other.on_get_file_info = print
other.initialize(GUID)
try:
    other.initialize("wrong")
except again.CBFSError as error:
    print(error.errno)
""") as run:
        assert run.end()[0] == "22\n"
