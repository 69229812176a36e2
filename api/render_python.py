"""Writes what the Python edition takes from api/cbfs.toml: tables for the extension module, and its type stub."""
import textwrap

NO_MEMBER = "NO_MEMBER"
# What the interpreter wants between a function's signature and its text.
SIGNATURE_END = "\n--\n\n"
NOTE = "/* Written by api/generate.py from api/cbfs.toml: do not edit. */\n"
# Members whose kind a getter of its own reads.
ANNOTATIONS = {
    "text": "str", "bool": "bool", "int32": "int", "uint32": "int", "int64": "int", "uint64": "int", "handle": "int",
    "context": "Any", "data": "Buffer", "space": "Buffer", "token": "Token",
}
# What a method does without an argument at the end.
DEFAULTS = {"timeout": 0, "flags": 0, "authentication_id": 0, "force_unmount": False}


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def params_class(event):
    return f"CBFS{camel(event['name'])}EventParams"


def literal(text):
    """A C string literal."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def for_python(text):
    """C's names of things as Python has them."""
    for old, new in (("TENON_", "tenon."), ("tenon_get_", "get_"), ("tenon_defer", "defer"), ("tenon_is_hidden_name", "tenon.is_hidden_name"),
                     ("NULL", "0"), ("UTIME_OMIT in tv_nsec: not given.", "None: not given.")):
        text = text.replace(old, new)
    return text


def paragraph(text):
    return textwrap.fill(" ".join(for_python(text).split()), 90)


def is_settable(member):
    return member["dir"] != "in"


def member_rows(event):
    """The places of one event's members, and the attributes that read and set them."""
    name = event["name"]
    rows, attributes = "", ""
    for member in event["members"]:
        kind, ident = member["type"], f"{name}_{member['name']}"
        room = "0"
        if kind == "text" and is_settable(member):
            room = f"offsetof(tenon_{name}_event, {member['name']}_size)"
        rows += f"static const struct member {ident} = {{offsetof(tenon_{name}_event, {member['name']}), {room}}};\n"
        kinds = ("time", "time_ns") if kind == "time" else ("buffer",) if kind in ("data", "space") else (kind,)
        for each in kinds:
            attribute = member["name"] + ("_ns" if each == "time_ns" else "")
            doc = member["doc"] + (" In nanoseconds since 1970." if each == "time_ns" else " A datetime in UTC." if each == "time" else "")
            setter = f"member_set_{each}" if is_settable(member) else "NULL"
            attributes += (f"\t{{{literal(attribute)}, member_get_{each}, {setter}, {literal(paragraph(doc))}, (void *)&{ident}}},\n")
    return rows + f"static PyGetSetDef {name}_getset[] = {{\n{attributes}\tPARAMS_ATTRIBUTES,\n}};\n\n"


def find(event, test):
    return next((member for member in event["members"] if test(member)), None)


def at(event, member):
    return f"offsetof(tenon_{event['name']}_event, {member['name']})" if member else NO_MEMBER


def event_row(event):
    name = event["name"]
    space = find(event, lambda m: m["type"] in ("data", "space"))
    length = find(event, lambda m: space and m["name"] == space["length"])
    subject = find(event, lambda m: m["name"] in ("file_name", "directory_name") and m["dir"] == "in")
    code = find(event, lambda m: m["name"] == "result_code")
    context = find(event, lambda m: m["name"] == "file_context")
    settable = [m for m in event["members"] if m["type"] == "context" and is_settable(m)]
    contexts = ", ".join(([at(event, m) for m in settable] + [NO_MEMBER] * 3)[:3])
    text = event_doc(event)
    return (f"\t{{{literal(name)}, {literal('tenon.' + params_class(event))}, {literal(text)}, {name}_getset, "
            f"offsetof(tenon_events, {name}), (void (*)(void))fire_{name}, {at(event, code)}, {at(event, subject)}, "
            f"{at(event, space)}, {at(event, length)}, "
            f"{'true' if space and space['type'] == 'data' else 'false'}, "
            f"{at(event, context) if name in ('open_file', 'create_file') else NO_MEMBER}, {{{contexts}}}, "
            f"{'true' if name in ('read_file', 'get_reparse_point') else 'false'}}},\n")


