"""Eight writers and two readers: what was acknowledged, and nothing else, is there.

Once each by default. ZSM_TEST_WRITERS=20 repeats every test, ZSM_TEST_SOAK_S=600 goes
on for ten minutes with everything at once::

    ZSM_TEST_WRITERS=20 ZSM_TEST_SOAK_S=600 \
        python -m pytest tests/multiprocess/test_many_writers.py
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.multiprocess.writers_play import Cast, Host, make_registry, play
from zsm_store import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = int(os.environ.get("ZSM_TEST_WRITERS", "1"))
"""How often each test is repeated, with a new registry each time."""
SOAK_S = float(os.environ.get("ZSM_TEST_SOAK_S", "0"))
_SHORT = ROUNDS == 1
_ROUND_S = 60.0

DISTINCT = Cast(savers=8, times=20 if _SHORT else 50)
COUNTERS = Cast(counters=7, pairs=1, times=15 if _SHORT else 50)
ALL = Cast(savers=4, counters=4, pairs=1, times=200, seconds=15)


@pytest.mark.multiprocess
@pytest.mark.timeout(_ROUND_S * ROUNDS)
@pytest.mark.parametrize("keep", [0, 3])
@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("cast", [DISTINCT, COUNTERS], ids=["distinct", "counters"])
def test_nothing_acknowledged_is_lost_and_every_answer_is_of_one_moment(
    tmp_path: Path, cast: Cast, layout: Layout, keep: int
) -> None:
    if _SHORT and bool(keep) is (layout is Layout.FLAT):
        pytest.skip("the other two of four: ZSM_TEST_WRITERS=2, or more")
    for number in range(ROUNDS):
        check(tmp_path / str(number), cast, layout, keep)


@pytest.mark.multiprocess
def test_counters_are_exact_while_the_private_folder_is_removed_all_the_time(
    tmp_path: Path,
) -> None:
    for number in range(ROUNDS):
        place = tmp_path / str(number)
        cast = Cast(savers=2, counters=3, readers=1, times=DISTINCT.times)
        with removing(place / "registry" / ".zsm") as removals:
            check(place, cast, Layout.FLAT, keep=0)
        assert removals, "it was never there"


@pytest.mark.multiprocess
@pytest.mark.timeout(SOAK_S + 2 * _ROUND_S)
def test_soak(tmp_path: Path) -> None:
    if not SOAK_S:
        pytest.skip("ZSM_TEST_SOAK_S is not set: for how many seconds")
    end, number = time.monotonic() + SOAK_S, 0
    while time.monotonic() < end:
        layout = list(Layout)[number % 2]
        check(tmp_path / str(number), ALL, layout, keep=(number // 2) % 2 * 5)
        shutil.rmtree(tmp_path / str(number))
        number += 1


def check(place: Path, cast: Cast, layout: Layout, keep: int) -> None:
    """Play in a new registry; no fault, no error, and everything asked for done."""
    make_registry(place / "registry", layout, keep=keep)
    outcome = play([Host(place / "registry")], place / "logs", cast)
    assert not outcome.faults, str(outcome)
    assert not outcome.refusals, str(outcome)
    assert outcome.looks
    if cast is not ALL:  # that one ends with its time
        writers = cast.savers + cast.counters + cast.pairs
        twice = cast.pairs * cast.times
        assert outcome.acknowledged == writers * cast.times + twice, str(outcome)
    if cast.counters:
        assert outcome.conflicts, "the writers never met"


@contextmanager
def removing(directory: Path) -> Iterator[list[float]]:
    """Remove a directory again and again, as `git clean -fdx` does; yield when."""
    removals: list[float] = []
    over = threading.Event()

    def remove() -> None:
        while not over.wait(0.005):
            existed = directory.exists()
            shutil.rmtree(directory, ignore_errors=True)
            if existed:
                removals.append(time.monotonic())

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        yield removals
    finally:
        over.set()
        thread.join()
