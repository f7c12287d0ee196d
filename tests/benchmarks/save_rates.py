"""Durable saves per second, of several processes and of several threads at once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.benchmarks.save_run import filled_registry
from tests.processes import run_together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SAVE = """
import threading
from tests.benchmarks.codec_run import sample_artifact
from tests.benchmarks.save_peers import raw_save
from zsm_store.codec import artifact_json

directory, way = sys.argv[1:3]
first, threads = map(int, sys.argv[3:5])
seconds = float(sys.argv[5])
registry = SchemaRegistry.open(directory, watch=False, cache=False)
ends = []

def save(number):
    artifacts = [sample_artifact(1000 * number + seed) for seed in range(20)]
    files = [artifact_json.encode(one) for one in artifacts]
    saved = 0
    ready.wait()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        artifact, data = artifacts[saved % 20], files[saved % 20]
        if way == "ours":
            registry.save(artifact)
        else:
            staging = f"{directory}/.zsm/{number}.{saved}"
            raw_save(staging, f"{directory}/{artifact.schema_hash}.json", data)
        saved += 1
        ends.append(time.monotonic_ns())

ready = threading.Barrier(threads)
all_threads = [
    threading.Thread(target=save, args=(first + number,)) for number in range(threads)
]
for thread in all_threads:
    thread.start()
for thread in all_threads:
    thread.join()
print(*sorted(ends))
"""


class Crowd(StrEnum):
    """Who saves at once."""

    PROCESSES = "processes"
    THREADS = "threads"
    """Of one process, by one registry object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Durable saves per second, of artifacts of their own, in the fastest round."""

    crowd: Crowd
    writers: int
    ours: float
    raw: float
    """By plain calls: what the disk can do."""


def measure_rates(
    parent: Path | None, writers: Sequence[int], *, seconds: float, rounds: int
) -> list[Rate]:
    """Let more and more write at once; all sizes of a crowd take turns in each round.

    Parameters
    ----------
    parent
        Where the registries are made.
    writers
        How many at once, each in turn.
    seconds
        That each of the measurements takes.
    rounds
        Of all of them.
    """
    found: dict[tuple[Crowd, int, str], list[float]] = {}
    for _ in range(rounds):
        for crowd in Crowd:
            for number in writers:
                for way in ("ours", "raw"):
                    with filled_registry(parent, 1) as directory:
                        rate = _rate(directory, way, crowd, number, seconds)
                    found.setdefault((crowd, number, way), []).append(rate)
    # The fastest: what else goes on can only make one slower.
    best = {key: max(rates) for key, rates in found.items()}
    return [
        Rate(
            crowd=crowd,
            writers=number,
            ours=best[crowd, number, "ours"],
            raw=best[crowd, number, "raw"],
        )
        for crowd in Crowd
        for number in writers
    ]


def _rate(
    directory: Path, way: str, crowd: Crowd, writers: int, seconds: float
) -> float:
    processes, threads = writers, 1
    if crowd is Crowd.THREADS:
        processes, threads = 1, writers
    given = [
        (directory, way, threads * number, threads, seconds)
        for number in range(processes)
    ]
    ended = run_together(_SAVE, given, directory.parent / "start")
    assert not any(code for code, _, _ in ended), ended
    times = [[*map(int, output.split())] for _, output, _ in ended]
    # Only while all of them save: they begin when their artifacts are made.
    begin = max(one[0] for one in times)
    end = min(one[-1] for one in times)
    assert begin < end, "they have not saved at the same time"
    saves = sum(bisect_right(one, end) - bisect_left(one, begin) for one in times)
    return (saves - 1) * 1e9 / (end - begin)
