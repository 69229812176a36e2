"""mount(8), umount(8) and /etc/fstab with Tenon drives, as after make install."""
import os
import re
import shutil
import subprocess

import pytest

from .machine import machine  # noqa: F401: a fixture

HELPER = "/sbin/mount.fuse.tenon"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def test_mount_by_type(machine):
    point = machine.place()
    assert machine.ok("mount", "-t", "fuse.tenon", "memory:512M", point) == ""
    assert machine.ok("findmnt", "-rno", "SOURCE,FSTYPE,TARGET", point) == f"memory:512M fuse.tenon {point}\n"
    assert re.search(rf"^memory:512M +fuse\.tenon +512M .* {point}$", machine.ok("df", "-hT", point), re.M)
    assert machine.mounted(point)["options"] == {"rw", "relatime"}
    assert machine.ok("umount", point) == ""
    assert machine.mounted(point) is None


def test_a_relative_vault(machine):
    point = machine.place()
    assert machine.ok("sh", "-c", f"cd {point.parent} && mount -t fuse.tenon new.vault mnt") == ""
    assert machine.mounted(point)["source"] == f"{point.parent}/new.vault"
    machine.ok("touch", point / "kept")
    machine.ok("tenon", "umount", point)
    assert machine.ok("tenon", "check", point.parent / "new.vault").endswith(": sound\n")


# What mount(8) lists as options of any file system, what systemd and desktops put into fstab, and some of ours.
FSTAB_OPTIONS = [
    "defaults", "noauto", "auto,rw", "user", "users", "nouser", "group", "owner", "noauto,user,exec", "nofail,_netdev", "defaults,nofail",
    "x-systemd.automount,x-systemd.requires=network.target", "x-gvfs-show,x-gvfs-name=Notes", "X-mount.mkdir", "comment=mine",
    "sync", "async", "relatime", "norelatime", "strictatime", "nostrictatime", "noatime", "atime", "nodiratime", "diratime",
    "lazytime", "nolazytime", "mand", "nomand", "iversion", "noiversion", "silent", "loud", "suid,dev,exec", "nosuid,nodev,noexec", "ro",
    "file_cache=none,metadata_cache_enabled=false,allow_other", "uid=1000,gid=1000,umask=022", "fsname=Notes", "log=/run/log",
]


@pytest.mark.parametrize("options", FSTAB_OPTIONS)
def test_fstab_line(machine, options):
    point = machine.place()
    machine.fstab(f"memory: {point} fuse.tenon {options} 0 0")
    assert machine.ok("mount", point) == ""
    there = machine.mounted(point)
    assert there["type"] == "fuse.tenon"
    assert ("ro" in there["options"]) == (options == "ro")
    assert ("noexec" in there["options"]) == (options in ("user", "users", "nosuid,nodev,noexec"))
    # These two are left out by mount(8) itself unless they are asked for: dev and suid are its defaults.
    assert ("nodev" in there["options"]) == ("nosuid" in there["options"]) == (
        options in ("user", "users", "group", "owner", "noauto,user,exec", "nosuid,nodev,noexec"))
    assert ("sync" in there["inner"]) == (options == "sync")
    assert machine.ok("umount", point) == ""
    assert machine.mounted(point) is None


def test_fstab_with_blanks_and_mount_all(machine):
    blanks, second, other = machine.place("a b"), machine.place(), machine.place()
    vault = blanks.parent / "my notes.vault"
    machine.fstab(f"{vault}\t{blanks}\tfuse.tenon\tdefaults,nofail\t0\t0".replace(" ", r"\040"),
                  f"memory: {second} fuse.tenon defaults 0 0", f"memory: {other} fuse.tenon noauto 0 0")
    assert machine.ok("mount", "-a") == ""
    machine.ok("touch", blanks / "kept")
    assert machine.mounted(blanks)["source"] == str(vault)
    assert machine.mounted(second) and not machine.mounted(other)
    # What is mounted already is left alone.
    assert machine.ok("mount", "-a") == ""
    assert len([drive for drive in machine.drives() if drive["mountpoint"] in (str(blanks), str(second))]) == 2
    assert machine.ok("umount", "-a", "-t", "fuse.tenon") == ""
    assert not machine.mounted(blanks) and not machine.mounted(second)
    assert machine.ok("mount", vault) == ""
    assert machine.ok("ls", blanks) == "kept\n"
    assert machine.ok("umount", blanks) == ""


