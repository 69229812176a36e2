#!/usr/bin/env bash
# A guided tour of one drive in one file: hard links, real files, unmounting, what is left.
#   demo.sh BUILD_DIR      the build folder must be built
# Works in a folder of its own and leaves nothing behind. Fails when anything does not do what the tour says.
set -euo pipefail

build=$(realpath "${1:?usage: demo.sh BUILD_DIR}")
repository=$(realpath "$(dirname "$0")/..")
tenon=$build/tenon

say() { printf '\n%s\n' "$*" | fold -s -w 100; }
show() { # the command as one would type it, then do it
    local word line=
    for word; do
        case $word in *[!A-Za-z0-9_./:,+=@%-]*) word=${word@Q} ;; esac
        line="$line $word"
    done
    printf '  $%s\n' "$line"
    "$@" | sed 's/^/    /'
}
fail() {
    printf '\ndemo: %s\n' "$*" >&2
    exit 1
}

[ -x "$tenon" ] || fail "$tenon is not there: build it first, with make"

if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "mounting a drive needs root, and there is no sudo: run this as root"
    say "Mounting a drive needs root here, so the tour goes on under sudo."
    exec sudo -- "$0" "$build"
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/tenon-demo.XXXXXX")
clean_up() {
    status=$?
    cd /
    if mountpoint -q "$folder/drive"; then
        "$tenon" umount "$folder/drive" 2>/dev/null || umount -l "$folder/drive" || true
    fi
    rm -rf "$folder"
    [ "$status" = 0 ] || printf '\ndemo: this went wrong; everything that was made is cleaned up\n' >&2
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
cd "$folder"
PATH=$build:$PATH

# Checksums, modes and link counts of everything below a folder.
picture() { (
    cd "$1"
    find . -type f -print0 | sort -z | xargs -0 sha256sum
    find . -printf '%p %y %m %n %l\n' | sort
); }

say "A drive is one file. There is none yet, so mounting makes it:"
show mkdir drive
show tenon mount demo.vault drive
show findmnt -no SOURCE,FSTYPE,TARGET --mountpoint "$folder/drive"

say "It is a real drive: any program can use it. Copy a tree of files into it:"
mkdir tree
tar -C "$repository" --exclude-vcs --exclude='./build*' --exclude='*.vault*' -cf - . | tar -C tree -xf -
[ ! -d /usr/include/linux ] || cp -a /usr/include/linux tree/linux-headers
show cp -a tree drive/tree
show diff -r tree drive/tree
printf '    (no difference in %s files, %s)\n' "$(find drive/tree -type f | wc -l)" "$(du -sh --apparent-size drive/tree | cut -f1)"

say "A hard link is a second name for the same file: same inode number, link count 2."
printf '  $ echo "first line" >drive/notes.txt\n'
echo "first line" >drive/notes.txt
show ln drive/notes.txt drive/same-notes.txt
show stat -c '%n: inode %i, %h links, %s bytes' drive/notes.txt drive/same-notes.txt
[ "$(stat -c '%i %h' drive/notes.txt)" = "$(stat -c '%i %h' drive/same-notes.txt)" ] || fail "the two names are two files"

say "Change the file through one name, and the other shows it at once:"
printf '  $ echo "second line" >>drive/notes.txt\n'
echo "second line" >>drive/notes.txt
show cat drive/same-notes.txt
cmp drive/notes.txt drive/same-notes.txt || fail "the two names differ"
show stat -c '%n: inode %i, %h links, %s bytes' drive/notes.txt drive/same-notes.txt

say "Remove one name; the file stays under the other:"
show rm drive/notes.txt
show stat -c '%n: inode %i, %h links, %s bytes' drive/same-notes.txt
[ "$(stat -c %h drive/same-notes.txt)" = 1 ] || fail "the link count is not 1"

say "And give it its first name back:"
show ln drive/same-notes.txt drive/notes.txt

say "Unmount. The drive's process has ended when the command returns, and all is in the one file:"
picture drive >before
show tenon umount drive
show ls -l drive
show ls -lh demo.vault

say "Mount it again. Everything is there: contents, modes, names and links, compared by checksum:"
show tenon mount demo.vault drive
picture drive >after
cmp before after || fail "something has changed"
printf '    (%s files and folders, all the same)\n' "$(find drive | wc -l)"
show stat -c '%n: inode %i, %h links' drive/notes.txt drive/same-notes.txt
show tenon list
show tenon umount drive

say "Is the file sound?"
show tenon check demo.vault

say "That was the tour; its folder is removed again. To go on:"
sudo=${SUDO_USER:+sudo }
cat <<END
  mkdir ~/notes
  $sudo$tenon mount ~/notes.vault ~/notes
  $sudo$tenon umount ~/notes
END
