"""Turns the description of the surface into reference pages: Markdown and man.

A page is built once, as a list of blocks, and written twice. Blocks:
  ("heading", text)  ("subheading", text)  ("text", text)  ("code", text)  ("terms", [(term, note, text), ...])  ("see", [page names])
"""
import os
import pathlib
import re
import shutil
import textwrap
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
DIRECTIONS = {"in": "to read", "inout": "to read and set", "out": "to set"}
# file_name, FILE_ATTRIBUTE_*, tenon_mount_media: what is code in a sentence.
CODE = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9*]+)+")


class Page:
    def __init__(self, name, section, summary, path, functions=()):
        # path None: this page is for man alone. functions: man finds the page under these names, too.
        self.name, self.section, self.summary, self.path = name, section, summary, path
        self.functions = [function for function in functions if function != name]
        self.blocks = []

    def add(self, kind, *content):
        self.blocks.append((kind, *content))


def sentences(text):
    """Paragraphs as lists of sentences."""
    for paragraph in text.strip().split("\n\n"):
        yield re.split(r"(?<=[.!?]) +(?=[A-Z0-9\"])", " ".join(paragraph.split()))


# ------------------------------------------------------------------------------------------------ Markdown

def markdown_text(text, page, links):
    """Prose with code in backticks, linked where it has a page of its own."""
    def mark(match):
        word = match[0]
        target = links.get(word)
        if not target or target is page:
            return f"`{word}`"
        return f"[`{word}`]({os.path.relpath(target.path, page.path.parent)})"

    out, end = "", 0
    for match in CODE.finditer(text):
        out += re.sub(r"([\\*_<>|`])", r"\\\1", text[end:match.start()]) + mark(match)
        end = match.end()
    return out + re.sub(r"([\\*_<>|`])", r"\\\1", text[end:])


def markdown(page, links):
    out = f"# {page.name}\n\n{markdown_text(page.summary, page, links)}\n"
    for kind, *content in page.blocks:
        if kind == "heading":
            out += f"\n## {content[0]}\n"
        elif kind == "subheading":
            out += f"\n### {content[0]}\n"
        elif kind == "text":
            for paragraph in sentences(content[0]):
                out += "\n" + "\n".join(markdown_text(sentence, page, links) for sentence in paragraph) + "\n"
        elif kind == "code":
            out += f"\n```c\n{content[0].rstrip()}\n```\n"
        elif kind == "terms":
            out += "\n"
            for term, note, text in content[0]:
                link = links.get(term)
                shown = f"[`{term}`]({os.path.relpath(link.path, page.path.parent)})" if link and link is not page else f"`{term}`"
                prose = " ".join(" ".join(paragraph) for paragraph in sentences(text))
                out += f"* {shown}{f' ({note})' if note else ''}: {markdown_text(prose, page, links)}\n"
        elif kind == "see":
            out += "\n## See also\n\n"
            out += ", ".join(f"[{other.name}]({os.path.relpath(other.path, page.path.parent)})" for other in content[0]) + "\n"
    return out


# ----------------------------------------------------------------------------------------------------- man

