"""The goals, and whether this run meets them. A report, never an assertion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.brute_force import BruteForce
from tests.benchmarks.queries import Question
from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.results import Results
    from tests.benchmarks.stopwatch import Latency

_EXACT_US = 2.0
_DRIFT_US = {1_000: 45.0, 10_000: 55.0, 100_000: 90.0, 1_000_000: 220.0}
_COLD_US = {1_000: 15.0, 10_000: 20.0, 100_000: 28.0, 1_000_000: 65.0}
_OVER_BRUTE_FORCE = {1_000: 2.0, 10_000: 10.0, 100_000: 70.0}
_EXPONENT = 0.3
_TAIL = 12.0
_PUT_US, _REMOVE_US = 20.0, 5.0
_MEMORY_AT, _MEMORY_BYTES = 100_000, 400.0
_BATCH_AT, _BATCH_MS = 100_000, 20.0
_LOOKUP_AT = 10_000
_LOOKUP_US = {"warm_load_cached": 20.0, "warm_load_read": 150.0, "cold_start": 40.0}
_LOOKUP_NAMES = {
    "warm_load_cached": "warm load, artifact cached",
    "warm_load_read": "warm load, read and verified",
    "cold_start": "cold start",
}
_OPEN_AT, _OPEN_US, _REOPEN_S = 100_000, 35.0, 0.5
_PROCESS_AT = 10_000
_PROCESS_RATIO = {"zsm show": 5.0, "zsm lookup": 15.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One goal and what was measured."""

    goal: str
    must: float
    measured: float | None
    """None: this run has not measured it."""
    unit: str
    at_least: bool = False
    """Whether more is better."""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None if it was not measured."""
        if self.measured is None:
            return None
        if self.at_least:
            return self.measured >= self.must
        return self.measured <= self.must


def verdicts(results: Results) -> list[Verdict]:
    """Return one line for each goal and size."""
    return [
        *_search(results),
        *_lookup(results),
        *_brute_force(results),
        *_shape(results),
        *_updates(results),
        *_open(results),
    ]


def _search(results: Results) -> Iterator[Verdict]:
    rows = [("exact hit", dict.fromkeys(_DRIFT_US, _EXACT_US), Question.EXACT, None)]
    rows.append(("drifted query", _DRIFT_US, Question.DRIFT, None))
    bound = WARM_START_THRESHOLD
    rows.append(("cold start proved, bounded", _COLD_US, Question.MISS, bound))
    for goal, musts, question, limit in rows:
        for size, must in musts.items():
            yield Verdict(
                goal=f"{goal}, {size:,}",
                must=must,
                measured=results.p50_us(results.index, size, question, limit),
                unit="us",
            )


def _lookup(results: Results) -> Iterator[Verdict]:
    times = results.registries.get(_LOOKUP_AT)
    for name, must in _LOOKUP_US.items():
        latency: Latency | None = getattr(times, name, None)
        yield Verdict(
            goal=f"whole lookup, {_LOOKUP_NAMES[name]}, {_LOOKUP_AT:,}",
            must=must,
            measured=None if latency is None else latency.p50_us,
            unit="us",
        )


def _brute_force(results: Results) -> Iterator[Verdict]:
    for size, must in _OVER_BRUTE_FORCE.items():
        theirs = results.p50_us(BruteForce.name, size, Question.DRIFT, None)
        ours = results.p50_us(results.index, size, Question.DRIFT, None)
        yield Verdict(
            goal=f"numpy brute force over ours, drift, {size:,}",
            must=must,
            measured=theirs / ours if theirs and ours else None,
            unit="x",
            at_least=True,
        )


def _shape(results: Results) -> Iterator[Verdict]:
    bound = WARM_START_THRESHOLD
    spread = ""
    if results.sizes:
        spread = f", {results.sizes[0]:,} to {results.sizes[-1]:,}"
    for name, question, limit in (
        ("drift", Question.DRIFT, None),
        ("cold start, bounded", Question.MISS, bound),
    ):
        yield Verdict(
            goal=f"growth exponent, {name}{spread}",
            must=_EXPONENT,
            measured=results.exponent(results.index, question, limit),
            unit="",
        )
    tails = [
        cell.latency.p99_us / cell.latency.p50_us
        for cell in results.cells
        if cell.subject == results.index and cell.with_stats is None
    ]
    yield Verdict(
        goal="p99 / p50, the worst cell",
        must=_TAIL,
        measured=max(tails, default=None),
        unit="x",
    )


def _updates(results: Results) -> Iterator[Verdict]:
    for size in results.sizes:
        updates = results.updates.get(size)
        for name, must in (("put", _PUT_US), ("remove", _REMOVE_US)):
            latency: Latency | None = getattr(updates, f"{name}_while_reading", None)
            yield Verdict(
                goal=f"{name} while reading, {size:,}",
                must=must,
                measured=None if latency is None else latency.p50_us,
                unit="us",
            )
    yield Verdict(
        goal=f"index memory per artifact, {_MEMORY_AT:,}",
        must=_MEMORY_BYTES,
        measured=results.memory.get(_MEMORY_AT),
        unit="B",
    )
    batch = results.batches.get(_BATCH_AT)
    yield Verdict(
        goal=f"1,000 mixed queries in one batch, {_BATCH_AT:,}",
        must=_BATCH_MS,
        measured=None if batch is None else batch.total_ms,
        unit="ms",
    )


def _open(results: Results) -> Iterator[Verdict]:
    opening = results.openings.get(_OPEN_AT)
    yield Verdict(
        goal=f"open without a cache, per file, {_OPEN_AT:,}",
        must=_OPEN_US,
        measured=None if opening is None else opening.cold_us,
        unit="us",
    )
    yield Verdict(
        goal=f"open with a valid cache, {_OPEN_AT:,}",
        must=_REOPEN_S,
        measured=None if opening is None else opening.cached_s,
        unit="s",
    )
    processes = results.processes.get(_PROCESS_AT)
    for name, must in _PROCESS_RATIO.items():
        ratio = None
        if processes is not None:
            ratio = processes[name] / processes["interpreter"]
        yield Verdict(
            goal=f"`{name}` over a bare interpreter, {_PROCESS_AT:,}",
            must=must,
            measured=ratio,
            unit="x",
        )
