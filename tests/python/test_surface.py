"""Everything of api/cbfs.toml is there in Python, under its name, and can be set exactly where the description says so."""
from __future__ import annotations

import errno
import inspect
import os
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import tenon

from .drives import GUID, Channel, Drive
from .edition import API

EVENTS = {event["name"]: event for event in API["event"]}
PROPERTIES = {prop["name"]: prop for prop in API["property"]}
METHODS = {method["name"]: method for method in API["method"]}


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def params_class(name: str) -> type:
    kind = getattr(tenon, f"CBFS{camel(name)}EventParams")
    assert isinstance(kind, type)
    return kind


def attributes_of(member: dict[str, Any]) -> list[str]:
    return [member["name"], member["name"] + "_ns"] if member["type"] == "time" else [member["name"]]


@pytest.mark.parametrize("name", EVENTS)
def test_event(name: str) -> None:
    kind = params_class(name)
    members = [attribute for member in EVENTS[name]["members"] for attribute in attributes_of(member)]
    own = {attribute for attribute in vars(kind) if not attribute.startswith("__")}
    assert own == set(members) | {"cancelled", "on_cancel"}
    assert kind.__doc__ and kind.__module__ == "tenon" and kind.__qualname__ == f"CBFS{camel(name)}EventParams"
    assert all(vars(kind)[member].__doc__ for member in members)
    with pytest.raises(TypeError):
        kind()
    assert getattr(tenon.CBFS, f"on_{name}").__doc__


def test_no_event_is_made_up() -> None:
    handlers = {name for name in dir(tenon.CBFS) if name.startswith("on_")}
    assert handlers == {f"on_{name}" for name in EVENTS}
    assert {name for name in dir(tenon) if name.endswith("EventParams")} == {f"CBFS{camel(name)}EventParams" for name in EVENTS} | {"EventParams"}


@pytest.mark.parametrize("name", EVENTS)
def test_handler(name: str) -> None:
    cbfs = tenon.CBFS()
    handler, attribute = object.__new__(type("Handler", (), {"__call__": lambda self, e: None})), f"on_{name}"
    assert getattr(cbfs, attribute) is None
    setattr(cbfs, attribute, handler)
    assert getattr(cbfs, attribute) is handler
    for wrong in (1, "text", [], object()):
        with pytest.raises(TypeError):
            setattr(cbfs, attribute, wrong)
    assert getattr(cbfs, attribute) is handler
    setattr(cbfs, attribute, None)
    assert getattr(cbfs, attribute) is None


def test_deleting_a_handler_is_no_way_to_remove_it_while_mounted() -> None:
    drive = Drive()
    with Channel(drive):
        with pytest.raises((tenon.CBFSError, AttributeError)):
            del drive.cbfs.on_read_file
        assert drive.cbfs.on_read_file == drive.read_file


def test_handlers_while_mounted() -> None:
    drive = Drive()
    with Channel(drive) as channel:
        def other(e: Any) -> None:
            memoryview(e.buffer)[:5] = b"other"
            e.bytes_read = 5
        assert channel.read("/a") == b"hello, world"
        drive.cbfs.on_read_file = other
        assert drive.cbfs.on_read_file is other
        assert channel.read("/a") == b"other"
        with pytest.raises(tenon.CBFSError) as caught:
            drive.cbfs.on_read_file = None
        assert caught.value.errno == errno.EBUSY
        with pytest.raises(tenon.CBFSError) as caught:
            drive.cbfs.on_flush_file = other
        assert caught.value.errno == errno.EBUSY
        assert drive.cbfs.on_flush_file is None and channel.read("/a") == b"other"
    drive.cbfs.on_flush_file = other
    drive.cbfs.on_flush_file = None


def test_a_handler_added_between_two_mounts_fires() -> None:
    drive, fired = Drive(), []
    with Channel(drive):
        pass
    drive.cbfs.on_unmount = lambda e: fired.append("unmount")
    with Channel(drive):
        pass
    drive.cbfs.on_unmount = None
    with Channel(drive):
        pass
    assert fired == ["unmount"]


@pytest.fixture
def cbfs() -> Any:
    return tenon.CBFS()


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name: str, cbfs: Any) -> None:
    prop = PROPERTIES[name]
    getter = getattr(cbfs, f"get_{name}")
    assert getter() == getattr(cbfs, name)
    assert getattr(tenon.CBFS, name).__doc__ and getter.__doc__
    if prop.get("readonly"):
        assert not hasattr(cbfs, f"set_{name}")
        with pytest.raises(AttributeError):
            setattr(cbfs, name, 0)
        return
    assert getattr(cbfs, name) == prop["default"] and type(getattr(cbfs, name)) is type(prop["default"])
    with pytest.raises(AttributeError):
        delattr(cbfs, name)
    for value in values_of(prop):
        setattr(cbfs, name, value)
        assert getattr(cbfs, name) == getter() == value
        setattr(cbfs, name, prop["default"])
        getattr(cbfs, f"set_{name}")(value)
        assert getattr(cbfs, name) == value


