#!/usr/bin/env python3
"""Writes everything that follows from api/cbfs.toml.

  generate.py headers DIR    the public headers tenon/{constants,events,properties,methods}.h
  generate.py engine DIR     the library's own parts: fire.h, fire.c, properties.h, properties.c
  generate.py docs DIR       the reference: Markdown under DIR/reference, man pages under DIR/man
  generate.py python DIR     the Python edition's: surface.h, surface.c, _tenon.pyi

Run by the build; what it writes is never edited and never committed.
"""
import pathlib
import sys
import textwrap
import tomllib

from render_docs import write_docs
from render_python import write_python

HERE = pathlib.Path(__file__).parent
NOTE = "/* Written by api/generate.py from api/cbfs.toml: do not edit. */\n"
SCALARS = {
    "bool": "bool", "int32": "int32_t", "uint32": "uint32_t", "int64": "int64_t", "uint64": "uint64_t",
    "time": "struct timespec", "context": "void *", "handle": "uint64_t",
}
SHAPE = """\
enum member_kind { MEMBER_SCALAR, MEMBER_TEXT, MEMBER_DATA, MEMBER_SPACE };

/* Where a member is in its event, and how large. */
struct event_member {
	uint16_t offset;
	uint16_t size;
	enum member_kind kind;
	/* A handler may set it. */
	bool out;
	/* Of the member that says how large data, space, or the room of a text to be set is. */
	uint16_t length;
	uint16_t length_size;
	/* The member that says how much of a space is filled, an uint32_t; and the room in bytes where length does not say it. */
	uint16_t filled;
	uint16_t room;
};

#define NO_MEMBER UINT16_MAX

struct event_shape {
	uint16_t size;
	uint16_t count;
	const struct event_member *members;
	/* The offset of the member handle_info. */
	uint16_t handle_info;
};

extern const struct event_shape event_shapes[EVENT_COUNT];

"""
# What a firing returns when the program gave no handler.
UNHANDLED = {code: code for code in ("EROFS", "EPERM", "EOPNOTSUPP", "ENOTTY")}


def load():
    with open(HERE / "cbfs.toml", "rb") as file:
        api = tomllib.load(file)
    for event in api["event"]:
        for member in event["members"]:
            member.setdefault("dir", "in")
            member.setdefault("doc", api["common"].get(member["name"], {}).get("doc"))
            if member["doc"] is None:
                raise SystemExit(f"cbfs.toml: {event['name']}.{member['name']} has no doc")
            if member["type"] in ("data", "space") and "length" not in member:
                raise SystemExit(f"cbfs.toml: {event['name']}.{member['name']} has no length")
            if member["type"] == "space" and "filled" not in member:
                raise SystemExit(f"cbfs.toml: {event['name']}.{member['name']} has no filled")
    return api


def comment(text, indent=""):
    """A C comment of one or more lines, wrapped as a person would."""
    paragraphs = [" ".join(p.split()) for p in text.strip().split("\n\n")]
    width = 96 - len(indent.expandtabs(8))
    lines = []
    for paragraph in paragraphs:
        lines += ([""] if lines else []) + textwrap.wrap(paragraph, width)
    if len(lines) == 1:
        return f"{indent}/* {lines[0]} */\n"
    body = "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines)
    return f"{indent}/*\n{body}{indent} */\n"


def declare(ctype, name):
    return f"{ctype}{name}" if ctype.endswith("*") else f"{ctype} {name}"


def member_lines(member):
    """The C declaration of one member; what a handler may not set is const."""
    name, kind, out = member["name"], member["type"], member["dir"] != "in"
    if kind == "text" and out:
        return [f"char *const {name};", f"const size_t {name}_size;"]
    if kind == "text":
        return [f"const char *const {name};"]
    if kind == "data":
        return [f"const void *const {name};"]
    if kind == "space":
        return [f"void *const {name};"]
    ctype = SCALARS[kind]
    if out:
        return [declare(ctype, name) + ";"]
    return [declare(ctype + "const" if ctype.endswith("*") else "const " + ctype, name) + ";"]


def event_struct(event):
    text = comment(f"{event['name']}: {event['summary']}.\n\n{event['when']}\n\n{event['rules']}\n\n"
                   f"Without a handler: {event['unhandled']}.")
    text += f"typedef struct tenon_{event['name']}_event {{\n"
    for member in event["members"]:
        text += comment(member["doc"], "\t")
        for line in member_lines(member):
            text += f"\t{line}\n"
    text += f"}} tenon_{event['name']}_event;\n\n"
    for member in event["members"]:
        if member["type"] == "text" and member["dir"] != "in":
            text += comment(f"Copies value into {member['name']}. 0, or ENAMETOOLONG when it does not fit "
                            "(the member is then empty).")
            text += (f"static inline int tenon_{event['name']}_set_{member['name']}"
                     f"(tenon_{event['name']}_event *event, const char *value)\n{{\n"
                     f"\treturn tenon_copy_text(event->{member['name']}, event->{member['name']}_size, value);\n}}\n\n")
    return text