def event_doc(event):
    return "\n\n".join((paragraph(event["summary"].capitalize() + "."), paragraph("When: " + event["when"]), paragraph(event["rules"]),
                        paragraph(f"Without a handler: {event['unhandled']}.")))


def handler_doc(event):
    members = "\n".join(textwrap.fill(f"{m['name']}{' (may be set)' if is_settable(m) else ''}: {for_python(m['doc'])}", 90,
                                      initial_indent="  ", subsequent_indent="      ") for m in event["members"])
    return (f"Called with a {params_class(event)} (None: nobody).\n\n{event_doc(event)}\n\nMembers of the parameter object:\n\n{members}")


def property_code(prop):
    """Getter, setter and their pair of methods."""
    name, kind = prop["name"], prop["type"]
    ctype = "const char *" if kind == "text" else f"{kind}_t " if kind != "bool" else "bool "
    make = "text" if kind == "text" else kind
    text = (f"static PyObject *get_{name}(PyObject *self, void *closure)\n{{\n\t(void)closure;\n"
            f"\treturn value_of_{make}(tenon_get_{name}(cbfs_volume(self)));\n}}\n\n"
            f"static PyObject *call_get_{name}(PyObject *self, PyObject *none)\n{{\n\t(void)none;\n\treturn get_{name}(self, NULL);\n}}\n\n")
    if prop.get("readonly"):
        return text
    return text + setter_code(name, kind, ctype)


def setter_code(name, kind, ctype):
    declaration = "\tPyObject *bytes;\n\tint error;\n\n" if kind == "text" else f"\t{ctype}number;\n\n"
    head = (f"static int set_{name}(PyObject *self, PyObject *value, void *closure)\n{{\n{declaration}"
            "\t(void)closure;\n\tif (!value)\n\t\treturn cannot_delete();\n")
    if kind == "text":
        body = ("\tif (!cbfs_may_set(self) || !PyUnicode_FSConverter(value, &bytes))\n\t\treturn -1;\n"
                f"\terror = tenon_set_{name}(cbfs_volume(self), PyBytes_AsString(bytes));\n"
                "\tPy_DecRef(bytes);\n\treturn cbfs_was_set(self, error);\n")
    else:
        body = (f"\tif (!cbfs_may_set(self) || !{kind}_of_value(value, &number))\n\t\treturn -1;\n"
                f"\treturn cbfs_was_set(self, tenon_set_{name}(cbfs_volume(self), number));\n")
    return (head + body + "}\n\n"
            f"static PyObject *call_set_{name}(PyObject *self, PyObject *value)\n{{\n"
            f"\tif (set_{name}(self, value, NULL))\n\t\treturn NULL;\n\treturn Py_NewRef(Py_None);\n}}\n\n")


def arguments(method):
    """What a method is given, and what it gives back or None."""
    given = [arg for arg in method["args"] if arg.get("dir") != "out"]
    return given, next((arg for arg in method["args"] if arg.get("dir") == "out"), None)


# The variable for what a method gives back, and how it is passed.
RESULTS = {"text": ("char result[PATH_MAX];", "result, sizeof result"), "token": ("tenon_token *result = NULL;", "&result"),
           "uint32": ("uint32_t result = 0;", "&result")}


def argument_code(method, arg):
    """One argument: its variable, its converter, and how it is passed."""
    name, kind = arg["name"], arg["type"]
    if kind == "text":
        return f"PyObject *{name} = NULL;", f"text_converter, &{name}", f"{name}_text"
    ctype = {"bool": "bool", "handle": "uint64_t"}.get(kind, f"{kind}_t")
    default = str(default_of(method, arg) or 0).lower()
    return f"{ctype} {name} = {default};", f"{'uint64' if kind == 'handle' else kind}_of_value, &{name}", name


