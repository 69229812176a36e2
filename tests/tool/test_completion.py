"""Completion in bash, zsh and fish: each shell is run, and asked what it offers."""
import os
import pathlib
import re
import shutil
import subprocess
import tomllib

import pytest

from .conftest import COMMAND, LIMIT, REPOSITORY

SCRIPTS = REPOSITORY / "tool" / "completion"
BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"

BASH = r"""
source "$LIBRARY"
source "$SCRIPTS/tenon.bash"
bind 'set completion-ignore-case off' 2>/dev/null
# Readline's own way to take a line apart: blanks, and : and = stand alone.
read -ra COMP_WORDS <<<"$(sed -E 's/[:=]+/ & /g' <<<"$LINE")"
[[ $LINE != *[' :='] || $LINE == *[:=] ]] || COMP_WORDS+=('')
COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9 COMP_KEY=9
compopt() { :; }
_tenon tenon "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
"""

# An interactive zsh on a terminal of its own; a key runs the completion, which prints what it would offer.
ZSH = r"""
cat >"$TMPDIR/setup" <<'END'
PROMPT=
fpath=("$SCRIPTS" $fpath)
autoload -Uz compinit
compinit -C -u -d "$DUMP"
compadd() {
    local -a found
    if (( ! ${@[(I)-[OAD]]} )); then
        builtin compadd -O found "$@"
        (( $#found )) && print -rl -- "<got>"${^found}"<end>"
    fi
    builtin compadd "$@"
}
offer() {
    _main_complete
    print -r "<done>"
}
zle -C offer complete-word offer
bindkey "^X" offer
stty -echo
print -r "<ready>"
END
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'source "$TMPDIR/setup"'
zpty -r -m shell text '*<ready>*'
zpty -w -n shell "$LINE"$'\x18'
zpty -r -m shell text '*<done>*'
print -r -- "$text"
zpty -d shell
"""


@pytest.fixture(scope="module")
def dump(tmp_path_factory) -> pathlib.Path:
    """Where zsh remembers what it found among its thousand functions: looking takes seconds."""
    return tmp_path_factory.mktemp("zsh") / "dump"


def environment(folder: pathlib.Path, line: str, dump: pathlib.Path) -> dict[str, str]:
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "tenon").exists():
        (programs / "tenon").symlink_to(pathlib.Path(COMMAND).resolve())
    return {"PATH": f"{programs}:{os.environ['PATH']}", "LINE": line, "SCRIPTS": str(SCRIPTS), "HOME": str(folder), "TMPDIR": str(folder),
            "LIBRARY": BASH_COMPLETION, "DUMP": str(dump), "XDG_CONFIG_HOME": str(folder / "config"), "XDG_DATA_HOME": str(folder / "data"), "TERM": "dumb",
            "LC_ALL": "C.UTF-8", **{name: text for name, text in os.environ.items() if name.endswith("SAN_OPTIONS")}}


