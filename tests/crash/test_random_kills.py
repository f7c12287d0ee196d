"""Kill a writer at a random instant of its work, again and again.

A short form is part of every run. The long form, with that many kills in all:

    ZSM_TEST_KILLS=1000 python -m pytest tests/crash/test_random_kills.py -rP
"""

from __future__ import annotations

import json
import math
import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.crash.random_kills import Outcome, Round, shorten_silence
from tests.powercut.judge import Progress, judge
from tests.powercut.steps import PLANS, STEPS
from tests.processes import running
from zsm_store.storage import marker_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import Popen

VARIABLE = "ZSM_TEST_KILLS"
KILLS = int(os.environ.get(VARIABLE, "60"))
_WRITERS = (1, 3)
_ROUNDS = math.ceil(KILLS / len(_WRITERS) / len(PLANS))
"""Kills in each of the tests."""
_TIMEOUT_S = 60 + KILLS
_LIFE_S = 0.06
"""Longest life of a victim: some ten steps, so that most come through all stages."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker_lock, "SILENCE_S", marker_lock.SILENCE_S)
    monkeypatch.setattr(marker_lock, "_BEAT_S", marker_lock._BEAT_S)
    shorten_silence()


@pytest.fixture
def server() -> Iterator[Popen[str]]:
    code = "from tests.crash.random_kills import serve; serve()"
    with running(code, stdin=True) as process:
        yield process


def play(server: Popen[str], chosen: Round) -> Outcome:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{json.dumps(chosen)}\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    assert answer, server.communicate()
    return Outcome(*json.loads(answer))


@pytest.mark.crash
@pytest.mark.timeout(_TIMEOUT_S)
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("writers", _WRITERS)
def test_kill_loses_nothing_and_stops_nobody_else(
    tmp_path: Path, server: Popen[str], writers: int, plan: str
) -> None:
    chance = random.Random()  # noqa: S311  # no secret
    begin, left_behind, blocked_s = [0] * writers, 0, 0.0
    for _ in range(_ROUNDS):
        delay_s = chance.uniform(0, _LIFE_S)
        syncs = chance.random() < 1 / 2
        # The one ahead of the others, so that all of them meet in one registry.
        victim = begin.index(max(begin))
        chosen = Round(str(tmp_path), plan, begin, victim, delay_s, syncs)
        outcome = play(server, chosen)
        # Only of the victim may there be more than it has acknowledged.
        progress = [
            Progress(done, done + (writer == victim))
            for writer, done in enumerate(outcome.next)
        ]
        verdict = judge(tmp_path, progress, PLANS[plan], since=min(begin))
        assert not verdict.faults
        begin = outcome.next
        left_behind += verdict.left_behind
        blocked_s = max(blocked_s, outcome.blocked_s)
    assert min(begin) > 0, "the writers hardly wrote"
    verdict = judge(tmp_path, progress, PLANS[plan])
    assert not verdict.faults
    print(  # noqa: T201  # for those who ask with -rP
        f"{_ROUNDS} kills, {sum(begin)} acknowledged changes in "
        f"{max(begin) // STEPS + 1} registries, {left_behind} staging files swept, "
        f"others waited up to {blocked_s:.3f} s"
    )
