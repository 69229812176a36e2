"""The control socket: what it says, to whom, and that nobody can hold up a drive or the command through it."""
from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from .conftest import COMMAND, mounted, server_of

pytestmark = pytest.mark.usefixtures("real")

FOLDER = pathlib.Path("/run/tenon")
ROUNDS = int(os.environ.get("TENON_ROUNDS", "200"))
# Far more than any answer takes on a busy machine; what hangs takes for ever.
LIMIT = 20


def place_of(point: object) -> pathlib.Path:
    return FOLDER / f"{mounted(point)[4]}.socket"


def connect(place: pathlib.Path) -> socket.socket:
    """Waits for a place in the queue, which a socket with a time limit would not."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(place))
    client.settimeout(LIMIT)
    return client


def read_all(client: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := client.recv(65536):
            data += more
    return data


def say(place: pathlib.Path, request: bytes) -> dict:
    """Sends a request; the answer, which is one line of ASCII with one object."""
    with connect(place) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(request)
        data = read_all(client)
    assert data.endswith(b"\n") and data.count(b"\n") == 1 and data.isascii(), data
    return json.loads(data)


def info(point: object) -> dict:
    return say(place_of(point), b"info\n")


def facts(point: object) -> dict[str, dict]:
    return {fact["name"]: fact for fact in info(point)["facts"]}


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def works(point: pathlib.Path) -> None:
    (point / "probe").write_bytes(b"data")
    assert (point / "probe").read_bytes() == b"data"
    (point / "probe").unlink()


# ------------------------------------------------------------------------------------------------- the socket


def test_it_is_there_while_mounted(bench):
    bench.ok("mount", "memory:", "mnt")
    place = place_of(bench.point)
    status = place.stat()
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
    assert stat.S_IMODE(FOLDER.stat().st_mode) == 0o755
    answer = info(bench.point)
    assert answer["protocol"] == 1 and answer["state"] == "mounted"
    assert answer["pid"] == server_of(bench.point) and f"{answer['device']}.socket" == place.name
    assert [one["path"] for one in answer["mounting_points"]] == [str(bench.point)]
    bench.ok("umount", "mnt")
    # The number may be another drive's by now.
    with contextlib.suppress(OSError):
        assert say(place, b"info\n")["pid"] != answer["pid"]


def test_programs_that_are_started_get_no_descriptor(bench):
    bench.ok("mount", "memory:", "mnt")
    with connect(place_of(bench.point)):
        info(bench.point)
        pid = server_of(bench.point)
        for number in os.listdir(f"/proc/{pid}/fdinfo"):
            flags = pathlib.Path(f"/proc/{pid}/fdinfo/{number}").read_text().split("flags:")[1].split()[0]
            assert int(number) <= 2 or int(flags, 8) & os.O_CLOEXEC, os.readlink(f"/proc/{pid}/fd/{number}")


def test_it_can_be_switched_off(bench, ended):
    bench.ok("mount", "-o", "control_socket=false", "memory:", "mnt")
    assert not place_of(bench.point).exists()
    assert "it has no control socket" in bench.ok("list", "--verbose")
    process = ended(server_of(bench.point))
    bench.ok("umount", "mnt")
    assert process.wait(0)


def test_two_drives_have_one_each(bench):
    other = bench.folder / "other"
    other.mkdir()
    bench.ok("mount", "memory:", "mnt")
    bench.ok("mount", "demo.vault", "other")
    assert info(bench.point)["source"] == "memory:"
    assert info(other)["source"] == str(bench.vault)
    assert say(place_of(other), b"umount\n")["ok"]
    assert mounted(other) is None
    assert info(bench.point)["state"] == "mounted"
    works(bench.point)


def test_a_name_that_is_no_utf8(bench):
    point = os.fsencode(bench.folder) + b"/a\xff\"\n\xc3\xa9\xf0\x9f\x98\x80"
    os.mkdir(point)
    bench.ok("mount", "memory:", os.fsdecode(point))
    answer = info(os.fsdecode(point))
    assert os.fsencode(answer["mounting_points"][0]["path"]) == point
    bench.ok("list", "--verbose", errors="surrogateescape")
    bench.ok("umount", os.fsdecode(point))


HOLD = """
import os, sys
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(file, sys.stdin.buffer.read())
os.write(1, b"x")
os.read(2, 1)
try:
    os.fsync(file)
