"""Writers and readers on two hosts: nothing is lost, and answers are what was there.

Each drive once by default; ZSM_TEST_WRITERS=20 repeats the plays.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.examples import numbered
from tests.multiprocess.writers_judge import Kind
from tests.multiprocess.writers_play import Cast, Host, make_registry, play
from zsm_store import ConflictError, Layout, SchemaRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.netfs.conftest import Drive

ROUNDS = int(os.environ.get("ZSM_TEST_WRITERS", "1"))
CAST = Cast(savers=4, counters=4, pairs=1, times=40, seconds=6)

_SSHFS = frozenset({Kind.LATE, Kind.MIXED, Kind.BACKWARDS})
UNAVOIDABLE = {"sshfs": _SSHFS, "sshfs-uncached": _SSHFS}
"""What a drive does to readers whatever one does: sshfs knows two versions of a file
only by the second in which they were written, and lists what was there 20 s ago."""


@pytest.mark.netfs
@pytest.mark.timeout(60 + 60 * ROUNDS)
@pytest.mark.parametrize("layout", Layout)
def test_nothing_acknowledged_is_lost_between_two_hosts(
    drive: Drive, tmp_path: Path, layout: Layout
) -> None:
    for number in range(ROUNDS):
        name = f"writers-{layout}-{number}"
        make_registry(drive.there / name, layout)
        hosts = [Host(drive.there / name, "there"), Host(drive.here / name, "here")]
        outcome = play(hosts, tmp_path / str(number), CAST, late_s=drive.bound_s)
        print(f"{drive.name} {layout}: {outcome}")  # noqa: T201  # shown by pytest -s
        kinds = {fault.kind for fault in outcome.faults}
        assert kinds <= UNAVOIDABLE.get(drive.name, frozenset()), str(outcome)
        assert not outcome.refusals, str(outcome)
        assert outcome.acknowledged
        assert outcome.looks


@pytest.mark.netfs
@pytest.mark.timeout(120)
@pytest.mark.parametrize("layout", Layout)
def test_precondition_is_checked_against_what_the_other_host_saved_last(
    drive: Drive, layout: Layout
) -> None:
    # To open a file again is not enough: a client of GlusterFS goes on to read, for a
    # second, what the other host has replaced.
    name = f"preconditions-{layout}"
    SchemaRegistry.init(drive.there / name, layout=layout).close()
    with (
        SchemaRegistry.open(drive.there / name) as there,
        SchemaRegistry.open(drive.here / name) as here,
    ):
        for number in range(10):
            key = numbered(number).schema_hash
            digest = there.save(numbered(number, tag="first"))
            assert there.digest(key) == digest
            second = here.save(numbered(number, tag="second"), if_match=digest)
            with pytest.raises(ConflictError):
                there.save(numbered(number, tag="third"), if_match=digest)
            third = there.save(numbered(number, tag="third"), if_match=second)
            with pytest.raises(ConflictError):
                here.delete(key, if_match=second)
            assert here.delete(key, if_match=third)
