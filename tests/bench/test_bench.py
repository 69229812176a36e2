"""`make bench` on a small scale: the figures have the shape that is promised, and who does the work wrongly has none."""
from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from parity.places import Base, mounts

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD") or REPOSITORY / "build").absolute()
LIMIT = 150
SMALL = ("--rounds", "2", "--warm-up", "0", "--size", "8M", "--files", "40")


@pytest.fixture
def bench(base: Base, programs: Path) -> Callable[..., tuple[int, str, dict]]:
    """Runs the driver: its exit code, the table, the object."""
    folder = base.fresh("bench")

    def start(*arguments: str) -> tuple[int, str, dict]:
        work, out = folder / "work", folder / "out"
        work.mkdir()
        done = subprocess.run([sys.executable, "-m", "bench", "--work", work, "--out", out, *SMALL, *arguments],
                              cwd=REPOSITORY, env={**os.environ, "BUILD": str(BUILD)}, capture_output=True, text=True,
                              timeout=LIMIT)
        assert not mounts(work) and not list(work.iterdir()), "something was left behind"
        results = {path.suffix: path.read_text() for path in out.glob("*")}
        assert set(results) == {".json", ".txt"}, done
        assert results[".txt"] in done.stdout
        return done.returncode, results[".txt"], json.loads(results[".json"])
    return start


def program(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=LIMIT)


def figures_of(result: dict) -> dict[tuple[str, str, str], dict]:
    return {(figure["case"], figure["figure"], figure["subject"]): figure
            for case in result["cases"] for figure in case["figures"]}


def test_every_subject_has_its_figures(bench: Callable) -> None:
    status, table, result = bench("--cases", "vault-* small-files")
    figures = figures_of(result)
    assert (status, result["format"]) == (0, 1)
    assert [case["failed"] for case in result["cases"]] == [{}, {}]
    subjects = {"tmpfs", "ext4", "memory", "vault"} - set(result["cases"][1]["skipped"])
    assert subjects >= {"tmpfs", "memory", "vault"}
    assert set(figures) == {
        *(("vault-stream", phase, subject) for phase in ("write", "write+close", "read") for subject in ("sqlite", "vault")),
        *(("small-files", phase, subject) for phase in ("create", "list", "stat-cold", "stat-warm", "delete")
          for subject in subjects)}
    for figure in figures.values():
        assert len(figure["values"]) == 2 and figure["min"] <= figure["median"] <= figure["max"] and figure["min"] > 0
    assert {"kernel", "cpus", "governor", "commit", "date", "load", "tenon", "sqlite"} <= set(result["machine"])
    assert len(table.splitlines()) > len(figures)


def test_ratios_are_those_of_the_rounds(bench: Callable) -> None:
    figures = figures_of(bench("--cases", "vault-stream")[2])
    vault, direct = (figures["vault-stream", "write", subject] for subject in ("vault", "sqlite"))
    assert (vault["reference"], direct["reference"]) == ("sqlite", None)
    assert vault["ratios"] == pytest.approx([mine / other for mine, other in zip(vault["values"], direct["values"])])
    assert vault["ratio"] == pytest.approx(sum(vault["ratios"]) / 2)
    assert vault["aim"] == {"ratio_at_least": 0.7} and vault["met"] == (vault["ratio"] >= 0.7)


def test_links_have_their_figures(bench: Callable, peer: Path) -> None:
    """The peer is measured in the same rounds, and who is compared with several has a ratio to each."""
    status, table, result = bench("--cases", "links-*")
    figures = figures_of(result)
    assert status == 0 and [case["failed"] for case in result["cases"]] == [{}, {}, {}]
    for case, phase in (("links-pairs", "pairs"), ("links-names", "link"), ("links-names", "stat-cold"), ("links-names", "stat-warm"),
                        ("links-copy", "cp-al")):
        peers, tmpfs, memory = (figures[case, phase, subject] for subject in ("libfuse", "tmpfs", "memory"))
        other, = memory["others"]
        assert (memory["reference"], other["reference"]) == ("libfuse", "tmpfs")
        assert memory["ratios"] == pytest.approx([mine / its for mine, its in zip(memory["values"], peers["values"])])
        assert other["ratios"] == pytest.approx([mine / its for mine, its in zip(memory["values"], tmpfs["values"])])
    assert table.count("x tmpfs") == 10 and table.count("x libfuse") == 12


def test_without_the_peer_the_others_are_measured(bench: Callable, base: Base, programs: Path) -> None:
    build = fake_build(base.fresh("fake") / "build", programs)
    (build / "bench" / "peer-libfuse").unlink(missing_ok=True)
    status, table, result = bench("--cases", "links-names", "--build", str(build), "--rounds", "1")
    case, = result["cases"]
    assert status == 0 and set(case["skipped"]) == {"libfuse"} and "libfuse left out" in table and "scripts/setup.sh bench" in table
    assert figures_of(result)["links-names", "link", "memory"]["reference"] == "tmpfs"