def write_headers(api, folder):
    folder = folder / "tenon"
    folder.mkdir(parents=True, exist_ok=True)

    text = NOTE + "#ifndef TENON_CONSTANTS_H\n#define TENON_CONSTANTS_H\n\n"
    for group in api["constants"]:
        text += comment(group["title"] + ".")
        for name, value in group["values"].items():
            suffix = "u" if value > 9 or "FLAG" in group["title"] else ""
            number = f"0x{value:X}{suffix}" if value > 9 else f"{value}{suffix}"
            text += f"#define TENON_{group['prefix']}{name} {number}\n"
        text += "\n"
    text += "#endif\n"
    (folder / "constants.h").write_text(text)

    text = NOTE + ("#ifndef TENON_EVENTS_H\n#define TENON_EVENTS_H\n\n"
                   "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <time.h>\n\n"
                   "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\ntypedef struct tenon_volume tenon_volume;\n\n")
    text += comment("Copies value with its NUL into room bytes at target. 0, or ENAMETOOLONG (target is then empty). "
                    "The generated tenon_EVENT_set_MEMBER functions call it; value may be anything NUL-terminated.")
    text += "int tenon_copy_text(char *target, size_t room, const char *value);\n\n"
    for event in api["event"]:
        text += event_struct(event)
    text += comment("Your handlers; NULL where you have none. New events are added at the end only. A handler runs on a "
                    "worker thread of the volume, several at once for different files. The event and all that it points "
                    "to live until the handler returns; tenon_defer makes a copy that lives longer, and "
                    "tenon_keep_buffers keeps its buffer.")
    text += "typedef struct tenon_events {\n"
    for event in api["event"]:
        text += f"\tvoid (*{event['name']})(tenon_volume *volume, tenon_{event['name']}_event *event);\n"
    text += "} tenon_events;\n\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
    (folder / "events.h").write_text(text)

    text = NOTE + "#ifndef TENON_PROPERTIES_H\n#define TENON_PROPERTIES_H\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
    for prop in api["property"]:
        ctype = "const char *" if prop["type"] == "text" else SCALARS[prop["type"]]
        doc = prop["doc"]
        if not prop.get("readonly"):
            doc += f"\n\nDefault: {show_default(prop)}. {when_text(prop['when'])} Setting: 0, EINVAL for a value it does not take, or EBUSY."
        text += comment(doc)
        text += f"{declare(ctype, 'tenon_get_' + prop['name'])}(tenon_volume *volume);\n"
        if not prop.get("readonly"):
            text += f"int tenon_set_{prop['name']}(tenon_volume *volume, {declare(ctype, 'value')});\n"
        text += "\n"
    text += "#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
    (folder / "properties.h").write_text(text)

    text = NOTE + ("#ifndef TENON_METHODS_H\n#define TENON_METHODS_H\n\n#include <tenon/events.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
                   "typedef struct tenon_token tenon_token;\n\n")
    for method in api["method"]:
        args = "".join(f"\n\n{arg['name']}: {arg['doc']}" for arg in method["args"])
        text += comment(f"{method['summary']}. {method['when']}{args}\n\n0, or an errno value. {method['errors']}")
        text += f"int tenon_{method['name']}({method_arguments(method)});\n\n"
    text += "#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
    (folder / "methods.h").write_text(text)


def method_arguments(method):
    """What stands between a method's parentheses; what it gives back comes by pointers."""
    arguments = ["tenon_volume *volume"]
    for arg in method["args"]:
        name, kind, out = arg["name"], arg["type"], arg.get("dir") == "out"
        if kind == "text" and out:
            arguments += [f"char *{name}", f"size_t {name}_size"]
        elif kind == "token":
            arguments.append(f"tenon_token **{name}")
        elif out:
            arguments.append(f"{SCALARS[kind]} *{name}")
        else:
            arguments.append(declare("const char *" if kind == "text" else SCALARS[kind], name))
    return ", ".join(arguments)


def show_default(item):
    default = item["default"]
    if item["type"] == "bool":
        return "true" if default else "false"
    if item.get("values"):
        return next(name for name, value in item["values"].items() if value == default)
    if default == "":
        return "empty"
    if default == 0xffffffff or default == 0x7fffffffffffffff:
        return "no limit" if item["name"].lower().startswith("max") else "not given"
    return str(default)


