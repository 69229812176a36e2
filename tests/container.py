#!/usr/bin/python3
"""Runs a command as the root of something like a container: container.py COMMAND [ARGUMENT...]

A user namespace in which a million users exist and none is one of the machine's, a mount namespace, and /dev/fuse open to
all. What needs the machine's root (loop devices, device files) is refused there. XDG_RUNTIME_DIR is a folder of that root's own.
"""
import ctypes
import os
import pathlib
import subprocess
import sys
import tempfile

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
FIRST_USER, USERS = 1_000_000, 1_000_000


def unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def open_device() -> None:
    """In this process's own mount namespace. The copies of other drives' mounts would keep those drives alive."""
    unshare(CLONE_NEWNS)
    script = ("mount --make-rprivate / && findmnt -rno TARGET -t fuse.tenon | while read -r place; do umount -l \"$place\"; done; "
              "mount -t tmpfs -o mode=755 dev \"$1\" && mknod -m 666 \"$1/fuse\" c 10 229 && mount --bind \"$1/fuse\" /dev/fuse")
    with tempfile.TemporaryDirectory(prefix="tenon-container-") as folder:
        subprocess.run(["sh", "-c", script, "sh", folder], check=True)
        subprocess.run(["umount", "-l", folder], check=True)


def make_reachable(path: str) -> None:
    """The checkout may lie where only root can go: the first such folder is replaced by one that holds the checkout alone."""
    closed = next((str(folder) for folder in reversed(pathlib.Path(path).parents) if not folder.stat().st_mode & 1), None)
    if closed is None:
        return
    checkout = os.open(path, os.O_PATH)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "way", closed], check=True)
    os.makedirs(path)
    subprocess.run(["mount", "--no-canonicalize", "--bind", f"/proc/self/fd/{checkout}", path], check=True, pass_fds=[checkout])
    os.close(checkout)
    os.chdir(path)


def map_users(pid: int) -> None:
    for kind in ("uid_map", "gid_map"):
        with open(f"/proc/{pid}/{kind}", "w") as mapping:
            mapping.write(f"0 {FIRST_USER} {USERS}")


def become_root_inside(mapped: int, unshared: int) -> None:
    unshare(CLONE_NEWUSER)
    os.close(unshared)
    os.read(mapped, 1)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    os.setgroups([])
    unshare(CLONE_NEWNS)


def run() -> int:
    mapped, mapped_end = os.pipe()
    unshared, unshared_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(mapped_end)
        os.close(unshared)
        become_root_inside(mapped, unshared_end)
        os.execvp(sys.argv[1], sys.argv[1:])
    os.close(mapped)
    os.close(unshared_end)
    os.read(unshared, 1)
    map_users(pid)
    os.close(mapped_end)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> int:
    open_device()
    make_reachable(str(pathlib.Path(__file__).resolve().parents[1]))
    with tempfile.TemporaryDirectory(prefix="tenon-runtime-") as runtime:
        os.chown(runtime, FIRST_USER, FIRST_USER)
        os.environ["XDG_RUNTIME_DIR"] = runtime
        return run()


if __name__ == "__main__":
    sys.exit(main())