except OSError as error:
    os._exit(error.errno)
os._exit(0)
"""


@contextlib.contextmanager
def holder(file: pathlib.Path, data: bytes = b""):
    """
    A process that has written into a file, unsynced, and holds it open. (If the test held it, each program that it starts would
    close a copy, which writes everything, or hangs where the drive does.) It gets the read end of a pipe as its standard error;
    end() lets it go, and gives the errno value that its fsync then gets.
    """
    wait, go = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=wait)
    os.close(wait)

    def end() -> int:
        os.write(go, b"x")
        return process.wait(LIMIT)
    try:
        process.stdin.write(data)
        process.stdin.close()
        assert process.stdout.read(1) == b"x"
        yield end
    finally:
        process.kill()
        process.wait(LIMIT)
        process.stdout.close()
        os.close(go)


# ----------------------------------------------------------------------------------------------- what was agreed


@pytest.mark.parametrize("options,name,why", [
    ("file_cache=none", "write_back", "file_cache is none"),
    ("FileCachePolicyWriteThrough=true", "write_back", "FileCachePolicyWriteThrough is true"),
    ("metadata_cache_enabled=false", "lasting_pages", "metadata_cache_enabled is false"),
    ("default_permissions=false", "default_permissions", "the property is false"),
    ("noallow_other", "allow_other", "the property is false"),
    ("TestMinor=38", "shared_mappings_uncached", None),
    ("TestMinor=38", "io_uring", "this build has no io_uring channel; the kernel is older than 6.14"),
    ("TestFlags=0", "readdirplus", "the kernel does not offer it"),
])
def test_what_is_not_on_says_why(bench, options, name, why):
    bench.ok("mount", "-o", options, "memory:", "mnt")
    fact = facts(bench.point)[name]
    if why is None:
        # The newest minor version that is believed in does not hide a flag; TestFlags does.
        assert fact["on"] or fact["why"]
    else:
        assert (fact["on"], fact["why"]) == (False, why)


def test_an_old_kernel(bench):
    bench.ok("mount", "-o", "TestMinor=36,TestFlags=0", "memory:", "mnt")
    answer = info(bench.point)
    assert (answer["kernel_minor"], answer["spoken_minor"]) == (36, 36)
    assert answer["limits"]["max_pages"] == 32 and answer["limits"]["max_write"] == os.sysconf("SC_PAGESIZE")
    data = random.randbytes(3 << 20)
    (bench.point / "large").write_bytes(data)
    assert (bench.point / "large").read_bytes() == data


def test_a_kernel_that_is_too_old(bench):
    assert "cannot mount" in bench.refused("mount", "-o", "TestMinor=35", "memory:", "mnt")
    assert mounted(bench.point) is None


def test_what_it_counts(bench):
    bench.ok("mount", "memory:", "mnt")
    before = info(bench.point)["now"]
    with contextlib.ExitStack() as opened:
        for i in range(10):
            opened.enter_context(open(bench.point / str(i), "w"))
        now = info(bench.point)["now"]
    assert now["open_handles"] - before["open_handles"] == 10
    assert now["nodes"] - before["nodes"] == 10


def test_list_verbose(bench):
    bench.ok("mount", "-o", "file_cache=none", "memory:", "mnt")
    text = bench.ok("list", "--verbose")
    block = next(block for block in text.split("\n\n") if block.startswith(f"{bench.point}\n"))
    assert f"{server_of(bench.point)}, tenon " in block
    assert any(line.split() == ["caches", "write_back", "no:", "file_cache", "is", "none"] for line in block.splitlines())
    entry = next(one for one in json.loads(bench.ok("list", "--json", "--verbose")) if one["mountpoint"] == str(bench.point))
    assert entry["info"]["limits"]["max_write"] == 1 << 20
    assert entry["volume_id"] == entry["info"]["volume_id"] and entry["pid"] == entry["info"]["pid"]


# ------------------------------------------------------------------------------------------------------ rubbish


@pytest.mark.parametrize("request_,error", [
    (b"\n", "EINVAL"), (b"hello\n", "EINVAL"), (b"info \n", "EINVAL"), (b"info now\n", "EINVAL"), (b"INFO\n", "EINVAL"),
    (b"umount sideways\n", "EINVAL"), (b"umount -1\n", "EINVAL"), (b"umount 99999999999999999999\n", "EINVAL"),
    (b"umount 0\n", "EINVAL"), (b"umount lazy force\n", "EINVAL"), (b"umount force 3\n", "EINVAL"),
    (b"umount 1 2\n", "EINVAL"), (b"umount" + b" lazy" * 20 + b"\n", "EINVAL"), (b"umount 4294967295\n", "ENOENT"),
    (b"x" * 127 + b"\n", "EINVAL"), (b"x" * 128, "EINVAL"), (b"x" * (1 << 20), "EINVAL"), (b"in\0fo\n", "EINVAL"),
    (b"\xff\xfe\r\n", "EINVAL"), (b"info\r\n", "EINVAL"), (b" " * 100 + b"\n", "EINVAL"),
], ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else value)
def test_rubbish_gets_one_clear_line(bench, request_, error):
    bench.ok("mount", "memory:", "mnt")
    answer = say(place_of(bench.point), request_)
    assert answer["error"] == error and answer["protocol"] == 1
    assert answer["message"]
    assert info(bench.point)["state"] == "mounted"
    works(bench.point)


class Busy:
    """Uses a drive from a thread all the time, and remembers the longest that a step took."""

    def __init__(self, point: pathlib.Path):
        self.point, self.steps, self.error = point, 0, None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                works(self.point)
                self.steps += 1
        except BaseException as error:
            self.error = error

    def __enter__(self) -> "Busy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(LIMIT)
        assert not self._thread.is_alive() and self.error is None and self.steps > 0


def test_random_bytes_while_the_drive_is_used(bench):
    seed = int(os.environ.get("TENON_SEED", random.randrange(1 << 32)))
    chance = random.Random(seed)
    bench.ok("mount", "memory:", "mnt")
    place, pid = place_of(bench.point), server_of(bench.point)
    before = descriptors(pid)
    with Busy(bench.point):
        for _ in range(ROUNDS):
            request = chance.randbytes(chance.randrange(1, 300)) + chance.choice([b"", b"\n"])
            with connect(place) as client:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.sendall(request)
                if b"\n" in request or len(request) >= 128:
                    assert json.loads(read_all(client))["error"] == "EINVAL", f"TENON_SEED={seed}"
    assert info(bench.point)["pid"] == pid
    assert descriptors(pid) <= before + 1


def test_half_a_request_and_then_silence(bench):
    bench.ok("mount", "memory:", "mnt")
    answer = say(place_of(bench.point), b"inf")
    assert answer["error"] == "ETIMEDOUT" and "one line" in answer["message"]
    assert say(place_of(bench.point), b"")["error"] == "ETIMEDOUT"


def test_a_request_in_pieces(bench):
    bench.ok("mount", "memory:", "mnt")
    with connect(place_of(bench.point)) as client:
        for piece in (b"i", b"nf", b"o", b"\n"):
            client.sendall(piece)
        assert json.loads(read_all(client))["state"] == "mounted"
    with connect(place_of(bench.point)) as client:
        client.sendall(b"info\n")
        client.shutdown(socket.SHUT_WR)
        assert json.loads(read_all(client))["state"] == "mounted"


def test_two_hundred_silent_connections(bench):
    bench.ok("mount", "memory:", "mnt")
    place, pid = place_of(bench.point), server_of(bench.point)
    before = descriptors(pid)
    with contextlib.ExitStack() as clients, Busy(bench.point):
        for i in range(200):
            client = clients.enter_context(connect(place))
            client.sendall(b"info"[:i % 5])
            if i % 50 == 49:
                started = time.monotonic()
                assert info(bench.point)["pid"] == pid
                # Those who keep silent have two seconds; who says what it wants does not wait for them.
                assert time.monotonic() - started < 1.5
                assert descriptors(pid) <= before + 20
        assert str(bench.point) in bench.ok("list")
    bench.ok("umount", "mnt")


def test_connecting_and_going_away(bench):
    bench.ok("mount", "memory:", "mnt")
    place, pid = place_of(bench.point), server_of(bench.point)
    before = descriptors(pid)
    with Busy(bench.point):
        for i in range(10 * ROUNDS):
            with connect(place) as client:
                if i % 3 == 1:
                    client.send(b"info\n")
                elif i % 3 == 2:
                    client.send(b"in")
    assert info(bench.point)["pid"] == pid
    assert descriptors(pid) <= before + 1


def test_a_client_that_never_reads(bench):
    bench.ok("mount", "memory:", "mnt")
    with contextlib.ExitStack() as clients:
        for _ in range(40):
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.connect(str(place_of(bench.point)))
            client.sendall(b"info\n")
        assert info(bench.point)["state"] == "mounted"
        bench.ok("umount", "mnt")


# -------------------------------------------------------------------------------------------------- other users


AS_NOBODY = {"user": 65534, "group": 65534, "extra_groups": [], "cwd": "/"}
ASK = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(20)
try:
    client.connect(sys.argv[1])
except PermissionError:
    sys.exit("not allowed")
try:
    client.sendall(b"umount\\n")
except BrokenPipeError:
    pass
print(client.recv(9999).decode())
"""


