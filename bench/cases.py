"""The description of the cases, cases.toml, read and checked."""
from __future__ import annotations

import fnmatch
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

UNITS = {"MiB/s": 1 << 20, "files/s": 1, "names/s": 1, "pairs/s": 1, "ops/s": 1}
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Wrong(Exception):
    """The user, or the description, asks for something that cannot be."""


def parse_size(text: str) -> int:
    match = re.fullmatch(r"([1-9]\d*)([KMG]?)", text)
    if not match:
        raise Wrong(f"{text} is not a size; write for instance 64M or 1G")
    return int(match[1]) * SIZES[match[2]]


@dataclass(frozen=True)
class Phase:
    name: str
    run: str = ""
    cold: bool = False
    closed: bool = False
    timed: bool = True
    operations: int = 0


@dataclass(frozen=True)
class Aim:
    subject: str
    phase: str
    ratio: float


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    unit: str
    program: str
    subjects: list[str]
    phases: list[Phase]
    replace: dict[str, str] = field(default_factory=dict)
    file: str = ""
    arguments: list[str] = field(default_factory=list)
    size: str = ""
    files: int = 0
    processor: bool = False
    processors: int = 0
    requests: int = 0
    reference: dict[str, list[str]] = field(default_factory=dict)
    aims: list[Aim] = field(default_factory=list)

    def command(self, subject: str, size: Optional[int], files: Optional[int]) -> tuple[str, list[str]]:
        """The program for a subject, and what it is told after the phase and the place."""
        values = {"size": size or parse_size(self.size or "1"), "files": files or self.files}
        return self.replace.get(subject, self.program), [text.format(**values) for text in self.arguments]

    def aim(self, subject: str, figure: str) -> Optional[float]:
        return next((aim.ratio for aim in self.aims if (aim.subject, aim.phase) == (subject, figure)), None)


@dataclass(frozen=True)
class External:
    """A case that a program measures by itself."""

    name: str
    title: str
    external: str
    figures: dict[str, dict[str, Any]]
    arguments: tuple[str, ...] = ()


def _check(case: Case) -> None:
    known = set(case.subjects)
    references = {name for names in case.reference.values() for name in names}
    named = set(case.replace) | set(case.reference) | references | {aim.subject for aim in case.aims}
    if case.unit not in UNITS or named - known:
        raise Wrong(f"case {case.name}: unit {case.unit}, or one of {sorted(named - known)}, is not known")
    if case.requests and any(phase.cold or phase.closed for phase in case.phases):
        raise Wrong(f"case {case.name}: requests cannot be counted where the subject is left between phases")
    timed = {phase.name for phase in case.phases if phase.timed}
    for aim in case.aims:
        if aim.phase not in timed or aim.subject not in case.reference:
            raise Wrong(f"case {case.name}: {aim} is about a phase without a time or a subject without a reference")


def _make(name: str, entry: dict[str, Any]) -> Case | External:
    try:
        if "external" in entry:
            return External(name=name, **entry)
        entry = {**entry, "phases": [Phase(**phase) for phase in entry["phases"]],
                 "reference": {subject: [names] if isinstance(names, str) else names
                               for subject, names in entry.get("reference", {}).items()},
                 "aims": [Aim(**aim) for aim in entry.get("aims", [])]}
        case = Case(name=name, **entry)
    except (TypeError, KeyError) as error:
        raise Wrong(f"case {name}: {error}") from error
    _check(case)
    return case


def load(path: Path) -> list[Case | External]:
    return [_make(name, entry) for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items()]


def choose(cases: list[Case | External], patterns: list[str]) -> list[Case | External]:
    """Those whose name one of the patterns fits; all where there is no pattern."""
    for pattern in patterns:
        if not fnmatch.filter([case.name for case in cases], pattern):
            raise Wrong(f"no case is called {pattern}; there are {', '.join(case.name for case in cases)}")
    return [case for case in cases if not patterns or any(fnmatch.fnmatchcase(case.name, p) for p in patterns)]
