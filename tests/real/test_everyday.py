"""What people do on a drive from day to day, in a shell: every command ends and says the same as on tmpfs."""
from __future__ import annotations

import os
import shutil
from pathlib import Path

from parity.places import Place
from parity.steps import ANNA, BERT, STAFF
from .conftest import Ground
from .session import directory, same_session, session

WORK = r"""
mkdir -p a/b/c && touch a/x a/b/y && seq 1000 >a/b/c/numbers && find a | sort
sed -i 's/^5/five/' a/b/c/numbers && grep -c five a/b/c/numbers
cp a/b/c/numbers old && sed -i.bak '/five/d' a/b/c/numbers; diff -u old a/b/c/numbers >change; echo $?; wc -l change
patch -s old <change && cmp old a/b/c/numbers
sort -R --random-source=old old | sort -n -T . -o old && head -n 3 old
split -n 7 old part- && ls part-* && cat part-* | cmp - old && rm part-*
install -D -m 640 old deep/er/installed && stat -c '%A %s' deep/er/installed
dd if=/dev/zero of=zeros bs=4k count=300 conv=fsync status=none && stat -c %s zeros
dd if=old of=zeros bs=1 seek=700000 count=100 conv=notrunc,fdatasync status=none && md5sum zeros
dd if=zeros of=appended oflag=append,dsync bs=10k conv=notrunc status=none && dd if=zeros of=appended oflag=append conv=notrunc status=none && md5sum appended
truncate -s 10M sparse && truncate -s +1 sparse && stat -c %s sparse && truncate -s %4096 sparse && stat -c %s sparse
truncate -s 100 -c nothing-there; ls nothing-there; truncate -s -5 old; tail -c 5 old
echo 0 >count; for n in $(seq 20); do flock lock bash -c 'read n <count; echo $((n + 1)) >count' & done; wait; cat count
flock lock sleep 0 && flock -n lock echo free; (flock 9; flock -n lock echo never || echo taken) 9<lock
mkfifo pipe && (cat old >pipe & cat pipe | md5sum; wait) && test -p pipe && rm pipe
mktemp -p . tmp.XXXXXX | wc -c; mktemp -d -p . tmp.XXXXXX | wc -c; rm -r tmp.*; ls
ln old hard && ln -s old soft && ln -sfn a soft && readlink soft && stat -c %h old && ln -f hard old2 && stat -c %h old
ln old; ln -s x soft/b; mv -T a deep; mv -n old hard; mv -v hard moved; mv --backup=numbered moved old2 && ls old2*
cp -l old linked && cp -s "$PWD/old" symbolic && cp --reflink=auto zeros cloned && cmp zeros cloned; cp --reflink=always zeros no 2>/dev/null || rm -f no
cp --sparse=always sparse sparse2 && cmp sparse sparse2; cp -a --attributes-only old bare && stat -c '%s %A' bare
rm -i old2 </dev/null; rmdir a; rmdir -p deep/er; chmod -R u=rwX,go=rX a; chmod u-w old; echo >>old; stat -c %A old
tar c a | tar x --one-top-level=copy && diff --no-dereference -r a copy/a && tar czf a.tgz a && tar tzf a.tgz | sort && tar df a.tgz
gzip -k zeros && gunzip -t zeros.gz && xz --version >/dev/null; gzip -f zeros && gunzip zeros && md5sum zeros
find . -newer change -name 'ol*' | sort; find . -empty -type f | sort; find . -links +2 | sort; find a -depth | sort; find . -size +1M | sort
touch -d '1999-12-31 23:59:59.123456789' then && stat -c %y then && touch -r then now && find . -newermt 1999-12-31T23:00 ! -newermt 2000-01-01 | sort
touch -h -d @0 soft && stat -c %Y soft; touch -a -d @5 then; stat -c '%X %Y' then; cp -p then kept && stat -c %y kept
du --apparent-size -b a/b/c/numbers old; find a -type f -printf '%s %m %n %p\n' | sort; ls -R a deep; ls -A | wc -l; ls -lU a/b | tail -n +2 | wc -l; du --inodes -s a
xargs -n1 -P8 sh -c 'echo $0 >parallel-$0' < <(seq 50) && cat parallel-* | sort -n | md5sum && rm parallel-*
for n in $(seq 30); do echo "line $n" >>log & done; wait; sort -k2n log | md5sum; tac log | wc -l; shred -u log; ls log
echo 'echo "I am $0"; exit 3' >script; ./script; chmod +x script; ./script; bash script; cp /bin/true program && ./program && echo fine
exec 5<>old; rm old; cat <&5 | wc -c; readlink /proc/self/fd/5 | grep -c deleted; ls -L /proc/self/fd/5 | wc -l
cd a && rm -rf ../a; pwd -P; touch x; ls; cd ..; ls -d a
sync -f . && sync -d zeros && df --output=target . | wc -l
"""

