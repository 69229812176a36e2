"""The command with vaults that are not as they should be: one sentence, and nothing is lost."""
import os
import re
import signal
import sqlite3
import subprocess

import pytest

from .conftest import mounted, server_of

pytestmark = pytest.mark.usefixtures("real")


@pytest.fixture
def vault(bench):
    """A vault with a file in it."""
    bench.ok("mount", "demo.vault", "mnt")
    (bench.point / "file").write_text("content" * 1000)
    bench.ok("umount", "mnt")
    return bench.vault


def refused_and_kept(bench, vault, *arguments, **options):
    before = vault.read_bytes()
    sentence = bench.refused(*arguments, **options)
    assert vault.name in sentence
    assert vault.read_bytes() == before
    assert mounted(bench.point) is None
    return sentence


def test_not_a_database(bench):
    bench.vault.write_text("This is a letter, and not a vault. " * 100)
    refused_and_kept(bench, bench.vault, "mount", "demo.vault", "mnt")
    refused_and_kept(bench, bench.vault, "check", "demo.vault", status=2)


def test_a_database_of_something_else(bench):
    with sqlite3.connect(bench.vault) as database:
        database.execute("create table letters (text)")
    database.close()
    refused_and_kept(bench, bench.vault, "mount", "demo.vault", "mnt")
    refused_and_kept(bench, bench.vault, "check", "demo.vault", status=2)


def test_made_by_a_newer_version(bench, vault):
    database = sqlite3.connect(vault)
    version = database.execute("pragma user_version").fetchone()[0]
    database.execute(f"pragma user_version = {version + 1000}")
    database.commit()
    database.close()
    refused_and_kept(bench, vault, "mount", "demo.vault", "mnt")


def test_in_use(bench, vault):
    other = bench.folder / "other"
    other.mkdir()
    bench.ok("mount", "demo.vault", "mnt")
    (bench.point / "new").write_text("data")
    sentence = bench.refused("mount", "demo.vault", other)
    assert sentence.startswith(f"{bench.vault} is in use: it is mounted at {bench.point}")
    assert mounted(other) is None
    assert (bench.point / "new").read_text() == "data"


def test_on_a_disk_that_is_read_only(bench):
    disk = bench.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tenon-tests", disk], check=True)
    bench.ok("mount", disk / "demo.vault", "mnt")
    (bench.point / "a").write_text("b")
    bench.ok("umount", "mnt")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    sentence = refused_and_kept(bench, disk / "demo.vault", "mount", disk / "demo.vault", "mnt")
    assert "-o ro" in sentence or "read-only" in sentence
    assert "none.vault" in bench.refused("mount", disk / "none.vault", "mnt")
    bench.ok("mount", "-o", "ro", disk / "demo.vault", "mnt")
    assert (bench.point / "a").read_text() == "b"
    bench.ok("umount", "mnt")
    assert bench.ok("check", disk / "demo.vault").endswith(": sound\n")


def test_read_only_of_what_is_not_there(bench):
    assert bench.refused("mount", "-o", "ro", "demo.vault", "mnt").startswith("demo.vault does not exist")
    assert not bench.vault.exists()


def test_a_folder_instead_of_a_file(bench):
    (bench.folder / "folder.vault").mkdir()
    assert "folder.vault" in bench.refused("mount", "folder.vault", "mnt")
    assert "folder.vault is not a file" in bench.refused("check", "folder.vault", status=2)


def test_a_file_that_may_not_be_written(bench, vault):
    """Root may write anything, so this is an ordinary user's question; root's is a read-only mount."""
    bench.folder.chmod(0o777)
    os.chown(vault, 0, 0)
    vault.chmod(0o444)
    bench.folder.chmod(0o755)
    before = vault.read_bytes()
    done = bench.tenon("check", "demo.vault", user=65534, group=65534, extra_groups=[])
    assert done.returncode in (0, 2), done
    if done.returncode:
        assert "demo.vault" in done.stderr and done.stderr.count("\n") == 1
    assert vault.read_bytes() == before


def test_check_of_a_name_that_is_not_there(bench):
    assert bench.refused("check", "none.vault", status=2).startswith("none.vault does not exist")


def test_check_finds_damage(bench, vault):
    data = bytearray(vault.read_bytes())
    # Pages beyond the first, so that it still is a vault.
    for start in range(8192, len(data) - 16, 4096):
        data[start:start + 16] = os.urandom(16)
    vault.write_bytes(data)
    done = bench.tenon("check", "demo.vault")
    assert done.returncode in (1, 2), done
    if done.returncode == 1:
        assert re.search(r"^demo\.vault: \d+ problems?$", done.stdout, re.M)
    assert vault.read_bytes() == data


def test_killed_in_the_middle_it_is_still_sound(bench, vault, ended):
    bench.ok("mount", "demo.vault", "mnt")
    with open(bench.point / "synced", "w") as file:
        file.write("safe")
        file.flush()
        os.fsync(file.fileno())
    pid = server_of(bench.point)
    process = ended(pid)
    os.kill(pid, signal.SIGKILL)
    assert process.wait()
    assert "sound" in bench.ok("check", "demo.vault")
    bench.ok("mount", "demo.vault", "mnt")
    assert (bench.point / "synced").read_text() == "safe"
