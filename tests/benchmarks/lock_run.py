"""The write lock: free, handed over by another process, and left by a killed one."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from threading import Timer
from typing import TYPE_CHECKING

from tests.benchmarks.stopwatch import Latency, time_calls
from tests.processes import running
from zsm_store import SchemaRegistry

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

_HOLD = """
import sys, time
from zsm_store import SchemaRegistry
registry = SchemaRegistry.open(sys.argv[1])
for line in sys.stdin:
    with registry._store.locked():
        print("held", flush=True)
        time.sleep(float(line))
        left_at = time.monotonic_ns()
    print(left_at, flush=True)
"""
_FOR_GOOD_S = 60.0
_LIVES_S = 0.2
"""Of a holder that is going to be killed: others have begun to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTimes:
    """Of the lock of a registry on a directory."""

    free: Latency
    """Lock and unlock where nobody else does."""
    handed_over: Latency
    """From one process that unlocks to another one that waits for it."""
    after_kill: Latency
    """From the kill of the holder to the lock of who waits."""


def measure_lock(directory: Path, *, rounds: int, kills: int) -> LockTimes:
    """Measure the lock of the registry in a directory, between processes of this host.

    Parameters
    ----------
    directory
        Of an initialized registry.
    rounds
        Locks, and hand-overs.
    kills
        Processes that are killed.
    """
    with SchemaRegistry.open(directory) as registry:
        free = time_calls(lambda _: _take(registry), range(rounds)).latency
        handed_over = Latency.of(_hand_over(registry, directory, rounds))
        after_kill = Latency.of([_outlive(registry, directory) for _ in range(kills)])
    assert free is not None
    assert handed_over is not None
    assert after_kill is not None
    return LockTimes(free=free, handed_over=handed_over, after_kill=after_kill)


def _take(registry: SchemaRegistry) -> int:
    """Lock, and return when that was done."""
    with registry._store.locked():
        return time.monotonic_ns()


def _hand_over(registry: SchemaRegistry, directory: Path, rounds: int) -> list[int]:
    # Not the same time for all: it could be in step with how often a waiter tries.
    rng = random.Random(rounds)  # noqa: S311  # repeatable, no secret
    times_ns = []
    with running(_HOLD, directory, stdin=True) as holder:
        for _ in range(rounds):
            _hold(holder, rng.uniform(0.02, 0.06))
            had_at = _take(registry)
            times_ns.append(had_at - int(_line(holder)))
    return times_ns


def _outlive(registry: SchemaRegistry, directory: Path) -> int:
    killed_at = []
    with running(_HOLD, directory, stdin=True) as holder:
        _hold(holder, _FOR_GOOD_S)

        def kill() -> None:
            killed_at.append(time.monotonic_ns())
            holder.kill()

        killer = Timer(_LIVES_S, kill)
        killer.start()
        had_at = _take(registry)
        killer.join()
    return had_at - killed_at[0]


def _hold(holder: subprocess.Popen[str], hold_s: float) -> None:
    assert holder.stdin is not None
    holder.stdin.write(f"{hold_s}\n")
    holder.stdin.flush()
    assert _line(holder) == "held\n"


def _line(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout is not None
    return holder.stdout.readline()