def values_of(prop: dict[str, Any]) -> Iterator[Any]:
    kind = prop["type"]
    if kind == "bool":
        # Case cannot be folded.
        yield from (True,) if prop["name"] == "use_case_sensitive_file_names" else (True, False)
    elif kind == "text":
        yield "else"
    elif "values" in prop:
        yield from prop["values"].values()
    else:
        yield {"cluster_size": 8192, "max_file_path_length": 4096}.get(prop["name"], 200)


@pytest.mark.parametrize("name", [name for name, prop in PROPERTIES.items() if not prop.get("readonly")])
def test_property_of_a_wrong_kind(name: str, cbfs: Any) -> None:
    kind = PROPERTIES[name]["type"]
    before = getattr(cbfs, name)
    wrong = {"bool": ("yes", None, 1.0), "text": (1, None, "a\0b", "\ud800")}.get(kind, ("1", None, 1.5))
    for value in wrong:
        with pytest.raises((TypeError, ValueError)):
            setattr(cbfs, name, value)
        with pytest.raises((TypeError, ValueError)):
            getattr(cbfs, f"set_{name}")(value)
    for value in {"int32": (2**31, -2**31 - 1), "uint32": (2**32, -1), "int64": (2**63, -2**63 - 1)}.get(kind, ()):
        with pytest.raises(OverflowError):
            setattr(cbfs, name, value)
    assert getattr(cbfs, name) == before


@pytest.mark.parametrize("name", [name for name, prop in PROPERTIES.items() if not prop.get("readonly")])
def test_property_at_a_wrong_time(name: str) -> None:
    drive = Drive()
    with Channel(drive):
        with pytest.raises(tenon.CBFSError) as caught:
            setattr(drive.cbfs, name, PROPERTIES[name]["default"])
        assert caught.value.errno == errno.EBUSY and name in str(caught.value)
    setattr(drive.cbfs, name, PROPERTIES[name]["default"])


def test_read_only_properties_tell_the_truth() -> None:
    drive = Drive(get_volume_id=lambda e: setattr(e, "volume_id", 77))
    assert drive.cbfs.active is False
    with Channel(drive):
        assert drive.cbfs.active is True and drive.cbfs.volume_id == 77 and drive.cbfs.get_volume_id() == 77
    assert drive.cbfs.active is False


@pytest.mark.parametrize("name", METHODS)
def test_method(name: str, cbfs: Any) -> None:
    method = METHODS[name]
    given = [arg["name"] for arg in method["args"] if arg.get("dir") != "out"]
    function = getattr(cbfs, name)
    assert list(inspect.signature(function).parameters) == given
    assert function.__doc__
    with pytest.raises(TypeError):
        function(**{"no_such_argument": 1})
    with pytest.raises(TypeError):
        function(*range(len(given) + 1))
    if given:
        with pytest.raises(TypeError):
            function(**{given[0]: object()})


def test_methods_outside_a_handler(cbfs: Any) -> None:
    for name, method in METHODS.items():
        if method.get("inside"):
            arguments = [1] if "handle_creator" in name else []
            with pytest.raises(tenon.CBFSError) as caught:
                getattr(cbfs, name)(*arguments)
            assert caught.value.errno == errno.EINVAL


def test_what_is_not_there(cbfs: Any) -> None:
    for name in ("on_get_fileinfo", "use_hardlinks", "fileCache", "result_code"):
        with pytest.raises(AttributeError):
            setattr(cbfs, name, None)
        with pytest.raises(AttributeError):
            getattr(cbfs, name)
    assert not hasattr(cbfs, "__dict__")
    cbfs.tag = "mine"
    assert cbfs.tag == "mine"


def test_constants() -> None:
    for group in API["constants"]:
        for name, value in group["values"].items():
            assert getattr(tenon, group["prefix"] + name) == getattr(tenon.CBFS, group["prefix"] + name) == value
    for name, code in API["errors"].items():
        expected = code if isinstance(code, int) else getattr(errno, code)
        assert getattr(tenon, f"ERROR_{name}") == getattr(tenon.CBFS, f"ERROR_{name}") == expected
    assert tenon.NOT_GIVEN == 0xFFFFFFFF and tenon.ROOT_ID == 0x7FFFFFFFFFFFFFFF


def test_hidden_names() -> None:
    assert not tenon.is_hidden_name("a") and not tenon.is_hidden_name(b"/a") and not tenon.is_hidden_name(Path("/a"))
    with pytest.raises(TypeError):
        tenon.is_hidden_name(1)


def test_errors(cbfs: Any) -> None:
    with pytest.raises(tenon.CBFSError) as caught:
        cbfs.initialize("no guid")
    error = caught.value
    assert isinstance(error, OSError) and error.errno == error.code == errno.EINVAL
    assert error.strerror == error.message == cbfs.get_last_error() and "no guid" in str(error)
    assert tenon.CBFSError.__module__ == "tenon"


