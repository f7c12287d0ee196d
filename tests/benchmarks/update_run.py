"""Building an index, changing it, and what it holds in memory."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.benchmarks.brute_force import BruteForce
from tests.benchmarks.candidates import build_index
from tests.benchmarks.fast_build import fresh_copy
from tests.benchmarks.stopwatch import Latency, quiet, time_calls
from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.queries import Query
    from zsm_store.index.interface import FingerprintIndex
    from zsm_store.model.fingerprint import SchemaFingerprint

_CHECKED = 64
"""Queries that are asked again after the updates."""
_READ = 300
"""Queries of the reader beside the writer."""
_CHECK_S = 10.0
"""Seconds after which no more of these are asked: the scan is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """How fast an index changes, alone and beside a thread that keeps asking."""

    put: Latency | None
    replace: Latency | None
    remove: Latency | None
    put_while_reading: Latency | None
    remove_while_reading: Latency | None
    reader_alone: Latency | None
    """Bounded queries by another thread while nobody writes."""
    reader_beside_writer: Latency | None
    checked: int
    wrong: int
    """Answers that differ from the brute force's over what should be stored now."""


def time_build(
    cls: type, stored: Sequence[SchemaFingerprint]
) -> tuple[FingerprintIndex, float]:
    """Return a filled index and the microseconds per artifact that it took."""
    with quiet():
        begin = time.perf_counter()
        index = build_index(cls, stored)
        took = time.perf_counter() - begin
    return index, took * 1e6 / len(stored)


def bytes_per_artifact(cls: type, stored: Sequence[SchemaFingerprint]) -> float:
    """Return what an index keeps, names included, counted by tracemalloc.

    It is fed with copies that nobody else keeps. Artifacts come one by one, as when
    files are read, so an index that holds on to them pays for it.
    """
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        index = build_index(cls, map(fresh_copy, stored))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        assert len(index) == len(stored)
    finally:
        tracemalloc.stop()
    return (after - before) / len(stored)


def measure_updates(
    index: FingerprintIndex,
    stored: Sequence[SchemaFingerprint],
    extra: Sequence[SchemaFingerprint],
    queries: Sequence[Query],
) -> Updates:
    """Put and remove while nobody reads, then while somebody does.

    A third of `extra` is put, a third put and removed again, and a third put and
    removed beside a reader. As many stored ones are replaced. What the index should
    hold afterwards is asked of a brute force built anew.
    """
    third = len(extra) // 3
    kept, passing, beside = extra[:third], extra[third : 2 * third], extra[2 * third :]
    put = time_calls(index.put, [*kept, *passing])
    replace = time_calls(index.put, stored[:third])
    remove = time_calls(index.remove, [one.schema_hash for one in passing])
    fingerprints = [query.fingerprint for query in queries]
    enough = min(_READ, 5 * len(fingerprints))
    with _Reader(index, fingerprints) as reader:
        reader.wait_for(enough)
        alone = reader.take()
        put_beside = time_calls(index.put, beside)
        remove_beside = time_calls(index.remove, [one.schema_hash for one in beside])
        end = time.perf_counter() + _CHECK_S
        # The writer is quick: it keeps on until the reader has something to tell.
        while reader.asked < enough and time.perf_counter() < end:
            for one in beside:
                index.put(one)
                index.remove(one.schema_hash)
        beside_writer = reader.take()
    wrong, checked = _compare(index, [*stored, *kept], fingerprints)
    for one in kept:
        index.remove(one.schema_hash)
    wrong += len(index) != len(stored)
    return Updates(
        put=put.latency,
        replace=replace.latency,
        remove=remove.latency,
        put_while_reading=put_beside.latency,
        remove_while_reading=remove_beside.latency,
        reader_alone=Latency.of(alone),
        reader_beside_writer=Latency.of(beside_writer),
        checked=checked,
        wrong=wrong,
    )


class _Reader:
    """A thread that keeps asking; a context manager."""

    def __init__(
        self, index: FingerprintIndex, fingerprints: Sequence[SchemaFingerprint]
    ) -> None:
        self._index = index
        self._fingerprints = fingerprints
        self._times: list[int] = []
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._ask, name="benchmark reader")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    @property
    def asked(self) -> int:
        """Queries since the last `take`."""
        return len(self._times)

    def wait_for(self, asked: int) -> None:
        """Let it ask for a while, alone."""
        end = time.perf_counter() + _CHECK_S
        while self.asked < asked and time.perf_counter() < end:
            time.sleep(0.01)

    def take(self) -> list[int]:
        """Return the times since the last call, in nanoseconds."""
        times, self._times = self._times, []
        return times

    def _ask(self) -> None:
        clock = time.perf_counter_ns
        try:
            while not self._stop.is_set():
                for fingerprint in self._fingerprints:
                    begin = clock()
                    self._index.nearest(fingerprint, 1, WARM_START_THRESHOLD)
                    self._times.append(clock() - begin)
                    if self._stop.is_set():
                        break
        except BaseException as error:  # noqa: BLE001  # raised where it is joined
            self._failure = error


def _compare(
    index: FingerprintIndex,
    stored: Sequence[SchemaFingerprint],
    fingerprints: Sequence[SchemaFingerprint],
) -> tuple[int, int]:
    """Return the numbers of wrong answers and of answers."""
    brute_force = BruteForce(stored)
    wrong = checked = 0
    end = time.perf_counter() + _CHECK_S
    for one in fingerprints[:_CHECKED]:
        for bound in (None, WARM_START_THRESHOLD):
            expected = brute_force.nearest(one, 1, bound)
            wrong += index.nearest(one, 1, bound) != expected
            checked += 1
        if time.perf_counter() > end:
            break
    return wrong, checked