def when_text(when):
    parts = []
    if "A" in when:
        parts.append("while the media is mounted")
    if "V" in when:
        parts.append("once the storage exists")
    if "E" in when:
        parts.append("inside a handler")
    return "Not to be set " + " or ".join(parts) + "." if parts else "May be set at any time."


def snake(name):
    out = ""
    for letter in name:
        out += ("_" if letter.isupper() and out else "") + letter.lower()
    return out


def c_default(item):
    if item["type"] == "bool":
        return "1" if item["default"] else "0"
    if item["type"] == "text":
        return "0"
    return str(item["default"]) + ("ull" if item["default"] > 0x7fffffff else "")


def event_shapes(api):
    """The tables that tell where each event's members are."""
    kinds = {"text": "TEXT", "data": "DATA", "space": "SPACE"}
    text = ("#define AT(event, member) offsetof(tenon_##event##_event, member)\n"
            "#define SIZE(event, member) sizeof(((tenon_##event##_event *)0)->member)\n\n")
    for event in api["event"]:
        name = event["name"]
        text += f"static const struct event_member {name}_members[] = {{\n"
        for member in event["members"]:
            out = member["dir"] != "in"
            length = member.get("length") or (f"{member['name']}_size" if member["type"] == "text" and out else None)
            text += (f"\t{{AT({name}, {member['name']}), SIZE({name}, {member['name']}), "
                     f"MEMBER_{kinds.get(member['type'], 'SCALAR')}, {'true' if out else 'false'}, "
                     + (f"AT({name}, {length}), SIZE({name}, {length}), " if length else "NO_MEMBER, 0, ")
                     + (f"AT({name}, {member['filled']}), " if "filled" in member else "NO_MEMBER, ")
                     + f"{member.get('room', 0)}}},\n")
        text += "};\n\n"
    text += "const struct event_shape event_shapes[EVENT_COUNT] = {\n"
    for event in api["event"]:
        name = event["name"]
        info = f"AT({name}, handle_info)" if any(m["name"] == "handle_info" for m in event["members"]) else "NO_MEMBER"
        text += (f"\t[EVENT_{name.upper()}] = {{sizeof(tenon_{name}_event), {len(event['members'])}, {name}_members, {info}}},\n")
    return text + "};\n\n"


