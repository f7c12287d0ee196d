"""Search latency of one index over one corpus."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.queries import Question
from tests.benchmarks.stopwatch import Latency, time_calls
from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.answers import Truth
    from tests.benchmarks.queries import Query
    from tests.benchmarks.set_peers import SetPeer
    from zsm_store.model.distance import Neighbor

_FEWEST = 2 * len(Question)
"""Calls at any rate: one for each kind of query."""
_SIDES = {False: "without", True: "with", None: "both"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of the table of latencies."""

    subject: str
    size: int
    question: Question
    bound: float | None
    with_stats: bool | None
    """None: queries with and without, half and half."""
    latency: Latency
    checked: int
    """Answers that were compared with the right ones."""
    wrong: int

    @property
    def statistics(self) -> str:
        """Which queries, in a word."""
        return _SIDES[self.with_stats]


def measure_search(
    subject: str,
    nearest: Callable[..., list[Neighbor]],
    size: int,
    queries: Sequence[Query],
    truth: Truth,
    *,
    rounds: int,
    budget_s: float,
) -> list[Cell]:
    """Time all queries, bounded and not; every answer is compared with the truth.

    Parameters
    ----------
    subject
        Name in the table.
    nearest
        As in `FingerprintIndex`.
    size
        Artifacts stored.
    queries
        Mixed: each kind comes equally often, in turns.
    truth
        The right answers.
    rounds
        The fastest of so many counts for each query.
    budget_s
        Seconds for all the unbounded queries, and as many for the bounded ones.
    """
    cells = []
    for bound in (None, WARM_START_THRESHOLD):
        # No function of ours around it: that would be a tenth of an exact hit.
        timed = time_calls(
            nearest if bound is None else partial(nearest, max_distance=bound),
            [query.fingerprint for query in queries],
            rounds=rounds,
            budget_s=budget_s,
            fewest=_FEWEST,
        )
        asked = queries[: len(timed.answers)]
        for question in Question:
            for with_stats in (None, False, True):
                chosen = [
                    position
                    for position, query in enumerate(asked)
                    if query.question is question
                    and with_stats in {None, query.with_stats}
                ]
                latency = Latency.of([timed.times_ns[one] for one in chosen])
                if latency is None:
                    continue
                cells.append(
                    Cell(
                        subject=subject,
                        size=size,
                        question=question,
                        bound=bound,
                        with_stats=with_stats,
                        latency=latency,
                        checked=len(chosen),
                        wrong=truth.wrong(
                            [asked[one] for one in chosen],
                            [timed.answers[one] for one in chosen],
                            bound,
                        ),
                    )
                )
    return cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """How a library that proposes candidates did."""

    subject: str
    size: int
    build_us: float
    """Per artifact."""
    question: Question
    latency: Latency
    found: int
    """Queries whose right answer was among the candidates."""
    findable: int
    """Queries that have an answer within the bound."""


def measure_candidates(
    peer_class: Callable[..., SetPeer],
    stored: Sequence[object],
    queries: Sequence[Query],
    truth: Truth,
    *,
    rounds: int,
    budget_s: float,
) -> list[Recall]:
    """Time the proposals and count in how many the right answer is."""
    begin = time.perf_counter()
    peer = peer_class(stored)
    build_us = (time.perf_counter() - begin) * 1e6 / len(stored)
    rows = []
    for question in (Question.DRIFT, Question.MISS):
        asked = [query for query in queries if query.question is question]
        timed = time_calls(
            lambda query: peer.candidates(query.fingerprint),
            asked,
            rounds=rounds,
            budget_s=budget_s / 2,
        )
        found = findable = 0
        for query, answer in zip(timed.arguments, timed.answers, strict=True):
            for right in truth.expected(query, WARM_START_THRESHOLD):
                findable += 1
                found += right.schema_hash in answer
        assert timed.latency is not None
        rows.append(
            Recall(
                subject=peer.name,
                size=len(stored),
                build_us=build_us,
                question=question,
                latency=timed.latency,
                found=found,
                findable=findable,
            )
        )
    return rows
