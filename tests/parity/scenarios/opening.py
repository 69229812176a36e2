"""open(2): every combination of flags on every kind of name, and what a descriptor allows."""
from __future__ import annotations

import fcntl
import itertools
import fcntl
import os
import shutil
import socket
import subprocess

from .. import calls
from ..steps import ANNA, BERT, STAFF, Steps, flag_names, give, opens, read_file, scenario, write_file

KINDS = ("missing", "file", "empty", "directory", "to-file", "to-directory", "dangling", "loop", "fifo", "socket",
         "file/", "directory/", "missing/", "to-directory/", "file/below", "missing/below", "directory/.", "directory/..")


def make_kinds() -> None:
    """One name of each kind."""
    write_file("file", b"content")
    write_file("empty")
    os.mkdir("directory")
    os.symlink("file", "to-file")
    os.symlink("directory", "to-directory")
    os.symlink("nowhere", "dangling")
    os.symlink("loop", "loop")
    os.mkfifo("fifo")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind("socket")
    bound.close()


def restore_kinds() -> None:
    """Undo what an open may have made or cut."""
    for made in ("missing", "nowhere"):
        if os.path.lexists(made):
            os.unlink(made)
    if os.stat("file").st_size != 7:
        write_file("file", b"content")


def flag_table(s: Steps, access_modes: tuple[int, ...]) -> None:
    s.do(make_kinds)
    optional = (os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_DIRECTORY, os.O_NOFOLLOW)
    for name in KINDS:
        for access in access_modes:
            for chosen in itertools.product((0, 1), repeat=len(optional)):
                flags = access | os.O_NONBLOCK | sum(bit for bit, on in zip(optional, chosen) if on)
                fd = s.open(name, flags, 0o640)
                if fd is not None:
                    s.note("then", os.fstat(fd))
                    os.close(fd)
                if flags & (os.O_CREAT | os.O_TRUNC):
                    restore_kinds()


@scenario
def open_flags_read_only(s: Steps) -> None:
    flag_table(s, (os.O_RDONLY,))


@scenario
def open_flags_write_only(s: Steps) -> None:
    flag_table(s, (os.O_WRONLY,))


@scenario
def open_flags_read_write(s: Steps) -> None:
    flag_table(s, (os.O_RDWR,))


@scenario
def open_flags_path_only(s: Steps) -> None:
    flag_table(s, (os.O_PATH,))


@scenario
def open_access_is_enforced(s: Steps) -> None:
    s.put("f", b"0123456789")
    for access in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_PATH, os.O_WRONLY | os.O_APPEND):
        fd = s.open("f", access)
        s.do(os.pread, fd, 4, 0)
        s.do(os.pwrite, fd, b"x", 0)
        s.do(os.ftruncate, fd, 10)
        s.do(os.fchmod, fd, 0o640)
        s.do(os.fsync, fd)
        s.do(os.lseek, fd, 3, os.SEEK_SET)
        s.step("access mode", lambda: fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_ACCMODE | os.O_APPEND))
        os.close(fd)
    s.content("f")