CALLS = ("stat", "fstat", "read-4K", "read-1M", "write-4K", "write-1M", "create-unlink")
PYTHON_PHASES = {"python-calls": CALLS, "python-calls-one-cpu": CALLS, "python-list": ("list",)}


@pytest.fixture(scope="session")
def edition(need: Callable[..., None]) -> None:
    need("python", (BUILD / "python" / "tenon").is_dir(), "the Python edition was not built: python3-dev is missing")
    options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    need("python", any(option["name"] == "b_sanitize" and option["value"] == "none" for option in options),
         "the Python edition was built with sanitizers, which would have to be loaded before Python")


def test_drives_in_python_have_their_figures(bench: Callable, edition: None) -> None:
    """Peers that are not installed are left out; whoever is measured has all figures, and is asked for each call."""
    status, table, result = bench("--cases", "python-calls* python-list", "--rounds", "1", "--files", "20")
    cases = {case["name"]: case for case in result["cases"]}
    subjects = {"fusepy", "pyfuse3", "tenon-python"} - set(cases["python-calls"]["skipped"])
    assert status == 0 and "tenon-python" in subjects
    assert set(figures_of(result)) == {
        (name, figure, subject) for name, phases in PYTHON_PHASES.items() for phase in phases
        for figure in (phase, f"{phase}, processor") for subject in subjects}
    if "requests" in cases["python-calls"]["skipped"]:
        pytest.skip(cases["python-calls"]["skipped"]["requests"])
    counted = {(of["figure"], of["subject"]): of for case in cases.values() for of in case["requests"]}
    for subject in subjects:
        for figure, opcode in (("fstat", "GETATTR"), ("read-1M", "READ"), ("write-1M", "WRITE"), ("create-unlink", "UNLINK")):
            of = counted[figure, subject]
            assert of["requests"][opcode] >= of["operations"], of
        assert counted["list", subject]["requests"]["OPENDIR"] == counted["list", subject]["operations"]
    assert table.count("requests for each") == 1


def test_the_cost_of_an_event_in_python(bench: Callable, edition: None) -> None:
    status, table, result = bench("--cases", "python-events")
    case, = result["cases"]
    figures = {figure["figure"]: figure["median"] for figure in case["figures"]}
    assert status == 0 and not case["skipped"] and {"call", "getattr", "read"} <= set(figures), table
    assert 0 < figures["call"] < figures["getattr"] < 1e6


def test_a_package_that_is_not_installed_is_left_out(bench: Callable, edition: None, base: Base, programs: Path) -> None:
    build = fake_build(base.fresh("fake") / "build", programs)
    (build / "python").mkdir()
    (build / "python" / "tenon").symlink_to(BUILD / "python" / "tenon")
    for name in ("fusepy", "fuse"):
        (build / "python" / f"{name}.py").write_text("raise ImportError('not here')\n")
    status, table, result = bench("--cases", "python-list", "--rounds", "1", "--build", str(build))
    case, = result["cases"]
    assert status == 0 and "fusepy" in case["skipped"] and "tenon-python" in {figure["subject"] for figure in case["figures"]}
    assert "fusepy left out: fusepy_memory.py: ImportError: not here: scripts/setup.sh bench" in table


def test_who_loses_what_is_written_is_found(base: Base, programs: Path) -> None:
    folder = base.fresh("calls")
    phases = ("prepare", "stat", "fstat", "read", "read-large", "write", "write-large", "check", "pairs", "fill", "list")
    for phase in phases:
        assert program(programs / "calls", phase, folder, 20).returncode == 0, phase
    (folder / "entry-7").rename(folder / "entry-20")
    assert "that was not made" in program(programs / "calls", "list", folder, 20).stderr
    (folder / "entry-20").unlink()
    assert "missing" in program(programs / "calls", "list", folder, 20).stderr
    # As if the last of the small pieces, and the last of the large ones, had not been written: what is there is older.
    for count in (19, 7):
        assert program(programs / "calls", "check", folder, count).returncode == 1
    for place in (5, (15 << 20) + 5):
        data = (folder / "file").read_bytes()
        (folder / "file").write_bytes(data[:place] + b"x" + data[place + 1:])
        assert program(programs / "calls", "check", folder, 20).returncode == 1
        (folder / "file").write_bytes(data)
        assert program(programs / "calls", "check", folder, 20).returncode == 0


