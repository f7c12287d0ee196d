"""The goals of saving, and whether a run meets them. A report, never an assertion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.benchmarks.goals import Verdict
from tests.benchmarks.save_rates import Crowd
from zsm_store import LockStrategy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.lock_run import LockTimes
    from tests.benchmarks.save_rates import Rate
    from tests.benchmarks.save_run import Comparison, ManySaves, Rewriting

_OVER_RAW = 1.5
_FASTER_THAN_PEER = {1_000: 3.0, 10_000: 80.0, 100_000: 800.0}
_CROWD, _CROWD_OVER_ONE = 8, 1.5
_DEAD_HOLDER_S = 1.0


@dataclass(slots=True, kw_only=True)
class SaveResults:
    """Everything one run has measured; what it has not is absent."""

    comparisons: list[Comparison] = field(default_factory=list)
    rewritings: list[Rewriting] = field(default_factory=list)
    many: ManySaves | None = None
    rates: list[Rate] = field(default_factory=list)
    locks: dict[str, LockTimes] = field(default_factory=dict)
    """By the strategy that the registry has."""

    def rate_over_one(self, crowd: Crowd, writers: int) -> float | None:
        """Return how many times the saves of one writer so many make together."""
        rates = {rate.writers: rate.ours for rate in self.rates if rate.crowd is crowd}
        if 1 not in rates or writers not in rates:
            return None
        return rates[writers] / rates[1]


def save_verdicts(results: SaveResults) -> list[Verdict]:
    """Return one line for each goal and size."""
    return [*_over_raw(results), *_peer(results), *_crowd(results), *_locks(results)]


def _over_raw(results: SaveResults) -> Iterator[Verdict]:
    for one in results.comparisons:
        if one.is_durable:
            what = "adds" if one.is_new else "replaces"
            yield Verdict(
                goal=f"durable save over raw calls, {what}, {one.artifacts:,}",
                must=_OVER_RAW,
                # On a disk that others keep busy both wait for them, which hides ours.
                measured=max(one.ratio, one.quiet_ratio),
                unit="x",
            )


def _peer(results: SaveResults) -> Iterator[Verdict]:
    factors = {one.artifacts: one.factor for one in results.rewritings}
    for size, must in _FASTER_THAN_PEER.items():
        yield Verdict(
            goal=f"peer's rewrite, imitated, over a durable save, {size:,}",
            must=must,
            measured=factors.get(size),
            unit="x",
            at_least=True,
        )


def _crowd(results: SaveResults) -> Iterator[Verdict]:
    yield Verdict(
        goal=f"durable saves per second, {_CROWD} processes over 1",
        must=_CROWD_OVER_ONE,
        measured=results.rate_over_one(Crowd.PROCESSES, _CROWD),
        unit="x",
        at_least=True,
    )


def _locks(results: SaveResults) -> Iterator[Verdict]:
    for strategy in LockStrategy:
        times = results.locks.get(strategy)
        yield Verdict(
            goal=f"lock '{strategy}' of a killed holder, same host, p99",
            must=_DEAD_HOLDER_S,
            measured=None if times is None else times.after_kill.p99_us / 1e6,
            unit="s",
        )
