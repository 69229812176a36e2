"""The example drives in Python, on real mounts, used by ordinary programs."""
from __future__ import annotations

import errno
import http.server
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterator

import pytest

from conftest import open_place
from parity import calls
from parity.places import PATIENCE, REPOSITORY, PythonProgram, mounts, run
from parity.steps import describe_tree

EXAMPLES = REPOSITORY / "examples" / "python"


def error_of(call: Callable[..., object], *arguments: object) -> str:
    try:
        call(*arguments)
    except OSError as error:
        return "EOPNOTSUPP" if error.errno == errno.EOPNOTSUPP else errno.errorcode[error.errno]
    return "ok"


def make_tree(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_bytes(os.urandom(300_000))
    os.link(root / "a" / "file", root / "a" / "b" / "second")
    os.symlink("../file", root / "a" / "b" / "symlink")
    os.mkfifo(root / "fifo", 0o640)
    (root / "umlaut \udcff ä").write_text("odd names\n")
    with open(root / "sparse", "wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"island")
    os.utime(root / "a" / "file", ns=(1_000_000_001, 2_000_000_002))
    os.chmod(root / "a" / "b" / "second", 0o4751)


@pytest.fixture(autouse=True)
def can_be_interrupted() -> Iterator[None]:
    """A shell has jobs in the background ignore Ctrl-C, and what they start would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# -------------------------------------------------------------------------------------- memory.py


@pytest.fixture
def memory(base) -> Iterator[PythonProgram]:
    with open_place(lambda: PythonProgram(base)) as place:
        yield place


def test_memory_takes_a_tree(memory, tmp_path) -> None:
    """As cp, tar and rsync bring it: the same files, links and times, and holes that take no room."""
    source = tmp_path / "tree"
    make_tree(source)
    run("cp", "-a", source, memory.root / "copied")
    assert describe_tree(str(memory.root / "copied")) == describe_tree(str(source))
    run("diff", "-r", "--no-dereference", source / "a", memory.root / "copied" / "a")
    os.mkdir(memory.root / "unpacked")
    run("sh", "-c", 'tar -c -S -C "$1" . | tar -x -S -C "$2"', "sh", memory.root / "copied", memory.root / "unpacked")
    assert describe_tree(str(memory.root / "unpacked")) == describe_tree(str(source))
    assert os.stat(memory.root / "unpacked" / "sparse").st_blocks * 512 <= 1 << 20


def test_memory_gives_room_back(memory) -> None:
    def room() -> tuple[int, int]:
        numbers = os.statvfs(memory.root)
        return numbers.f_bavail, numbers.f_ffree
    before = room()
    for name in ("a", "b"):
        (memory.root / name).write_bytes(bytes(5 << 20))
    os.sync()
    os.link(memory.root / "a", memory.root / "c")
    file = open(memory.root / "b", "rb")
    os.fsync(file.fileno())
    assert before[0] - room()[0] >= (10 << 20) // os.statvfs(memory.root).f_frsize
    for name in ("a", "b"):
        os.unlink(memory.root / name)
    assert before[0] - room()[0] >= (10 << 20) // os.statvfs(memory.root).f_frsize
    os.unlink(memory.root / "c")
    file.close()
    deadline = time.monotonic() + PATIENCE
    # The last close(2) has returned before the drive is told.
    while room() != before:
        assert time.monotonic() < deadline, (before, room())


def test_memory_tells_all_names(memory) -> None:
    (memory.root / "d").mkdir()
    (memory.root / "f").write_text("data")
    os.link(memory.root / "f", memory.root / "d" / "g")
    os.rename(memory.root / "f", memory.root / "h")
    assert sorted(os.getxattr(memory.root / "h", "tenon.links").split(b"\n")[:-1]) in ([b"/d/g", b"/h"], [b"/d/g"])
    assert os.stat(memory.root / "h").st_nlink == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_memory_ends_by_a_signal(memory, number: int) -> None:
    (memory.root / "f").write_text("data")
    memory.process.send_signal(number)
    assert memory.wait() == 0
    assert not mounts(memory.root)


def test_memory_says_what_is_wrong(base, memory) -> None:
    for option in ("no_such=1", "file_cache=fast", "Umask=x"):
        command, environment = memory.command("-o", f"allow_other=true,{option}")
        done = run(*command, check=False, env=environment)
        message = done.stderr.decode()
        assert (done.returncode, message.count("\n")) == (1, 1) and option in message, message


# -------------------------------------------------------------------------------------- dictionary.py


def test_dictionary_is_short() -> None:
    """All of it: imports, the main program, and the lines between."""
    assert len((EXAMPLES / "dictionary.py").read_text(encoding="utf-8").splitlines()) < 40


def test_dictionary(base, tmp_path, plain_build: None) -> None:
    with open_place(lambda: PythonProgram(base, script="dictionary.py")) as place:
        hello = place.root / "hello.txt"
        assert run("cat", hello).stdout == b"Hello from a dictionary.\n"
        assert run("ls", place.root).stdout == b"hello.txt\n"
        large = tmp_path / "large"
        large.write_bytes(os.urandom(3_000_001))
        run("cp", large, place.root)
        run("cp", "-p", large, place.root / "again")
        run("cmp", large, place.root / "large")
        run("cmp", large, place.root / "again")
        run("rm", hello)
        run("mv", place.root / "again", hello)
        run("touch", place.root / "empty")
        run("sh", "-c", 'cd "$1"; echo one >two; echo two >>two; truncate -s 6 two; printf x | dd of=two bs=1 seek=7 conv=notrunc status=none',
            "sh", place.root)
        assert (place.root / "two").read_bytes() == b"one\ntw\0x"
        assert run("ls", "-s", "-1", place.root, check=False).returncode == 0
        assert sorted(os.listdir(place.root)) == ["empty", "hello.txt", "large", "two"]
        run("cmp", large, hello)
        assert error_of(os.mkdir, place.root / "folder") == "EPERM"
        assert error_of(os.open, place.root / "no", os.O_RDONLY) == "ENOENT"
        calls.renameat2(str(place.root / "two"), str(hello), calls.RENAME_EXCHANGE)
        assert hello.read_bytes() == b"one\ntw\0x"
        run("cmp", large, place.root / "two")
        with open(hello, "r+b") as file:
            os.unlink(hello)
            file.write(b"O")
            file.seek(0)
            assert file.read() == b"One\ntw\0x"
        assert sorted(os.listdir(place.root)) == ["empty", "large", "two"]


# -------------------------------------------------------------------------------------- archive.py


def member(archive: zipfile.ZipFile, name: str, data: bytes | str, mode: int = stat.S_IFREG | 0o644, date: tuple[int, ...] = (2021, 3, 4, 5, 6, 8),
           **keywords) -> None:
    info = zipfile.ZipInfo(name, date)
    # Without a mode: from a system that has none, where 32 marks a file to be archived.
    info.create_system, info.external_attr = (3, mode << 16) if mode else (0, 32)
    archive.writestr(info, data, **keywords)


@pytest.fixture
def show(base) -> Iterator[Callable[[Path], PythonProgram]]:
    """Shows an archive until the test ends."""
    shown = []

    def open_archive(path: Path) -> PythonProgram:
        context = open_place(lambda: PythonProgram(base, script="archive.py", before=(path,)))
        shown.append(context)
        return context.__enter__()
    yield open_archive
    for context in shown:
        context.__exit__(None, None, None)


def test_archive_of_a_tree(show, tmp_path) -> None:
    """Packed by a program, it looks as what was packed, and can be copied out; nothing can be written."""
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "empty").mkdir(mode=0o700)
    (tree / "deep" / "file").write_bytes(os.urandom(2_500_000))
    (tree / "deep" / "er" / "script").write_text("#!/bin/sh\necho it runs\n" * 3000)
    os.chmod(tree / "deep" / "er" / "script", 0o751)
    os.utime(tree / "deep" / "file", (1_600_000_000, 1_600_000_002))
    with zipfile.ZipFile(tmp_path / "tree.zip", "w") as archive:
        for path in sorted(tree.rglob("*")):
            ways = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
            archive.write(path, path.relative_to(tree), ways[len(path.name) % 4])
    drive = show(tmp_path / "tree.zip")
    run("cp", "-r", "--preserve=mode,timestamps", drive.root, tmp_path / "copy")
    run("diff", "-r", tree, tmp_path / "copy")
    for path in tree.rglob("*"):
        wanted, found = path.stat(), (drive.root / path.relative_to(tree)).stat()
        assert found.st_mode == wanted.st_mode
        assert found.st_size == wanted.st_size or path.is_dir()
        assert abs(found.st_mtime - wanted.st_mtime) < 2
    assert run(drive.root / "deep" / "er" / "script").stdout.startswith(b"it runs\n")
    for refused in (lambda: (drive.root / "new").touch(), lambda: (drive.root / "deep" / "file").unlink(), lambda: (drive.root / "new").mkdir(),
                    lambda: (drive.root / "deep" / "file").open("r+b"), lambda: os.symlink("x", drive.root / "new")):
        assert error_of(refused) == "EROFS"


def test_archive_with_strange_members(show, tmp_path) -> None:
    """Implied directories, the same path twice, files in the way of directories, and paths that lead elsewhere."""
    with zipfile.ZipFile(tmp_path / "strange.zip", "w") as archive:
        member(archive, "implied/by/this", "deep")
        member(archive, "twice", "first")
        with pytest.warns(UserWarning, match="Duplicate"):
            member(archive, "twice", "second", stat.S_IFREG | 0o600)
        member(archive, "way", "a file")
        member(archive, "way/below", "that is in a directory")
        member(archive, "other/below", "in another")
        member(archive, "other", "a file again")
        member(archive, "implied/", "", stat.S_IFDIR | 0o711)
        for name in ("../up", "a/../../up", "..", "bad/..", "x" * 256, "y" * 300 + "/z", "./", "//"):
            member(archive, name, "not seen")
        member(archive, "/absolute", "in the root")
        member(archive, "./dotted//twice", "as if plain")
        member(archive, "link", "implied/by/this", stat.S_IFLNK | 0o777)
        member(archive, "outside", "../" * 40 + "etc/hostname", stat.S_IFLNK | 0o777)
        member(archive, "long link", "l" * 5000, stat.S_IFLNK | 0o777)
        member(archive, "no mode", "plain", 0)
        member(archive, "umläut", "name")
        member(archive, "old", "time", date=(1980, 1, 1, 0, 0, 0))
    root = show(tmp_path / "strange.zip").root
    found = sorted(str(Path(folder, name).relative_to(root)) for folder, folders, files in os.walk(root) for name in folders + files)
    assert found == sorted(["implied", "implied/by", "implied/by/this", "twice", "way", "way/below", "other", "other/below", "absolute", "dotted",
                            "dotted/twice", "link", "outside", "long link", "no mode", "umläut", "old"])
    assert (root / "twice").read_text() == "second" and stat.S_IMODE((root / "twice").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "implied").stat().st_mode) == 0o711
    assert (root / "link").read_text() == "deep"
    assert os.readlink(root / "outside") == "../" * 40 + "etc/hostname"
    assert error_of(os.readlink, root / "long link") == "ENAMETOOLONG"
    assert (root / "way" / "below").read_text() == "that is in a directory"
    assert (root / "absolute").read_text() == "in the root"
    assert stat.S_IMODE((root / "no mode").stat().st_mode) == 0o644
    assert time.localtime((root / "old").stat().st_mtime)[:6] == (1980, 1, 1, 0, 0, 0)


def test_archive_is_read_at_any_place(show, tmp_path) -> None:
    data = os.urandom(1 << 20) * 4 + b"end"
    with zipfile.ZipFile(tmp_path / "large.zip", "w") as archive:
        member(archive, "large", data, compress_type=zipfile.ZIP_DEFLATED)
    root = show(tmp_path / "large.zip").root
    with open(root / "large", "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for position in (len(data) - 3, len(data), 3_000_000, 5, 2_000_000, 1 << 40, 4 << 20, 0):
            assert os.pread(file.fileno(), 100, position) == data[position:position + 100]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: (root / "large").read_bytes() == data, range(16)))


def damaged(path: Path, name: str) -> None:
    """One bit of a stored member's data, in the middle."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
    start = info.header_offset + 30 + sum(struct.unpack_from("<HH", data, info.header_offset + 26))
    data[start + info.compress_size // 2] ^= 1
    path.write_bytes(data)


def encrypted(path: Path, name: str) -> None:
    """Says so only; that is enough."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        local = archive.getinfo(name).header_offset
    data[local + 6] |= 1
    central = data.rindex(b"PK\1\2", 0, data.rindex(name.encode()))
    data[central + 8] |= 1
    path.write_bytes(data)


def test_archive_with_members_that_cannot_be_read(show, tmp_path) -> None:
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("good", "stored", "packed", "secret", "unknown"):
            member(archive, name, bytes(range(256)) * 500, compress_type=zipfile.ZIP_DEFLATED if name == "packed" else zipfile.ZIP_STORED)
    damaged(path, "stored")
    damaged(path, "packed")
    encrypted(path, "secret")
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2") + 10] = 77
    path.write_bytes(data)
    drive = show(path)
    assert len(os.listdir(drive.root)) == 5
    assert (drive.root / "good").read_bytes() == bytes(range(256)) * 500
    assert error_of((drive.root / "stored").read_bytes) == "EIO"
    assert error_of((drive.root / "packed").read_bytes) == "EIO"
    assert error_of((drive.root / "secret").read_bytes) == "EACCES"
    assert error_of((drive.root / "unknown").read_bytes) == "EOPNOTSUPP"
    assert (drive.root / "good").read_bytes() == bytes(range(256)) * 500
    log = drive.log.read_text()
    assert "stored" in log and "Traceback" not in log


@pytest.mark.parametrize("what", ["text", "empty", "cut", "directory", "missing"])
def test_archive_that_is_none(base, tmp_path, need, what: str) -> None:
    """Said in one line, and nothing is mounted."""
    path = tmp_path / what
    if what == "text":
        path.write_text("no archive\n" * 1000)
    elif what == "directory":
        path.mkdir()
    elif what != "missing":
        with zipfile.ZipFile(path, "w") as archive:
            member(archive, "name", "data")
        path.write_bytes(path.read_bytes()[:-10] if what == "cut" else b"")
    with open_place(lambda: PythonProgram(base)) as usable:
        command, environment = usable.command()
        point = base.fresh("none")
        done = run(command[0], EXAMPLES / "archive.py", path, point, check=False, env=environment)
    message = done.stderr.decode()
    assert (done.returncode, message.count("\n")) == (1, 1)
    assert message.startswith(f"archive.py: {path} cannot be read as a zip archive: ")
    assert not mounts(point)


# -------------------------------------------------------------------------------------- slow.py


class Source(http.server.ThreadingHTTPServer):
    """A web server that answers when it is told to. Files are called by numbers, and all bytes of a file are its number."""

    daemon_threads = True
    request_queue_size = 200
    SIZE = 10_000

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.changed = threading.Condition()
        self.waiting = 0  # requests that are held
        self.given_up = 0  # requests whose clients went away meanwhile
        self.held: set[str] = set()  # methods that are not answered now
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files/{name}"

    def wait(self, done: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(done, PATIENCE), (self.waiting, self.given_up)

    def hold(self, *methods: str) -> None:
        with self.changed:
            self.held = set(methods)
            self.changed.notify_all()


class Request(http.server.BaseHTTPRequestHandler):
    server: Source

    def log_message(self, *words: object) -> None:
        pass

    def is_given_up(self) -> bool:
        """Wait until the request may be answered. True when the client has gone meanwhile."""
        with self.server.changed:
            if self.command not in self.server.held:
                return False
            self.server.waiting += 1
            self.server.changed.notify_all()
        self.connection.settimeout(0.05)
        gone = False
        while self.command in self.server.held and not gone:
            try:
                gone = self.connection.recv(1, socket.MSG_PEEK) == b""
            except TimeoutError:
                pass
            except ConnectionError:
                gone = True
        self.connection.settimeout(None)
        with self.server.changed:
            self.server.waiting -= 1
            self.server.given_up += gone
            self.server.changed.notify_all()
        return gone

    def answer(self) -> None:
        if self.is_given_up():
            return
        name = self.path.rpartition("/")[2]
        data = name.encode() * (self.server.SIZE // len(name))
        status, part = 200, data
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if name == "missing":
            status, part = 404, b""
        elif name == "broken" and self.command == "GET":
            status, part = 500, b""
        elif asked and name != "plain":
            status, part = 206, data[int(asked[1]):int(asked[2]) + 1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    do_GET = do_HEAD = answer


@pytest.fixture
def source() -> Iterator[Source]:
    with Source() as server:
        yield server
        server.hold()
        server.shutdown()


def slow_drive(base, source: Source, *names: str) -> PythonProgram:
    return PythonProgram(base, script="slow.py", behind=tuple(source.url(name) for name in names))


def test_slow_reads(base, source) -> None:
    with open_place(lambda: slow_drive(base, source, "11", "22", "plain", "missing", "broken", "with%20blank")) as place:
        assert set(os.listdir(place.root)) >= {"11", "22", "plain", "broken"}
        assert run("cat", place.root / "22").stdout == b"22" * 5000
        assert (place.root / "plain").read_bytes() == b"plain" * 2000
        assert (place.root / "with blank").stat().st_size == 10_000 // 12 * 12
        with open(place.root / "11", "rb") as file:
            assert os.pread(file.fileno(), 10, 9_995) == b"11111"
        assert error_of((place.root / "missing").read_bytes) == "ENOENT"
        assert error_of((place.root / "broken").read_bytes) == "EIO"
        assert error_of((place.root / "new").touch) == "EROFS"


def test_slow_serves_all_at_once(base, source) -> None:
    """None of the answers comes before all are asked for, which are more than there are worker threads; meanwhile the drive answers others."""
    names = [f"{number:02}" for number in range(100)]
    with open_place(lambda: slow_drive(base, source, *names)) as place:
        source.hold("GET")
        readers = [subprocess.Popen(["cat", place.root / name], stdout=subprocess.PIPE) for name in names]
        try:
            source.wait(lambda: source.waiting == len(names))
            assert len(os.listdir(place.root)) == len(names)
            assert run("stat", "-c", "%s", place.root / "07").stdout == b"10000\n"
        finally:
            source.hold()
        for name, reader in zip(names, readers):
            assert reader.communicate(timeout=PATIENCE)[0] == name.encode() * 5000
        assert source.given_up == 0


@pytest.mark.parametrize("command, method", [("stat", "HEAD"), ("cat", "GET")])
def test_slow_gives_up(base, source, command: str, method: str) -> None:
    """An interrupted program ends at once, and so does its request at the server; the drive works on."""
    with open_place(lambda: slow_drive(base, source, "77")) as place:
        source.hold(method)
        with subprocess.Popen([command, place.root / "77"], stdout=subprocess.DEVNULL) as reader:
            try:
                source.wait(lambda: source.waiting == 1)
                reader.send_signal(signal.SIGINT)
                assert reader.wait(PATIENCE) == -signal.SIGINT
                source.wait(lambda: (source.waiting, source.given_up) == (0, 1))
            finally:
                source.hold()
        assert (place.root / "77").read_bytes() == b"77" * 5000
