"""The table of scenarios, one module per family. Importing this fills it."""
from __future__ import annotations

import functools

import parity.scenarios  # noqa: F401
from parity import steps
from parity.steps import SCENARIOS, Scenario

TABLE: dict[str, Scenario] = {}
scenario = functools.partial(steps.scenario, table=TABLE)

from . import coming, handles, kinds, making, one_node, permissions  # noqa: E402,F401

# What the comparison with tmpfs has on links already: for those who do not take part in it.
_ABOUT_LINKS = ("fifos_by_two_names_are_one", "hard_links_by_others", "link_", "links_come_and_go", "locks_through_two_names",
                "map_through_two_names", "open_temporary_files", "rename_onto_own_link", "rename_over_an_open_file", "unlinked_")
BORROWED = {name: one for name, one in SCENARIOS.items() if name.startswith(_ABOUT_LINKS)}