def method_code(method):
    """The function behind a method: arguments to C, the call without the interpreter's lock, and the result to Python."""
    name = method["name"]
    given, out = arguments(method)
    variables, converters, passed = ([part[i] for part in (argument_code(method, arg) for arg in given)] for i in range(3))
    texts = [arg["name"] for arg in given if arg["type"] == "text"]
    required = sum(default_of(method, arg) is None for arg in given)
    formats = "O&" * required + ("|" if required < len(given) else "") + "O&" * (len(given) - required)
    if out:
        variable, how = RESULTS[out["type"]]
        variables.append(variable)
        passed.append(how)
    release = "".join(f"\tPy_XDECREF({text});\n" for text in texts)
    # Who asks for the caller is inside a handler, while another thread may be inside a method.
    begin = "" if method.get("inside") else "cbfs_begin(self)"
    names = "".join(literal(arg["name"]) + ", " for arg in given)
    code = f"static PyObject *call_{name}(PyObject *self, PyObject *args, PyObject *keywords)\n{{\n"
    code += f"\tstatic char *names[] = {{{names}NULL}};\n"
    code += "".join(f"\t{line}\n" for line in variables + [f"const char *{text}_text;" for text in texts] + ["int error;"])
    code += (f"\n\tif (!PyArg_ParseTupleAndKeywords(args, keywords, {literal(formats + ':' + name)}, "
             + ", ".join(["names", *converters]) + "))\n\t\treturn NULL;\n")
    code += "".join(f"\t{text}_text = text_borrow({text});\n" for text in texts)
    fail = "cbfs_raise_inside" if method.get("inside") else "cbfs_raise"
    if begin:
        code += f"\tif (!{begin}) {{\n" + release.replace("\t", "\t\t") + "\t\treturn NULL;\n\t}\n"
    code += f"\tPy_BEGIN_ALLOW_THREADS\n\terror = tenon_{name}({', '.join(['cbfs_volume(self)', *passed])});\n\tPy_END_ALLOW_THREADS\n"
    code += ("\tcbfs_end(self);\n" if begin else "") + release + f"\tif (error)\n\t\treturn {fail}(self, error);\n"
    what = {None: "Py_NewRef(Py_None)", "token": "value_of_token(self, result)"}
    kind = out and out["type"]
    return code + f"\treturn {what.get(kind) or f'value_of_{kind}(result)'};\n}}\n\n"


def default_of(method, arg):
    if method["name"] == "remove_mounting_point" and arg["name"] == "mounting_point":
        return ""
    return DEFAULTS.get(arg["name"])


def signature(method):
    given, _ = arguments(method)
    parts = [a["name"] + ("" if default_of(method, a) is None else f"={default_of(method, a)!r}") for a in given]
    return ", ".join(["$self", *parts])


def method_doc(method):
    args = "".join(f"\n\n{paragraph(arg['name'] + ': ' + arg['doc'])}" for arg in arguments(method)[0])
    return (f"{method['name']}({signature(method)})\n--\n\n{paragraph(method['summary'].capitalize() + '. ' + method['when'])}{args}\n\n"
            + paragraph("CBFSError, with errno: " + method["errors"]))


def surface(api):
    text = NOTE + '#include "surface.h"\n\n#include <errno.h>\n#include <limits.h>\n#include <stddef.h>\n\n#include "values.h"\n\n'
    for event in api["event"]:
        name = event["name"]
        text += (f"static void fire_{name}(tenon_volume *volume, tenon_{name}_event *event)\n{{\n"
                 f"\tfire(volume, PY_{name.upper()}, event);\n}}\n\n")
        text += member_rows(event)
    text += "const struct event_row event_rows[EVENT_COUNT] = {\n" + "".join(event_row(e) for e in api["event"]) + "};\n\n"
    text += "".join(property_code(prop) for prop in api["property"]) + "".join(method_code(method) for method in api["method"])
    text += f"PyGetSetDef cbfs_attributes[] = {{\n{attribute_table(api)}\tCBFS_ATTRIBUTES,\n}};\n\n"
    text += f"PyMethodDef cbfs_methods[] = {{\n{method_table(api)}\tCBFS_METHODS,\n}};\n\n"
    text += "const struct constant constants[] = {\n"
    text += "".join(f"\t{{{literal(name)}, INT64_C({value})}},\n" for name, value in constants(api))
    text += "".join(f"\t{{{literal('ERROR_' + name)}, {code}}},\n" for name, code in api["errors"].items())
    return text + "\t{NULL, 0},\n};\n"


