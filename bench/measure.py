"""Runs a case: rounds, in each of which every subject has its turn.

Rounds are interleaved (A B A B), so that what the machine does meanwhile hits all subjects alike; every second one goes the
other way round. The first is a warm-up and does not count.
"""
from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

from .cases import UNITS, Case, External, Phase
from .subjects import SUBJECTS, Base, Subject, Unavailable, empty_caches

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


@dataclass
class Outcome:
    """What a case gave: values[figure][subject] is a list, one for each round."""

    case: Case | External
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, figure: str, subject: str, value: float) -> None:
        self.values.setdefault(figure, {}).setdefault(subject, []).append(value)


def _run(program: Path, arguments: list[str], subject: Optional[Subject] = None) -> dict[str, Any]:
    """Run a program that ends with one JSON object. One that hangs in a file system ends when that is given up."""
    words = [str(program), *arguments]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
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
    said = _run(settings.programs / program, [phase.run or phase.name, str(subject.root / case.file), *arguments], subject)
    if not phase.timed:
        return {}
    amount = said["amount"] / UNITS[case.unit]
    figures = {phase.name: amount / said["seconds"]}
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
        outcome.skipped[name] = str(error)
    except (Failed, AssertionError, OSError, subprocess.TimeoutExpired) as error:
        outcome.failed[name] = str(error)
    for by_subject in outcome.values.values():
        by_subject.pop(name, None)
    return {}


def run_case(settings: Settings, case: Case, tell: Callable[[str], None]) -> Outcome:
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
    outcome.seconds = time.monotonic() - start
    return outcome


def run_external(settings: Settings, case: External, tell: Callable[[str], None]) -> Outcome:
    """It does its own rounds; its figures are shown under its own name."""
    outcome = Outcome(case)
    start = time.monotonic()
    program = settings.programs / case.external
    if not program.exists():
        outcome.skipped[case.external] = f"{program} is not there"
        return outcome
    tell(f"{case.name}: {case.external}")
    try:
        said = _run(program, [*case.arguments])
        for figure in case.figures:
            outcome.add(figure, case.external, float(said[figure]))
    except (Failed, KeyError, TypeError, ValueError) as error:
        outcome.values.clear()
        outcome.failed[case.external] = str(error) if isinstance(error, Failed) else f"{case.external} said no number: {error}"
    outcome.seconds = time.monotonic() - start
    return outcome


def run(settings: Settings, case: Case | External, tell: Callable[[str], None]) -> Outcome:
    return run_external(settings, case, tell) if isinstance(case, External) else run_case(settings, case, tell)
