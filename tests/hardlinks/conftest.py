"""What tests about hard links need besides the fixtures of all tests."""
from __future__ import annotations

import os

import pytest

from parity import calls
from parity.places import Place


@pytest.fixture(scope="session")
def handles(tmpfs: Place, need) -> None:
    """Files may be opened by number: CAP_DAC_READ_SEARCH, which containers often lack."""
    top = os.open(tmpfs.root, os.O_RDONLY)
    try:
        os.close(calls.open_by_handle(top, calls.name_to_handle(str(tmpfs.root)), os.O_RDONLY))
        why = ""
    except OSError as error:
        why = f"open_by_handle_at: {error.strerror}"
    finally:
        os.close(top)
    need("handles", not why, why)