def roff(text):
    """Text that groff shows as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return text.replace("^", "\\(ha").replace("~", "\\(ti")


def roff_line(line):
    return "\\&" + line if line.startswith((".", "\\(aq")) else line


def roff_prose(text):
    """One sentence a line, folded; code in bold."""
    lines = []
    for paragraph in sentences(text):
        if lines:
            lines.append(".PP")
        for sentence in paragraph:
            marked = "".join(f"\\fB{roff(part)}\\fR" if CODE.fullmatch(part) else roff(part)
                             for part in re.split(f"({CODE.pattern})", sentence))
            lines += map(roff_line, textwrap.wrap(marked, 78, break_on_hyphens=False, break_long_words=False))
    return "\n".join(lines) + "\n"


def fold_code(text):
    """Code for a screen of 80 columns: declarations are folded, after commas."""
    for line in re.sub(r",\n\s+", ", ", text.rstrip()).replace("\t", "    ").split("\n"):
        indent = line[:len(line) - len(line.lstrip())] + "    "
        # Only the blanks after commas may become line ends.
        whole = re.sub(r"(?<!,) ", "\0", line)
        folded = textwrap.wrap(whole, 72, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
        yield from (part.replace("\0", " ") for part in folded or [""])


def man(page, version, date):
    out = f".\\\" Written by api/render_docs.py: do not edit.\n.TH {page.name.upper()} {page.section} {date} \"Tenon {version}\" \"Tenon\"\n.nh\n.ad l\n"
    names = ", ".join(roff(name) for name in (page.name, *page.functions))
    out += f".SH NAME\n{names} \\- {roff(page.summary)}\n"
    after_heading = False
    for kind, *content in page.blocks:
        if kind == "heading":
            out += f".SH {content[0].upper()}\n"
        elif kind == "subheading":
            out += f".SS {content[0]}\n"
        elif kind == "text":
            out += ("" if after_heading else ".PP\n") + roff_prose(content[0])
        elif kind == "code":
            body = "\n".join(roff_line(roff(line)) for line in fold_code(content[0]))
            out += f"{'' if after_heading else '.PP' + chr(10)}.nf\n{body}\n.fi\n"
        elif kind == "terms":
            for term, note, text in content[0]:
                out += f".TP\n\\fB{roff(term)}\\fR{' (' + roff(note) + ')' if note else ''}\n{roff_prose(text)}"
        elif kind == "see":
            names = [f".BR {roff(other.name)} ({other.section})" for other in content[0] if other.section]
            out += ".SH SEE ALSO\n" + " ,\n".join(names) + "\n"
        after_heading = kind in ("heading", "subheading")
    return out


# --------------------------------------------------------------------------------------------------- pages

def event_page(event, page, gen):
    name = event["name"]
    struct = f"typedef struct tenon_{name}_event {{\n"
    for member in event["members"]:
        struct += "".join(f"\t{line}\n" for line in gen.member_lines(member))
    struct += f"}} tenon_{name}_event;"
    page.add("heading", "Synopsis")
    page.add("code", f"#include <tenon.h>\n\nvoid {name}(tenon_volume *volume, tenon_{name}_event *event);\n\n{struct}")
    page.add("heading", "When it fires")
    page.add("text", event["when"])
    page.add("heading", "What to do")
    page.add("text", event["rules"])
    page.add("heading", "Members")
    terms = []
    for member in event["members"]:
        note = DIRECTIONS[member["dir"]] + (", POSIX addition" if member.get("plus") else "")
        doc = member["doc"]
        if member["type"] == "text" and member["dir"] != "in":
            doc += f" Set it with tenon_{name}_set_{member['name']}(event, value), which copies; room for {member['room']} bytes with the NUL."
        terms.append((member["name"], note, doc))
    page.add("terms", terms)
    page.add("heading", "Without a handler")
    page.add("text", unhandled_text(event["unhandled"]))


def unhandled_text(unhandled):
    if unhandled == "mandatory":
        return "There must be one: mount_media fails with EINVAL otherwise."
    if unhandled.startswith("mandatory with "):
        return f"There must be one while {unhandled.removeprefix('mandatory with ')} is on: mount_media fails with EINVAL otherwise."
    if re.fullmatch("E[A-Z]+", unhandled):
        return f"The caller gets {unhandled}."
    return first_upper(unhandled) + "."


def first_upper(text):
    return text[0].upper() + text[1:]


def method_page(method, page, gen):
    page.add("heading", "Synopsis")
    page.add("code", f"#include <tenon.h>\n\nint {page.name}({gen.method_arguments(method)});")
    page.add("heading", "Description")
    page.add("text", method["when"])
    if method["args"]:
        page.add("heading", "Arguments")
        page.add("terms", [(arg["name"], "given back" if arg.get("dir") == "out" else "", arg["doc"]) for arg in method["args"]])
    page.add("heading", "Return value")
    words = "." if method.get("inside") else "; tenon_get_last_error then says why in words."
    page.add("text", f"0, or an errno value{words} {method['errors']}")


def c_type(item, gen):
    return "const char *" if item["type"] == "text" else gen.SCALARS[item["type"]]


def property_terms(api, gen):
    terms = []
    for prop in api["property"]:
        doc = prop["doc"]
        if prop.get("readonly"):
            note = f"{prop['type']}, read only"
        else:
            note = f"{prop['type']}, default {gen.show_default(prop)}"
            doc += values_text(prop) + " " + gen.when_text(prop["when"])
        terms.append((prop["name"], note, doc))
    return terms


def values_text(item):
    values = item.get("values")
    return " Values: " + ", ".join(f"{name} ({value})" for name, value in values.items()) + "." if values else ""


def setting_terms(api, gen):
    return [(item["name"], f"{item['type']}, default {gen.show_default(item)}",
             item["doc"] + values_text(item) + " " + gen.when_text(item["when"])) for item in api["setting"]]


def header_declarations(header):
    """What a header declares by hand, in its order: each comment with the line or lines that it stands on."""
    text = (TOP / "include" / header).read_text(encoding="utf-8")
    for match in re.finditer(r"^/\*((?:[^*]|\*(?!/))*)\*/\n((?:#define TENON_\w+ |[a-z])(?:.+\n)+)", text, re.MULTILINE):
        yield re.sub(r"^ \*[ ]?", "", match[1], flags=re.MULTILINE).strip(), match[2].strip()


def functions_in(declarations):
    return [name for _, declaration in declarations for name in re.findall(r"\b(tenon_\w+)\(", declaration)]


def setters(event):
    return [f"tenon_{event['name']}_set_{m['name']}" for m in event["members"] if m["type"] == "text" and m["dir"] != "in"]


def property_pages(api, gen, see):
    """One short page for each property, for man: the functions that read and set it."""
    pages = []
    for prop, (_, note, doc) in zip(api["property"], property_terms(api, gen)):
        name, ctype = prop["name"], c_type(prop, gen)
        declarations = [f"{gen.declare(ctype, f'tenon_get_{name}')}(tenon_volume *volume);"]
        if not prop.get("readonly"):
            declarations.append(f"int tenon_set_{name}(tenon_volume *volume, {gen.declare(ctype, 'value')});")
        page = Page(f"tenon_get_{name}", 3, f"the property {name} of a Tenon volume", None,
                    [] if prop.get("readonly") else [f"tenon_set_{name}"])
        page.add("heading", "Synopsis")
        page.add("code", "#include <tenon.h>\n\n" + "\n".join(declarations))
        page.add("heading", "Description")
        page.add("text", f"{doc}\n\nType: {note}.")
        if not prop.get("readonly"):
            page.add("heading", "Return value")
            page.add("text", "Setting: 0, EINVAL for a value that it does not take, or EBUSY when it may not be set now.")
        page.add("see", see)
        pages.append(page)
    return pages


def testing_page(see):
    declarations = list(header_declarations("tenon-testing.h"))
    page = Page("tenon_testing", 3, "play the kernel's part to test a program's handlers without a mount", None, functions_in(declarations))
    page.add("heading", "Synopsis")
    page.add("code", "#include <tenon-testing.h>")
    page.add("heading", "Description")
    for comment, declaration in declarations:
        page.add("code", declaration)
        page.add("text", comment)
    page.add("see", see)
    return page


def words_of(item):
    """Every word of an entry's texts, for finding who speaks of whom."""
    texts = [str(item.get(key, "")) for key in ("doc", "summary", "when", "rules", "unhandled", "errors")]
    texts += [part["doc"] for part in item.get("args", [])]
    return set(re.findall(r"\w+", " ".join(texts)))


