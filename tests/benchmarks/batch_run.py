"""A thousand tables at once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.queries import Question
from tests.benchmarks.stopwatch import quiet
from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.answers import Truth
    from tests.benchmarks.queries import Query
    from zsm_store.index.interface import FingerprintIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Bounded queries, exact, drift and miss in turns."""

    total_ms: float
    at_once: bool
    """Whether the index has a `nearest_many`; else it was asked in a loop."""
    checked: int
    wrong: int


def measure_batch(
    index: FingerprintIndex,
    queries: Sequence[Query],
    truth: Truth,
    size: int,
    rounds: int,
) -> Batch:
    """Ask `size` queries at once; the fastest of the rounds counts.

    `queries` are asked over and over, if there are fewer.
    """
    mixed = [query for query in queries if query.question is not Question.ALIEN]
    batch = [mixed[number % len(mixed)] for number in range(size)]
    fingerprints = [query.fingerprint for query in batch]
    many = getattr(index, "nearest_many", None)
    best = float("inf")
    answers = []
    with quiet():
        for _ in range(rounds):
            begin = time.perf_counter()
            if many is None:
                answers = [
                    index.nearest(one, 1, WARM_START_THRESHOLD) for one in fingerprints
                ]
            else:
                answers = many(fingerprints, 1, WARM_START_THRESHOLD)
            best = min(best, time.perf_counter() - begin)
    return Batch(
        total_ms=best * 1e3,
        at_once=many is not None,
        checked=len(batch),
        wrong=truth.wrong(batch, answers, WARM_START_THRESHOLD),
    )
