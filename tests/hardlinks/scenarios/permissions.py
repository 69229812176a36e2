"""Who may make links, and take names away: owners, other users, set-user-id files, sticky directories."""
from __future__ import annotations

import os

from parity import calls
from parity.steps import ANNA, BERT, STAFF, Steps, read_file, write_file

from . import scenario


@scenario
def links_of_others(s: Steps) -> None:
    """As fs.protected_hardlinks says, whichever it is set to here."""
    s.do(os.chmod, ".", 0o777)
    anna = s.peer(ANNA, groups=[STAFF])
    for uid, gid, mode in ((0, 0, 0o644), (0, 0, 0o666), (0, STAFF, 0o660), (0, STAFF, 0o640), (0, 0, 0o4777), (0, STAFF, 0o2770),
                           (0, STAFF, 0o2760), (BERT, BERT, 0o666), (ANNA, ANNA, 0o000), (ANNA, ANNA, 0o4755), (ANNA, ANNA, 0o2755)):
        s.put("f", b"data")
        s.owned("f", mode, uid, gid)
        anna.step(f"link to {uid}'s {mode:o}", os.link, "f", "hers")
        s.tree()
        for name in ("f", "hers"):
            if os.path.exists(name):
                os.unlink(name)
    for name, make in (("fifo", os.mkfifo), ("link", lambda name: os.symlink("x", name))):
        make(name)
        anna.step(f"link to root's {name}", os.link, name, "hers", follow_symlinks=False)
    s.tree()


@scenario
def links_where_one_may_not_write(s: Steps) -> None:
    s.do(os.mkdir, "mine")
    s.do(os.mkdir, "open")
    s.owned("open", 0o777, 0, 0)
    s.put("open/f")
    s.owned("open/f", 0o644, ANNA, ANNA)
    anna = s.peer(ANNA)
    anna.do(os.link, "open/f", "mine/f")
    anna.do(os.link, "open/f", "open/g")
    fd = anna.open("open/f", os.O_RDWR)
    anna.step("by /proc", calls.link_open_file, fd, "open/h")
    anna.step("by an empty path", calls.linkat, fd, "", "open/i", calls.AT_EMPTY_PATH)
    s.do(os.chmod, "open", 0o000)
    anna.do(os.link, "open/f", "open/j")
    s.do(os.chmod, "open", 0o777)
    s.tree()


@scenario
def names_in_sticky_directories(s: Steps) -> None:
    """The directory's and the file's owner may take a name away; the owner of another name's directory has no say."""
    s.do(os.mkdir, "sticky")
    s.owned("sticky", 0o1777, 0, 0)
    s.do(os.mkdir, "hers")
    s.owned("hers", 0o755, ANNA, ANNA)
    s.put("sticky/f")
    s.owned("sticky/f", 0o666, BERT, BERT)
    s.do(os.link, "sticky/f", "hers/f")
    anna, bert = s.peer(ANNA), s.peer(BERT)
    anna.do(os.unlink, "sticky/f")
    anna.do(os.rename, "sticky/f", "sticky/g")
    anna.do(os.link, "sticky/f", "sticky/hers")
    anna.do(write_file, "hers/f", b"may be written")
    bert.do(os.unlink, "hers/f")
    bert.do(os.unlink, "sticky/f")
    anna.do(os.unlink, "hers/f")
    anna.do(os.unlink, "sticky/hers")
    s.tree()


@scenario
def set_user_id_by_all_names(s: Steps) -> None:
    """A write through one name takes the bits away, seen through the others; chmod gives them to all."""
    s.do(os.chmod, ".", 0o777)
    s.put("f", b"program")
    s.do(os.link, "f", "g")
    fd = s.open("g", os.O_RDONLY)
    anna = s.peer(ANNA)
    for change in ((write_file, "g", b"changed"), (os.truncate, "g", 3), (os.chown, "g", ANNA, -1)):
        s.owned("f", 0o6777, 0, 0)
        s.stat("g")
        (s if change[0] is os.chown else anna).do(*change)
        s.stat("f")
        s.stat(fd)
        s.do(read_file, "f")
    s.owned("f", 0o6777, ANNA, ANNA)
    anna.do(os.link, "f", "hers")
    s.stat("g")
    s.tree()


@scenario
def rights_count_by_all_names(s: Steps) -> None:
    """A change of mode through one name counts at once for who comes by another."""
    s.do(os.chmod, ".", 0o777)
    s.put("f", b"data", 0o600)
    s.do(os.link, "f", "g")
    anna = s.peer(ANNA)
    anna.do(read_file, "g")
    s.do(os.chmod, "f", 0o644)
    anna.do(read_file, "g")
    theirs = anna.open("g", os.O_RDONLY)
    s.do(os.chmod, "f", 0o600)
    anna.do(read_file, "g")
    anna.do(os.pread, theirs, 10, 0)
    s.do(os.chown, "g", ANNA, ANNA)
    anna.do(write_file, "f", b"hers")
    s.content("g")
