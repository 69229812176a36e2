"""Who may do what: other users, groups, sticky and closed directories."""
from __future__ import annotations

import os
import stat

from .. import calls
from ..steps import ANNA, BERT, CARL, STAFF, Actor, Steps, flag_names, opens, read_file, scenario, write_file


@scenario
def file_modes_for_each_class(s: Steps) -> None:
    """Owner, group and others, with every combination of bits in their class."""
    anna, member, other = s.peer(ANNA, STAFF), s.peer(BERT, groups=[STAFF]), s.peer(CARL)
    for bits in range(8):
        for shift, actor in ((6, anna), (3, member), (0, other)):
            s.put("f", b"#!/bin/sh\n")
            s.owned("f", bits << shift, ANNA, STAFF)
            for access in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_PATH):
                actor.step(f"{bits << shift:04o} {flag_names(access)}", opens, "f", access)
            actor.do(os.truncate, "f", 10)
            actor.do(os.access, "f", os.X_OK)
            actor.step("stat needs no permission", lstat, "f")
            os.unlink("f")


def lstat(path: str) -> os.stat_result:
    return os.lstat(path)


def everything_in(directory: str) -> list[tuple[str, str]]:
    """Try each kind of call in a directory; what came of it."""
    inside = f"{directory}/inside"
    tries = (("list", lambda: os.listdir(directory)), ("stat", lambda: os.stat(inside)),
             ("stat of nothing", lambda: os.stat(f"{directory}/nothing")),
             ("read", lambda: read_file(inside)), ("write", lambda: opens(inside, os.O_WRONLY)),
             ("create", lambda: opens(f"{directory}/new", os.O_CREAT | os.O_EXCL | os.O_RDWR)),
             ("create what exists", lambda: opens(inside, os.O_CREAT | os.O_RDONLY)),
             ("mkdir", lambda: os.mkdir(f"{directory}/newdir")), ("mkdir on a name", lambda: os.mkdir(inside)),
             ("mkfifo", lambda: os.mkfifo(f"{directory}/newfifo")),
             ("symlink", lambda: os.symlink("x", f"{directory}/newlink")),
             ("link", lambda: os.link(inside, f"{directory}/newhard")),
             ("link out", lambda: os.link(inside, "newhard")),
             ("rename within", lambda: os.rename(inside, f"{directory}/renamed")),
             ("rename back", lambda: os.rename(f"{directory}/renamed", inside)),
             ("rename over", lambda: os.rename(f"{directory}/new", inside)),
             ("exchange", lambda: calls.renameat2(inside, f"{directory}/below", calls.RENAME_EXCHANGE)),
             ("readlink", lambda: os.readlink(f"{directory}/link")),
             ("rmdir", lambda: os.rmdir(f"{directory}/empty")),
             ("unlink", lambda: os.unlink(f"{directory}/victim")),
             ("chmod inside", lambda: os.chmod(inside, 0o644)),
             ("utime", lambda: os.utime(inside)), ("enter", lambda: os.chdir(directory)),
             ("tmpfile", lambda: opens(".", os.O_TMPFILE | os.O_RDWR)), ("leave", lambda: os.chdir("/")))
    results = []
    where = os.open(".", os.O_PATH)
    for label, act in tries:
        try:
            act()
            results.append((label, "ok"))
        except OSError as error:
            results.append((label, calls.error_name(error)))
    os.fchdir(where)
    os.close(where)
    return results


@scenario
def directory_modes_for_each_class(s: Steps) -> None:
    os.chmod(".", 0o777)
    people = ((6, s.peer(ANNA, STAFF)), (3, s.peer(BERT, groups=[STAFF])), (0, s.peer(CARL)))
    for bits in range(8):
        for shift, actor in people:
            name = f"d-{bits}-{shift}"
            os.mkdir(name)
            for file in ("inside", "victim"):
                write_file(f"{name}/{file}", b"data", 0o666)
                os.chmod(f"{name}/{file}", 0o666)
            os.mkdir(f"{name}/empty")
            os.mkdir(f"{name}/below")
            os.symlink("x", f"{name}/link")
            os.chown(name, ANNA, STAFF)
            os.chmod(name, bits << shift)
            actor.step(f"everything in {name}", everything_in, name)
            os.chmod(name, 0o755)
            s.tree(name)
            if os.path.lexists("newhard"):
                os.unlink("newhard")


