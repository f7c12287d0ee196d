"""Writers that are killed at random instants, by a process that has all imported.

Each line of its input is a `Round`, each line of its output an `Outcome`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from tests.powercut.steps import PLANS, STEPS
from tests.processes import wait_until
from zsm_store.storage import marker_lock

if TYPE_CHECKING:
    from collections.abc import Callable

_STEPS_AFTERWARDS = 3
"""Of every writer that is left, before it is asked to end."""


class Round(NamedTuple):
    """What happens until one writer is dead, and the others are done."""

    root: str
    plan: str
    first: list[int]
    """The step that each writer begins with."""
    victim: int
    delay_s: float
    """Life of the victim."""
    syncs: bool
    """Without, a writer spends its life elsewhere than in waiting for the disk."""


class Outcome(NamedTuple):
    """How far they came."""

    next: list[int]
    """The first step that each writer has not acknowledged."""
    blocked_s: float
    """Time from the kill until all that are left had acknowledged another step."""


def shorten_silence() -> None:
    """Wait less for the holder of a marker who was killed before it wrote its name."""
    marker_lock.SILENCE_S, marker_lock._BEAT_S = 3.0, 0.5


def serve() -> None:
    """Play the rounds that come in, until there are no more."""
    _import_everything()
    shorten_silence()
    # Nobody reads what is logged, and a pipe that is full would stop the writers.
    logging.disable(logging.WARNING)
    fsync: Callable[[int], None] = os.fsync
    for line in sys.stdin:
        chosen = Round(*json.loads(line))
        # A killed process loses nothing that the kernel has.
        chosen_fsync = fsync if chosen.syncs else _no_fsync
        os.fsync = os.fdatasync = chosen_fsync  # type: ignore[assignment]  # only numbers come
        sys.stdout.write(f"{json.dumps(_play(chosen))}\n")
        sys.stdout.flush()


def _import_everything() -> None:
    """Do what a writer does: what that imports would be most of a short life."""
    with TemporaryDirectory() as root:
        for name, plan in PLANS.items():
            for number in plan.work(partial(plan.enter, Path(root, name)), 0, 0):
                if number == 2 * STEPS:
                    break


def _play(chosen: Round) -> Outcome:
    writers = [_start(chosen, writer) for writer in range(len(chosen.first))]
    victim = writers[chosen.victim]
    others = [writer for writer in writers if writer is not victim]
    blocked_s = 0.0
    try:
        time.sleep(chosen.delay_s)
        code, killed_at = victim.end(signal.SIGKILL), time.monotonic()
        assert code == -signal.SIGKILL, "the victim had ended by itself"
        before = [writer.acknowledged() for writer in others]

        def have_done(steps: int) -> bool:
            pairs = zip(others, before, strict=True)
            return all(one.acknowledged() >= count + steps for one, count in pairs)

        if others:
            wait_until(lambda: have_done(1), "the writers that are left")
            blocked_s = time.monotonic() - killed_at
            wait_until(lambda: have_done(_STEPS_AFTERWARDS), "more of them")
        for writer in others:
            assert writer.end(signal.SIGTERM) == 0, "a writer that was left failed"
        done = [writer.acknowledged() for writer in writers]
    finally:
        for writer in writers:
            writer.end(signal.SIGKILL)
            os.close(writer.record)
    return Outcome(list(map(int.__add__, chosen.first, done)), blocked_s)


class _Writer:
    """A process, and an unnamed file with a byte for every acknowledged step."""

    def __init__(self, pid: int, record: int) -> None:
        self.pid = pid
        self.record = record
        self.code: int | None = None

    def acknowledged(self) -> int:
        return os.fstat(self.record).st_size

    def end(self, number: int) -> int:
        """Send a signal unless it has ended, and return its exit code."""
        if self.code is None:
            os.kill(self.pid, number)
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code


def _start(chosen: Round, writer: int) -> _Writer:
    record = os.memfd_create(f"writer {writer}")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _write(chosen, writer, record)
            code = 0
        finally:  # whatever happens, this is not the process that serves
            if code:
                sys.excepthook(*sys.exc_info())
            os._exit(code)
    return _Writer(pid, record)


def _write(chosen: Round, writer: int, record: int) -> None:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    plan = PLANS[chosen.plan]
    enter = partial(plan.enter, Path(chosen.root))
    for _ in plan.work(enter, writer, chosen.first[writer]):
        os.write(record, b".")
        if asked:
            return


def _no_fsync(_: int) -> None:
    pass
