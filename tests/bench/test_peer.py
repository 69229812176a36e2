"""The peer of the benchmark is a file system that keeps what it is given: figures against a broken one would say nothing."""
from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Iterator

import pytest

from parity import scenarios
from parity.places import PATIENCE, Base, Place, mounts, processes_naming, run, wait_for_end
from parity.runner import differences, run_scenario
from parity.steps import SCENARIOS

MODULES = (scenarios.linking, scenarios.renaming, scenarios.deleting)


class Peer(Place):
    name = "peer"

    def __init__(self, base: Base, program: Path):
        self.root = base.fresh("peer")
        run(program, self.root)

    def close(self) -> None:
        servers = processes_naming(str(self.root))
        run("umount", self.root)
        assert servers and not wait_for_end(servers, PATIENCE)


@pytest.fixture(scope="module")
def mounted(base: Base, peer: Path) -> Iterator[Peer]:
    place = Peer(base, peer)
    try:
        yield place
    except BaseException:
        place.abandon()
        raise
    place.close()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_peer_is_right(mounted: Peer, tmpfs: Place, module: ModuleType) -> None:
    wrong = []
    chosen = [one for one in SCENARIOS.values() if one.run.__module__ == module.__name__]
    for one in chosen:
        found = differences(run_scenario(one, tmpfs), run_scenario(one, mounted), "tmpfs", "the peer")
        wrong += [f"{one.name}:\n{found}"] if found else []
    assert len(chosen) > 5 and not wrong, "\n".join(wrong)


def test_peer_serves_from_a_session_of_its_own(mounted: Peer) -> None:
    servers = processes_naming(str(mounted.root))
    assert servers and all(os.getsid(server) != os.getsid(0) for server in servers)
    entry, = mounts(mounted.root)
    assert entry.kind == "fuse.peer"
