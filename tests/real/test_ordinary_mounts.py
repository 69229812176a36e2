"""Real programs on drives that people without root's rights have mounted: through fusermount3, and in a user namespace."""
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from parity.places import PATIENCE, wait_for_end
from tool.conftest import bench, real  # noqa: F401
from tool.test_unprivileged import open_bench, outer, user, userns  # noqa: F401
from .conftest import DRIVES, THOROUGH

TESTS = Path(__file__).resolve().parents[1]
PAIRS = [(who, drive) for who in ("user", "userns") for drive in DRIVES] if THOROUGH else [("user", "vault"), ("userns", "memory")]

# Runs there, as that user: other tests' functions on directories of the drive, and the shell session also on a plain one.
SCRIPT = """
import pathlib, sys, types
sys.path.insert(0, {tests!r})
from real import test_bank, test_editing, test_everyday, test_large, test_programs
from real.session import same_session, session
def ground(name):
    root = pathlib.Path("mnt").absolute() / name
    root.mkdir()
    return types.SimpleNamespace(root=root, kind="", again=lambda: None)
for test in (test_bank.test_four_writers, test_large.test_deeper_than_a_path, test_large.test_offsets_beyond_four_gibibytes,
             test_programs.test_run_and_replace, test_programs.test_program_does_not_start_while_it_is_written,
             test_programs.test_library, test_programs.test_python_environment):
    test(ground(test.__name__))
for save in (test_editing.by_renaming_the_old, test_editing.by_copying_the_old, *test_editing.ATOMIC):
    test_editing.test_save(ground(save.__name__), save)
plain = pathlib.Path("home/plain").absolute()
plain.mkdir()
same_session(session(plain, test_everyday.WORK), session(ground("shell").root, test_everyday.WORK))
"""


@pytest.mark.parametrize("who, drive", PAIRS)
def test_programs_on_their_drive(request: pytest.FixtureRequest, open_bench, who: str, drive: str) -> None:  # noqa: F811
    someone = request.getfixturevalue(who)
    # The checkout may lie where only root can go.
    tests = open_bench.folder / "public" / "tests"
    shutil.copytree(TESTS, tests, ignore=shutil.ignore_patterns("__pycache__", "*.c", "*.h"))
    (open_bench.folder / "script.py").write_text(SCRIPT.format(tests=str(tests)))
    source = "memory:" if drive == "memory" else "home/real.vault"
    someone.ok(f"$tenon mount {source} mnt")
    server = someone.process()
    try:
        done = someone.run("python3 -B script.py")
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        someone.ok("$tenon umount mnt")
    # Without a folder for its state file, as in a user namespace, the command does not know whom to wait for.
    assert wait_for_end([server], PATIENCE) == []
    if drive == "vault":
        someone.ok("$tenon check home/real.vault")
        assert "text" in someone.ok("$tenon mount home/real.vault mnt && ls mnt/by_replacing; $tenon umount mnt")