def test_other_users_cannot_ask(bench):
    bench.folder.chmod(0o755)
    bench.ok("mount", "memory:", "mnt")
    place = place_of(bench.point)
    ask = [sys.executable, "-c", ASK, str(place)]
    done = subprocess.run(ask, capture_output=True, text=True, timeout=LIMIT, **AS_NOBODY)
    assert done.stderr == "not allowed\n"
    # Nor where the mode of the file does not keep them off.
    place.chmod(0o666)
    done = subprocess.run(ask, capture_output=True, text=True, timeout=LIMIT, **AS_NOBODY)
    assert json.loads(done.stdout)["error"] == "EPERM"
    place.chmod(0o600)
    assert mounted(bench.point)
    done = bench.tenon("list", "--verbose", **AS_NOBODY)
    assert done.returncode == 0
    assert "only root and who mounted it may ask it" in done.stdout


# ------------------------------------------------------------------------------- a drive that does not answer


def state_of(task: pathlib.Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def stopped(pid: int):
    """SIGSTOP takes effect a moment later, for each thread by itself."""
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + LIMIT
        while any(state_of(task) != "T" for task in pathlib.Path(f"/proc/{pid}/task").iterdir()):
            assert time.monotonic() < deadline
            os.sched_yield()
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_list_does_not_wait_for_a_stopped_drive(bench):
    bench.ok("mount", "memory:", "mnt")
    pid = server_of(bench.point)
    with stopped(pid):
        line = next(line for line in bench.ok("list", timeout=LIMIT).splitlines() if str(bench.point) in line)
        assert line.split()[2:4] == ["-", "-"] and line.split()[-1] == str(pid)
        assert f"{pid}: it does not answer" in bench.ok("list", "--verbose", timeout=LIMIT)
        entries = json.loads(bench.ok("list", "--json", "--verbose", timeout=LIMIT))
        entry = next(one for one in entries if one["mountpoint"] == str(bench.point))
        assert (entry["pid"], entry["info"], entry["why"]) == (pid, None, "it does not answer")
    assert info(bench.point)["pid"] == pid


def test_umount_waits_for_a_stopped_drive(bench):
    bench.ok("mount", "demo.vault", "mnt")
    with stopped(server_of(bench.point)):
        process = bench.start("umount", "mnt", stderr=subprocess.PIPE)
        assert "waiting until process" in process.stderr.readline()
        assert mounted(bench.point) is None
    assert process.wait(LIMIT) == 0
    process.stderr.close()
    assert bench.ok("check", "demo.vault") == "demo.vault: sound\n"


def test_umount_by_force_of_a_stopped_drive(bench, ended):
    bench.ok("mount", "demo.vault", "mnt")
    pid = server_of(bench.point)
    process = ended(pid)
    with holder(bench.point / "open"), stopped(pid):
        sentence = bench.refused("umount", "--force", "mnt", timeout=LIMIT)
        assert f"process {pid} did not answer" in sentence
        assert mounted(bench.point) is None
    assert process.wait()


def test_list_of_a_killed_drive(bench, ended):
    bench.ok("mount", "memory:", "mnt")
    process = ended(server_of(bench.point))
    place = place_of(bench.point)
    os.kill(server_of(bench.point), signal.SIGKILL)
    assert process.wait()
    text = bench.ok("list", "--verbose", timeout=LIMIT)
    assert str(bench.point) not in text or "?: its process is gone" in text
    bench.clear("mnt")
    with contextlib.suppress(OSError):
        assert say(place, b"info\n")["pid"] != process.pid


class Impostor:
    """Listens in the place of a drive's socket, and does what a drive would not."""

    def __init__(self, place: pathlib.Path, behave):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(place))
        self.listener.listen()
        self.place, self.behave = place, behave
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with client, contextlib.suppress(OSError):
                    self.behave(client)

    def close(self) -> None:
        self.place.unlink()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(LIMIT)