def related(api, events, methods, properties, settings):
    """For each event and method, the pages that it speaks of or that speak of it."""
    entries = [(e["name"], words_of(e), events[e["name"]]) for e in api["event"]]
    entries += [(m["name"], words_of(m), methods[m["name"]]) for m in api["method"]]
    entries += [(p["name"], words_of(p), properties) for p in api["property"]]
    entries += [(s["name"], words_of(s), settings) for s in api["setting"]]
    # "mount", "unmount", "error" and "active" are plain words of English, too.
    found = {}
    for name, words, page in entries:
        others = [other_page for other, other_words, other_page in entries if other_page is not page and
                  (("_" in other and other in words) or ("_" in name and name in other_words))]
        found.setdefault(id(page), []).extend(other for other in others if other not in found.get(id(page), []))
    return found


def enabling_terms(event, api):
    """The properties that the event's own texts name, or that name the event."""
    terms = []
    for prop in api["property"]:
        if prop["name"] in words_of(event) or ("_" in event["name"] and event["name"] in words_of(prop)):
            terms.append((prop["name"], "", prop["doc"]))
    return terms


def write_docs(api, folder):
    import generate as gen  # it imports this module first

    folder = pathlib.Path(folder)
    reference, man_folder = folder / "reference", folder / "man"
    overview = Page("tenon_events", 7, "the events that a Tenon volume fires", reference / "events.md")
    properties = Page("tenon_properties", 7, "properties of a Tenon volume", reference / "properties.md")
    settings = Page("tenon_config", 7, "configuration settings of a Tenon volume", reference / "settings.md")
    constants = Page("tenon_constants", 7, "constants of the Tenon library", reference / "constants.md")
    declarations = list(header_declarations("tenon.h"))
    library = Page("libtenon", 3, "show a drive whose contents a program makes up", reference / "library.md",
                   functions_in(declarations) + ["tenon_copy_text"])
    methods_index = Page("methods", None, "The life cycle of a volume, and what handlers may ask", reference / "methods.md")
    events = {e["name"]: Page(f"tenon_{e['name']}_event", 3, e["summary"], reference / "events" / f"{e['name']}.md", setters(e))
              for e in api["event"]}
    methods = {m["name"]: Page(f"tenon_{m['name']}", 3, m["summary"], reference / "methods" / f"{m['name']}.md") for m in api["method"]}

    links = {name: page for name, page in events.items() if "_" in name}
    links |= {name: page for name, page in methods.items() if "_" in name} | {page.name: page for page in methods.values()}
    links |= {page.name: page for page in events.values()}
    links |= {prop["name"]: properties for prop in api["property"] if "_" in prop["name"]}
    near = related(api, events, methods, properties, settings)

    for event in api["event"]:
        page = events[event["name"]]
        event_page(event, page, gen)
        enabling = enabling_terms(event, api)
        if enabling:
            page.add("heading", "Properties that matter")
            page.add("terms", enabling)
        page.add("see", [overview] + [p for p in near[id(page)] if p is not overview])
    for method in api["method"]:
        page = methods[method["name"]]
        method_page(method, page, gen)
        page.add("see", [library] + near[id(page)])

    overview.add("heading", "Description")
    overview.add("text", "A program answers these events; each handler gets the volume and a struct with the event's members. "
                 "A handler runs on a worker thread of the volume, several at once for different files. The struct and all that it "
                 "points to live until the handler returns. To fail a request a handler sets result_code to a positive errno value.")
    overview.add("heading", "Events")
    overview.add("terms", [(e["name"], "", f"{first_upper(e['summary'])}. {e['when']} Without a handler: {e['unhandled']}.") for e in api["event"]])
    overview.add("see", [library, properties, settings])

    properties.add("heading", "Description")
    properties.add("text", "tenon_get_NAME(volume) reads a property and tenon_set_NAME(volume, value) sets it: 0, EINVAL for a value that it does not "
                   "take, or EBUSY when it may not be set now. tenon_set_property(volume, name, text) does the same from text.")
    properties.add("heading", "Properties")
    properties.add("terms", property_terms(api, gen))
    properties.add("see", [library, settings, overview])

    settings.add("heading", "Description")
    settings.add("text", "tenon_config(volume, \"Name=Value\", NULL, 0) sets one; tenon_config(volume, \"Name\", value, sizeof value) reads it. "
                 "The option -o of the command tenon takes them too.")
    settings.add("heading", "Settings")
    settings.add("terms", setting_terms(api, gen))
    settings.add("see", [library, properties])

    constants.add("heading", "Description")
    constants.add("text", "In C each name begins with TENON_. The texts of the reference leave that out.")
    constants.add("heading", "Constants")
    for group in api["constants"]:
        constants.add("subheading", group["title"])
        constants.add("code", "\n".join(f"TENON_{group['prefix']}{name} = {value:#x}" for name, value in group["values"].items()))
    constants.add("see", [library, overview])

    library.add("heading", "Synopsis")
    library.add("code", "#include <tenon.h>\n\ncc program.c $(pkg-config --cflags --libs tenon)")
    library.add("heading", "Description")
    library.add("text", "A program fills in a table of handlers, makes a volume with it, and mounts it. Every function that returns int returns 0 or a "
                "positive errno value; tenon_get_last_error then says why in words.")
    library.add("heading", "Life of a volume")
    library.add("terms", [(f"tenon_{m['name']}", "", f"{first_upper(m['summary'])}. {m['when']}") for m in api["method"]])
    library.add("heading", "Functions and values")
    for comment, declaration in declarations:
        library.add("code", declaration)
        library.add("text", comment)
    library.add("see", list(methods.values()) + [overview, properties, settings, constants])

    methods_index.add("terms", [(f"tenon_{m['name']}", "", f"{first_upper(m['summary'])}. {m['when']}") for m in api["method"]])

    pages = [overview, properties, settings, constants, library, *events.values(), *methods.values(),
             *property_pages(api, gen, [properties, library]), testing_page([library, overview])]
    write_pages(pages, methods_index, links, reference, man_folder)