SHARED = r"""
id -u; umask 027; mkdir mine; touch mine/f; stat -c '%A %u %g' mine mine/f
umask 027 && mkdir masked && touch masked/f && stat -c '%A %u %g' masked masked/f
mkdir common/sub && touch common/f common/sub/g && stat -c '%A %u %g' common/sub common/f common/sub/g
install -m 2755 -d common/set && stat -c %A common/set; chmod g-s common/set; stat -c %A common/set; chgrp 62001 common/f; chgrp 1 common/f
cp -a theirs copied; stat -c '%A %u %g' copied copied/readable; cat copied/secret; cp -r theirs/readable copied/again
cat theirs/secret; cat theirs/readable; echo x >>theirs/readable; rm -f theirs/readable; mv theirs/readable .; ln theirs/readable linked
touch theirs/readable; touch -d @7 theirs/writable; touch theirs/writable; echo y >>theirs/writable; chmod 600 theirs/writable; truncate -s 0 theirs/writable
rm -f sticky/theirs; mv sticky/theirs sticky/other; mv sticky/mine sticky/renamed; touch sticky/new && rm sticky/new sticky/renamed; ls sticky
test -r theirs/secret; echo $?; test -w theirs/writable && echo writable; test -x theirs && echo enter; [ -O mine ] && echo owner; [ -G common ] || echo other group
chown 61002 mine; chown 61001 mine; chgrp 62001 mine && stat -c %g mine; chmod 4755 mine/f; chmod 6755 masked/f && stat -c %A masked/f; echo x >>masked/f; stat -c %A masked/f
ls closed; ls -d closed; cat closed/f; cat passing/known; ls passing; touch passing/new; find . -name known 2>&1 | sort
mknod device c 1 3; mknod fifo p && stat -c '%F %u' fifo; mkdir -m 1777 tmp && stat -c %A tmp; mkdir -m 000 shut; touch shut/f; rmdir shut
tar c --exclude=closed --exclude=passing . 2>/dev/null | tar t | sort; find . -user 61001 2>/dev/null | sort; find . ! -readable 2>/dev/null | sort
rm -rf masked mine copied common tmp fifo linked 2>&1 | sort; ls
"""


def prepare_shared(top: Path) -> Path:
    """A directory of Anna's with things of Bert's in it."""
    home = directory(top, "home", 0o755, ANNA, ANNA)
    directory(home, "common", 0o2775, BERT, STAFF)
    directory(home, "sticky", 0o1777, BERT, BERT)
    directory(home, "closed", 0o700, BERT, BERT)
    directory(home, "passing", 0o711, BERT, BERT)
    directory(home, "theirs", 0o755, BERT, BERT)
    for name, mode, uid in (("theirs/secret", 0o600, BERT), ("theirs/readable", 0o644, BERT), ("theirs/writable", 0o666, BERT),
                            ("sticky/theirs", 0o666, BERT), ("sticky/mine", 0o644, ANNA), ("closed/f", 0o644, BERT),
                            ("passing/known", 0o644, BERT)):
        (home / name).write_text(f"{name}\n")
        os.chown(home / name, uid, uid)
        (home / name).chmod(mode)
    return home


_reference: dict[str, list] = {}


def reference(name: str, tmpfs: Place, run_on) -> list:
    """The session on tmpfs, once per run."""
    if name not in _reference:
        top = tmpfs.root / f"session {name}"
        top.mkdir()
        try:
            _reference[name] = run_on(top)
        finally:
            shutil.rmtree(top)
    return _reference[name]


def test_shell(ground: Ground, tmpfs: Place) -> None:
    def work(top: Path) -> list:
        (top / "work").mkdir()
        return session(top / "work", WORK)
    wanted = reference("work", tmpfs, work)
    same_session(wanted, work(ground.root))


def test_shell_of_an_ordinary_user(ground: Ground, tmpfs: Place, need) -> None:
    need("root", os.geteuid() == 0, "changing users needs root")

    def work(top: Path) -> list:
        return session(prepare_shared(top), SHARED, ANNA, ANNA, STAFF)
    wanted = reference("shared", tmpfs, work)
    same_session(wanted, work(ground.root))
