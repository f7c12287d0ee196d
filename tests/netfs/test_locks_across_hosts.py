"""A writer waits for one on another host as long as that one lives, and not longer."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING

import pytest

from tests.examples import numbered
from tests.processes import running
from zsm_store import RegistryLockedError, SchemaRegistry
from zsm_store.storage.marker_lock import SILENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.netfs.conftest import Drive

_BEAT_S = 4.0
_BUSY_S = 1.5
"""What else a waiter may lose on a machine with other things to do."""
_PATIENCE_S = SILENCE_S + 15
_HOLDER = """
import sys
from zsm_store import SchemaRegistry
from zsm_store.storage import process_identity
if sys.argv[2] == "elsewhere":
    process_identity._kernel = lambda: "another kernel"
with SchemaRegistry.open(sys.argv[1]) as registry, registry._store.locked():
    print("held", flush=True)
    sys.stdin.readline()
"""


class Fate(StrEnum):
    """What becomes of the holder."""

    LIVES = "lives"
    DIES_ELSEWHERE = "dies elsewhere"
    DIES_HERE = "dies here"


@pytest.mark.netfs
@pytest.mark.timeout(180)
def test_lock_of_another_host_is_waited_for_as_long_as_its_holder_lives(
    drive: Drive,
) -> None:
    # All three at once: each of them takes half a minute.
    with ThreadPoolExecutor(len(Fate)) as waiters:
        futures = {fate: waiters.submit(wait_for, drive, fate) for fate in Fate}
        waited = {fate: future.result() for fate, future in futures.items()}
    print(f"{drive.name}: {waited}")  # noqa: T201  # shown by pytest -s
    assert waited[Fate.LIVES] is None, "it was taken from a holder that lives"
    assert waited[Fate.DIES_ELSEWHERE] is not None, "the dead block others for ever"
    assert waited[Fate.DIES_ELSEWHERE] >= SILENCE_S - _BUSY_S
    longest_s = SILENCE_S + _BEAT_S + drive.bound_s + _BUSY_S
    assert waited[Fate.DIES_ELSEWHERE] <= longest_s
    assert waited[Fate.DIES_HERE] is not None, "the dead block others for ever"
    assert waited[Fate.DIES_HERE] <= 1 + _BUSY_S


def wait_for(drive: Drive, fate: Fate) -> float | None:
    """Return how long a save takes; None where it was refused, as it should be."""
    name = f"lock-{fate.name.lower()}"
    SchemaRegistry.init(drive.there / name).close()
    host = "here" if fate is Fate.DIES_HERE else "elsewhere"
    with ExitStack() as cleanup:
        registry = SchemaRegistry.open(drive.here / name, lock_timeout_s=_PATIENCE_S)
        cleanup.enter_context(registry)
        place: Path = drive.there / name
        holder = cleanup.enter_context(running(_HOLDER, place, host, stdin=True))
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n", holder.communicate()
        if fate is not Fate.LIVES:
            holder.kill()
        began = time.monotonic()
        try:
            registry.save(numbered(0))
        except RegistryLockedError as error:
            return None if f"process {holder.pid} on " in str(error) else 0.0
        return time.monotonic() - began
