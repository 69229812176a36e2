"""What the command says about itself, and about arguments it cannot make anything of."""
import re

import pytest


def test_help_names_every_command(bench):
    text = bench.ok("--help")
    for command in ("mount", "umount", "list", "check", "links"):
        assert f"tenon {command}" in text


@pytest.mark.parametrize("command", ["mount", "umount", "list", "check", "links"])
def test_each_command_has_help(bench, command):
    assert bench.ok(command, "--help").startswith(f"Usage: tenon {command}")


@pytest.mark.parametrize("command", ["mount", "umount", "list", "check", "links"])
def test_help_with_a_command_says_the_same(bench, command):
    assert bench.ok("help", command) == bench.ok(command, "--help")


def test_help_with_something_else(bench):
    assert bench.ok("help") == bench.ok("--help")
    assert bench.refused("help", "mont", status=2) == "there is no command 'mont': did you mean 'mount'?"


def test_a_drive_is_no_command(bench):
    """As one may write it who is used to mount(8), or /sbin/mount.fuse does for the type fuse."""
    for drive in ("notes.vault", "memory:"):
        assert bench.refused(drive, bench.point, status=2) == \
            f"there is no command '{drive}': a drive is mounted with tenon mount {drive} MOUNTPOINT"


def test_version(bench):
    assert re.fullmatch(r"tenon \d+\.\d+\.\d+\n", bench.ok("--version"))


def test_no_command(bench):
    assert "tenon --help" in bench.refused(status=2)


def test_unknown_command(bench):
    assert bench.refused("mont", status=2) == "there is no command 'mont': did you mean 'mount'?"
    assert "tenon --help" in bench.refused("xyzzy", status=2)
    assert len(bench.refused("x" * 5000, status=2)) < 200


@pytest.mark.parametrize("arguments", [
    ["mount"], ["mount", "memory:"], ["mount", "memory:", "a", "b"], ["umount"], ["umount", "a", "b"], ["list", "a"],
    ["check"], ["check", "a", "b"], ["links"], ["links", "-0"],
])
def test_wrong_number_of_arguments(bench, arguments):
    assert re.fullmatch(r"too (few|many) arguments: tenon \w+ .*", bench.refused(*arguments, status=2))


@pytest.mark.parametrize("arguments,named", [
    (["mount", "-x", "memory:", "mnt"], "-x"), (["mount", "--frobnicate", "memory:", "mnt"], "--frobnicate"),
    (["umount", "-q", "mnt"], "-q"), (["list", "--jason"], "--jason"), (["check", "-y", "a.vault"], "-y"),
])
def test_option_that_is_not_there(bench, arguments, named):
    assert f"there is no option {named}" in bench.refused(*arguments, status=2)


def test_option_without_its_value(bench):
    assert "-o needs a value" in bench.refused("mount", "memory:", "mnt", "-o", status=2)


def test_not_a_drive(bench):
    sentence = bench.refused("mount", "notes.txt", bench.point, status=2)
    assert sentence == "notes.txt is not a drive: give NAME.vault or memory:"
