"""docs/hard-links.md quotes code and names tests: both are there."""
from __future__ import annotations

import re

from installed import REPOSITORY

PAGE = (REPOSITORY / "docs" / "hard-links.md").read_text(encoding="utf-8")


def test_code_is_the_examples() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "examples").glob("numbered*.[ch]")))
    quoted = re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL)
    assert len(quoted) > 5
    for block in quoted:
        assert block in code, f"not in examples/numbered*: {block}"


def test_named_tests_are_there() -> None:
    named = [(path, name) for path, names in re.findall(r"`(tests/[\w/.]+)`: ((?:`\w+`(?:, )?)+)", PAGE) for name in re.findall(r"\w+", names)]
    assert len(named) > 30
    for path, name in named:
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        assert re.search(rf"^(static void|def) {name}\(", text, re.M), f"no {name} in {path}"