def property_doc(prop):
    return paragraph(prop["doc"]) + ("" if prop.get("readonly") else f"\n\nDefault: {default_text(prop)}.")


def attribute_table(api):
    """Handlers and properties."""
    text = "".join(f"\t{{\"on_{event['name']}\", cbfs_get_handler, cbfs_set_handler, {literal(handler_doc(event))}, "
                   f"(void *)&event_rows[PY_{event['name'].upper()}]}},\n" for event in api["event"])
    for prop in api["property"]:
        name = prop["name"]
        setter = "NULL" if prop.get("readonly") else "set_" + name
        text += f"\t{{{literal(name)}, get_{name}, {setter}, {literal(property_doc(prop))}, NULL}},\n"
    return text


def method_table(api):
    """The get_ and set_ pairs of properties, and the methods."""
    text = ""
    for prop in api["property"]:
        name, doc = prop["name"], property_doc(prop)
        text += f"\t{{\"get_{name}\", call_get_{name}, METH_NOARGS, {literal(f'get_{name}($self){SIGNATURE_END}{doc}')}}},\n"
        if not prop.get("readonly"):
            text += f"\t{{\"set_{name}\", call_set_{name}, METH_O, {literal(f'set_{name}($self, value, /){SIGNATURE_END}{doc}')}}},\n"
    for method in api["method"]:
        text += (f"\t{{{literal(method['name'])}, (PyCFunction)(void (*)(void))call_{method['name']}, METH_VARARGS | METH_KEYWORDS, "
                 f"{literal(method_doc(method))}}},\n")
    return text


def constants(api):
    for group in api["constants"]:
        for name, value in group["values"].items():
            yield group["prefix"] + name, value


def default_text(prop):
    for name, value in prop.get("values", {}).items():
        if value == prop["default"]:
            return f"{value} ({name})"
    return repr(prop["default"])


HEADER = """\
#ifndef PYTHON_SURFACE_H
#define PYTHON_SURFACE_H

#include "edition.h"

enum {{
{ids}\tEVENT_COUNT,
}};

extern const struct event_row event_rows[EVENT_COUNT];
extern PyGetSetDef cbfs_attributes[];
extern PyMethodDef cbfs_methods[];
extern const struct constant constants[];

#endif
"""


def stub_class(event):
    lines = [f"class {params_class(event)}(EventParams):"]
    for member in event["members"]:
        kind, name = member["type"], member["name"]
        if kind == "text" and is_settable(member):
            lines.append(f"    {name}: _Text")
        elif kind == "time":
            settable = is_settable(member)
            lines += [f"    {name}: _Time"] if settable else property_stub(name, "datetime")
            lines += property_stub(name + "_ns", "int | None", "int | None" if settable else None)
        else:
            lines += property_stub(name, ANNOTATIONS[kind], ANNOTATIONS[kind] if is_settable(member) else None)
    return "\n".join(lines) + "\n"


def documented(line, doc):
    """A function of the stub; editors show what stands there, since they cannot ask the extension module."""
    if not doc:
        return [line]
    text = doc.replace("\\", "\\\\")
    return [line.removesuffix(" ..."), *textwrap.indent(f'"""{text}\n"""', " " * 8).splitlines()]


def property_stub(name, got, given=None, doc=None):
    lines = ["    @property", *documented(f"    def {name}(self) -> {got}: ...", doc)]
    if given:
        lines += [f"    @{name}.setter", f"    def {name}(self, value: {given}) -> None: ..."]
    return lines


STUB_HEAD = '''\
"""The extension module of tenon; programs import tenon. Written by api/generate.py from api/cbfs.toml: do not edit."""
import ctypes
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from tenon._base import CBFSError as CBFSError, Token as Token

# To a type checker it is what the product's buffers are: only so does every one let it be passed both to memoryview and to ctypes.
class Buffer(ctypes.c_void_p):
    """The bytes of an event: for memoryview, bytes, and ctypes; dead once the event is over."""
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __bytes__(self) -> bytes: ...
    @property
    def _as_parameter_(self) -> ctypes.c_void_p: ...

# Members that take more than they give; property says that to newer checkers alone.
class _Text:
    def __get__(self, params: EventParams, kind: type[EventParams], /) -> str: ...
    def __set__(self, params: EventParams, value: str | bytes | os.PathLike[str], /) -> None: ...

class _Time:
    def __get__(self, params: EventParams, kind: type[EventParams], /) -> datetime: ...
    def __set__(self, params: EventParams, value: datetime | None, /) -> None: ...

class EventParams:
    """What all parameter objects have."""
    def defer(self) -> None: ...
    def complete(self) -> None: ...
    @property
    def cancelled(self) -> bool: ...
    @property
    def on_cancel(self) -> Callable[[], object] | None: ...
    @on_cancel.setter
    def on_cancel(self, value: Callable[[], object]) -> None: ...
    def _answer(self, failure: BaseException | None, /) -> None: ...
'''


