"""Turns outcomes into figures, a table for people and an object for programs.

A figure is the median over the rounds. A ratio is the median of the rounds' own ratios: subject and reference of one round ran
one after the other, so a machine that becomes slower in the course of the run does not change it.
"""
from __future__ import annotations

from statistics import median
from typing import Any, Optional

from .cases import Case, External
from .measure import Outcome
from .requests import in_words

FORMAT = 1


def _figure(case: str, name: str, subject: str, unit: str, values: list[float]) -> dict[str, Any]:
    return {"case": case, "figure": name, "subject": subject, "unit": unit, "values": values, "median": median(values),
            "min": min(values), "max": max(values), "reference": None, "ratio": None, "ratios": [], "aim": None, "met": None,
            "others": []}


def _comparison(values: list[float], reference: str, theirs: list[float]) -> dict[str, Any]:
    ratios = [mine / other for mine, other in zip(values, theirs)]
    return {"reference": reference, "ratios": ratios, "ratio": median(ratios)}


def _compare(figure: dict[str, Any], references: dict[str, list[float]], at_least: Optional[float]) -> None:
    """With the first reference that did the work; the others are shown as well."""
    first, *others = [_comparison(figure["values"], name, values) for name, values in references.items()]
    figure.update(first, others=others)
    if at_least is not None:
        figure.update(aim={"ratio_at_least": at_least}, met=figure["ratio"] >= at_least)


def _figures_of_case(case: Case, outcome: Outcome) -> list[dict[str, Any]]:
    made = []
    for name, by_subject in outcome.values.items():
        for subject in (subject for subject in case.subjects if subject in by_subject):
            figure = _figure(case.name, name, subject, case.unit, by_subject[subject])
            references = {other: by_subject[other] for other in case.reference.get(subject, []) if other in by_subject}
            if references:
                _compare(figure, references, case.aim(subject, name))
            made.append(figure)
    return made


def _figures_of_external(case: External, outcome: Outcome) -> list[dict[str, Any]]:
    made = []
    for name, by_subject in outcome.values.items():
        figure = _figure(case.name, name, case.external, case.figures[name]["unit"], by_subject[case.external])
        at_most = case.figures[name].get("at_most")
        if at_most is not None:
            figure.update(aim={"at_most": at_most}, met=figure["median"] <= at_most)
        made.append(figure)
    return made


def figures(outcome: Outcome) -> list[dict[str, Any]]:
    case = outcome.case
    return _figures_of_external(case, outcome) if isinstance(case, External) else _figures_of_case(case, outcome)


def _requests(outcome: Outcome) -> list[dict[str, Any]]:
    """What the kernel asked for a phase, and for how many operations together."""
    return [{"case": outcome.case.name, "figure": phase, "subject": subject, "operations": of.operations, "requests": of.requests}
            for phase, by_subject in outcome.requests.items() for subject, of in by_subject.items()]


def as_object(machine: dict[str, Any], settings: dict[str, Any], warnings: list[str], outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "format": FORMAT, "machine": machine, "settings": settings, "warnings": warnings,
        "cases": [{"name": outcome.case.name, "title": outcome.case.title, "seconds": outcome.seconds, "failed": outcome.failed,
                   "skipped": outcome.skipped, "figures": figures(outcome), "requests": _requests(outcome)}
                  for outcome in outcomes],
    }


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 1000 else f"{number:.3g}"


def _aim(figure: dict[str, Any]) -> str:
    if not figure["aim"]:
        return ""
    kind, wanted = next(iter(figure["aim"].items()))
    return f"{'>=' if kind == 'ratio_at_least' else '<='} {wanted:g}: {'met' if figure['met'] else 'NOT MET'}"


def _ratio(comparison: dict[str, Any]) -> list[str]:
    ratios = comparison["ratios"]
    return [f"{comparison['ratio']:.2f} x {comparison['reference']}", f"{min(ratios):.2f}..{max(ratios):.2f}"] if ratios else ["", ""]


def _rows(figure: dict[str, Any]) -> list[list[str]]:
    """One for the figure, and one for each further reference."""
    first = [figure["case"], figure["figure"], figure["subject"], f"{_short(figure['median'])} {figure['unit']}",
             f"{_short(figure['min'])}..{_short(figure['max'])}", *_ratio(figure), _aim(figure)]
    return [first, *([""] * 5 + _ratio(other) + [""] for other in figure["others"])]


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _table_of_requests(whole: dict[str, Any]) -> list[str]:
    rows = [[of["case"], of["figure"], of["subject"], in_words(of["requests"], of["operations"])]
            for case in whole["cases"] for of in case["requests"]]
    return ["", *_aligned([["case", "figure", "subject", "requests for each"], *rows]), ""] if rows else []


def as_text(whole: dict[str, Any]) -> str:
    rows = [["case", "figure", "subject", "median", "spread", "ratio", "spread", "aim"]]
    rows += [row for case in whole["cases"] for figure in case["figures"] for row in _rows(figure)]
    lines = [*_aligned(rows), *_table_of_requests(whole)]
    for case in whole["cases"]:
        lines += [f"{case['name']}: {subject} left out: {why}" for subject, why in case["skipped"].items()]
        lines += [f"{case['name']}: {subject} FAILED: {why}" for subject, why in case["failed"].items()]
    lines += [f"warning: {warning}" for warning in whole["warnings"]]
    facts = [f"{name}: {value}" for group in (whole["machine"], whole["settings"]) for name, value in group.items()]
    return "\n".join([*lines, "", *facts, ""])