@scenario
def closed_directory_on_the_way(s: Steps) -> None:
    s.do(os.makedirs, "a/b/c")
    s.put("a/b/c/f", b"data")
    anna = s.peer(ANNA)
    anna.do(read_file, "a/b/c/f")
    for closed in ("a", "a/b", "a/b/c"):
        os.chmod(closed, 0o600)
        anna.do(read_file, "a/b/c/f")
        anna.do(os.stat, "a/b/c")
        anna.do(os.mkdir, "a/b/c/d")
        os.chmod(closed, 0o755)
        anna.do(read_file, "a/b/c/f")
    d = anna.open("a/b", os.O_RDONLY)
    fd = anna.open("a/b/c/f", os.O_RDONLY)
    os.chmod("a", 0)
    anna.step("an open file stays open", os.pread, fd, 10, 0)
    anna.step("and an open directory", list_open, d)
    os.chmod("a/b/c/f", 0)
    anna.step("whatever its mode", os.pread, fd, 10, 0)


def list_open(fd: int) -> list[str]:
    return sorted(os.listdir(fd))


@scenario
def sticky_directories(s: Steps) -> None:
    s.do(os.mkdir, "sticky")
    s.do(os.mkdir, "away")
    s.do(os.chmod, "away", 0o777)
    people = {"anna": s.peer(ANNA), "bert": s.peer(BERT), "root": s}
    for owner in (0, ANNA):
        s.owned("sticky", 0o1777, owner, owner)
        for who, actor in people.items():
            for label, act in (("unlink", unlink_in), ("rename", rename_in), ("rename away", rename_away),
                               ("rename over", rename_over), ("rmdir", rmdir_in), ("exchange", exchange_in),
                               ("link", link_in)):
                make_in("sticky", BERT)
                actor.step(f"{who} {label} in {owner}'s", act, "sticky")
                s.tree(".")
                clear_in("sticky")
                clear_in("away")


def make_in(directory: str, owner: int) -> None:
    for name in ("file", "target"):
        write_file(f"{directory}/{name}")
        os.chown(f"{directory}/{name}", owner, owner)
        os.chmod(f"{directory}/{name}", 0o666)
    os.mkdir(f"{directory}/dir")
    os.chown(f"{directory}/dir", owner, owner)
    write_file(f"{directory}/anna")
    os.chown(f"{directory}/anna", ANNA, ANNA)


def clear_in(directory: str) -> None:
    for name in os.listdir(directory):
        path = f"{directory}/{name}"
        os.rmdir(path) if os.path.isdir(path) else os.unlink(path)


def unlink_in(directory: str) -> None:
    os.unlink(f"{directory}/file")


def rename_in(directory: str) -> None:
    os.rename(f"{directory}/file", f"{directory}/new")


def rename_away(directory: str) -> None:
    os.rename(f"{directory}/file", "away/new")


def rename_over(directory: str) -> None:
    os.rename(f"{directory}/anna", f"{directory}/target")


def rmdir_in(directory: str) -> None:
    os.rmdir(f"{directory}/dir")


def exchange_in(directory: str) -> None:
    calls.renameat2(f"{directory}/file", f"{directory}/anna", calls.RENAME_EXCHANGE)


def link_in(directory: str) -> None:
    os.link(f"{directory}/file", f"{directory}/new")


def change_owner_and_mode(actor: Actor, name: str) -> None:
    actor.do(os.chmod, name, 0o600)
    actor.do(os.chmod, name, 0o6755)
    actor.do(os.chown, name, ANNA, -1)
    actor.do(os.chown, name, BERT, -1)
    actor.do(os.chown, name, -1, STAFF)
    actor.do(os.chown, name, -1, CARL)
    actor.do(os.chown, name, -1, -1)
    actor.do(os.lchown, name, 0, 0)


@scenario
def chmod_and_chown_by_others(s: Steps) -> None:
    people = (s.peer(ANNA), s.peer(ANNA, groups=[STAFF]), s.peer(BERT), s.peer(BERT, groups=[STAFF]))
    for actor in people:
        for gid in (ANNA, STAFF):
            for make in (write_file, os.mkdir, os.mkfifo):
                make("f")
                s.owned("f", 0o644, ANNA, gid)
                change_owner_and_mode(actor, "f")
                s.stat("f")
                (os.rmdir if os.path.isdir("f") else os.unlink)("f")