def write_engine(api, folder):
    folder.mkdir(parents=True, exist_ok=True)
    text = NOTE + "#ifndef TENON_FIRE_H\n#define TENON_FIRE_H\n\n#include \"tenon.h\"\n\nstruct event_source;\n\nenum event_id {\n"
    text += "".join(f"\tEVENT_{event['name'].upper()},\n" for event in api["event"]) + "\tEVENT_COUNT,\n};\n\n"
    text += "/* X(name) for each event. */\n#define ALL_EVENTS(X) " + " ".join(f"X({event['name']})" for event in api["event"]) + "\n\n"
    text += "extern const char *const event_names[EVENT_COUNT];\n\n" + SHAPE
    text += comment("Each fires one event and gives the errno value that follows from its result code, or the answer of an "
                    "event without a handler. Defined in one place so that faults and traces have one place.")
    for event in api["event"]:
        text += f"int fire_{event['name']}(struct event_source *source, tenon_{event['name']}_event *event);\n"
    text += "\n#endif\n"
    (folder / "fire.h").write_text(text)

    text = NOTE + "#include \"fire.h\"\n\n#include <errno.h>\n\n#include \"event/event.h\"\n#include \"event/pending.h\"\n\nconst char *const event_names[EVENT_COUNT] = {\n"
    text += "".join(f"\t[EVENT_{event['name'].upper()}] = \"{event['name']}\",\n" for event in api["event"]) + "};\n\n"
    text += event_shapes(api)
    for event in api["event"]:
        members = {member["name"] for member in event["members"]}
        subject = next((m for m in ("file_name", "directory_name") if m in members and not
                        (event["name"] == "enumerate_directory" and m == "file_name")), None)
        subject = f"event->{subject}" if subject else "\"\""
        code = "event->result_code" if "result_code" in members else "0"
        fallback = UNHANDLED.get(event["unhandled"], "ENOSYS" if event.get("mandatory") else "0")
        text += (f"int fire_{event['name']}(struct event_source *source, tenon_{event['name']}_event *event)\n{{\n"
                 "\tstruct event_scope scope;\n\n"
                 f"\tif (!source->table.{event['name']})\n\t\treturn {fallback};\n"
                 f"\tif (event_enter(source, &scope, EVENT_{event['name'].upper()}, event))\n"
                 f"\t\tsource->table.{event['name']}(source->volume, event);\n"
                 "\tif (__builtin_expect(scope.pending != NULL, 0))\n\t\tpending_settle(source, &scope);\n"
                 f"\treturn event_leave(source, &scope, {code}, {subject});\n}}\n\n")
    (folder / "fire.c").write_text(text)

    stored = [dict(p, setting=False, field=p["name"]) for p in api["property"] if not p.get("readonly")]
    stored += [dict(s, setting=True, field=snake(s["name"])) for s in api["setting"] + api["testing_setting"]]
    text = NOTE + ("#ifndef TENON_PROPERTY_TABLE_H\n#define TENON_PROPERTY_TABLE_H\n\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n"
                   "#define PROPERTY_TEXT_MAX 4096\n\nstruct properties {\n")
    for item in stored:
        text += f"\tchar {item['field']}[PROPERTY_TEXT_MAX];\n" if item["type"] == "text" else \
            f"\t{SCALARS[item['type']]} {item['field']};\n"
    text += "};\n\nenum property_id {\n" + "".join(f"\tPROPERTY_{item['field'].upper()},\n" for item in stored)
    text += "\tPROPERTY_COUNT,\n};\n\n"
    text += ("enum property_type { TYPE_BOOL, TYPE_INT32, TYPE_UINT32, TYPE_INT64, TYPE_TEXT };\n\n"
             "enum { NOT_WHILE_ACTIVE = 1, NOT_WITH_STORAGE = 2, NOT_IN_HANDLERS = 4 };\n\n"
             "struct property_value_name {\n\tconst char *name;\n\tint64_t value;\n};\n\n"
             "struct property_row {\n\tconst char *name;\n\tenum property_type type;\n\tbool is_setting;\n\tunsigned when;\n"
             "\tsize_t offset;\n\tint64_t default_number;\n\tconst char *default_text;\n\tconst struct property_value_name *values;\n};\n\n"
             "extern const struct property_row property_table[PROPERTY_COUNT];\n\n#endif\n")
    (folder / "properties.h").write_text(text)

    text = NOTE + "#include \"properties.h\"\n\n#include \"component/property.h\"\n#include \"tenon.h\"\n\n"
    for item in stored:
        if item.get("values"):
            text += f"static const struct property_value_name {item['field']}_values[] = {{\n"
            text += "".join(f"\t{{\"{name}\", {value}}},\n" for name, value in item["values"].items()) + "\t{0, 0},\n};\n\n"
    text += "const struct property_row property_table[PROPERTY_COUNT] = {\n"
    flags = {"A": "NOT_WHILE_ACTIVE", "V": "NOT_WITH_STORAGE", "E": "NOT_IN_HANDLERS"}
    for item in stored:
        when = " | ".join(flags[letter] for letter in item["when"])
        text_default = f"\"{item['default']}\"" if item["type"] == "text" else "0"
        text += (f"\t[PROPERTY_{item['field'].upper()}] = {{\"{item['name']}\", TYPE_{item['type'].upper()}, "
                 f"{'true' if item['setting'] else 'false'}, {when},\n\t\toffsetof(struct properties, {item['field']}), "
                 f"{c_default(item)}, {text_default}, {item['field'] + '_values' if item.get('values') else '0'}}},\n")
    text += "};\n\n"
    for item in stored:
        if item["setting"]:
            continue
        name, ident = item["field"], f"PROPERTY_{item['field'].upper()}"
        if item["type"] == "text":
            text += (f"const char *tenon_get_{name}(tenon_volume *volume)\n{{\n\treturn property_text(volume, {ident});\n}}\n\n"
                     f"int tenon_set_{name}(tenon_volume *volume, const char *value)\n{{\n\treturn property_set_text(volume, {ident}, value);\n}}\n\n")
            continue
        ctype = SCALARS[item["type"]]
        text += (f"{ctype} tenon_get_{name}(tenon_volume *volume)\n{{\n\treturn ({ctype})property_number(volume, {ident});\n}}\n\n"
                 f"int tenon_set_{name}(tenon_volume *volume, {ctype} value)\n{{\n\treturn property_set_number(volume, {ident}, value);\n}}\n\n")
    (folder / "properties.c").write_text(text)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("headers", "engine", "docs", "python"):
        raise SystemExit(__doc__)
    api, folder = load(), pathlib.Path(sys.argv[2])
    {"headers": write_headers, "engine": write_engine, "docs": write_docs, "python": write_python}[sys.argv[1]](api, folder)


if __name__ == "__main__":
    main()
