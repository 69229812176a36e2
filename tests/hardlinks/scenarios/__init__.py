"""The table of scenarios, one module per family. Importing this fills it."""
from __future__ import annotations

import functools

from parity import steps
from parity.steps import Scenario

TABLE: dict[str, Scenario] = {}
scenario = functools.partial(steps.scenario, table=TABLE)

from . import coming, handles, kinds, making, one_node, permissions  # noqa: E402,F401
