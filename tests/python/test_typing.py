"""Type checkers and help know what there is: the stub, the description and the extension module agree."""
from __future__ import annotations

import ast
import importlib
import inspect
import os
import pydoc
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from installed import BUILD, REPOSITORY

API = tomllib.loads((REPOSITORY / "api" / "cbfs.toml").read_text(encoding="utf-8"))
PACKAGE = BUILD / "python"
EXAMPLES = sorted((REPOSITORY / "examples" / "python").glob("*.py"))
# Written to be short, without annotations.
PLAIN = {"dictionary.py"}

GOOD = '''
import asyncio
import ctypes
import errno
import os
from datetime import datetime, timezone
from pathlib import Path

import tenon


class Drive:
    def __init__(self) -> None:
        self.cbfs = tenon.CBFS()
        self.cbfs.on_read_file = self.read_file
        self.cbfs.on_write_file = self.write_file
        self.cbfs.on_get_file_info = lambda e: None
        self.cbfs.on_open_file = None
        self.cbfs.use_hard_links = True
        self.cbfs.set_use_hard_links(self.cbfs.get_use_hard_links())

    async def read_file(self, e: tenon.CBFSReadFileEventParams) -> None:
        data = b"data"[:e.bytes_to_read]
        memoryview(e.buffer)[:len(data)] = data
        ctypes.memmove(e.buffer, data, len(data))
        e.bytes_read = len(data)
        e.file_context = {"any": "object"}
        await asyncio.sleep(0)

    def write_file(self, e: tenon.CBFSWriteFileEventParams) -> None:
        with open("/dev/null", "wb") as file:
            file.write(e.buffer)
        kept = b"before" + e.buffer
        e.bytes_written = min(len(kept), len(e.buffer), len(bytes(e.buffer)), len(ctypes.string_at(e.buffer, 2)))
        if e.cancelled:
            e.result_code = tenon.ERROR_OPERATION_ABORTED | 0
        e.on_cancel = lambda: print("gave up")
        e.defer()
        e.complete()

    def get_file_info(self, e: tenon.CBFSGetFileInfoEventParams) -> None:
        e.last_write_time = datetime.now(timezone.utc)
        e.last_access_time = None
        e.last_write_time_ns, e.creation_time_ns = 10**18, None
        e.attributes = tenon.FILE_ATTRIBUTE_DIRECTORY | tenon.CBFS.FILE_ATTRIBUTE_READONLY
        e.result_code = errno.ENOENT
        e.real_file_name = Path("name")
        print(e.real_file_name.upper(), e.last_access_time.year)


def main() -> None:
    cbfs = Drive().cbfs
    code: int = tenon.ERROR_FILE_NOT_FOUND + tenon.CBFS.ERROR_ACCESS_DENIED
    raise_at = {tenon.NOT_GIVEN: code, tenon.ROOT_ID: os.EX_OK}
    try:
        with cbfs.mounted(Path("/mnt")) as volume, volume:
            token: tenon.Token = volume.get_originator_token()
            print(token.uid, token.groups[0], volume.get_links("/a")[0], volume.get_facts()["pid"], volume.config("Umask"), raise_at)
        cbfs.add_mounting_point(b"/mnt", flags=tenon.MOUNT_NO_EXEC)
        cbfs.delete_storage(force_unmount=True)
        cbfs.serve("/mnt")
    except tenon.CBFSError as error:
        print(error.errno, error.strerror, error.code, error.message)
'''
WRONG = '''
import tenon

def read_file(e: tenon.CBFSReadFileEventParams) -> None:
    e.position = 1
    e.bytes_red = 2
    e.bytes_read = "3"

def handler(e: tenon.CBFSWriteFileEventParams) -> int:
    return 0

cbfs = tenon.CBFS()
cbfs.on_read_file = handler
cbfs.active = True
cbfs.no_such_property = True
cbfs.mount_media("soon")
print(tenon.ERROR_NO_SUCH_ERROR)
'''


@pytest.fixture(scope="module")
def tenon(plain_build, need) -> ModuleType:
    need("python", list(PACKAGE.glob("tenon/_tenon*.so")), "built without the Python edition: the headers of Python are missing (python3-dev)")
    if str(PACKAGE) not in sys.path:
        sys.path.insert(0, str(PACKAGE))
    return importlib.import_module("tenon")


@pytest.fixture(scope="module")
def mypy(tenon, need, tmp_path_factory) -> Any:
    """Checks like a user of the package, with one cache for all."""
    need("mypy", shutil.which("mypy"), "no mypy")
    folder = tmp_path_factory.mktemp("mypy")

    def check(*arguments: object) -> list[str]:
        done = subprocess.run(["mypy", "--cache-dir", folder / "cache", "--no-error-summary", "--no-color-output", *map(str, arguments)],
                              cwd=folder, env={**os.environ, "MYPYPATH": str(PACKAGE)}, capture_output=True, text=True, timeout=180)
        assert done.returncode in (0, 1) and not done.stderr, done
        return done.stdout.splitlines()
    return check


def test_package(mypy) -> None:
    assert mypy("--strict", "-p", "tenon") == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples(mypy, example) -> None:
    assert mypy("--check-untyped-defs" if example.name in PLAIN else "--strict", example) == []


def test_what_is_right_passes(mypy, tmp_path) -> None:
    program = tmp_path / "good.py"
    program.write_text(GOOD, encoding="utf-8")
    assert mypy("--strict", program) == []


