"""What make install installs: headers, the library's interface, manual pages; and that it goes again."""
import re
import shutil
import subprocess

import pytest

from installed import BUILD, install, keep_log

STRICT = ["-Wall", "-Wextra", "-Wshadow", "-pedantic", "-Werror", "-fsyntax-only"]
LANGUAGES = [["cc", "-x", "c", "-std=c11"], ["cc", "-x", "c", "-std=c17"], ["c++", "-x", "c++", "-std=c++17"], ["c++", "-x", "c++", "-std=c++20"]]
HEADERS = ["tenon.h", "tenon-testing.h", "tenon/constants.h", "tenon/events.h"]


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language[-1])
@pytest.mark.parametrize("header", HEADERS)
def test_each_header_on_its_own(installed, language, header, need):
    need(language[0], shutil.which(language[0]), f"no {language[0]}")
    done = subprocess.run([*language, *STRICT, "-I", installed.headers, "-"], input=f"#include <{header}>\n#include <{header}>\nextern int more;\n",
                          text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def declared(headers) -> set[str]:
    """The functions that the headers declare, and do not define."""
    text = subprocess.run(["cc", "-E", "-P", "-x", "c", "-I", headers, "-"], input="#include <tenon.h>\n#include <tenon-testing.h>\n",
                          text=True, capture_output=True, check=True).stdout
    statements = re.sub(r"\{[^{}]*\}", ";", re.sub(r"\{[^{}]*\}", ";", text)).split(";")
    found = (re.search(r"\b(tenon_\w+)\(", one) for one in statements if not re.search(r"\b(typedef|static)\b", one))
    return {match[1] for match in found if match}


def exported(library) -> dict[str, str]:
    """Name and version of each symbol that programs can link with."""
    lines = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library], capture_output=True, text=True, check=True).stdout
    symbols = [line.split()[1:] for line in lines.splitlines()]
    return dict(symbol.partition("@@")[::2] for kind, symbol in symbols if kind != "A")


def test_what_is_declared_is_exported_and_nothing_else(installed):
    functions = declared(installed.headers)
    assert {"tenon_volume_new", "tenon_mount_media", "tenon_get_file_cache", "tenon_copy_text", "tenon_testing_mount"} <= functions
    symbols = exported(installed.library / "libtenon.so")
    assert set(symbols) == functions
    assert set(symbols.values()) == {"TENON_0.1"}


def test_soname(installed):
    dynamic = subprocess.run(["readelf", "-d", installed.library / "libtenon.so"], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"SONAME.*\[(.*)\]", dynamic) == ["libtenon.so.0"]
    # Whoever links with Tenon gets nothing else with it.
    assert not [name for name in re.findall(r"NEEDED.*\[(.*)\]", dynamic) if not name.startswith(("libc.so.", "ld-linux"))]
    assert not re.search("RPATH|RUNPATH|TEXTREL", dynamic)


def test_programs_name_the_library_by_its_soname(installed):
    dynamic = subprocess.run(["readelf", "-d", installed.examples / "hello"], capture_output=True, text=True, check=True).stdout
    assert "libtenon.so.0" in re.findall(r"NEEDED.*\[(.*)\]", dynamic)


def test_each_function_has_a_manual_page(installed):
    pages = {page.name for page in (installed.manuals / "man3").iterdir()}
    assert not {f"{function}.3" for function in declared(installed.headers)} - pages
    for section, name in ((1, "tenon"), (5, "tenon-vault"), (7, "tenon_events"), (8, "mount.fuse.tenon")):
        assert (installed.manuals / f"man{section}" / f"{name}.{section}").exists()


def test_manual_pages_are_for_apropos(installed):
    """Each has one line under NAME, and each second name is of a page that is there and says it."""
    for page in installed.manuals.glob("man?/*"):
        text = page.read_text(encoding="utf-8")
        if text.startswith(".so "):
            target = installed.manuals / text.removeprefix(".so ").strip()
            assert page.stem in re.search(r"^\.SH NAME\n(.*) \\-", target.read_text(encoding="utf-8"), re.M)[1].split(", ")
        else:
            names = re.search(r"^\.SH NAME\n(.*) \\- .+\n\.SH", text, re.M)[1]
            assert page.stem in names.replace("\\-", "-").split(", ")


def test_uninstall(tmp_path, installed):
    root = tmp_path / "root"
    with keep_log(tmp_path / "install-log"):
        install(root)
        assert (root / "sbin" / "mount.fuse.tenon").is_symlink()
        subprocess.run(["ninja", "-C", BUILD, "uninstall"], check=True, stdout=subprocess.DEVNULL, timeout=120)
    assert not [path for path in root.rglob("*") if not path.is_dir()]
