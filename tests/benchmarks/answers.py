"""Whether answers are those of the definition: wrong ones need no benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsm_store.index.scan import ScanIndex
from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.benchmarks.brute_force import BruteForce
    from tests.benchmarks.queries import Query
    from zsm_store.model.distance import Neighbor
    from zsm_store.model.fingerprint import SchemaFingerprint

PAIRS = 1_000_000
"""Pairs that are compared by the definition per corpus: 10 to 20 seconds."""


class Truth:
    """The right answer to each query.

    The brute force answers all of them. Its own answers are compared with the
    definition's, on as many queries as `PAIRS` allows: all of them in a small corpus.
    """

    def __init__(
        self,
        brute_force: BruteForce,
        stored: Sequence[SchemaFingerprint],
        queries: Sequence[Query],
        pairs: int = PAIRS,
    ) -> None:
        self.nearest: dict[int, list[Neighbor]] = {}
        """By `id` of the query: the nearest, without a bound."""
        for query in queries:
            self.nearest[id(query)] = brute_force.nearest(query.fingerprint)
        self.by_definition = min(len(queries), max(8, pairs // max(1, len(stored))))
        """Queries that the definition was asked, too."""
        scan = filled_scan(stored)
        self.wrong_brute_force = 0
        step = max(1, len(queries) // self.by_definition)
        # An odd step, so that every question gets its turn: they alternate.
        for query in queries[:: step | 1][: self.by_definition]:
            expected = scan.nearest(query.fingerprint)
            near = within(expected, WARM_START_THRESHOLD)
            found_near = brute_force.nearest(query.fingerprint, 1, WARM_START_THRESHOLD)
            is_right = self.nearest[id(query)] == expected and found_near == near
            self.wrong_brute_force += not is_right

    def expected(self, query: Query, bound: float | None) -> list[Neighbor]:
        """Return the right answer within a bound."""
        return within(self.nearest[id(query)], bound)

    def wrong(
        self,
        queries: Iterable[Query],
        answers: Iterable[list[Neighbor]],
        bound: float | None,
    ) -> int:
        """Count the answers that are not the right ones."""
        return sum(
            answer != self.expected(query, bound)
            for query, answer in zip(queries, answers, strict=True)
        )


def within(answer: list[Neighbor], bound: float | None) -> list[Neighbor]:
    """Leave out what is too far away."""
    return [one for one in answer if bound is None or one.distance <= bound]


def filled_scan(stored: Iterable[SchemaFingerprint]) -> ScanIndex:
    """Return the definition, applied to everything."""
    scan = ScanIndex()
    for fingerprint in stored:
        scan.put(fingerprint)
    return scan