def stub(api):
    text = STUB_HEAD
    for event in api["event"]:
        text += "\n" + stub_class(event)
    lines = ["", "class _CBFS:", "    def __init__(self) -> None: ..."]
    for name, value in constants(api):
        lines.append(f"    {name}: int")
    lines += [f"    ERROR_{name}: int" for name in api["errors"]]
    lines += ["    NOT_GIVEN: int", "    ROOT_ID: int"]
    for event in api["event"]:
        kind = f"Callable[[{params_class(event)}], Awaitable[None] | None] | None"
        lines += property_stub(f"on_{event['name']}", kind, kind, handler_doc(event))
    for prop in api["property"]:
        kind, name = ANNOTATIONS[prop["type"]], prop["name"]
        lines += property_stub(name, kind, None if prop.get("readonly") else kind, property_doc(prop))
        lines.append(f"    def get_{name}(self) -> {kind}: ...")
        if not prop.get("readonly"):
            lines.append(f"    def set_{name}(self, value: {kind}, /) -> None: ...")
    for method in api["method"]:
        given, out = arguments(method)
        parts = ["self"]
        for arg in given:
            kind = "str | bytes | os.PathLike[str]" if arg["type"] == "text" else ANNOTATIONS[arg["type"]]
            default = default_of(method, arg)
            parts.append(f"{arg['name']}: {kind}" + ("" if default is None else f" = {default!r}"))
        line = f"    def {method['name']}({', '.join(parts)}) -> {ANNOTATIONS[out['type']] if out else 'None'}: ..."
        lines += documented(line, method_doc(method).partition("\n--\n\n")[2])
    lines += textwrap.indent(STUB_METHODS, "    ").splitlines()
    text += "\n".join(lines) + "\n\n"
    for name, value in constants(api):
        text += f"{name}: Final = {value}\n"
    for name in api["errors"]:
        text += f"ERROR_{name}: Final[int]\n"
    return text + STUB_TAIL


STUB_METHODS = '''\
def config(self, setting: str, /) -> str: ...
def get_last_error(self) -> str: ...
def get_links(self, file_name: str | bytes | os.PathLike[str], /) -> list[str]: ...
def get_mounting_point_name(self, index: int, /) -> str | None: ...
def get_mounting_point_flags(self, index: int, /) -> int: ...
def set_property(self, name: str, value: str, /) -> None: ...
_runner: Any
def _get_facts(self) -> bytes: ...
def _wait(self, milliseconds: int, /) -> bool: ...
def _testing_mount(self, in_line: bool, /) -> None: ...
def _testing_request(self, opcode: int, nodeid: int, data: bytes, room: int, uid: int, gid: int, pid: int, /) -> bytes: ...
def _testing_interrupt(self, pid: int, /) -> None: ...
def _testing_balance(self) -> tuple[int, int, int, int]: ...
'''
STUB_TAIL = '''\
NOT_GIVEN: Final = 0xFFFFFFFF
ROOT_ID: Final = 0x7FFFFFFFFFFFFFFF
def is_hidden_name(name: str | bytes | os.PathLike[str], /) -> bool: ...
def version() -> str: ...
'''


def write_python(api, folder):
    """surface.h and surface.c for the extension module, and _tenon.pyi."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = "".join(f"\tPY_{event['name'].upper()},\n" for event in api["event"])
    (folder / "surface.h").write_text(NOTE + HEADER.format(ids=ids))
    (folder / "surface.c").write_text(surface(api))
    (folder / "_tenon.pyi").write_text(stub(api))
