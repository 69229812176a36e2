"""A SQLite database on the drive, used by several processes at once."""
from __future__ import annotations

import multiprocessing
import os
import sqlite3
from pathlib import Path

import pytest

from parity.places import Tenon

WRITERS, ROUNDS = 3, 40


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=60, isolation_level=None)


def create(path: Path, journal: str) -> None:
    with connect(path) as db:
        assert db.execute(f"pragma journal_mode={journal}").fetchone() == (journal,)
        db.execute("create table entry (writer integer, number integer, data blob, unique (writer, number))")
        db.execute("create table total (writer integer primary key, sum integer)")
    db.close()


def write(path: Path, writer: int) -> None:
    """Each round is one transaction over both tables."""
    db = connect(path)
    for number in range(ROUNDS):
        db.execute("begin immediate")
        db.execute("insert into entry values (?, ?, ?)", (writer, number, bytes([writer]) * (number * 100)))
        db.execute("insert into total values (?, ?) on conflict do update set sum = sum + excluded.sum", (writer, number))
        if number % 7 == 6:
            db.execute("delete from entry where writer = ? and number = ?", (writer, number - 3))
        db.execute("rollback" if number % 5 == 4 else "commit")
    db.close()


def read(path: Path, ready, done) -> None:
    """Whatever is seen is one state: the totals are those of committed rounds, and never go back."""
    db = connect(path)
    last, rounds = 0, 0
    while not done.is_set() or rounds < 5:
        total, = db.execute("select coalesce(sum(sum), 0) from total").fetchone()
        assert total >= last
        last = total
        rounds += 1
        ready.set()
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close()


def exercise(path: Path, journal: str) -> list[tuple]:
    """Writers and readers together; what is in the database at the end."""
    create(path, journal)
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    readers = [context.Process(target=read, args=(path, ready, done), daemon=True) for _ in range(2)]
    for process in readers:
        process.start()
    assert ready.wait(60)
    writers = [context.Process(target=write, args=(path, number), daemon=True) for number in range(WRITERS)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(120)
    done.set()
    for process in readers:
        process.join(60)
    assert [process.exitcode for process in writers + readers] == [0] * (WRITERS + 2)
    return content(path)


def content(path: Path) -> list[tuple]:
    db = connect(path)
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    rows = db.execute("select writer, number, data from entry order by writer, number").fetchall()
    rows += db.execute("select writer, sum, null from total order by writer").fetchall()
    db.close()
    return rows


@pytest.mark.parametrize("journal", ["wal", "delete", "truncate", "persist"])
def test_writers_and_readers(drive: Tenon, plain: Path, journal: str) -> None:
    wanted = exercise(plain / "database", journal)
    assert exercise(drive.root / "database", journal) == wanted
    if drive.drive == "vault":
        drive.again()
        assert content(drive.root / "database") == wanted


def test_write_ahead_log_stays_behind(drive: Tenon) -> None:
    """A connection that is cut off leaves its log; the next one reads it."""
    path = drive.root / "database"
    create(path, "wal")
    context = multiprocessing.get_context("fork")

    def cut_off() -> None:
        db = connect(path)
        db.execute("pragma wal_autocheckpoint=0")
        db.execute("insert into entry values (1, 1, 'committed')")
        db.execute("begin immediate")
        db.execute("insert into entry values (1, 2, 'not committed')")
        os._exit(0)
    process = context.Process(target=cut_off)
    process.start()
    process.join(60)
    assert (drive.root / "database-wal").stat().st_size > 0
    assert content(path) == [(1, 1, "committed")]
