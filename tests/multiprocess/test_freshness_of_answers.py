"""Every answer is that of a directory state that existed while it was sought."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.multiprocess.freshness_judge import Judge
from tests.multiprocess.freshness_play import CONSTANT, make_registry, outcomes, play
from tests.multiprocess.freshness_players import Watching
from zsm_store import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from tests.multiprocess.freshness_players import Log

SECONDS = 2.0
ROUNDS = int(os.environ.get("ZSM_TEST_FRESHNESS_ROUNDS", "1"))
"""How often each test is repeated, with a new registry each time."""
MORE_ROUNDS = 5
"""How often at most it is repeated because a busy machine gave too few answers."""
FEWEST = 10
"""Answers of every outcome without which it has proved nothing."""
OUTCOMES = [
    *("warm_load", "warm_start", "cold_start", "nearest"),
    *("counted", "stored", "not stored", "decided"),
]

BELIEVES_WHAT_IT_READ_ONCE = """
from zsm_store.storage.freshness import Reading
assert Reading.holds
Reading.holds = lambda *_: True
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    path.mkdir()
    monkeypatch.setenv("ZSM_CACHE_DIR", str(path))
    return path


@pytest.mark.multiprocess
@pytest.mark.timeout(30 * (ROUNDS + MORE_ROUNDS))
@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("watching", Watching)
def test_every_answer_was_right_at_a_moment_of_its_call(
    tmp_path: Path, cache: Path, layout: Layout, watching: Watching
) -> None:
    told = Counter(dict.fromkeys(OUTCOMES, 0))
    for number in itertools.count(1):
        logs = tmp_path / str(number)
        logs.mkdir()
        make_registry(logs / "registry", layout)
        assert len(list(cache.iterdir())) == number
        run = play(logs / "registry", logs, watching, SECONDS)
        judge = Judge(CONSTANT, run.operations)
        faults = judge.faults(run.answers)
        what = f"{len(faults)} of {len(run.answers)} are wrong: "
        assert not faults, what + "\n".join(faults[:5])
        assert not run.refused
        told["refreshed"] += checked_refreshes(run.readers, watching)
        told.update(outcomes(run.answers))
        # Answers that had to be just this one, because nobody wrote meanwhile.
        told["decided"] += sum(map(judge.is_decided, run.answers))
        is_enough = min(told.values()) >= FEWEST
        if number >= ROUNDS and is_enough:
            break
        assert number < ROUNDS + MORE_ROUNDS, f"too few answers: {told}"


def checked_refreshes(readers: list[Log], watching: Watching) -> int:
    """Check that the watch of each reader did what this run is about.

    Returns how often the laziest refreshed; enough where it is not to.
    """
    refreshes = [len(reader.refreshes) for reader in readers]
    match watching:
        case Watching.NONE:
            assert set(refreshes) == {0}
        case Watching.HEARING:
            return min(refreshes)
        case Watching.DEAF:
            assert set(refreshes) <= {1, 2}, "only at the start and the end"
    return FEWEST


@pytest.mark.multiprocess
@pytest.mark.parametrize("layout", Layout)
def test_a_reader_that_never_looks_again_is_caught(
    tmp_path: Path, layout: Layout
) -> None:
    caught = 0
    for number in range(ROUNDS + MORE_ROUNDS):
        logs = tmp_path / str(number)
        logs.mkdir()
        make_registry(logs / "registry", layout)
        run = play(
            logs / "registry",
            logs,
            Watching.DEAF,
            SECONDS / 2,
            before=BELIEVES_WHAT_IT_READ_ONCE,
        )
        caught += len(Judge(CONSTANT, run.operations).faults(run.answers))
        if caught >= FEWEST:
            return
    pytest.fail(f"only {caught} of its answers were found wrong")