def ask(bench, line: str, *command: str) -> str:
    done = subprocess.run(command, env=environment(bench.folder, line, bench.dump), cwd=bench.folder, capture_output=True, text=True, timeout=10,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done
    return done.stdout


def bash(bench, line: str) -> set[str]:
    """What the last word would become. The part before : and = stays as it is typed."""
    cut = re.search(r"[^ ]*[:=]|", line.rpartition(" ")[2])[0]
    return {cut + word for word in ask(bench, line, "bash", "--norc", "-c", BASH).splitlines()}


def fish(bench, line: str) -> set[str]:
    script = 'source $SCRIPTS/tenon.fish; complete --do-complete "$LINE"'
    return {word.partition("\t")[0] for word in ask(bench, line, "fish", "--no-config", "-c", script).splitlines()}


def zsh(bench, line: str) -> set[str]:
    return set(re.findall(r"<got>(.*?)<end>", ask(bench, line, "zsh", "-f", "-c", ZSH)))


def missing(shell: str) -> str:
    if shell == "bash" and not os.path.exists(BASH_COMPLETION):
        return "bash-completion"
    return "" if shutil.which(shell) else shell


@pytest.fixture(params=[bash, zsh, fish], ids=lambda shell: shell.__name__)
def offered(request, bench, need, dump):
    """offered(line): what the shell offers for the last word of it."""
    package = missing(request.param.__name__)
    need(package, not package, f"{package} is not installed")
    bench.dump = dump
    for name in ("one.vault", "two.vault", "letter.txt"):
        (bench.folder / name).touch()
    return lambda line: request.param(bench, line)


def test_commands(offered):
    assert {"mount", "umount", "list", "links", "check", "help", "--version"} <= offered("tenon ") | offered("tenon --v")
    assert offered("tenon um") == {"umount"}


def test_options(offered):
    assert {"-o", "-f"} <= offered("tenon mount -")
    assert offered("tenon mount --fo") == {"--foreground"}
    assert offered("tenon umount --l") == {"--lazy"}
    assert offered("tenon list --j") == {"--json"}
    assert offered("tenon check --") == {"--help"}
    assert offered("tenon links --n") == {"--null"}


def test_mount_options(offered):
    assert offered("tenon mount -o noe") == {"noexec"}
    assert offered("tenon mount -o ro,use_h") == {"ro,use_hard_links="}
    assert offered("tenon mount -o file_cache=sy") == {"file_cache=system"}
    assert offered("tenon mount -o ro,use_hard_links=") == {"ro,use_hard_links=true", "ro,use_hard_links=false"}
    assert offered("tenon mount --options=MaxWo") == {"--options=MaxWorkerThreadCount="}


def test_drives(offered):
    drives = offered("tenon mount ")
    assert {"memory:", "one.vault", "two.vault"} <= drives and "letter.txt" not in drives
    assert offered("tenon mount mem") == {"memory:"}
    assert offered("tenon check tw") == {"two.vault"}


def test_directories(offered):
    places = {place.rstrip("/") for place in offered("tenon mount -o ro one.vault ")}
    assert "mnt" in places and not {"one.vault", "letter.txt", "memory:"} & places


def test_files(offered):
    assert {"one.vault", "two.vault", "letter.txt"} <= {file.rstrip("/") for file in offered("tenon links ")}
    assert offered("tenon links -0 one.vault le") == {"letter.txt"}


def test_mounted_drives(offered, bench, real):
    blanks = bench.folder / "a b"
    blanks.mkdir()
    bench.ok("mount", "memory:", bench.point)
    bench.ok("mount", "memory:", blanks)
    places = {place.replace("\\", "") for place in offered("tenon umount ")}
    assert {str(bench.point), str(blanks)} <= places and "/proc" not in places
    assert offered(f"tenon umount {bench.point.parent}/m") == {str(bench.point)}


def test_help_of_a_command(offered):
    assert offered("tenon help um") == {"umount"}


def test_every_option_is_offered(bench):
    """What getopt knows is in the help, which is where completion has it from."""
    for source in sorted((REPOSITORY / "tool").glob("*.c")):
        options = re.findall(r'^\t\{"([a-z-]+)", (?:no|required)_argument,', source.read_text(encoding="utf-8"), re.M)
        if options:
            assert {f"--{option}" for option in options} <= {line.split("\t")[0] for line in bench.ok("complete", source.stem, "-").splitlines()}


def test_every_property_and_setting_is_offered(bench):
    api = tomllib.loads((REPOSITORY / "api" / "cbfs.toml").read_text(encoding="utf-8"))
    lines = bench.ok("complete", "mount", "-o", "").splitlines()
    summaries = dict(line.split("\t") for line in lines)
    assert {f"{item['name']}=" for item in api["property"] + api["setting"] if not item.get("readonly")} <= set(summaries)
    assert all(summaries.values())


def test_nothing_more(offered):
    assert offered("tenon check one.vault ") == offered("tenon list ") == offered("tenon nonsense ") == set()