def write_pages(pages, methods_index, links, reference, man_folder):
    version = re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text(encoding="utf-8"))[1]
    changed = os.environ.get("SOURCE_DATE_EPOCH") or (TOP / "api" / "cbfs.toml").stat().st_mtime
    date = time.strftime("%Y-%m-%d", time.gmtime(float(changed)))
    for old in (reference, man_folder / "man3", man_folder / "man7"):
        shutil.rmtree(old, ignore_errors=True)
    for sub in (reference / "events", reference / "methods", man_folder / "man3", man_folder / "man7"):
        sub.mkdir(parents=True)
    for page in pages:
        if page.path:
            page.path.write_text(markdown(page, links), encoding="utf-8")
        section = man_folder / f"man{page.section}"
        (section / f"{page.name}.{page.section}").write_text(man(page, version, date), encoding="utf-8")
        for function in page.functions:
            (section / f"{function}.{page.section}").write_text(f".so man{page.section}/{page.name}.{page.section}\n", encoding="utf-8")
    methods_index.path.write_text(markdown(methods_index, links), encoding="utf-8")
    index = "# Tenon reference\n\n" + "".join(
        f"* [{title}]({name}.md)\n" for title, name in (
            ("The library and its functions", "library"), ("Events", "events"), ("Methods", "methods"),
            ("Properties", "properties"), ("Configuration settings", "settings"), ("Constants", "constants")))
    index += "\nIn Python events, members, properties and methods have the same names: `help(tenon.CBFS)` has this reference in Python's words.\n"
    (reference / "index.md").write_text(index, encoding="utf-8")