def test_what_is_wrong_is_found(mypy, tmp_path) -> None:
    program = tmp_path / "wrong.py"
    program.write_text(WRONG, encoding="utf-8")
    lines = {number for number, line in enumerate(WRONG.splitlines(), 1) if line and not re.match(r"import|def|cbfs = |    return", line)}
    assert {int(line.split(":")[1]) for line in mypy("--strict", program)} == lines


class Stub:
    """What _tenon.pyi says of a class: its names, and those that can be set."""

    def __init__(self, body: list[ast.stmt]):
        self.functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef) and not node.decorator_list}
        decorated = [node for node in body if isinstance(node, ast.FunctionDef) and node.decorator_list]
        self.properties = {node.name for node in decorated}
        self.settable = {node.name for node in decorated if isinstance(node.decorator_list[0], ast.Attribute)}
        annotated = {node.target.id: node.annotation for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
        descriptors = {name for name, kind in annotated.items() if isinstance(kind, ast.Name) and kind.id in ("_Text", "_Time")}
        self.properties |= descriptors
        self.settable |= descriptors
        self.variables = {*annotated} - descriptors
        self.classes = {node.name: Stub(node.body) for node in body if isinstance(node, ast.ClassDef)}
        self.names = {*self.functions, *self.properties, *self.variables, *self.classes}


@pytest.fixture(scope="module")
def stub(tenon) -> Stub:
    return Stub(ast.parse((PACKAGE / "tenon" / "_tenon.pyi").read_text(encoding="utf-8")).body)


def names_of(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("__")}


def test_stub_has_what_the_module_has(tenon, stub) -> None:
    module = importlib.import_module("tenon._tenon")
    # Some are there for checkers alone.
    assert {name for name in stub.names if name not in ("_Text", "_Time")} == names_of(module)
    assert len(stub.classes) > len(API["event"])
    for name, described in stub.classes.items():
        inherited = stub.classes["EventParams"].names if name.endswith("EventParams") else {"value"} if name == "Buffer" else set()
        # The types of members have what the base has by word of the stub.
        if name not in ("EventParams", "_Text", "_Time"):
            assert {each for each in described.names | inherited if not each.startswith("__")} == names_of(getattr(module, name)), name


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


@pytest.mark.parametrize("event", API["event"], ids=lambda event: event["name"])
def test_members_are_the_descriptions(stub, event) -> None:
    described = stub.classes[f"CBFS{camel(event['name'])}EventParams"]
    members = {(member["name"], member.get("dir", "in") != "in") for member in event["members"]}
    members |= {(member["name"] + "_ns", member.get("dir", "in") != "in") for member in event["members"] if member["type"] == "time"}
    assert {(name, name in described.settable) for name in described.properties} == members


def test_properties_are_the_descriptions(tenon, stub) -> None:
    described = stub.classes["_CBFS"]
    settable = {prop["name"] for prop in API["property"] if not prop.get("readonly")}
    handlers = {f"on_{event['name']}" for event in API["event"]}
    assert described.settable == settable | handlers
    assert described.properties == {prop["name"] for prop in API["property"]} | handlers
    volume = tenon.CBFS()
    for name in described.properties - described.settable:
        with pytest.raises(AttributeError):
            setattr(volume, name, getattr(volume, name))


def test_signatures_are_the_stubs(tenon, stub) -> None:
    named = 0
    for name, node in stub.classes["_CBFS"].functions.items():
        if name.startswith("_"):
            continue
        told = list(inspect.signature(getattr(tenon.CBFS, name)).parameters.values())
        arguments = [*node.args.posonlyargs, *node.args.args]
        defaults = [ast.literal_eval(value) for value in node.args.defaults]
        assert [one.name for one in told] == [one.arg for one in arguments], name
        assert [one.default for one in told if one.default is not one.empty] == defaults, name
        named += 1
    assert named > len(API["method"]) + len(API["property"])


def test_constants_are_numbers(tenon) -> None:
    values = {prefix["prefix"] + name: value for prefix in API["constants"] for name, value in prefix["values"].items()}
    errors = [f"ERROR_{name}" for name in API["errors"]]
    assert {name: getattr(tenon, name) for name in values} == values == {name: getattr(tenon.CBFS, name) for name in values}
    assert all(type(getattr(tenon, name)) is int and getattr(tenon.CBFS, name) == getattr(tenon, name) for name in errors)


def test_help_has_the_rules_and_the_members(tenon) -> None:
    text = pydoc.plain(pydoc.render_doc(tenon.CBFS.on_create_hard_link))
    words = " ".join(text.split())
    event = next(event for event in API["event"] if event["name"] == "create_hard_link")
    assert "Update change_time of the file" in words and "Update change_time of the file" in " ".join(event["rules"].split())
    assert f"Without a handler: {event['unhandled']}." in words and "When: link(2)" in words
    settable = {member["name"] for member in event["members"] if member.get("dir", "in") != "in"}
    assert dict(re.findall(r"^ +(\w+)( \(may be set\))?: ", text.partition("Members")[2], re.M)) == {
        member["name"]: " (may be set)" if member["name"] in settable else "" for member in event["members"]}
    # In Python's names.
    for name in vars(tenon.CBFS.__base__):
        assert not re.search(r"\btenon_\w+|TENON_|\bNULL\b|tv_nsec", getattr(tenon.CBFS, name).__doc__ or ""), name


def test_star_brings_everything_public(tenon) -> None:
    script = ("from tenon import *; here = {*globals()}; import tenon; "
              "print(*sorted({n for n in vars(tenon) if n[0] != '_'} - here), CBFS.__module__, CBFSError.__module__, Token.__module__)")
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", script], env={"PYTHONPATH": str(PACKAGE)}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("tenon tenon tenon\n", "")
