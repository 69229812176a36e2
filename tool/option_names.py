#!/usr/bin/env python3
"""Writes option_names.h: the names of all properties and settings of the library, for "did you mean".

  option_names.py CBFS_TOML HEADER
"""
import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    api = tomllib.load(file)
names = [p["name"] for p in api["property"] if not p.get("readonly")] + [s["name"] for s in api["setting"]]
with open(sys.argv[2], "w") as header:
    header.write("/* Written by option_names.py from api/cbfs.toml: do not edit. */\n")
    header.write("static const char *const option_names[] = {\n")
    header.writelines(f'\t"{name}",\n' for name in sorted(names))
    header.write("};\n")