def test_who_only_pretends_to_link_has_no_figures(base: Base, programs: Path) -> None:
    folder = base.fresh("links")
    for phase in ("make", "stat", "stat-often", "tree", "copy", "check"):
        assert program(programs / "links", phase, folder, 1500).returncode == 0, phase
    os.unlink(folder / "7" / "file-0-name-17")
    (folder / "7" / "file-0-name-17").touch()
    done = program(programs / "links", "stat", folder, 1500)
    assert (done.returncode, done.stderr) == (1, "a file has more or fewer names than it was given\n")
    os.unlink(folder / "second" / "1" / "file-600")
    os.link(folder / "second" / "1" / "file-601", folder / "second" / "1" / "file-600")
    assert program(programs / "links", "check", folder, 1500).returncode == 1


def fake_build(folder: Path, programs: Path, **scripts: str) -> Path:
    """A build folder in which some of the programs are others."""
    (folder / "bench").mkdir(parents=True)
    for name in ("tenon", "meson-info"):
        (folder / name).symlink_to(BUILD / name)
    for path in programs.iterdir():
        if path.is_file() and path.name not in scripts:
            (folder / "bench" / path.name).symlink_to(path)
    for name, text in scripts.items():
        (folder / "bench" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bench" / name).chmod(0o755)
    return folder


def test_who_gives_wrong_data_has_no_figures(bench: Callable, base: Base, programs: Path) -> None:
    # It writes as it should, and another byte afterwards.
    spoil = (f'{programs}/stream "$@" || exit; [ "$1" = write ] || exit 0\n'
             'printf x | dd of="$2" bs=1 seek=1000 conv=notrunc status=none')
    build = fake_build(base.fresh("fake") / "build", programs, stream=spoil)
    status, table, result = bench("--cases", "vault-stream", "--build", str(build))
    assert status == 1
    assert "what was read is not what was written" in result["cases"][0]["failed"]["vault"]
    assert {figure["subject"] for figure in result["cases"][0]["figures"]} == {"sqlite"}
    assert "vault FAILED" in table


def test_a_program_that_measures_by_itself(bench: Callable, base: Base, programs: Path) -> None:
    build = fake_build(base.fresh("fake") / "build", programs, nodes='echo \'{"bytes_per_file": 1000, "more": 1}\'')
    status, table, result = bench("--cases", "memory-of-names", "--build", str(build))
    figure, = result["cases"][0]["figures"]
    assert (status, figure["median"], figure["unit"], figure["met"]) == (0, 1000, "bytes", False)
    assert "<= 128: NOT MET" in table


def test_who_is_told_to_end_leaves_nothing(base: Base, programs: Path) -> None:
    work = base.fresh("ended")
    words = [sys.executable, "-m", "bench", "--work", work, "--cases", "vault-stream", "--warm-up", "0", "--size", "64M"]
    with subprocess.Popen(words, cwd=REPOSITORY, env={**os.environ, "BUILD": str(BUILD)}, stderr=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, text=True) as driver:
        # What it prints says where it is: the vault's turn has begun.
        while not (line := driver.stderr.readline()).endswith("vault\n"):
            assert line, "it has ended by itself"
        driver.terminate()
        driver.communicate(timeout=LIMIT)
    assert driver.returncode == 128 + signal.SIGTERM
    assert not mounts(work) and not list(work.iterdir())


def test_a_case_that_is_not_there_is_refused(programs: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "--cases", "nothing-*"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 2 and "no case is called nothing-*; there are vault-stream" in done.stderr


def test_one_wrong_byte_in_a_database_is_found(base: Base, programs: Path) -> None:
    database, size = base.fresh("sqlite") / "data", 2 << 20
    assert program(programs / "stream-sqlite", "write", database, size).returncode == 0
    assert program(programs / "stream-sqlite", "check", database, size).returncode == 0
    with sqlite3.connect(database) as connection:
        data = bytearray(connection.execute("SELECT data FROM block WHERE key = 20").fetchone()[0])
        data[999] ^= 1
        connection.execute("UPDATE block SET data = ? WHERE key = 20", (bytes(data),))
    connection.close()
    done = program(programs / "stream-sqlite", "check", database, size)
    assert (done.returncode, done.stderr) == (1, "what was read is not what was written\n")


@pytest.mark.parametrize("spoil, phases", [
    (lambda path: path.write_bytes(b"x" * 4096), ["check"]),
    (lambda path: path.write_bytes(b"x"), ["list", "stat", "check"]),
    (lambda path: path.unlink(), ["list", "stat", "check", "delete"]),
], ids=["data", "size", "name"])
def test_one_wrong_file_of_many_is_found(base: Base, programs: Path, spoil: Callable, phases: list[str]) -> None:
    folder = base.fresh("files")
    assert program(programs / "files", "create", folder, 20, 4096).returncode == 0
    for phase in ("list", "stat", "check"):
        assert program(programs / "files", phase, folder, 20, 4096).returncode == 0
    spoil(folder / "file-0000007.txt")
    for phase in phases:
        assert program(programs / "files", phase, folder, 20, 4096).returncode == 1, phase
