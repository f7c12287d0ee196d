"""Whole processes: what a shell script waits for, and opening a registry anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.registry_run import CACHE_VARIABLE
from tests.processes import command, environment

_FEWEST, _MOST = 3, 11
"""Runs of each command."""
_BUDGET_S = 30.0
"""No further round begins after that, once there were the fewest."""
_OPENINGS = 3
_OPEN = """
import sys, time
from zsm_store import SchemaRegistry
begin = time.perf_counter()
with SchemaRegistry.open(sys.argv[1]) as registry:
    found = len(registry)
    print(found, time.perf_counter() - begin)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """`SchemaRegistry.open` and a first answer, in a process that does nothing else."""

    cold_us: float
    """Per file, without any cache of the index."""
    cached_s: float
    """All of it, with whatever cache the time before has left."""


def measure_open(directory: Path, size: int) -> Opening:
    """Open a registry of `size` artifacts; the fastest of a few times counts.

    The garbage collector is as the library leaves it, nothing else is in memory, and
    modules are compiled.
    """
    cold, cached = [], []
    for _ in range(_OPENINGS):
        cache = Path(os.environ[CACHE_VARIABLE])
        shutil.rmtree(cache)
        cache.mkdir()
        cold.append(_open(directory, size))
        cached.append(_open(directory, size))
    return Opening(cold_us=min(cold) * 1e6 / size, cached_s=min(cached))


def measure_processes(directory: Path, schema_hash: str) -> dict[str, float]:
    """Return milliseconds of a bare interpreter, `zsm show` and `zsm lookup`.

    The commands take turns, so that a busy moment of the machine hits all of them. Each
    runs once before, to fill its caches, that of compiled modules included: whoever
    installs a package has it.
    """
    schema = directory / f"{schema_hash}.json"
    script = Path(sys.executable).with_name("zsm")
    zsm = [str(script)] if script.exists() else [sys.executable, "-m", "zsm_store.cli"]
    at = ["--registry", str(directory)]
    commands = {
        "interpreter": [sys.executable, "-c", "pass"],
        "zsm show": [*zsm, "show", schema_hash, *at],
        "zsm lookup": [*zsm, "lookup", "--schema", str(schema), *at],
    }
    compiled = _compiled(directory)
    times: dict[str, list[float]] = {name: [] for name in commands}
    end = time.perf_counter() + _BUDGET_S
    for turn in range(_MOST + 1):
        if turn > _FEWEST and time.perf_counter() > end:
            break
        for name, line in commands.items():
            begin = time.perf_counter()
            subprocess.run(
                line,
                env=compiled,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
            )
            if turn:
                times[name].append((time.perf_counter() - begin) * 1e3)
    return {name: median(taken) for name, taken in times.items()}


def _open(directory: Path, size: int) -> float:
    # No deadline: a hundred thousand files take longer than any test should.
    opened = subprocess.run(
        command(_OPEN, directory),
        env=_compiled(directory),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found, seconds = opened.stdout.split()
    assert int(found) == size
    return float(seconds)


def _compiled(directory: Path) -> dict[str, str]:
    """Return an environment in which compiled modules are kept, as when installed."""
    found = environment()
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    found["PYTHONPYCACHEPREFIX"] = str(directory.parent / "compiled")
    return found