def drip(client: socket.socket) -> None:
    while True:
        client.sendall(b" ")
        time.sleep(0.05)


def gush(client: socket.socket) -> None:
    while True:
        client.sendall(b"[" * 65536)


@pytest.mark.parametrize("behave", [
    lambda client: None, drip, gush, lambda client: client.sendall(b"{" * 100000),
    lambda client: client.sendall(b"\x1b[2J\n"), lambda client: client.sendall(b'{"facts": 7, "now": [], "limits": {"\\u001b": "\\u009b"}}'),
    lambda client: client.sendall(b'{"a": 1}{"b": 2}'), lambda client: client.sendall(b'{"version": "\\ud800\\u0041"}'),
    lambda client: client.sendall(b"{" + b'"a":1,' * 100000 + b'"facts": [' + b'{"name":"b"},' * 30000 + b"0]}"),
], ids=["closes", "drips", "gushes", "opens", "escapes", "shapes", "twice", "surrogates", "long"])
def test_the_command_trusts_no_answer(bench, behave):
    bench.ok("mount", "-o", "control_socket=false", "memory:", "mnt")
    impostor = Impostor(place_of(bench.point), behave)
    try:
        for arguments in (["list"], ["list", "--verbose"], ["list", "--json", "--verbose"]):
            text = bench.ok(*arguments, timeout=LIMIT)
            assert str(bench.point) in text
            assert all(letter == "\n" or letter.isprintable() for letter in text)
        if mounted(bench.point):
            # The impostor is taken for the process that serves the drive, and does not end.
            bench.ok("umount", "--lazy", "mnt", timeout=LIMIT)
    finally:
        impostor.close()


