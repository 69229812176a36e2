#!/usr/bin/env python3
"""Adds up what the test runners have written.

  count_tests.py MORE-FAILURES TESTLOG.json [JUNIT.xml...]

Prints the closing lines of the C programs, then one line "N passed, N failed, N skipped". A log that is missing counts as
one failure: its runner did not get to its end. Exit code 1 when something failed or nothing ran.
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

# What a cmocka program says at its end: "[==========] 5 test(s) run.", "[  PASSED  ] 4 test(s).", "[  FAILED  ] 1 test(s), listed below:".
CLOSING = re.compile(r"^\[ *(=+|PASSED|FAILED|SKIPPED) *\] (\d+) test.*$", re.MULTILINE)


def count_program(test):
    """One C program: its test cases as cmocka counts them, else the program as one test."""
    counted = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
    for line in CLOSING.finditer(test.get("stdout", "") + "\n" + test.get("stderr", "")):
        print(f"{test['name']}: {line[0].removesuffix(', listed below:')}")
        if line[1] in counted:
            counted[line[1]] += int(line[2])
    good, skipped = test["result"] in ("OK", "EXPECTEDFAIL"), test["result"] == "SKIP"
    if not any(counted.values()):
        counted["PASSED" if good else "SKIPPED" if skipped else "FAILED"] = 1
    elif not good and not skipped and not counted["FAILED"]:
        counted["FAILED"] = 1  # it crashed at its end, or a sanitizer ended it
    return counted["PASSED"], counted["FAILED"], counted["SKIPPED"]


def count_meson(path):
    if not path.exists():
        print(f"no {path.name}: the C tests did not get to their end")
        return 0, 1, 0
    totals = [0, 0, 0]
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        totals = [a + b for a, b in zip(totals, count_program(json.loads(line)))]
    return totals


def count_pytest(path):
    if not path.exists():
        print(f"no {path.name}: pytest did not get to its end")
        return 0, 1, 0
    totals = [0, 0, 0]
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        skipped = int(suite.get("skipped"))
        totals = [a + b for a, b in zip(totals, (int(suite.get("tests")) - bad - skipped, bad, skipped))]
    return totals


def main():
    more, *arguments = sys.argv[1:]
    paths = [pathlib.Path(argument) for argument in arguments]
    counts = [count_meson(path) if path.suffix == ".json" else count_pytest(path) for path in paths]
    passed, failed, skipped = (sum(column) for column in zip((0, int(more), 0), *counts))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
