"""A SQLite database under a write-ahead log with four writers, where money is moved and none may be lost."""
from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import sqlite3
from pathlib import Path

from .conftest import THOROUGH, Ground

ACCOUNTS, OPENING = 40, 1000
WRITERS = 4
TRANSFERS = 1500 if THOROUGH else 120
KILLED = 8 if THOROUGH else 2


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=100, isolation_level=None)


def create(path: Path) -> None:
    db = connect(path)
    assert db.execute("pragma journal_mode=wal").fetchone() == ("wal",)
    db.execute("create table account (number integer primary key, balance integer not null)")
    db.execute("create table transfer (writer integer, number integer, source integer, target integer, amount integer,"
               " page blob, checksum text, primary key (writer, number))")
    db.executemany("insert into account values (?, ?)", [(number, OPENING) for number in range(ACCOUNTS)])
    db.close()


def checksum(*fields: object) -> str:
    return hashlib.sha256(repr(fields).encode()).hexdigest()


def transfer(db: sqlite3.Connection, chance: random.Random, writer: int, number: int) -> None:
    """Money goes from one account to another, and a row says so."""
    source, target = chance.sample(range(ACCOUNTS), 2)
    amount, page = chance.randrange(1, 50), chance.randbytes(chance.randrange(9000))
    db.execute("begin immediate")
    before, = db.execute("select balance from account where number = ?", (source,)).fetchone()
    after, = db.execute("select balance from account where number = ?", (target,)).fetchone()
    db.execute("update account set balance = ? where number = ?", (before - amount, source))
    db.execute("update account set balance = ? where number = ?", (after + amount, target))
    db.execute("insert into transfer values (?, ?, ?, ?, ?, ?, ?)",
               (writer, number, source, target, amount, page, checksum(writer, number, source, target, amount, page)))
    db.execute("commit")


def write(path: Path, writer: int, count: int, said: int) -> None:
    """Go on where this writer has stopped; say each transfer that is done."""
    db = connect(path)
    db.execute(f"pragma synchronous={'full' if writer % 2 else 'normal'}")
    db.execute("pragma wal_autocheckpoint=50")
    first, = db.execute("select coalesce(max(number) + 1, 0) from transfer where writer = ?", (writer,)).fetchone()
    for number in range(first, count):
        transfer(db, random.Random(writer * 1_000_003 + number), writer, number)
        os.write(said, b".")
    db.close()


def audit(path: Path) -> dict[int, int]:
    """The books are right. How many transfers each writer has made."""
    db = connect(path)
    assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
    db.execute("begin")
    balances = dict(db.execute("select number, balance from account"))
    rows = db.execute("select * from transfer order by writer, number").fetchall()
    db.execute("commit")
    db.close()
    wanted = dict.fromkeys(range(ACCOUNTS), OPENING)
    made: dict[int, int] = {}
    for *fields, found in rows:
        writer, number, source, target, amount, _ = fields
        assert checksum(*fields) == found, f"row {writer}, {number}"
        assert number == made.get(writer, 0), f"writer {writer} has no transfer {made.get(writer, 0)}"
        made[writer] = number + 1
        wanted[source] -= amount
        wanted[target] += amount
    assert balances == wanted
    return made


def kill_often(context, path: Path, writer: int) -> None:
    """A writer that is killed in the midst of its work keeps what it has said."""
    done = 0
    for _ in range(KILLED):
        hear, said = os.pipe()
        process = context.Process(target=write, args=(path, writer, 1 << 40, said))
        process.start()
        os.close(said)
        for _ in range(5):
            done += len(os.read(hear, 1))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        while more := os.read(hear, 4096):
            done += len(more)
        os.close(hear)
        assert audit(path)[writer] >= done


def test_four_writers(ground: Ground) -> None:
    path = ground.root / "bank"
    create(path)
    context = multiprocessing.get_context("fork")
    null = os.open("/dev/null", os.O_WRONLY)
    writers = [context.Process(target=write, args=(path, number, TRANSFERS, null), daemon=True) for number in range(WRITERS)]
    for process in writers:
        process.start()
    os.close(null)
    while any(process.is_alive() for process in writers):
        made = audit(path)
        assert all(count <= TRANSFERS for count in made.values())
    assert [process.exitcode for process in writers] == [0] * WRITERS
    assert audit(path) == dict.fromkeys(range(WRITERS), TRANSFERS)
    kill_often(context, path, WRITERS)
    before = audit(path)
    ground.again()
    assert audit(path) == before
