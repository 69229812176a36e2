#!/usr/bin/env bash
# Installs what is missing, from Debian packages, and says what and why.
#   setup.sh [GROUP...]      groups: build, test, deep, bench; default: build test
# Asks for the thing itself (a command, a header), so that one that came another way counts as well.
set -euo pipefail

header() { echo "#include <$1>" | cc -E - >/dev/null 2>&1; }
command_there() { command -v "$1" >/dev/null; }
library() { pkg-config --exists "$1" 2>/dev/null; }
fuzzer() { [ -n "$(find "$(clang -print-resource-dir 2>/dev/null)" -name 'libclang_rt.fuzzer*' -print -quit 2>/dev/null)" ]; }
# The tests run under Debian's own Python, whatever else comes first in PATH.
module() { /usr/bin/python3 -c "import $1" 2>/dev/null; }

# Of the Python that runs meson.
python_headers() { /usr/bin/python3 -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("include"), "Python.h").stat()' 2>/dev/null; }

editor() { command_there vim || command_there vim.tiny; }

missing=()
need() { # PACKAGE WHY PROBE...
    local package=$1 why=$2
    shift 2
    "$@" && return
    echo "setup: $package is missing: $why"
    missing+=("$package")
}

need_build() {
    need gcc "compiles everything" command_there cc
    need libc6-dev "headers of the C library and the kernel" header linux/fuse.h
    need meson "describes the build" command_there meson
    need ninja-build "runs the build" command_there ninja
    need pkg-config "finds the libraries" command_there pkg-config
    need python3 "generates the public headers and the reference" command_there python3
    need libsqlite3-dev "the vault drive keeps its tree in one SQLite file" library sqlite3
    need mount "umount(8)" command_there umount
    need python3-dev "headers of Python: the Python edition" python_headers
}

need_test() {
    need libcmocka-dev "unit tests in C" library cmocka
    need python3 "tests of real mounts" test -x /usr/bin/python3
    need python3-pytest "tests of real mounts" module pytest
    need mypy "types of the Python edition" command_there mypy
    need python3-mesonpy "builds the wheel of the Python edition" module mesonpy
    need python3-pip "builds and installs the wheel of the Python edition" module pip
    need python3-venv "where the wheel of the Python edition is installed" module ensurepip
    need g++ "the headers and an example in C++" command_there c++
    need bash-completion "completion in bash" test -e /usr/share/bash-completion/bash_completion
    need git "real programs on real mounts: git is one" command_there git
    need fuse3 "drives of ordinary users: fusermount3" command_there fusermount3
    need e2fsprogs "ext4, to compare behaviour with" command_there mkfs.ext4
}

need_deep() {
    need clang-format "checks the formatting" command_there clang-format
    need clang-tidy "static analysis" command_there clang-tidy
    need clang "builds the fuzzers" command_there clang
    need libclang-rt-14-dev "fuzzers and their sanitizers" fuzzer
    need cppcheck "static analysis" command_there cppcheck
    need shellcheck "checks the scripts" command_there shellcheck
    need zsh "completion in zsh" command_there zsh
    need fish "completion in fish" command_there fish
    need mandoc "checks the manual pages" command_there mandoc
    need fio "real programs on real mounts: writes and verifies" command_there fio
    need stress-ng "real programs on real mounts: many file system calls at once" command_there stress-ng
    need rsync "real programs on real mounts: keeps trees equal" command_there rsync
    need cpio "real programs on real mounts: keeps hard links" command_there cpio
    need vim-tiny "real programs on real mounts: an editor" editor
}

need_bench() {
    need libfuse3-dev "the peer that make bench measures hard links against" library fuse3
    need python3-fusepy "a peer that make bench measures the Python edition against" module fusepy
    need python3-pyfuse3 "a peer that make bench measures the Python edition against" module pyfuse3
}

[ $# -gt 0 ] || set -- build test
for group in "$@"; do
    case $group in
    build | test | deep | bench) "need_$group" ;;
    *)
        echo "setup: no group is called '$group'; there are build, test, deep and bench" >&2
        exit 2
        ;;
    esac
done

if [ ${#missing[@]} -gt 0 ]; then
    sudo=()
    if ! command_there apt-get; then
        echo "setup: this is not Debian; install by hand what corresponds to: ${missing[*]}" >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        if ! command_there sudo; then
            echo "setup: not root and no sudo; as root run: apt-get install ${missing[*]}" >&2
            exit 1
        fi
        sudo=(sudo)
    fi
    echo "setup: installing ${missing[*]}"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" </dev/null >>"$log" 2>&1; }
    if ! apt update || ! apt install --no-install-recommends "${missing[@]}"; then
        tail -n 20 "$log" >&2
        echo "setup: apt-get failed, see above" >&2
        exit 1
    fi
fi

if ! python3 -c 'import tomllib' 2>/dev/null; then
    echo "setup: python3 is $(python3 -c 'import sys; print(sys.version.split()[0])'), the build needs 3.11 or newer ($(command -v python3))" >&2
    exit 1
fi
[ -c /dev/fuse ] || echo "setup: /dev/fuse is not there: drives cannot be mounted on this machine (modprobe fuse?)"