def test_failures_have_the_codes_of_mount(machine):
    point = machine.place()
    missing = point / "none"
    mount = ["mount", "-t", "fuse.tenon"]
    assert machine.refused(32, *mount, "memory:", missing) == f"{missing} does not exist: make it with mkdir {missing}"
    assert machine.refused(32, *mount, "/none/a.vault", point) == "the folder of /none/a.vault does not exist: make it with mkdir"
    assert "12X" in machine.refused(32, *mount, "memory:12X", point)
    assert machine.refused(1, *mount, "memory:", point, "-o", "noexc") == "there is no option 'noexc': did you mean 'noexec'?"
    assert machine.refused(1, *mount, "/dev/sda1", point) == "/dev/sda1 is not a drive: give NAME.vault or memory:"
    assert machine.mounted(point) is None
    machine.ok(*mount, "memory:", point)
    assert "already mounted" in machine.refused(32, *mount, "memory:1M", point)
    machine.ok("umount", point)
    assert machine.run(*mount, "memory:", point / "none", "-o", "nofail").returncode == 32


def test_no_device(machine):
    point = machine.place()
    done = machine.run("unshare", "-m", "sh", "-c", f"mount -t tmpfs none /dev && mount -t fuse.tenon memory: {point}")
    assert done.returncode == 32
    assert "/dev/fuse is not there" in done.stderr


def test_wrong_calls_of_the_helper(machine):
    assert machine.refused(1, HELPER).startswith("too few arguments: ")
    assert machine.refused(1, HELPER, "memory:").startswith("too few arguments: ")
    assert machine.refused(1, HELPER, "memory:", "/a", "/b").startswith("too many arguments: ")
    assert machine.refused(1, HELPER, "memory:", "/a", "-q") == "there is no option -q"
    assert machine.refused(1, HELPER, "memory:", "/a", "-o") == "option -o needs a value"
    assert machine.refused(32, HELPER, "memory:", "/a", "-N", "/none").startswith("the mount namespace /none cannot be entered: ")
    assert machine.ok(HELPER, "-h").startswith("Usage: mount -t fuse.tenon DRIVE DIRECTORY")


def test_fake_checks_and_mounts_nothing(machine):
    point = machine.place()
    vault = point.parent / "new.vault"
    machine.ok("mount", "-fn", "-t", "fuse.tenon", vault, point, "-o", "file_cache=none")
    assert machine.mounted(point) is None and not vault.exists()
    assert "file_cache" in machine.refused(1, "mount", "-f", "-t", "fuse.tenon", vault, point, "-o", "file_cache=purple")


def test_sloppy_leaves_out_unknown_options(machine):
    point = machine.place()
    assert "no option 'colour'" in machine.refused(1, "mount", "-t", "fuse.tenon", "memory:", point, "-o", "colour=red")
    assert machine.ok("mount", "-s", "-t", "fuse.tenon", "memory:", point, "-o", "colour=red,noexec") == ""
    assert "noexec" in machine.mounted(point)["options"]
    # A value that an option does not take is a mistake even so.
    machine.ok("umount", point)
    machine.refused(1, "mount", "-s", "-t", "fuse.tenon", "memory:", point, "-o", "umask=9")


def test_verbose(machine):
    point = machine.place()
    assert machine.ok("mount", "-v", "-t", "fuse.tenon", "memory:", point) == f"mount.fuse.tenon: memory: mounted on {point}\n"


def test_remount(machine):
    point = machine.place()
    machine.ok("mount", "-t", "fuse.tenon", "memory:", point, "-o", "nosuid")
    assert machine.ok("mount", "-o", "remount,ro,noexec", point) == ""
    assert machine.mounted(point)["options"] == {"ro", "noexec", "nosuid", "relatime"}
    assert "Read-only" in machine.run("touch", point / "a").stderr
    assert machine.ok("mount", "-o", "remount,rw,exec,nodev,sync", point) == ""
    assert machine.mounted(point)["options"] == {"rw", "nosuid", "nodev", "relatime"}
    assert "sync" in machine.mounted(point)["inner"]
    assert machine.ok("touch", point / "a") == ""
    assert machine.ok("mount", "-o", "remount,suid,dev,async", point) == ""
    assert machine.mounted(point)["options"] == {"rw", "relatime"}
    assert "sync" not in machine.mounted(point)["inner"]
    assert "no option 'raed_only'" in machine.refused(1, "mount", "-o", "remount,raed_only", point)


def test_remount_of_what_tenon_mount_has_mounted(machine):
    point = machine.place()
    machine.ok("tenon", "mount", "memory:", point)
    assert machine.ok("mount", "-o", "remount,ro", point) == ""
    assert machine.mounted(point)["options"] == {"ro", "nosuid", "nodev", "relatime"}


def test_remount_with_an_fstab_line(machine):
    point = machine.place()
    machine.fstab(f"memory: {point} fuse.tenon file_cache=none,nofail,umask=027 0 0")
    machine.ok("mount", point)
    assert machine.ok("mount", "-o", "remount,ro", point) == ""
    assert "ro" in machine.mounted(point)["options"]
    assert machine.ok("mount", "-o", "remount,rw", point) == ""
    machine.ok("touch", point / "a")