# ----------------------------------------------------------------------------------------------------- unmounting


def test_umount_by_force_writes_first(bench, ended):
    bench.ok("mount", "demo.vault", "mnt")
    process = ended(server_of(bench.point))
    data = random.randbytes(300000)
    with holder(bench.point / "dirty", data) as end:
        assert bench.ok("umount", "--force", "mnt") == ""
        assert process.wait(0)
        assert mounted(bench.point) is None
        assert end() in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO)
    bench.ok("mount", "demo.vault", "mnt")
    assert (bench.point / "dirty").read_bytes() == data


def test_umount_by_force_ends_it_everywhere(bench, ended):
    other = bench.folder / "other"
    other.mkdir()
    bench.ok("mount", "memory:", "mnt")
    process = ended(server_of(bench.point))
    subprocess.run(["mount", "--bind", bench.point, other], check=True)
    bench.ok("umount", "--force", "mnt")
    assert process.wait(0)
    with pytest.raises(OSError) as caught:
        os.stat(other / "x")
    assert caught.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)


def test_lazy_and_force_are_two_things(bench):
    assert "give one of them" in bench.refused("umount", "-l", "-f", "mnt", status=2)


def test_busy_is_said_on_the_socket(bench):
    bench.ok("mount", "memory:", "mnt")
    with open(bench.point / "held", "w"):
        answer = say(place_of(bench.point), b"umount\n")
        assert answer["error"] == "EBUSY" and str(bench.point) in answer["message"]
        assert mounted(bench.point)
        assert say(place_of(bench.point), b"umount lazy\n")["ok"]
        assert mounted(bench.point) is None