@scenario
def set_group_id_needs_membership(s: Steps) -> None:
    anna, member = s.peer(ANNA), s.peer(ANNA, groups=[STAFF])
    for actor in (anna, member, s):
        for mode in (0o2755, 0o2745, 0o6755, 0o2000, 0o7777):
            s.put("f")
            s.owned("f", 0o644, ANNA, STAFF)
            actor.do(os.chmod, "f", mode)
            s.stat("f")
            os.unlink("f")


@scenario
def supplementary_groups(s: Steps) -> None:
    many = [70_000 + n for n in range(40)] + [STAFF]
    member = s.peer(BERT, groups=many)
    s.do(os.mkdir, "d")
    s.owned("d", 0o770, 0, STAFF)
    s.put("d/f", b"for the staff", 0o640)
    s.owned("d/f", 0o640, 0, STAFF)
    member.do(read_file, "d/f")
    member.do(write_file, "d/f")
    member.do(write_file, "d/new")
    member.do(os.chown, "d/new", -1, many[3])
    member.do(os.chown, "d/new", -1, 99_999)
    s.tree()
    outsider = s.peer(CARL, groups=many[:-1])
    outsider.do(read_file, "d/f")
    outsider.do(os.listdir, "d")


@scenario
def hard_links_by_others(s: Steps) -> None:
    s.do(os.chmod, ".", 0o777)
    anna = s.peer(ANNA)
    for mode in (0o644, 0o666, 0o600, 0o4777):
        s.put("f")
        s.owned("f", mode, 0, 0)
        anna.step(f"link to root's {mode:o}", os.link, "f", "hers")
        s.listing()
        for name in ("f", "hers"):
            if os.path.exists(name):
                os.unlink(name)


@scenario
def renames_by_others(s: Steps) -> None:
    s.do(os.chmod, ".", 0o777)
    s.do(os.mkdir, "mine")
    s.do(os.mkdir, "hers")
    s.owned("hers", 0o755, ANNA, ANNA)
    s.put("mine/f", b"mine")
    s.put("hers/g", b"hers")
    anna = s.peer(ANNA)
    anna.do(os.rename, "mine/f", "hers/f")
    anna.do(os.rename, "hers/g", "mine/g")
    anna.do(os.rename, "hers/g", "mine/f")
    anna.step("exchange", calls.renameat2, "hers/g", "mine/f", calls.RENAME_EXCHANGE)
    anna.step("move root's directory within a common one", os.rename, "mine", "hers/mine")
    anna.step("rename root's directory", os.rename, "mine", "renamed")
    anna.step("move her own", os.rename, "hers", "renamed/hers")
    s.tree()


@scenario
def special_files_of_others(s: Steps) -> None:
    s.do(os.chmod, ".", 0o777)
    s.do(os.mkfifo, "p", 0o600)
    s.do(os.mknod, "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    s.do(os.chmod, "null", 0o666)
    anna = s.peer(ANNA)
    anna.step("open a closed fifo", opens, "p", os.O_RDONLY | os.O_NONBLOCK)
    os.chmod("p", 0o644)
    anna.step("open a readable fifo", opens, "p", os.O_RDONLY | os.O_NONBLOCK)
    anna.step("open it for writing", opens, "p", os.O_WRONLY | os.O_NONBLOCK)
    anna.step("open a device where none are allowed", opens, "null", os.O_RDWR)
    s.step("and as root", opens, "null", os.O_RDWR)


@scenario
def root_may_everything(s: Steps) -> None:
    s.put("f", b"data")
    s.owned("f", 0, ANNA, ANNA)
    s.do(read_file, "f")
    s.step("write", opens, "f", os.O_RDWR)
    s.do(os.access, "f", os.X_OK)
    s.do(os.mkdir, "d")
    s.owned("d", 0, ANNA, ANNA)
    s.do(write_file, "d/f")
    s.listing("d")
    s.do(os.chmod, "d", 0o500)
    s.do(os.unlink, "d/f")


@scenario
def new_rights_count_at_once(s: Steps) -> None:
    """A change of mode, owner or group is effective for the next call, whatever was cached."""
    s.put("f", b"data")
    anna = s.peer(ANNA, groups=[STAFF])
    for mode, uid, gid in ((0o600, 0, 0), (0o604, 0, 0), (0o600, ANNA, 0), (0o060, ANNA, STAFF), (0o640, 0, STAFF),
                           (0o640, 0, 0), (0o666, 0, 0)):
        s.owned("f", mode, uid, gid)
        anna.do(read_file, "f")
        anna.do(os.access, "f", os.W_OK)
        anna.do(os.chmod, "f", mode)