def test_remount_cannot_open_the_drive_anew(machine):
    point = machine.place()
    vault = point.parent / "a.vault"
    machine.ok("mount", "-t", "fuse.tenon", vault, point)
    machine.ok("umount", point)
    machine.ok("mount", "-t", "fuse.tenon", vault, point, "-r")
    machine.ok("mount", "-o", "remount,ro", point)
    sentence = machine.refused(32, "mount", "-o", "remount,rw", point)
    assert sentence == f"{point} was mounted read-only, and its drive is open so: umount it and mount it with rw"


def test_remount_while_files_are_open_for_writing(machine):
    point = machine.place()
    machine.ok("mount", "-t", "fuse.tenon", "memory:", point)
    done = machine.sh(f"exec 3>{point}/a; mount -o remount,ro {point}")
    assert done.returncode == 32 and "busy" in done.stderr
    assert "rw" in machine.mounted(point)["options"]


def test_remount_of_what_is_not_there(machine):
    point = machine.place()
    assert machine.refused(32, HELPER, "memory:", point, "-o", "remount,ro") == f"no Tenon drive is mounted at {point}"


KILL_AND_WAIT = """
import os, select, signal, sys
process = os.pidfd_open(int(sys.argv[1]))
with open(sys.argv[2] + "/file", "wb", 0) as closed:
    closed.write(b"text")
still_open = os.open(sys.argv[2] + "/open", os.O_WRONLY | os.O_CREAT)
os.write(still_open, b"text")
signal.pidfd_send_signal(process, signal.SIGKILL)
select.select([process], [], [])
"""


def test_sync_makes_writes_durable(machine):
    point = machine.place()
    vault = point.parent / "a.vault"
    machine.ok("mount", "-t", "fuse.tenon", vault, point, "-o", "sync")
    pid = next(drive["pid"] for drive in machine.drives() if drive["mountpoint"] == str(point))
    # The second file is open still when the drive dies.
    machine.ok("/usr/bin/python3", "-c", KILL_AND_WAIT, pid, point)
    other = machine.place()
    machine.ok("mount", "-t", "fuse.tenon", vault, other)
    assert machine.ok("cat", other / "file", other / "open") == "texttext"


def test_another_namespace(machine):
    point = machine.place()
    with subprocess.Popen([*machine.enter, "unshare", "-m", "sh", "-c", "echo $$; exec cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as other:
        pid = other.stdout.readline().strip()
        assert machine.ok("mount", "-N", pid, "-t", "fuse.tenon", "memory:", point) == ""
        assert machine.mounted(point) is None
        assert f" {point} fuse.tenon " in machine.ok("cat", f"/proc/{pid}/mounts")
        assert machine.ok("nsenter", f"--mount=/proc/{pid}/ns/mnt", "umount", point) == ""
        assert machine.ok(HELPER, "memory:", point, "-N", pid) == ""
        assert f" {point} fuse.tenon " in machine.ok("cat", f"/proc/{pid}/mounts")
        assert machine.ok("nsenter", f"--mount=/proc/{pid}/ns/mnt", "umount", point) == ""


@pytest.mark.parametrize("streams", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_nothing_around_it(machine, streams):
    """No environment, no standard streams, and a working directory that is gone."""
    point = machine.place()
    gone = point.parent / "gone"
    gone.mkdir()
    done = machine.sh(f"cd {gone} && rmdir {gone} && exec env -i {HELPER} {point.parent}/a.vault {point} -o rw {streams}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.sh(f"echo text > {point}/file && cat {point}/file").stdout == "text\n"
    assert machine.ok("umount", point) == ""


def test_a_relative_vault_in_a_folder_that_is_gone(machine):
    point = machine.place()
    gone = point.parent / "gone"
    gone.mkdir()
    done = machine.sh(f"cd {gone} && rmdir {gone} && {HELPER} a.vault {point}")
    assert done.returncode == 32 and done.stderr == "mount.fuse.tenon: the folder of a.vault does not exist: make it with mkdir\n"


def test_options_after_the_arguments_whatever_the_environment_says(machine):
    point = machine.place()
    machine.ok("env", "POSIXLY_CORRECT=1", "mount", "-o", "noexec", "-t", "fuse.tenon", "memory:", point)
    assert "noexec" in machine.mounted(point)["options"]


def test_an_ordinary_user(machine, need):
    need("fusermount3", shutil.which("fusermount3"), "no fusermount3, with which ordinary users mount")
    point = machine.place()
    os.chown(point, 65534, 65534)
    machine.fstab(f"memory: {point} fuse.tenon noauto,user 0 0")
    script = f"mount -t tmpfs none /dev && mknod -m 666 /dev/fuse c 10 229 && mknod -m 666 /dev/null c 1 3 && exec {' '.join(NOBODY)} "
    done = machine.sh(f"unshare -m sh -c '{script} sh -c \"mount {point} && touch {point}/mine && ls {point} && umount {point}\"'")
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")