def test_a_bind_mount_is_unmounted_alone(bench):
    other = bench.folder / "other"
    other.mkdir()
    bench.ok("mount", "memory:", "mnt")
    subprocess.run(["mount", "--bind", bench.point, other], check=True)
    bench.ok("umount", other)
    assert mounted(other) is None and info(bench.point)["state"] == "mounted"


# -------------------------------------------------------------------------------------------- where it lies


def in_its_own_run(bench, script: str, prepare: str = "mount -t tmpfs -o mode=755 none /run", **environment: str):
    """Runs a shell script where /run is an empty folder that nobody else sees; $T is the command."""
    variables = {**{key: value for key, value in os.environ.items() if key != "XDG_RUNTIME_DIR"}, "T": COMMAND, **environment}
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-ec", f"{prepare}\n{script}"],
                          capture_output=True, text=True, cwd=bench.folder, timeout=3 * LIMIT, env=variables)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


# Sockets that their processes have left, with every number that a mount may get.
LEFT = (f"{sys.executable} -c 'import socket\nfor i in range(300):\n"
        "    left = socket.socket(socket.AF_UNIX); left.bind(f\"/run/tenon/0:{i}.socket\"); left.listen(); left.close()'")


def test_the_folder_is_made_whatever_the_umask(bench):
    text = in_its_own_run(bench, "umask 077; $T mount memory: mnt; stat -c %a /run/tenon /run/tenon/*.socket; $T umount mnt; ls /run/tenon")
    assert text.split() == ["755", "600"]


def test_a_leftover_is_replaced(bench):
    text = in_its_own_run(bench, f"mkdir /run/tenon; {LEFT}\n"
                          "$T mount memory: mnt; $T list -v; $T umount mnt; ls /run/tenon | wc -l")
    block = next(block for block in text.split("\n\n") if block.startswith(f"{bench.point}\n"))
    assert ", tenon " in block
    assert int(text.split()[-1]) == 299


READ_ONLY = "mount -t tmpfs -o ro none /run"


def test_without_a_folder_it_works_all_the_same(bench):
    in_its_own_run(bench, "$T mount -o log=messages memory: mnt; echo a >mnt/a; cat mnt/a; $T list -v; umount mnt", READ_ONLY)
    log = (bench.folder / "messages").read_text()
    assert log.count("there is no control socket, commands cannot reach this volume: /run/tenon: ") == 1


def test_root_of_a_namespace_uses_its_own_folder(bench):
    folder = bench.folder / ("long" * 30) / "runtime"
    folder.mkdir(mode=0o700, parents=True)
    text = in_its_own_run(bench, "$T mount -o log=messages memory: mnt; $T list -v; $T umount mnt", READ_ONLY, XDG_RUNTIME_DIR=str(folder))
    assert ", tenon " in next(block for block in text.split("\n\n") if block.startswith(f"{bench.point}\n"))
    assert (bench.folder / "messages").read_text() == ""
    assert stat.S_IMODE((folder / "tenon").stat().st_mode) == 0o700
    assert [path.name for path in (folder / "tenon").iterdir()] == [".lock"]