def test_the_steps_in_a_wrong_order(cbfs: Any) -> None:
    for step, arguments in (("create_storage", ()), ("mount_media", ()), ("add_mounting_point", ("/tmp",)), ("unmount_media", ()),
                            ("delete_storage", ()), ("get_links", ("/a",)), ("_get_facts", ())):
        with pytest.raises(tenon.CBFSError) as caught:
            getattr(cbfs, step)(*arguments)
        assert caught.value.errno == errno.EINVAL, step
    cbfs.initialize(GUID)
    with pytest.raises(tenon.CBFSError) as caught:
        cbfs.remove_mounting_point(0)
    assert caught.value.errno in (errno.ENOENT, errno.EINVAL)


def test_paths_are_taken_in_every_form(place: Path) -> None:
    for given in (str(place), os.fsencode(place), place):
        drive = Drive()
        with drive.cbfs.mounted(given, tenon.MOUNT_READ_ONLY):
            assert drive.cbfs.get_mounting_point_name(0) == str(place)
            assert drive.cbfs.get_mounting_point_flags(0) == tenon.MOUNT_READ_ONLY
            assert drive.cbfs.get_mounting_point_name(1) is None and drive.cbfs.get_mounting_point_flags(1) == 0
            assert drive.cbfs.mounting_point_count == 1
            assert (place / "a").read_bytes() == b"hello, world"
            with pytest.raises(OSError) as caught:
                (place / "a").write_bytes(b"")
            assert caught.value.errno == errno.EROFS
            drive.cbfs.remove_mounting_point(0)
            assert drive.cbfs.mounting_point_count == 0
            drive.cbfs.add_mounting_point(given)
            drive.cbfs.remove_mounting_point(-1, given)


@pytest.mark.parametrize("wrong", ["a\0b", b"a\0b", "\ud800", 1, None, object(), ["/tmp"]], ids=repr)
def test_paths_that_are_none(cbfs: Any, wrong: Any) -> None:
    cbfs.initialize(GUID)
    for call in (cbfs.add_mounting_point, cbfs.initialize, cbfs.config, cbfs.get_links, tenon.is_hidden_name,
                 lambda value: cbfs.remove_mounting_point(-1, value)):
        with pytest.raises((TypeError, ValueError)):
            call(wrong)


def test_settings(cbfs: Any) -> None:
    for setting in API["setting"]:
        value = cbfs.config(setting["name"])
        assert isinstance(value, str)
        assert cbfs.config(f"{setting['name']}={value}") == value
    assert cbfs.config("Umask=022") == cbfs.config("Umask")
    cbfs.set_property("use_hard_links", "true")
    assert cbfs.use_hard_links is True
    for wrong in ("NoSuchSetting", "NoSuchSetting=1", "Umask=9", ""):
        with pytest.raises(tenon.CBFSError) as caught:
            cbfs.config(wrong)
        assert caught.value.errno in (errno.EINVAL, errno.ENOENT)
    with pytest.raises(tenon.CBFSError):
        cbfs.set_property("use_hard_links", "perhaps")
    with pytest.raises(TypeError):
        cbfs.set_property("use_hard_links", True)


def test_facts() -> None:
    drive = Drive()
    with Channel(drive):
        facts = drive.cbfs.get_facts()
        assert isinstance(facts, dict) and facts


def test_subclass() -> None:
    class Named(tenon.CBFS):
        def __init__(self, name: str, *, other: int = 0) -> None:
            super().__init__()
            self.name = name

    cbfs = Named("one", other=2)
    cbfs.on_get_file_info = print
    assert cbfs.name == "one" and cbfs.on_get_file_info is print
    with Channel(Drive(cbfs)) as channel:
        assert channel.read("/a") == b"hello, world"


def test_the_caller(mount: Callable[..., Any]) -> None:
    seen: dict[str, Any] = {}

    def open_file(e: Any) -> None:
        if e.file_name == "/a":
            seen.update(pid=drive.cbfs.get_originator_process_id(), tid=drive.cbfs.get_originator_thread_id(),
                        name=drive.cbfs.get_originator_process_name(), token=drive.cbfs.get_originator_token(),
                        creator=drive.cbfs.get_handle_creator_process_id(e.handle_info),
                        creator_token=drive.cbfs.get_handle_creator_token(e.handle_info),
                        creator_name=drive.cbfs.get_handle_creator_process_name(e.handle_info),
                        creator_tid=drive.cbfs.get_handle_creator_thread_id(e.handle_info))
            with pytest.raises(tenon.CBFSError) as caught:
                drive.cbfs.get_handle_creator_process_id(0)
            seen["wrong"] = caught.value.errno
    drive = Drive(open_file=open_file)
    with mount(drive) as root:
        (root / "a").read_bytes()
    assert seen["pid"] == seen["creator"] == os.getpid() and seen["wrong"] == errno.EINVAL
    assert seen["name"] == seen["creator_name"] == os.path.realpath("/proc/self/exe")
    assert seen["tid"] == seen["creator_tid"] == threading.get_native_id()
    token = seen["token"]
    assert isinstance(token, tenon.Token) and token == seen["creator_token"]
    assert (token.uid, token.gid, sorted(token.groups)) == (os.getuid(), os.getgid(), sorted(os.getgroups()))
