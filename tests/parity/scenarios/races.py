"""Several processes at once. What is noted must hold for every order in which things may happen."""
from __future__ import annotations

import errno
import os
import select
import threading
from typing import Callable

from .. import calls
from ..steps import Peer, Steps, read_file, scenario, write_file


def tally(act: Callable[[], None], count: int) -> dict[str, int]:
    """Do something often; how often it went well, and how often with which error."""
    seen: dict[str, int] = {}
    for _ in range(count):
        try:
            act()
            word = "ok"
        except OSError as error:
            word = calls.error_name(error)
        seen[word] = seen.get(word, 0) + 1
    return seen


def together(s: Steps, call: Callable, arguments: list[tuple]) -> list:
    """Run a function in one process per tuple of arguments, all at the same time; their results."""
    peers = [s.peer() for _ in arguments]
    for peer, args in zip(peers, arguments):
        peer.start(call, *args)
    s.progress(f"several at once: {call.__name__}")
    return [peer.result() for peer in peers]


def until_done(peers: list[Peer], act: Callable[[], None]) -> int:
    """Repeat something as long as others work."""
    waiting = {peer._answer for peer in peers}
    rounds = 0
    while waiting:
        act()
        rounds += 1
        waiting -= set(select.select(list(waiting), [], [], 0)[0])
    return rounds


# ------------------------------------------------------------------------ the ancestors of a path are renamed

DEEP = "a/b/c/d"


def visit(number: int, count: int) -> tuple[set[str], int, list[str]]:
    """Use paths whose ancestors come and go: the errors seen, wrong contents, and the names made."""
    errors, wrong, made = set(), 0, []
    for n in range(count):
        for act in ("stat", "read", "create", "rewrite", "list", "remove"):
            name = f"{DEEP}/new-{number}-{n}"
            try:
                if act == "stat":
                    wrong += os.stat(f"{DEEP}/fixed").st_size != 5
                elif act == "read":
                    wrong += read_file(f"{DEEP}/fixed") != b"fixed"
                elif act == "create":
                    fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
                    made.append(os.path.basename(name))
                    os.write(fd, name.encode())
                    os.close(fd)
                elif act == "rewrite":
                    fd = os.open(f"{DEEP}/own-{number}", os.O_RDWR)
                    os.pwrite(fd, b"%08d" % n, 0)
                    wrong += os.pread(fd, 100, 0) != b"%08d" % n
                    os.close(fd)
                elif act == "list":
                    wrong += "fixed" not in os.listdir(DEEP)
                elif n % 3 == 0:
                    os.unlink(name)
                    made.remove(os.path.basename(name))
            except OSError as error:
                errors.add(calls.error_name(error))
    return errors, wrong, made


def prepare(workers: int) -> None:
    os.makedirs(DEEP)
    write_file(f"{DEEP}/fixed", b"fixed")
    for number in range(workers):
        write_file(f"{DEEP}/own-{number}", b"%08d" % 0)


def shake() -> None:
    """Rename each ancestor away and back."""
    for path in ("a", "a/b", "a/b/c", DEEP):
        os.rename(path, f"{path}-away")
        os.rename(f"{path}-away", path)


def judge(s: Steps, results: list[tuple[set[str], int, list[str]]]) -> None:
    s.note("errors other than ENOENT", sorted(set().union(*(errors for errors, _, _ in results)) - {"ENOENT"}))
    s.note("wrong contents", sum(wrong for _, wrong, _ in results))
    made = sorted(name for _, _, names in results for name in names)
    found = sorted(name for name in os.listdir(DEEP) if name.startswith("new-"))
    s.note("made and not there", sorted(set(made) - set(found))[:5])
    s.note("there and not made", sorted(set(found) - set(made))[:5])
    s.note("with their contents", all(read_file(f"{DEEP}/{name}") == f"{DEEP}/{name}".encode() for name in found))
    s.note("nothing else", sorted(os.listdir(".")))


