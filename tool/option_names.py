#!/usr/bin/env python3
"""Writes option_names.h: all properties and settings that -o takes, for "did you mean" and for completion in shells.

  option_names.py CBFS_TOML HEADER
"""
import json
import re
import sys
import tomllib


def first_sentence(text: str) -> str:
    """Without its full stop, as descriptions in lists are."""
    return re.split(r"(?<=[.;]) ", " ".join(text.split()))[0].rstrip(".;")


def values(item: dict) -> str:
    return "true,false" if item["type"] == "bool" else ",".join(item.get("values", {}))


with open(sys.argv[1], "rb") as file:
    api = tomllib.load(file)
items = [p for p in api["property"] if not p.get("readonly")] + api["setting"]
with open(sys.argv[2], "w", encoding="utf-8") as header:
    header.write("/* Written by option_names.py from api/cbfs.toml: do not edit. */\n")
    header.write("static const struct option_name {\n\tconst char *name;\n\tconst char *summary;\n"
                 "\t/* Separated by commas; empty: numbers or text. */\n\tconst char *values;\n} option_names[] = {\n")
    for item in sorted(items, key=lambda item: item["name"]):
        header.write("\t{" + ", ".join(map(json.dumps, (item["name"], first_sentence(item["doc"]), values(item)))) + "},\n")
    header.write("};\n")
