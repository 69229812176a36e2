"""Hard links: every scenario of the table gives the same trace on tmpfs and on each subject, with all caches on."""
from __future__ import annotations

from contextlib import ExitStack
from typing import Iterator

import pytest

from parity.places import Base, Place
from parity.runner import Hung, Outcome, differences, run_scenario

from .scenarios import TABLE
from .subjects import SUBJECTS

CASES = [(subject, name) for subject in SUBJECTS for name in sorted(TABLE)]

_expected: dict[str, Outcome] = {}


def expected(name: str, tmpfs: Place) -> Outcome:
    """The trace on tmpfs, which is the truth; made once per run."""
    if name not in _expected:
        _expected[name] = run_scenario(TABLE[name], tmpfs)
    return _expected[name]


class Holder:
    """A subject's place, made anew after a scenario has broken it."""

    def __init__(self, name: str, base: Base):
        self._subject, self._base = SUBJECTS[name], base
        self._stack = ExitStack()
        self._place: Place | None = None

    def place(self) -> Place:
        if self._place is None:
            self._place = self._stack.enter_context(self._subject.open(self._base))
        return self._place

    def lost(self) -> None:
        assert self._place is not None
        self._place.abandon()
        self._stack.pop_all()
        self._place = None

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest, base: Base) -> Iterator[Holder]:
    holder = Holder(request.param, base)
    yield holder
    holder.close()


@pytest.mark.parametrize("subject, name", CASES, indirect=["subject"], scope="module")
def test_as_on_tmpfs(request: pytest.FixtureRequest, subject: Holder, name: str, tmpfs: Place) -> None:
    if name.startswith("handles"):
        request.getfixturevalue("handles")
    truth = expected(name, tmpfs)
    assert not truth.crash, truth.crash
    place = subject.place()
    try:
        found = differences(truth, run_scenario(TABLE[name], place), "tmpfs", place.name)
    except Hung as hung:
        subject.lost()
        pytest.fail(f"{place.name} hangs in {name}: {hung}", pytrace=False)
    broken = place.broken()
    if broken:
        subject.lost()
    if found or broken:
        pytest.fail(f"{place.name} differs from tmpfs in {name}:\n{found}\n{broken or ''}", pytrace=False)