@scenario
def open_keeps_what_creat_finds(s: Steps) -> None:
    s.put("f", b"old content", 0o600)
    ino = os.stat("f").st_ino
    fd = s.open("f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o777)
    s.stat("f")
    s.note("the same file", os.stat("f").st_ino == ino)
    s.do(os.write, fd, b"new")
    os.close(fd)
    s.content("f")


@scenario
def open_with_mode_that_forbids_it(s: Steps) -> None:
    anna = s.peer(ANNA)
    s.do(os.chmod, ".", 0o777)
    for mode in (0, 0o200, 0o400):
        fd = anna.open(f"f{mode}", os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        anna.do(os.write, fd, b"mine")
        anna.do(os.pread, fd, 10, 0)
        anna.do(os.fchmod, fd, mode)
        anna.do(os.close, fd)
        for access in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
            anna.step(f"again {flag_names(access)}", opens, f"f{mode}", access)
        s.stat(f"f{mode}")


@scenario
def open_modes_and_umask(s: Steps) -> None:
    for umask in (0, 0o022, 0o077, 0o777, 0o027):
        os.umask(umask)
        for mode in (0, 0o111, 0o644, 0o666, 0o777, 0o4755, 0o2755, 0o1777, 0o7777):
            name = f"{umask:o}-{mode:o}"
            fd = s.open(name, os.O_CREAT | os.O_WRONLY | os.O_EXCL, mode)
            os.close(fd)
            s.stat(name)
            s.do(os.mkdir, "d" + name, mode)
            s.stat("d" + name)
            s.do(os.mkfifo, "p" + name, mode)
            s.stat("p" + name)


@scenario
def open_path_descriptors(s: Steps) -> None:
    s.put("f", b"data")
    s.do(os.mkdir, "d")
    s.put("d/g", b"below")
    s.do(os.symlink, "f", "l")
    fd = s.open("f", os.O_PATH)
    s.stat(fd)
    s.do(os.read, fd, 1)
    s.do(os.fchmod, fd, 0o600)
    s.do(os.fchown, fd, 1, 1)
    s.step("open again through /proc", lambda: read_file(f"/proc/self/fd/{int(fd)}"))
    s.step("chmod through /proc", lambda: os.chmod(f"/proc/self/fd/{int(fd)}", 0o604))
    s.stat("f")
    os.close(fd)
    d = s.open("d", os.O_PATH | os.O_DIRECTORY)
    s.step("openat below", lambda: opens_at("g", os.O_RDONLY, d))
    s.step("createat below", lambda: opens_at("h", os.O_RDWR | os.O_CREAT, d))
    s.step("list", lambda: os.listdir(d))
    s.do(os.fchdir, d)
    s.listing()
    os.chdir("..")
    link = s.open("l", os.O_PATH | os.O_NOFOLLOW)
    s.stat(link)
    s.step("readlinkat of the link itself", lambda: os.readlink("", dir_fd=link))
    s.do(os.unlink, "f")
    s.stat(link)


def opens_at(name: str, flags: int, dir_fd: int) -> None:
    os.close(os.open(name, flags, 0o644, dir_fd=dir_fd))


@scenario
def open_below_a_directory_that_moves(s: Steps) -> None:
    s.do(os.makedirs, "a/b")
    s.put("a/b/f", b"one")
    d = s.open("a/b", os.O_RDONLY | os.O_DIRECTORY)
    s.do(os.rename, "a/b", "c")
    s.step("open below", lambda: opens_at("f", os.O_RDONLY, d))
    s.step("create below", lambda: opens_at("g", os.O_RDWR | os.O_CREAT, d))
    s.step("up is now here", lambda: os.stat("..", dir_fd=d).st_ino == os.stat(".").st_ino)
    s.tree()
    s.do(os.unlink, "c/f")
    s.do(os.unlink, "c/g")
    s.do(os.rmdir, "c")
    s.step("create in a removed directory", lambda: opens_at("h", os.O_RDWR | os.O_CREAT, d))
    s.step("mkdir in a removed directory", lambda: os.mkdir("h", dir_fd=d))
    s.step("link into a removed directory", lambda: (write_file("x"), os.link("x", "h", dst_dir_fd=d))[1])
    s.step("rename into a removed directory", lambda: os.rename("x", "h", dst_dir_fd=d))
    s.step("look up in a removed directory", lambda: os.stat("f", dir_fd=d).st_size)
    s.step("list a removed directory", lambda: os.listdir(d))
    s.stat(d)
    s.do(os.fchmod, d, 0o700)
    s.stat(d)
    s.tree()


@scenario
def open_directories(s: Steps) -> None:
    s.do(os.mkdir, "d")
    fd = s.open("d", os.O_RDONLY)
    s.stat(fd)
    s.do(os.read, fd, 10)
    s.do(os.write, fd, b"x")
    s.do(os.ftruncate, fd, 0)
    s.do(os.fsync, fd)
    s.do(os.fdatasync, fd)
    s.do(os.fchmod, fd, 0o711)
    s.do(os.fchown, fd, ANNA, STAFF)
    s.stat("d")
    s.do(os.truncate, "d", 0)


@scenario
def open_appends(s: Steps) -> None:
    s.put("f", b"start-")
    one = s.open("f", os.O_WRONLY | os.O_APPEND)
    two = s.open("f", os.O_RDWR | os.O_APPEND)
    s.do(os.write, one, b"one-")
    s.do(os.write, two, b"two-")
    s.do(os.lseek, one, 0, os.SEEK_SET)
    s.do(os.write, one, b"three-")
    s.do(os.lseek, one, 0, os.SEEK_CUR)
    s.do(os.pwrite, two, b"four-", 0)
    s.do(os.pread, two, 100, 0)
    s.do(os.truncate, "f", 3)
    s.do(os.write, two, b"five")
    s.content("f")
    plain_fd = s.open("f", os.O_RDWR)
    s.do(os.lseek, plain_fd, 0, os.SEEK_SET)
    fcntl.fcntl(plain_fd, fcntl.F_SETFL, os.O_APPEND)
    s.do(os.write, plain_fd, b"-six")
    fcntl.fcntl(plain_fd, fcntl.F_SETFL, 0)
    s.do(os.pwrite, plain_fd, b"ZERO", 0)
    s.content("f")
    three = s.open("f", os.O_WRONLY | os.O_APPEND | os.O_TRUNC)
    s.do(os.write, three, b"fresh")
    s.content("f")


@scenario
def open_truncates(s: Steps) -> None:
    for access in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        s.put("f", b"x" * 10_000)
        reader = s.open("f", os.O_RDONLY)
        fd = s.open("f", access | os.O_TRUNC)
        s.stat("f")
        s.do(os.read, reader, 10)
        s.do(os.fstat, reader)
        os.close(fd)
        os.close(reader)
    s.put("e")
    s.past("e")
    s.touched("O_TRUNC on an empty file", lambda: opens("e", os.O_WRONLY | os.O_TRUNC), "e")


@scenario
def open_many_at_once(s: Steps) -> None:
    fds = [os.open(f"f{n}", os.O_RDWR | os.O_CREAT) for n in range(200)]
    again = [os.open(f"f{n}", os.O_RDWR) for n in range(200)]
    for n, fd in enumerate(fds):
        os.write(fd, f"{n}".encode())
    s.note("read through the other", [os.read(fd, 10) for fd in again])
    for fd in fds:
        os.close(fd)
    for n, fd in enumerate(again):
        os.pwrite(fd, b"!", 0)
        os.close(fd)
    s.note("contents", [read_file(f"f{n}") for n in range(200)])


@scenario
def open_shared_offsets(s: Steps) -> None:
    s.put("f", b"0123456789")
    fd = s.open("f", os.O_RDWR)
    twin = os.dup(fd)
    other = s.open("f", os.O_RDWR)
    s.do(os.read, fd, 3)
    s.step("the duplicate goes on", os.read, twin, 3)
    s.do(os.read, other, 3)
    os.close(fd)
    s.step("the duplicate lives", os.read, twin, 3)
    peer = s.peer()
    peer.step("a child shares the offset", os.lseek, twin, 1, os.SEEK_SET)
    s.step("as is seen here", os.read, twin, 2)


@scenario
def open_executes(s: Steps) -> None:
    shutil.copyfile("/bin/true", "program")
    s.step("run without permission", lambda: subprocess.run(["./program"]).returncode)
    s.do(os.chmod, "program", 0o755)
    s.step("run", lambda: subprocess.run(["./program"]).returncode)
    s.put("script", b"#!/bin/sh\necho \"$1 world\"\n", 0o755)
    s.step("script", lambda: subprocess.run(["./script", "hello"], stdout=subprocess.PIPE).stdout)
    shutil.copyfile("/bin/cat", "cat")
    os.chmod("cat", 0o755)
    running = subprocess.Popen(["./cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    running.stdin.write(b"ready\n")
    running.stdin.flush()
    s.step("it runs", running.stdout.readline)
    s.step("write to a running program", opens, "cat", os.O_WRONLY)
    s.step("truncate a running program", os.truncate, "cat", 0)
    s.do(os.rename, "cat", "moved")
    s.do(os.unlink, "moved")
    running.stdin.write(b"still\n")
    running.stdin.flush()
    s.step("it still runs", running.stdout.readline)
    running.stdin.close()
    s.step("and ends", running.wait)
    writer = s.open("program", os.O_WRONLY)
    s.step("run while open for writing", lambda: subprocess.run(["./program"]).returncode)
    os.close(writer)


@scenario
def open_set_id_programs_are_harmless(s: Steps) -> None:
    """nosuid holds on all the mounts."""
    shutil.copyfile("/usr/bin/id", "id")
    s.do(give, "id", 0o6755, ANNA, STAFF)
    s.stat("id")
    s.step("runs as before", lambda: subprocess.run(["./id", "-u"], stdout=subprocess.PIPE).stdout)


@scenario
def open_temporary_files(s: Steps) -> None:
    s.put("file")
    s.step("on a file", os.open, "file", os.O_TMPFILE | os.O_RDWR)
    s.step("on nothing", os.open, "missing", os.O_TMPFILE | os.O_RDWR)
    s.step("read only", os.open, ".", os.O_TMPFILE | os.O_RDONLY)
    fd = s.open(".", os.O_TMPFILE | os.O_RDWR, 0o640)
    s.stat(fd)
    s.listing()
    s.do(os.write, fd, b"temporary")
    s.do(os.ftruncate, fd, 4)
    s.do(os.pread, fd, 100, 0)
    s.stat(fd)
    s.do(os.fchmod, fd, 0o604)
    s.do(os.fchown, fd, ANNA, STAFF)
    s.do(os.utime, fd, ns=(10**18, 10**18 + 5))
    s.step("reopened", lambda: read_file(f"/proc/self/fd/{int(fd)}"))
    s.step("link over a name", calls.link_open_file, fd, "file")
    s.step("link", calls.link_open_file, fd, "linked")
    s.same_file(int(fd), "linked")
    s.stat("linked")
    s.note("mtime", os.stat("linked").st_mtime_ns)
    s.stat(fd)
    s.content("linked")
    s.step("link again", calls.link_open_file, fd, "twice")
    s.do(os.link, "linked", "thrice")
    s.stat(fd)
    s.do(os.pwrite, fd, b"!", 4)
    s.content("twice")
    s.do(os.unlink, "linked")
    s.do(os.rename, "twice", "once")
    os.close(fd)
    s.tree()


@scenario
def open_temporary_files_exclusively(s: Steps) -> None:
    fd = s.open(".", os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    s.do(os.write, fd, b"secret")
    s.step("link", calls.link_open_file, fd, "linked")
    s.do(os.pread, fd, 10, 0)
    s.stat(fd)
    os.close(fd)
    s.listing()


@scenario
def open_temporary_files_that_vanish(s: Steps) -> None:
    s.do(os.mkdir, "d")
    fds = [os.open("d", os.O_TMPFILE | os.O_RDWR, 0o600) for _ in range(20)]
    for n, fd in enumerate(fds):
        os.write(fd, b"%d" % n)
    s.note("apart", [os.pread(fd, 10, 0) for fd in fds])
    s.listing("d")
    s.stat("d")
    s.step("the directory counts as empty", os.rmdir, "d")
    s.note("still there", [os.pread(fd, 10, 0) for fd in fds])
    s.step("link elsewhere", calls.link_open_file, fds[3], "saved")
    for fd in fds:
        os.close(fd)
    s.tree()


@scenario
def open_temporary_files_of_other_users(s: Steps) -> None:
    s.do(os.mkdir, "open")
    s.owned("open", 0o2777, 0, STAFF)
    s.do(os.mkdir, "closed", 0o755)
    anna = s.peer(ANNA)
    anna.open("closed", os.O_TMPFILE | os.O_RDWR)
    fd = anna.open("open", os.O_TMPFILE | os.O_RDWR, 0o2770)
    anna.do(os.write, fd, b"hers")
    anna.step("link", calls.link_open_file, fd, "open/hers")
    anna.step("link where she may not", calls.link_open_file, fd, "closed/hers")
    anna.do(os.close, fd)
    s.tree()


@scenario
def open_by_odd_ways(s: Steps) -> None:
    s.put("f", b"data")
    s.step("empty path", os.open, "", os.O_RDONLY)
    s.step("by /proc", lambda: read_file(f"/proc/self/cwd/f"))
    s.step("double slash", lambda: read_file(".//f"))
    s.do(os.mkdir, "d")
    s.step("up and down", lambda: read_file("d/../d/../f"))
    s.step("through a file", lambda: read_file("f/../f"))
    s.step("O_CREAT on a directory's own name", os.open, "d", os.O_CREAT | os.O_RDONLY)
    s.step("O_CREAT with a slash", os.open, "new/", os.O_CREAT | os.O_RDWR)
    s.step("O_CREAT of .", os.open, ".", os.O_CREAT | os.O_RDWR)
    s.step("O_DIRECTORY|O_CREAT", os.open, "n", os.O_CREAT | os.O_DIRECTORY | os.O_RDWR)
    s.step("access mode 3", opens, "f", 3)
    s.tree()


def write_in_pieces(path: str, count: int, size: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for n in range(count):
        os.write(fd, bytes([n % 251]) * size)
    os.close(fd)


@scenario
def open_again_and_again(s: Steps) -> None:
    """Each open sees what the closed descriptors before it wrote."""
    for n in range(50):
        write_in_pieces("f", 1, 100 + n)
        data = read_file("f")
        s.note(f"round {n}", (len(data), data[-1]))


@scenario
def open_without_access_times(s: Steps) -> None:
    """O_NOATIME is for the owner and root alone, at open and afterwards."""
    s.put("f", b"data")
    people = (s, s.peer(ANNA), s.peer(BERT))
    for owner in (0, ANNA):
        s.owned("f", 0o666, owner, owner)
        for actor in people:
            actor.step("open", opens, "f", os.O_RDONLY | os.O_NOATIME)
            actor.step("create", opens, "f", os.O_RDWR | os.O_CREAT | os.O_NOATIME)
            actor.step("later", set_no_access_times, "f")
    s.do(os.mkdir, "d")
    for actor in people:
        actor.step("directory", opens, "d", os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME)


def set_no_access_times(path: str) -> int:
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NOATIME)
        return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NOATIME
    finally:
        os.close(fd)