@scenario
def ancestors_are_renamed(s: Steps) -> None:
    prepare(3)
    peers = [s.peer() for _ in range(3)]
    for number, peer in enumerate(peers):
        peer.start(visit, number, 60)
    until_done(peers, shake)
    judge(s, [peer.result() for peer in peers])


@scenario
def ancestors_are_renamed_under_threads(s: Steps) -> None:
    prepare(4)
    results: list = [None] * 4

    def body(number: int) -> None:
        results[number] = visit(number, 40)
    threads = [threading.Thread(target=body, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        shake()
    for thread in threads:
        thread.join()
    judge(s, results)


@scenario
def ancestors_are_exchanged(s: Steps) -> None:
    """Two trees change places all the time: each path leads to one of them, never to neither."""
    for side in ("left", "right"):
        os.makedirs(f"{side}/deep/deeper")
        write_file(f"{side}/deep/deeper/f", side.encode())
    peers = [s.peer() for _ in range(2)]
    for peer in peers:
        peer.start(look_at_sides, 300)
    until_done(peers, lambda: calls.renameat2("left", "right", calls.RENAME_EXCHANGE))
    for peer in peers:
        s.note("seen wrong", peer.result())
    s.note("both", sorted(read_file(f"{side}/deep/deeper/f") for side in ("left", "right")))


def look_at_sides(count: int) -> list[str]:
    wrong = []
    for n in range(count):
        try:
            if read_file(f"{('left', 'right')[n % 2]}/deep/deeper/f") not in (b"left", b"right"):
                wrong.append("content")
        except OSError as error:
            wrong.append(calls.error_name(error))
    return wrong


# ------------------------------------------------------------------------ several want the same name


def grab(prefix: str, count: int, how: str) -> list[int]:
    """Try to make each of many names; which ones were made here."""
    won = []
    for n in range(count):
        name = f"{prefix}{n}"
        try:
            if how == "create":
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            elif how == "mkdir":
                os.mkdir(name)
            elif how == "link":
                os.link("source", name)
            elif how == "symlink":
                os.symlink("source", name)
            elif how == "rename":
                os.rename(f"old-{n}", name + f"-{os.getpid()}")
            elif how == "noreplace":
                mine = f"mine-{os.getpid()}"
                write_file(mine)
                calls.renameat2(mine, name, calls.RENAME_NOREPLACE)
            elif how == "unlink":
                os.unlink(f"old-{n}")
            elif how == "rmdir":
                os.rmdir(f"dir-{n}")
            won.append(n)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOENT):
                raise
    return won


@scenario
def one_winner_for_each_name(s: Steps) -> None:
    count = 150
    s.put("source")
    for how in ("create", "mkdir", "link", "symlink", "rename", "noreplace", "unlink", "rmdir"):
        for n in range(count):
            if how in ("rename", "unlink"):
                write_file(f"old-{n}")
            if how == "rmdir":
                os.mkdir(f"dir-{n}")
        results = together(s, grab, [(f"{how}-", count, how)] * 3)
        wins = sorted(n for result in results for n in result)
        s.note(f"{how}: each won by exactly one", wins == list(range(count)))
    s.note("links to the source", os.stat("source").st_nlink)
    s.note("left", sorted(name for name in os.listdir(".") if name.startswith(("old-", "dir-"))))


def flip(number: int, count: int) -> dict[str, int]:
    """Make and remove a link of one's own to the common file."""
    def once() -> None:
        os.link("f", f"link-{number}")
        os.stat(f"link-{number}")
        os.unlink(f"link-{number}")
    return tally(once, count)


@scenario
def links_come_and_go(s: Steps) -> None:
    s.put("f", b"data")
    s.note("all well", together(s, flip, [(n, 150) for n in range(3)]))
    s.stat("f")
    s.listing()


def open_or_miss(count: int) -> set[str]:
    """Open a name that comes and goes: its content is whole or the name is not there."""
    seen = set()
    for _ in range(count):
        try:
            seen.add(read_file("f").decode())
        except OSError as error:
            seen.add(calls.error_name(error))
    return seen


@scenario
def files_come_and_go(s: Steps) -> None:
    write_file("ready", b"whole")
    peers = [s.peer() for _ in range(2)]
    for peer in peers:
        peer.start(open_or_miss, 400)

    def once() -> None:
        os.link("ready", "f")
        os.unlink("f")
    until_done(peers, once)
    for peer in peers:
        s.note("never anything else", sorted(peer.result() - {"whole", "ENOENT"}))
    s.tree()


def cross(source: str, target: str, name: str, count: int) -> dict[str, int]:
    """Move a directory between two parents, to and fro."""
    def once() -> None:
        os.rename(f"{source}/{name}", f"{target}/{name}")
        os.rename(f"{target}/{name}", f"{source}/{name}")
    return tally(once, count)


@scenario
def directories_cross_each_other(s: Steps) -> None:
    for side in ("one", "two"):
        os.makedirs(f"{side}/{side}-dir/below")
        write_file(f"{side}/{side}-dir/below/f", side.encode())
    s.note("no deadlock", together(s, cross, [("one", "two", "one-dir", 200), ("two", "one", "two-dir", 200)]))
    s.tree()


def nest(own: str, other: str, count: int) -> set[str]:
    """Try to move a directory into another, while that one is moved into this one."""
    seen = set()
    for _ in range(count):
        try:
            os.rename(own, f"{other}/in")
            os.rename(f"{other}/in", own)
        except OSError as error:
            seen.add(calls.error_name(error))
    return seen


@scenario
def directories_never_swallow_each_other(s: Steps) -> None:
    s.do(os.mkdir, "a")
    s.do(os.mkdir, "b")
    results = together(s, nest, [("a", "b", 200), ("b", "a", 200)])
    s.note("errors", sorted(set().union(*results) - {"ENOENT", "EINVAL", "ENOTEMPTY", "EEXIST"}))
    found = [name for _, dirs, _ in os.walk(".") for name in dirs]
    s.note("both are there", len(found))


def churn(number: int, count: int) -> None:
    for n in range(count):
        name = f"d/churn-{number}-{n % 20}"
        write_file(name)
        os.rename(name, name + "x")
        os.unlink(name + "x")


@scenario
def listing_while_others_change(s: Steps) -> None:
    os.mkdir("d")
    for n in range(200):
        write_file(f"d/stays-{n:03}")
    peers = [s.peer() for _ in range(2)]
    for number, peer in enumerate(peers):
        peer.start(churn, number, 150)
    wrong = []

    def once() -> None:
        stays = [name for name in os.listdir("d") if name.startswith("stays")]
        if len(stays) != 200 or len(set(stays)) != 200:
            wrong.append(len(stays))
    until_done(peers, once)
    for peer in peers:
        peer.result()
    s.note("wrong lists", wrong[:5])
    s.note("left", len(os.listdir("d")))


def fill_by_path(number: int, count: int) -> None:
    for n in range(count):
        with open("shared", "r+b") as file:
            file.seek((number * count + n) * 100)
            file.write(bytes([65 + number]) * 100)


@scenario
def many_opens_of_one_file(s: Steps) -> None:
    s.put("shared")
    together(s, fill_by_path, [(n, 80) for n in range(4)])
    s.content("shared")
    s.stat("shared")


def truncate_and_write(number: int, count: int) -> None:
    for n in range(count):
        fd = os.open("f", os.O_RDWR | (os.O_TRUNC if n % 10 == 0 else 0))
        os.pwrite(fd, bytes([65 + number]) * 512, number * 512)
        os.close(fd)


@scenario
def truncation_against_writing(s: Steps) -> None:
    """Each block holds its own writer's bytes or zeroes."""
    s.put("f")
    together(s, truncate_and_write, [(n, 100) for n in range(3)])
    data = read_file("f")
    wrong = [at for at in range(len(data)) if data[at] not in (0, 65 + at // 512)]
    s.note("foreign bytes", wrong[:5])
    s.note("size is whole blocks", len(data) % 512)
