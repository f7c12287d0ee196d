"""Readers on one host beside writers on another one: late, but never wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.multiprocess.freshness_judge import Judge
from tests.multiprocess.freshness_play import CONSTANT, make_registry, play
from tests.multiprocess.freshness_players import Watching
from tests.processes import wait_until
from zsm_store import Layout, SchemaRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.netfs.conftest import Drive

SECONDS = 8.0
FEWEST = 10


@pytest.mark.netfs
@pytest.mark.timeout(300)
@pytest.mark.parametrize("layout", Layout)
def test_answer_is_of_a_moment_no_longer_ago_than_the_bound(
    drive: Drive, tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZSM_CACHE_DIR", str(tmp_path / "cache"))
    name = f"answers-{layout}"
    make_registry(drive.there / name, layout)
    with SchemaRegistry.open(drive.here / name, watch=False) as registry:
        wait_until(lambda: len(registry) == len(CONSTANT), "the other host's registry")
    run = play(
        drive.there / name,
        tmp_path,
        Watching.HEARING,
        SECONDS,
        readers_path=drive.here / name,
    )
    judge = Judge(CONSTANT, run.operations, late_s=drive.bound_s)
    faults = judge.faults(run.answers)
    assert not faults, f"{len(faults)} of {len(run.answers)}: " + "\n".join(faults[:5])
    assert not run.refused
    assert len(run.answers) >= FEWEST