def for_nobody(bench) -> tuple[pathlib.Path, str]:
    """A runtime folder of an ordinary user, and what to do so that the user can mount in a mount namespace."""
    runtime, fuse = bench.folder / "runtime", bench.folder / "fuse"
    runtime.mkdir(mode=0o700)
    os.mknod(fuse, stat.S_IFCHR | 0o666, os.makedev(10, 229))
    fuse.chmod(0o666)
    for path in (bench.folder, bench.point, runtime):
        os.chown(path, 65534, 65534)
    bench.folder.chmod(0o755)
    return runtime, f"mount --bind {fuse} /dev/fuse; mount -t tmpfs -o mode=755 none /run; mkdir /run/tenon; {LEFT}"


NOBODY = "exec setpriv --reuid=65534 --regid=65534 --clear-groups"


def test_root_of_a_user_namespace(bench, own_root):
    """There /run/tenon is to be seen, and belongs to somebody else."""
    runtime, prepare = for_nobody(bench)
    script = f"$T mount -o log={bench.folder}/messages memory: mnt; $T list -v; ls {runtime}/tenon; $T umount mnt"
    text = in_its_own_run(bench, f"{NOBODY} unshare -Ur -m sh -ec '{script}'", prepare, XDG_RUNTIME_DIR=str(runtime),
                          T=bench.public_command())
    assert ", tenon " in next(block for block in text.split("\n\n") if block.startswith(f"{bench.point}\n"))
    assert text.split()[-1].endswith(".socket")
    assert (bench.folder / "messages").read_text() == ""
    assert [path.name for path in (runtime / "tenon").iterdir()] == [".lock"]


@pytest.mark.parametrize("option", ["", "-l", "-f"])
def test_a_drive_of_an_ordinary_user(bench, need, own_root, option):
    need("fusermount3", shutil.which("fusermount3"), "fusermount3 is not installed")
    runtime, prepare = for_nobody(bench)
    script = (f"$T mount -o log={bench.folder}/messages {bench.vault} mnt; $T list -v; echo kept >mnt/file; $T umount {option} mnt; "
              f"ls {runtime}/tenon")
    text = in_its_own_run(bench, f"{NOBODY} sh -ec '{script}'", prepare, XDG_RUNTIME_DIR=str(runtime), T=bench.public_command())
    block = next(block for block in text.split("\n\n") if block.startswith(f"{bench.point}\n"))
    assert "mounted      through fusermount3" in block
    assert (bench.folder / "messages").read_text() == ""
    if option != "-l":
        assert [path.name for path in (runtime / "tenon").iterdir()] == [".lock"]
        assert bench.ok("check", bench.vault) == f"{bench.vault}: sound\n"


def test_an_ordinary_user_cuts_off_programs(bench, need):
    need("fusermount3", shutil.which("fusermount3"), "fusermount3 is not installed")
    runtime, prepare = for_nobody(bench)
    (bench.folder / "hold").write_text(HOLD)
    script = (f"$T mount {bench.vault} mnt; mkfifo wait; exec 3<>wait; (echo data | {sys.executable} hold mnt/file >held 2<&3) & "
              "until [ -s held ]; do :; done; $T umount -f mnt; echo >&3; wait $! && exit 1; exit 0")
    in_its_own_run(bench, f"{NOBODY} sh -ec '{script}'", prepare, XDG_RUNTIME_DIR=str(runtime), T=bench.public_command())
    bench.ok("mount", bench.vault, "mnt")
    assert (bench.point / "file").read_text() == "data\n"


def test_a_folder_of_somebody_else_is_not_used(bench):
    in_its_own_run(bench, "mkdir /run/tenon; chown 65534 /run/tenon; $T mount -o log=messages memory: mnt; ls /run/tenon >listed; umount mnt")
    assert "belongs to somebody else" in (bench.folder / "messages").read_text()
    assert ".socket" not in (bench.folder / "listed").read_text()


def test_nobody_holds_it_up_by_locking_the_folder(bench):
    in_its_own_run(bench, "mkdir /run/tenon; flock /run/tenon sh -ec '$T mount memory: mnt; $T list >/dev/null; $T umount mnt'")
