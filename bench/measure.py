"""Runs a case: rounds, in each of which every subject has its turn.

Rounds are interleaved (A B A B), so that what the machine does meanwhile hits all subjects alike; every second one goes the
other way round. The first is a warm-up and does not count.
"""
from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

from . import requests
from .cases import UNITS, Case, External, Phase
from .subjects import SUBJECTS, Base, Subject, Unavailable, empty_caches, python_environment, python_words

LIMIT = 900.0  # seconds for one phase


class Failed(Exception):
    """A subject did not do what it was to do."""


@dataclass(frozen=True)
class Settings:
    programs: Path
    base: Base
    rounds: int
    warm_up: int
    size: Optional[int]
    files: Optional[int]


@dataclass(frozen=True)
class Counted:
    """What the kernel asked for so many operations together: how often, by opcode."""

    operations: int
    requests: dict[str, int]


@dataclass
class Outcome:
    """What a case gave: values[figure][subject] is a list, one for each round; requests[phase][subject]."""

    case: Case | External
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    requests: dict[str, dict[str, Counted]] = field(default_factory=dict)

    def add(self, figure: str, subject: str, value: float) -> None:
        self.values.setdefault(figure, {}).setdefault(subject, []).append(value)

    def fail(self, subject: str, why: str) -> None:
        self.failed[subject] = why
        self.drop(subject)

    def skip(self, subject: str, why: str) -> None:
        self.skipped[subject] = why
        self.drop(subject)

    def drop(self, subject: str) -> None:
        for by_subject in (*self.values.values(), *self.requests.values()):
            by_subject.pop(subject, None)


def _run(words: list[str], subject: Optional[Subject] = None) -> dict[str, Any]:
    """Run a program that ends with one JSON object. One that hangs in a file system ends when that is given up."""
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=python_environment()) as process:
        try:
            output, errors = process.communicate(timeout=LIMIT)
        except BaseException as error:
            if subject:
                subject.abandon()
            process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Failed(f"{' '.join(words)} did not end in {LIMIT:.0f} seconds") from error
            raise
    if process.returncode != 0:
        raise Failed(f"{' '.join(words)}: {errors.strip() or process.returncode}")
    try:
        return json.loads(output)
    except json.JSONDecodeError as error:
        raise Failed(f"{' '.join(words)} printed no JSON: {output[:200]!r}") from error


def _phase(settings: Settings, case: Case, phase: Phase, name: str, subject: Subject) -> dict[str, float]:
    """One phase of one subject: its figures."""
    program, arguments = case.command(name, settings.size, settings.files)
    if phase.cold:
        subject.cold()
    before = subject.processor_time() if case.processor else 0.0
    said = _run([str(settings.programs / program), phase.run or phase.name, str(subject.root / case.file), *arguments], subject)
    if not phase.timed:
        return {}
    amount = said["amount"] / UNITS[case.unit]
    figures = {phase.name: amount / said["seconds"]}
    if case.processor:
        figures[f"{phase.name}, processor"] = amount / (subject.processor_time() - before)
    if phase.closed:
        start = time.monotonic()
        subject.leave()
        whole = said["seconds"] + said["closing"] + time.monotonic() - start
        subject.enter()
        figures[f"{phase.name}+close"] = amount / whole
    return figures


def _turn(settings: Settings, case: Case, name: str) -> dict[str, float]:
    """One subject's turn in a round, from nothing to nothing."""
    figures: dict[str, float] = {}
    empty_caches()
    subject = SUBJECTS[name](settings.base, name)
    try:
        for phase in case.phases:
            figures.update(_phase(settings, case, phase, name, subject))
        subject.close()
        subject.discard()
    except BaseException:
        subject.abandon()
        raise
    return figures


def _try_turn(settings: Settings, outcome: Outcome, name: str) -> dict[str, float]:
    """A subject that cannot be had is left out; one that fails is out, and all that it did does not count."""
    try:
        return _turn(settings, outcome.case, name)
    except Unavailable as error:
        outcome.skip(name, str(error))
    except (Failed, AssertionError, OSError, subprocess.TimeoutExpired) as error:
        outcome.fail(name, str(error))
    return {}


def _count_phases(settings: Settings, case: Case, name: str) -> dict[str, Counted]:
    """Each phase's requests, in a turn of its own, as counting takes time."""
    counted = replace(settings, files=min(settings.files or case.files, case.requests))
    found = {}
    with requests.subject(settings.base, name) as subject, requests.Counting(subject.root) as counting:
        for phase in case.phases:
            of = counting.of(partial(_phase, counted, case, phase, name, subject))
            if phase.timed:
                found[phase.name] = Counted(phase.operations or counted.files, dict(of))
    return found


def count_requests(settings: Settings, outcome: Outcome) -> None:
    case = outcome.case
    why = requests.available()
    if why:
        outcome.skipped["requests"] = why
        return
    for name in case.subjects:
        if name in outcome.failed or name in outcome.skipped:
            continue
        try:
            for phase, of in _count_phases(settings, case, name).items():
                outcome.requests.setdefault(phase, {})[name] = of
        except (Failed, AssertionError, OSError, subprocess.TimeoutExpired) as error:
            outcome.fail(name, f"while its requests were counted: {error}")


@contextlib.contextmanager
def _bound(processors: int) -> Iterator[None]:
    """This process, and those that it starts, have only so many processors; 0: all that it has now."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-processors:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_case(settings: Settings, case: Case, tell: Callable[[str], None]) -> Outcome:
    with _bound(case.processors):
        return _run_case(settings, case, tell)


def _run_case(settings: Settings, case: Case, tell: Callable[[str], None]) -> Outcome:
    outcome = Outcome(case)
    start = time.monotonic()
    for number in range(settings.warm_up + settings.rounds):
        kind = "warm-up" if number < settings.warm_up else f"round {number - settings.warm_up + 1} of {settings.rounds}"
        for name in case.subjects[:: -1 if number % 2 else 1]:
            if name in outcome.failed or name in outcome.skipped:
                continue
            tell(f"{case.name}: {kind}: {name}")
            for figure, value in _try_turn(settings, outcome, name).items():
                if number >= settings.warm_up:
                    outcome.add(figure, name, value)
    if case.requests:
        tell(f"{case.name}: requests")
        count_requests(settings, outcome)
    outcome.seconds = time.monotonic() - start
    return outcome


def _external_words(settings: Settings, case: External) -> list[str]:
    if case.external.endswith(".py"):
        return [*python_words(case.external), *case.arguments]
    program = settings.programs / case.external
    if not program.exists():
        raise Unavailable(case.external, f"{program} is not there")
    return [str(program), *case.arguments]


def run_external(settings: Settings, case: External, tell: Callable[[str], None]) -> Outcome:
    """It does its own rounds; its figures are shown under its own name."""
    outcome = Outcome(case)
    start = time.monotonic()
    tell(f"{case.name}: {case.external}")
    try:
        said = _run(_external_words(settings, case))
        for figure in case.figures:
            outcome.add(figure, case.external, float(said[figure]))
    except Unavailable as error:
        outcome.skip(case.external, str(error))
    except (Failed, KeyError, TypeError, ValueError) as error:
        outcome.values.clear()
        outcome.failed[case.external] = str(error) if isinstance(error, Failed) else f"{case.external} said no number: {error}"
    outcome.seconds = time.monotonic() - start
    return outcome


def run(settings: Settings, case: Case | External, tell: Callable[[str], None]) -> Outcome:
    return run_external(settings, case, tell) if isinstance(case, External) else run_case(settings, case, tell)
